"""Whether a record may be published: whole, explained, of released versions, repeatable, and with no secrets."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conformance import __version__
from conformance.report.codec import RecordError
from conformance.report.documents import header_document
from conformance.report.hygiene import clean_text
from conformance.report.model import Component, Header
from conformance.report.stream import RecordStream

SUMS: Final = "SHA256SUMS"
MAX_FINDINGS: Final = 1_000
"""What is told of one record; whoever has more has something else to mend first."""

_UNRELEASED: Final = re.compile(
    r"(?i)(^|[^a-z])(dev|devel|snapshot|dirty|nightly|latest|main|master|unknown|none|local|"
    r"alpha|beta|rc|pre|preview)([^a-z]|$)"
)
_CERTIFICATE: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{1,40}-----")
_IPV4: Final = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
_IPV6: Final = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){2,7}(?::?[0-9A-Fa-f]{1,4})(?![\w:])")
_WEB: Final = re.compile(
    r"[a-z][a-z0-9+]{1,15}://(?:[^/\s\"'@]{1,200}@)?(\[[0-9A-Fa-f:.]{2,60}\]|[A-Za-z0-9._-]{1,253})"
)
_INTERNAL: Final = (
    ".svc",
    ".local",
    ".internal",
    ".cluster",
    ".test",
    ".example",
    ".invalid",
    ".localhost",
    "example.com",
    "example.org",
    "example.net",
    "smi-spec.io",
    "k8s.io",
)
_SUM: Final = re.compile(r"([0-9a-f]{64}) [ *]([A-Za-z0-9][A-Za-z0-9._-]{0,200})")


@dataclass(frozen=True, slots=True)
class Finding:
    """What stands against publishing a record; `line` counts from 1, 0 where it is none of a line."""

    file: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.problem}" if self.line else f"{self.file}: {self.problem}"


def verify(path: Path, known: Iterable[str] = ()) -> list[Finding]:
    """Return what stands against publishing a record, at most `MAX_FINDINGS`, in the order of its lines.

    `known` are the ids of all requirements of this version of the harness; records of other versions may have others.
    What a `SHA256SUMS` beside the record says is held to as well. Raises RecordError for a file that cannot be read.
    """
    try:
        with path.open("rb") as stream:
            found = list(_first(_record(stream, path.name, set(known))))
    except OSError as error:
        raise RecordError(f"the record {clean_text(str(path))} cannot be read: {error.strerror}") from error
    return [*found, *sums(path.parent)]


def verify_stream(stream: Any, name: str, known: Iterable[str] = ()) -> list[Finding]:
    """Return what stands against publishing a record that is read from a stream of bytes; see `verify`."""
    return list(_first(_record(stream, name, set(known))))


def _first(findings: Iterator[Finding]) -> Iterator[Finding]:
    for number, finding in enumerate(findings, 1):
        if number > MAX_FINDINGS:
            yield Finding(finding.file, 0, f"has more than {MAX_FINDINGS} faults: the rest is not told")
            return
        yield finding


def _record(stream: Any, name: str, known: set[str]) -> Iterator[Finding]:
    name = clean_text(name, 256)
    try:
        record = RecordStream(stream)
        if record.cleaned:
            yield Finding(
                name, 1, "has secrets, control characters or what no record keeps; it is not as it was written"
            )
        yield from (Finding(name, 1, problem) for problem in _header(record.header, known))
        for line in record:
            if record.cleaned:
                yield Finding(
                    name,
                    record.line,
                    "has secrets, control characters or what no record keeps; it is not as it was written",
                )
            if line.outcome.failing and not line.reproduce.strip():
                yield Finding(
                    name, record.line, f"{line.requirement} failed on {line.mesh}, and nothing says how to repeat it"
                )
            text = (
                line.message,
                line.observed,
                line.reproduce,
                *texts_of(line.applied),
                *(sample.request for sample in line.samples),
            )
            yield from (Finding(name, record.line, f"{line.requirement}: {problem}") for problem in exposed(text))
    except RecordError as error:
        yield Finding(name, error.line, error.problem)
        return
    footer = record.footer
    if record.cleaned:
        yield Finding(name, record.line, "has secrets, control characters or what no record keeps")
    if footer.interrupted:
        yield Finding(name, record.line, "the run was interrupted: its record is not of the whole")
    if not record.cases.size:
        yield Finding(name, record.line, "the record has no result: nothing executed is never a pass")
    yield from (
        Finding(name, record.line, f"verdict on {v.mesh}: {problem}")
        for v in footer.verdicts
        for problem in exposed((v.reason,))
    )


def _header(header: Header, known: set[str]) -> Iterator[str]:
    explained = header.catalogue.requirements
    for requirement in header.selected:
        if requirement not in explained:
            yield f"{requirement} is an unknown requirement: the record's catalogue does not explain it"
        elif known and header.harness.version == __version__ and requirement not in known:
            yield f"{requirement} is an unknown requirement: mesh-conformance {__version__} has none of this id"
    if not header.catalogue.digest and not header.parts:
        yield "the record does not say by which catalogue the mesh was judged"
    if not header.command.strip():
        yield "nothing says how to repeat the run"
    for one in (header, *header.parts):
        yield from _versions(one)
        document = header_document(one)
        text = [document[key] for key in ("command", "kubernetes", "meshes", "environment", "snapshot")]
        yield from exposed(texts_of(text))


def _versions(header: Header) -> Iterator[str]:
    for component in (header.harness, *(Component(mesh.name, mesh.version) for mesh in header.meshes)):
        if not re.search(r"\d", component.version) or _UNRELEASED.search(component.version):
            yield f"{component.name} {component.version or '(no version)'} is no released version"


def texts_of(value: Any) -> Iterator[str]:
    """All texts within a JSON value, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_of(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts_of(item)


def exposed(texts: Iterable[str]) -> Iterator[str]:
    """Say what in the texts is nobody else's business: certificates, and addresses outside a cluster."""
    for text in texts:
        if found := _CERTIFICATE.search(text):
            yield f"shows a certificate or key ({found[0]})"
        for pattern in (_IPV4, _IPV6):
            yield from (
                f"names the address {found[0]}, which is outside any cluster"
                for found in pattern.finditer(text)
                if _outside(found[0])
            )
        if "://" in text:
            yield from (
                f"names the host {found[1]}, which is outside the cluster"
                for found in _WEB.finditer(text)
                if _foreign(found[1])
            )


def _outside(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.is_global


def _foreign(host: str) -> bool:
    host = host.lower().rstrip(".")
    if host.startswith("[") or re.fullmatch(r"[0-9.]+", host):
        return False  # an address, which has been looked at
    return "." in host and not _is_service(host) and not host.endswith(_INTERNAL)


def _is_service(host: str) -> bool:
    """`name.namespace`, as a client in the cluster says it; a run's namespaces have hyphens, top-level domains none."""
    words = host.split(".")
    return len(words) == 2 and "-" in words[1]


def sums(directory: Path) -> list[Finding]:
    """Return what does not agree with the checksums in a directory; nothing where there are none."""
    try:
        text = (directory / SUMS).read_bytes()[: 1 << 20].decode(errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        return [Finding(SUMS, 0, f"cannot be read: {error.strerror}")]
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _SUM.fullmatch(line)
        if match is None:
            found.append(Finding(SUMS, number, "is not `SHA-256  NAME` of a file beside it"))
        elif (problem := _differs(directory / match[2], match[1])) is not None:
            found.append(Finding(SUMS, number, f"{match[2]} {problem}"))
    return found


def _differs(path: Path, told: str) -> str | None:
    try:
        if path.is_symlink():
            return "is a link, and not the file itself"
        with path.open("rb") as stream:
            real = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if real == told else "is not the file that was summed up"


def as_json(findings: Iterable[Finding]) -> str:
    """Return the findings as a JSON document."""
    return json.dumps([{"file": f.file, "line": f.line, "problem": f.problem} for f in findings], indent=1)
