"""What travels beside the agent in its ConfigMap, for a stock `python` image: two ZIPs.

Python imports from a ZIP, so that nothing is installed in the pod.

- h2.zip, since the standard library has no HTTP/2: `agent_h2.py` and, as installed here, the pure-Python packages `h2`,
  `hpack` and `hyperframe` with their licences.
- load.zip: the load engine and the fast server, under the names they have here. `python load.zip` runs them anywhere.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

ZIP_NAME: Final = "h2.zip"
LOAD_NAME: Final = "load.zip"
"""Under these names, beside agent.py, the agent looks for the ZIPs."""
LIMIT: Final = 300 * 1024
"""Bytes h2.zip may take: what a ConfigMap holds (1 MiB, binary data in base64) leaves room for the agent."""

_PACKAGES: Final = ("h2", "hpack", "hyperframe")
_AGENT_PART: Final = Path(__file__).with_name("agent_h2.py")
_CONFORMANCE: Final = Path(__file__).parent.parent
_LOAD: Final = ("__init__.py", "performance/__init__.py", "performance/histogram.py", "performance/load/*.py")
_RUN_LOAD: Final = b"""import sys

from conformance.performance.load.main import main

sys.exit(main(sys.argv[1:]))
"""
_ALWAYS: Final = (1980, 1, 1, 0, 0, 0)  # the first date a ZIP knows, so that the same files make the same bytes


class LibraryMissing(Exception):  # noqa: N818 - named for what was found
    """A package that the agent needs for HTTP/2 is not installed as pip installs it."""


@cache
def h2_zip() -> bytes:
    """Return the ZIP: the same bytes whenever the same versions are installed. Raises LibraryMissing."""
    files = {_AGENT_PART.name: _AGENT_PART.read_bytes()}
    for package in _PACKAGES:
        files |= _files(package)
    data = _zip(files)
    if len(data) > LIMIT:
        raise LibraryMissing(f"the agent's HTTP/2 library takes {len(data)} bytes as a ZIP, over the limit of {LIMIT}; "
                             f"install versions of {', '.join(_PACKAGES)} that this release was tested with")
    return data


@cache
def load_zip() -> bytes:
    """Return the ZIP with the load engine: the same bytes for the same version of the harness."""
    files = {str(path.relative_to(_CONFORMANCE.parent)): path.read_bytes()
             for pattern in _LOAD for path in _CONFORMANCE.glob(pattern)}
    return _zip({**files, "__main__.py": _RUN_LOAD})


def _zip(files: Mapping[str, bytes]) -> bytes:
    """Return a ZIP of the files, the same bytes for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _ALWAYS)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def _files(package: str) -> dict[str, bytes]:
    try:
        found = distribution(package)
    except PackageNotFoundError:
        raise LibraryMissing(f"the package {package}, which the agent needs for HTTP/2, is not installed; "
                             f"install mesh-conformance with its dependencies") from None
    files = {}
    for path in found.files or ():
        if path.suffix == ".py" and path.parts[0] == package:
            files[str(path)] = path.read_binary()
        elif path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
            files[f"{package}/{path.name}"] = path.read_binary()
    if f"{package}/__init__.py" not in files:
        raise LibraryMissing(f"the files of the package {package} {found.version} are not on record; install it anew")
    return files
