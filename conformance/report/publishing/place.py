"""Where a report is published: `MESH/VERSION/` below the directory of all reports, and never anywhere else."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

from conformance.report.model import Header
from conformance.report.writing import ReportError

_MESH: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,60}[a-z0-9])?(@[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?)?")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,80}")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,40}[a-z0-9])?")
REFERENCE: Final = "reference"
DIALECT: Final = "v1alpha4"
"""What is served beside the reference mesh where a command does not say it."""


class Unpublishable(ReportError):  # noqa: N818 - says what the report is
    """A report may not be published, or not in that place."""


def of(header: Header, name: str = "") -> tuple[str, str]:
    """Return the two directories of the report with that header. Raises Unpublishable where its names cannot be such.

    `name` tells two reports of one version apart: `1.2.3+NAME`. Without it they are told apart by the suite, where that
    is not SMI's, and those of the reference mesh by what was served beside it.
    """
    if len(header.meshes) != 1:
        raise Unpublishable(f"a published report is of one mesh, this record of {len(header.meshes)}; judge each in a "
                            "run of its own")
    mesh = header.meshes[0]
    name = name or "-".join(part for part in (dialect(header), *options(header, "--suite")) if part)
    if name and not _NAME.fullmatch(name):
        raise Unpublishable(f"{name!r:.60} cannot tell a report from others: use lower-case letters, digits, - and .")
    for what, text, allowed in (("name", mesh.name, _MESH), ("version", mesh.version, _VERSION)):
        if not allowed.fullmatch(text) or ".." in text:
            raise Unpublishable(f"the {what} of the mesh, {text!r:.100}, cannot be the name of a directory")
    return mesh.name, f"{mesh.version}+{name}" if name else mesh.version


def dialect(header: Header) -> str:
    """Return what was served beside the reference mesh; empty for other meshes."""
    if not header.meshes or header.meshes[0].name != REFERENCE:
        return ""
    return option(header, "--smi") or DIALECT


def option(header: Header, name: str) -> str:
    """Return the value of an option of the command that repeats the run; empty where it has none."""
    return next(iter(options(header, name)), "")


def options(header: Header, name: str) -> list[str]:
    """Return the values of an option of the command that repeats the run."""
    try:
        words = shlex.split(header.command)
    except ValueError:
        return []
    return [following if word == name else word.partition("=")[2]
            for word, following in zip(words, [*words[1:], ""], strict=True)
            if word == name or word.startswith(f"{name}=")]


def below(home: Path, *names: str) -> Path:
    """Return a directory below another. Raises ReportError where a link on the way there leads elsewhere."""
    place = home
    for name in names:
        place = place / name
        if place.is_symlink():
            raise ReportError(f"{place} is a link; a report is only written below {home} itself. Remove the link")
        if place.exists() and not place.is_dir():
            raise ReportError(f"{place} is no directory; remove it")
    return place
