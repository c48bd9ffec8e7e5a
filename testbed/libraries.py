"""The shared libraries that programs of this machine need, so that an image can carry them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from testbed.errors import TestbedError

_ELF: Final = b"\x7fELF"
_FOUND: Final = re.compile(r"^\s+(?:(?P<name>\S+) => )?(?P<path>/\S+) \(0x[0-9a-f]+\)$")
_MISSING: Final = re.compile(r"^\s+(?P<name>\S+) => not found$")
# glibc loads these by name while a program runs, so that no program lists them: name services, ends of threads.
_LOADED_LATER: Final = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", "libgcc_s.so.1")


def is_elf(path: Path) -> bool:
    """Whether a file is a program or library of the kind that may need others."""
    with path.open("rb") as stream:
        return stream.read(4) == _ELF


def needed(programs: Iterable[Path]) -> dict[str, Path]:
    """The libraries that dynamically linked ELF files need: where an image has to hold each, and where it is here.

    The loader keeps its own path, which programs name. All others come to lie beside the C library, where every
    loader looks: whatever directories this machine's programs were linked with, an image needs none of them.
    Files that name no library (static programs) add nothing. Raises TestbedError for a library that is missing here.
    """
    files = [str(program) for program in programs]
    if not files:
        return {}
    try:
        listing = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False, timeout=120).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TestbedError(f"reading which libraries {files[0]} needs: cannot run ldd ({error}); "
                           "it comes with the C library (Debian: apt-get install libc-bin)") from error
    loaders, libraries = _read(listing, files[0])
    core = next((path for name, path in libraries.items() if name.startswith(("libc.so", "libc.musl"))), None)
    if core is None:
        return {str(loader): loader.resolve() for loader in loaders}
    for name in _LOADED_LATER:
        if (core.parent / name).is_file():
            libraries.setdefault(name, core.parent / name)
    placed = {str(core.parent / name): path.resolve() for name, path in libraries.items()}
    return placed | {str(loader): loader.resolve() for loader in loaders}


def _read(listing: str, subject: str) -> tuple[set[Path], dict[str, Path]]:
    loaders: set[Path] = set()
    libraries: dict[str, Path] = {}
    for line in listing.splitlines():
        if line.endswith(":") and line.startswith("/"):  # ldd heads each file's part so when it is given several
            subject = line[:-1]
        elif missing := _MISSING.match(line):
            raise TestbedError(f"{subject} needs the library {missing['name']}, which is not on this machine; "
                               "install the package that has it, or what the program came from again")
        elif found := _FOUND.match(line):
            if found["name"] is None or found["name"].startswith("/"):
                loaders.add(Path(found["name"] or found["path"]))
            else:
                libraries.setdefault(found["name"], Path(found["path"]))
    return loaders, libraries
