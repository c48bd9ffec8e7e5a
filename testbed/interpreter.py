"""The Python of this machine as files of an image, in place of the official one, which needs a registry of images."""

from __future__ import annotations

import functools
import importlib.util
import marshal
import platform
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from testbed import libraries
from testbed.errors import TestbedError
from testbed.image import Copy, File, Layer, Link

_NAME: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
_HOME: Final = Path("/usr/local")
# Not in the image: tests, windows, the installer and what it installed.
_LEFT_OUT: Final = frozenset({
    "__pycache__", "dist-packages", "ensurepip", "idlelib", "lib2to3", "site-packages", "test", "tests", "tkinter",
    "turtledemo",
})
_LEFT_OUT_STARTS: Final = ("_tkinter.", "_test", "_ctypes_test", "config-", "xxlimited")
_UNCHECKED_HASH: Final = (1).to_bytes(4, "little")  # flags in a .pyc's header: never compare it with its source


@dataclass(frozen=True)
class Bytecode:
    """A module's compiled form. It is not tied to the time of its source, which is the same for all files of images."""

    source: Path
    name: str

    def data(self) -> bytes:
        """Take what Python compiled before where that is current, else compile.

        A file that is no valid Python has no bytecode: Python ignores an empty one, and says so on import.
        """
        source = self.source.read_bytes()
        try:
            code = self._compiled_before() or marshal.dumps(compile(source, self.name, "exec", dont_inherit=True))
        except (SyntaxError, ValueError):
            return b""
        return importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source) + code

    def identity(self) -> bytes:
        """Name the compiler; the source stands beside it in the image."""
        return sys.version.encode()

    def executable(self) -> bool:
        """It is imported, not run."""
        return False

    def _compiled_before(self) -> bytes:
        place = Path(importlib.util.cache_from_source(str(self.source)))
        status = self.source.stat()
        timed = [int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF]
        current = importlib.util.MAGIC_NUMBER + b"".join(value.to_bytes(4, "little") for value in (0, *timed))
        try:
            found = place.read_bytes()
        except FileNotFoundError:
            return b""
        return found[len(current):] if found.startswith(current) else b""


def version() -> str:
    """The Python that stands in for the official image's."""
    return platform.python_version()


@functools.cache
def layer() -> Layer:
    """The interpreter below /usr/local, its standard library and the shared libraries of both.

    Raises TestbedError when a part is not where Python says it is.
    """
    origin = Path(sys.base_exec_prefix)
    program = origin / "bin" / _NAME
    library = Path(sysconfig.get_path("stdlib"))  # in a virtual environment too it is the original's
    extensions = origin / sys.platlibdir / _NAME / "lib-dynload"
    for part in (program, library / "os.py", extensions):
        if not part.exists():
            raise TestbedError(f"making the Python image: there is no {part}, where {sys.executable} has it; "
                               "run the testbed with a Python that is installed the usual way")
    found: dict[str, File | Link] = {
        f"{_HOME}/bin/{_NAME}": Copy(program),
        f"{_HOME}/bin/python3": Link(_NAME),
        f"{_HOME}/bin/python": Link(_NAME),
    }
    modules = dict(tree(library, _HOME / "lib" / _NAME))
    modules |= tree(extensions, _HOME / sys.platlibdir / _NAME / "lib-dynload")
    loadable = [content.source for path, content in modules.items()
                if isinstance(content, Copy) and path.endswith(".so")]
    shared = libraries.needed([program, *loadable])
    return found | modules | {path: Copy(source, runs=True) for path, source in shared.items()}


def tree(directory: Path, place: Path) -> Iterator[tuple[str, File]]:
    """Every file below a directory, as it is to lie below `place`; modules with their bytecode."""
    for path in sorted(directory.iterdir()):
        if path.name in _LEFT_OUT or path.name.startswith(_LEFT_OUT_STARTS):
            continue
        if path.is_dir():
            yield from tree(path, place / path.name)
        else:
            yield from with_bytecode(path, place / path.name)


def with_bytecode(source: Path, place: Path) -> Iterator[tuple[str, File]]:
    """A file, and if it is a module its bytecode: pods would otherwise compile all that they import at each start."""
    yield str(place), Copy(source)
    if source.suffix == ".py":
        yield importlib.util.cache_from_source(str(place)), Bytecode(source, str(place))
