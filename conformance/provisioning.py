"""A run that installs the meshes it judges: each around its own checks, or all around a run that has workers.

Workers may be ended while they clean up, and one of them must not take a mesh away under another. So where there are
workers, the process that the user sees installs and removes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from conformance.cluster import Cluster, ClusterError
from conformance.exit_code import ExitCode
from conformance.lifecycle.install import Installer, provisioned
from conformance.mesh import MeshError
from conformance.options import Settings
from conformance.place import open_place, setup
from conformance.topology import ProvisionError
from conformance.waiting import Progress


@contextmanager
def provision(
    settings: Settings, cluster: Cluster, name: str, tell: Callable[[str], None], progress: Progress | None = None,
) -> Iterator[None]:
    """Have a mesh on the cluster as long as the context lasts, where the run is to install it.

    Raises ProvisionError, MeshError, ClusterError.
    """
    if not settings.provision:
        yield
        return
    installer = Installer(cluster, setup(settings, name), settings.registry, tell, progress)
    tell(f"installing {installer.mesh.title} (run {installer.run})")
    with provisioned(installer, keep=settings.keep):
        yield
        if not settings.keep:
            tell(f"removing {installer.mesh.title}")


class Provisioning:
    """Registered in the process that has workers: installs all meshes before they start, removes them after."""

    def __init__(self, settings: Settings, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._tell = tell
        self._opened = ExitStack()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Install. What goes wrong ends the run before it has begun."""
        try:
            cluster = self._opened.enter_context(open_place(self._settings))
            for name in self._settings.meshes:
                self._opened.enter_context(provision(self._settings, cluster, name, self._tell))
        except (ClusterError, MeshError, ProvisionError) as error:
            self._opened.close()
            pytest.exit(f"no mesh to judge: {error}", returncode=3)
        except BaseException:
            self._opened.close()
            raise

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Remove, once no worker is left. What stays makes the run an error, unless there is worse to tell."""
        try:
            yield
        finally:
            try:
                self._opened.close()
            except (ClusterError, MeshError, ProvisionError) as error:
                self._tell(f"error: {error}")
                if session.exitstatus in (ExitCode.CONFORMANT, ExitCode.NOTHING):
                    session.exitstatus = ExitCode.ERROR
