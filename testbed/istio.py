"""Istio for the testbed: its programs and images, made as those of Kubernetes are, with the Envoy that the harness has.

Istio's own images have a build of Envoy with filters of Istio's. This Envoy has none of them, so Istio has to be told
not to ask for any: `meshes/istio/mesh.yaml` does.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from conformance.sandbox.errors import SandboxError
from conformance.sandbox.kubelet.programs import envoy_binary
from testbed import build, images, layout, userland
from testbed.build import Program
from testbed.errors import TestbedError
from testbed.image import Copy, Directory, Image, join

VERSION: Final = "1.31-dev"
"""The tag of the images. There is no released version that a Go registry has, only states of what becomes one."""
REVISION: Final = "eed52ebb66ad"
HUB: Final = "localhost/istio"
PILOT: Final = f"{HUB}/pilot:{VERSION}"
PROXY: Final = f"{HUB}/proxyv2:{VERSION}"
MESH: Final = Path(__file__).resolve().parent / "meshes" / "istio" / "mesh.yaml"
"""Istio as a mesh of the testbed: what `--mesh` names."""

_MODULE: Final = "istio.io/istio"
_BOOTSTRAP: Final = "tools/packaging/common/envoy_bootstrap.json"
_TAGS: Final = ("vtprotobuf", "disable_pgv")
_STAMPS: Final = {
    f"{_MODULE}/pkg/version.{name}": value
    for name, value in {"buildVersion": VERSION, "buildTag": VERSION, "buildGitRevision": REVISION,
                        "buildStatus": "Clean", "buildHub": HUB}.items()
}


def _program(name: str, place: str, takes: str) -> Program:
    return Program(name, VERSION, takes, _STAMPS, module="istio", package=f"{_MODULE}/{place}/cmd/{name}", tags=_TAGS)


AGENT: Final = _program("pilot-agent", "pilot", "2 to 4 minutes")
DISCOVERY: Final = _program("pilot-discovery", "pilot", "8 to 20 minutes")
CONTROL: Final = _program("istioctl", "istioctl", "1 to 3 minutes")


@dataclass(frozen=True)
class Istio:
    """Where Istio's programs are, and the template of the bootstrap that its agent starts Envoy with."""

    agent: Path
    discovery: Path
    control: Path
    bootstrap: Path


def istio(progress: Callable[[str], None] = print, *, sources: Path = build.SOURCES) -> Istio:
    """Build what is not built yet, and return where it is.

    Raises TestbedError when something cannot be built, and RefusedError when a registry refuses one of its modules.
    """
    agent, discovery, control = (build.built(program, progress, sources=sources)
                                 for program in (AGENT, DISCOVERY, CONTROL))
    return Istio(agent, discovery, control, _bootstrap(sources))


def archives(made: Istio, progress: Callable[[str], None] = print) -> list[Path]:
    """Write the archives of Istio's images that are not written yet, and return where they are. Raises TestbedError."""
    return [images.archived(image, progress) for image in _images(made)]


def tools(made: Istio) -> Path:
    """Return a directory for PATH, with `istioctl` in it."""
    place = layout.cache() / "tools"
    place.mkdir(parents=True, exist_ok=True)
    unfinished = place / ".istioctl"
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(made.control)
    unfinished.replace(place / "istioctl")
    return place


def _images(made: Istio) -> list[Image]:
    try:
        envoy = envoy_binary()
    except SandboxError as error:
        raise TestbedError(f"making Istio's proxy image: {error}") from error
    proxy = join(
        userland.base(), userland.shell(), userland.iptables(), userland.program("/usr/local/bin/envoy", envoy),
        {"/usr/local/bin/pilot-agent": Copy(made.agent),
         "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json": Copy(made.bootstrap),
         "/var/lib/istio/data": Directory(0o777), "/etc/istio/proxy": Directory(0o777)},
    )
    pilot = join(userland.base(), {"/usr/local/bin/pilot-discovery": Copy(made.discovery)})
    return [
        Image(PILOT, (pilot,), entrypoint=("/usr/local/bin/pilot-discovery",), user="1337:1337",
              environment=images.PATH),
        Image(PROXY, (proxy,), entrypoint=("/usr/local/bin/pilot-agent",), environment=images.PATH),
    ]


def _bootstrap(sources: Path) -> Path:
    """Return the bootstrap's template, copied from the module: nothing that is built has it. Raises TestbedError."""
    return build.taken(AGENT, _MODULE, "envoy-bootstrap.json", _take_bootstrap, doing="making Istio's proxy image",
                       sources=sources)


def _take_bootstrap(module: Path, place: Path) -> None:
    shutil.copyfile(module / _BOOTSTRAP, place)
