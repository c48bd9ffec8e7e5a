"""What travels beside the agent so that it speaks HTTP/2 on a stock `python` image: one ZIP in its ConfigMap.

The standard library has no HTTP/2. The ZIP holds `agent_h2.py` and, as installed here, the pure-Python packages `h2`,
`hpack` and `hyperframe` with their licences. Python imports from a ZIP, so that nothing is installed in the pod.
"""

from __future__ import annotations

import io
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

ZIP_NAME: Final = "h2.zip"
"""Under this name, beside agent.py, the agent looks for the ZIP."""
LIMIT: Final = 300 * 1024
"""Bytes the ZIP may take: what a ConfigMap holds (1 MiB, binary data in base64) leaves room for the agent."""

_PACKAGES: Final = ("h2", "hpack", "hyperframe")
_AGENT_PART: Final = Path(__file__).with_name("agent_h2.py")
_ALWAYS: Final = (1980, 1, 1, 0, 0, 0)  # the first date a ZIP knows, so that the same files make the same bytes


class LibraryMissing(Exception):  # noqa: N818 - named for what was found
    """A package that the agent needs for HTTP/2 is not installed as pip installs it."""


@cache
def h2_zip() -> bytes:
    """Return the ZIP: the same bytes whenever the same versions are installed. Raises LibraryMissing."""
    files = {_AGENT_PART.name: _AGENT_PART.read_bytes()}
    for package in _PACKAGES:
        files |= _files(package)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _ALWAYS)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    data = buffer.getvalue()
    if len(data) > LIMIT:
        raise LibraryMissing(f"the agent's HTTP/2 library takes {len(data)} bytes as a ZIP, over the limit of {LIMIT}; "
                             f"install versions of {', '.join(_PACKAGES)} that this release was tested with")
    return data


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
