"""What is written must be harmless: text from a mesh is hostile, and a report gets published.

Everything that enters a report passes here once, before any writer sees it. Control characters are spelt out, so
that no terminal, XML parser or reader of a diff is misled; secrets are replaced; what only says which machine or
moment an object came from is dropped; what is too long is cut, and says so.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final, TypeVar

from pydantic_core import SchemaValidator, core_schema

from conformance.outcome import Convergence, Known, Result, SampleSummary
from conformance.report.model import Catalogue, Component, Footer, Header, MeshUnderTest
from conformance.verdict import Verdict
from conformance.writing import UNPRINTABLE

T = TypeVar("T")

MAX_TEXT = 16_384
"""The longest message, in characters."""

MAX_OBJECT_TEXT = 4_096
"""The longest string within an applied object, such as a script in a ConfigMap, names included."""

MAX_APPLIED = 512 * 1024
"""The most that the applied objects of one result may take as JSON, in characters."""

MAX_SNAPSHOT = 128 * 1024
"""The most that the snapshot of a cluster may take as JSON, in characters: records of many meshes are combined."""

_MAX_DEPTH = 48
_CUT = 60
"""Room for the note that a text was cut, in characters."""

_SECRETS = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL),
     "[redacted: private key]"),
    # "-----BEGIN" in base64, as kubeconfig files and Secrets carry certificates and keys.
    (re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=_-]*"), "[redacted: PEM in base64]"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,2048}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*"), "[redacted: token]"),
    (re.compile(r"\b(?:gh[opsur]_[A-Za-z0-9]{20,}|AKIA[A-Z0-9]{16}|xox[abp]-[A-Za-z0-9-]{10,})"), "[redacted: token]"),
    (re.compile(r"(?i)\b(bearer\s+)(?!\[redacted)[A-Za-z0-9._~+/-]{8,}=*"), r"\1[redacted: token]"),
    (re.compile(r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?basic\s+)[A-Za-z0-9+/]{4,}=*"),
     r"\1[redacted: credential]"),
    (re.compile(r"(?i)\b((?:password|passwd|client[-_]?key[-_]?data|client[-_]?secret)[\"']?\s*[:=]\s*[\"']?)"
                r"(?!\[redacted)[^\s\"',;&}]+"), r"\1[redacted: credential]"),
    (re.compile(r"(?i)\b((?:(?:id|access|refresh|auth)[-_]?)?(?:token|api[-_]?key)[\"']?\s*[:=]\s*[\"']?)"
                r"(?!\[redacted)[A-Za-z0-9._~+/=-]{16,}"), r"\1[redacted: token]"),
)  # fmt: skip

SUSPECT: Final = (
    # In small letters, what is in every text that `_SECRETS` would take something from ...
    r"token|key|secret|passw|authorization|bearer|-----begin|ls0tls1crudjti|eyj|gh[opsur]_|akia|xox"
    # ... and what an expression that looks at no case takes for i, k or s, and what `lower` makes of it.
    r"|[\x{130}\x{131}\x{17f}\x{212a}\x{307}]"
)
"""What no text has that stays as it is, as one of Rust's expressions. A text that has it may be clean all the same."""

# Rust's expressions look for many words in one pass, ten times as fast as Python's; this is their way in.
_suspect: Final = SchemaValidator(core_schema.str_schema(pattern=SUSPECT))

_SECRET_NAME = re.compile(
    r"(?i)(^|[-_.])(token|password|passwd|authorization|api[-_]?key|private[-_]?key|secret[-_]?key|"
    r"client[-_]?(key|secret)([-_]?data)?)$"
)

_MOMENTARY = ("managedFields", "uid", "resourceVersion", "creationTimestamp", "generation", "selfLink")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def clean_text(text: str, limit: int = MAX_TEXT) -> str:
    r"""The text without secrets, with every control character spelt out (`\x1b`), at most `limit` characters long.

    Line feeds and tabs stay. Cleaning twice changes nothing more.
    """
    if len(text) <= limit and not UNPRINTABLE.search(text) and not _suspect.isinstance_python(text.lower()):
        return text
    # Four times the limit, so that a secret is known whole before the text is cut; hostile text can be endless.
    cleaned = _redact(UNPRINTABLE.sub(_spell, text[: 4 * limit].replace("\r\n", "\n")))
    if len(text) <= 4 * limit and len(cleaned) <= limit:
        return cleaned
    return f"{cleaned[: limit - _CUT]}… (cut: the text had {len(text)} characters)"


def _spell(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _redact(text: str) -> str:
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def clean_value(value: Any, *, depth: int = 0) -> Any:
    """A JSON value like this one that is harmless to write: see the module.

    Values that JSON cannot hold (dates from YAML, numbers that are not finite) become text.
    """
    if depth > _MAX_DEPTH:
        return "… (nested too deeply)"
    if isinstance(value, Mapping):
        return _clean_mapping(value, depth)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [clean_value(item, depth=depth + 1) for item in value]
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return clean_text(str(value), MAX_OBJECT_TEXT)


def _clean_mapping(mapping: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    if "apiVersion" in mapping and "kind" in mapping:
        mapping = _essence(mapping)
    secret = mapping.get("kind") == "Secret"
    named = "value" in mapping and _SECRET_NAME.search(str(mapping.get("name", "")))
    cleaned: dict[str, Any] = {}
    for key, value in mapping.items():
        name = clean_text(str(key), MAX_OBJECT_TEXT)
        if isinstance(value, str) and (_SECRET_NAME.search(name) or (named and name == "value")):
            cleaned[name] = "[redacted: credential]"
        elif secret and name in {"data", "stringData"} and isinstance(value, Mapping):
            cleaned[name] = {clean_text(str(k), MAX_OBJECT_TEXT): "[redacted: secret]" for k in value}
        else:
            cleaned[name] = clean_value(value, depth=depth + 1)
    return cleaned


def _essence(item: Mapping[Any, Any]) -> dict[Any, Any]:
    """A Kubernetes object as it could be applied again: without what the API server added to it."""
    kept = {key: value for key, value in item.items() if key != "status"}
    metadata = kept.get("metadata")
    if isinstance(metadata, Mapping):
        metadata = {key: value for key, value in metadata.items() if key not in _MOMENTARY}
        annotations = metadata.get("annotations")
        if isinstance(annotations, Mapping) and _LAST_APPLIED in annotations:
            metadata["annotations"] = {k: v for k, v in annotations.items() if k != _LAST_APPLIED}
        kept["metadata"] = metadata
    return kept


def clean_result(result: Result) -> Result:
    """The result with everything a mesh or a user could have put into it made harmless."""
    return dataclasses.replace(
        result,
        mesh=_name(result.mesh),
        api=_name(result.api),
        version=_name(result.version),
        message=clean_text(result.message),
        observed=clean_text(result.observed),
        reproduce=clean_text(result.reproduce),
        worker=clean_text(result.worker, 32),
        convergence=tuple(Convergence(clean_text(c.what), c.seconds, c.probes) for c in result.convergence),
        samples=tuple(_clean_sample(sample) for sample in result.samples),
        applied=_clean_applied(result.applied),
        known=result.known and _clean_known(result.known),
    )


def _name(text: str) -> str:
    return clean_text(text, 256)


def _clean_applied(objects: tuple[Mapping[str, Any], ...]) -> tuple[Mapping[str, Any], ...]:
    cleaned = tuple(clean_value(item) for item in objects)
    size = len(json.dumps(cleaned))
    if size > MAX_APPLIED:
        return ({"omitted": f"{len(cleaned)} objects of {size} characters, more than a report keeps"},)
    return cleaned


def _clean_sample(sample: SampleSummary) -> SampleSummary:
    return dataclasses.replace(
        sample,
        id=_name(sample.id),
        client=_name(sample.client),
        request=clean_text(sample.request, 1024),
        counts=_clean_keys(sample.counts),
        failures=_clean_keys(sample.failures),
        expected=_clean_keys(sample.expected),
    )


def _clean_known(known: Known) -> Known:
    link = clean_text(known.link, 512).replace(" ", "%20")  # as every link, also one that something was taken out of
    return Known(clean_text(known.reason, 1024), link, _name(known.since))


def _clean_keys(values: Mapping[str, T]) -> dict[str, T]:
    return {_name(key): value for key, value in values.items()}


def clean_header(header: Header) -> Header:
    """The header, made harmless likewise."""
    return dataclasses.replace(
        header,
        harness=_clean_component(header.harness),
        command=clean_text(header.command),
        kubernetes=_name(header.kubernetes),
        meshes=tuple(
            MeshUnderTest(_name(m.name), _name(m.version), m.proxy and _clean_component(m.proxy), _name(m.policy))
            for m in header.meshes
        ),
        apis={_name(group): tuple(_name(v) for v in versions) for group, versions in header.apis.items()},
        environment={key: _name(value) for key, value in header.environment.items()},
        catalogue=_clean_catalogue(header.catalogue),
        snapshot=None if header.snapshot is None else _clean_snapshot(header.snapshot),
        parts=tuple(clean_header(part) for part in header.parts),
    )


def _clean_catalogue(catalogue: Catalogue) -> Catalogue:
    return Catalogue(_name(catalogue.digest), {
        _name(name): dataclasses.replace(row, title=_name(row.title), statement=clean_text(row.statement, 4096),
                                         spec=clean_text(row.spec, 1024), api=_name(row.api))
        for name, row in catalogue.requirements.items()
    })


def _clean_snapshot(snapshot: Mapping[str, Any]) -> Mapping[str, Any]:
    cleaned: dict[str, Any] = clean_value(snapshot)
    size = len(json.dumps(cleaned))
    if size > MAX_SNAPSHOT:
        return {"omitted": f"a snapshot of {size} characters, more than a report keeps ({MAX_SNAPSHOT})"}
    return cleaned


def _clean_component(component: Component) -> Component:
    return Component(_name(component.name), _name(component.version))


def clean_footer(footer: Footer) -> Footer:
    """The footer, made harmless likewise."""
    return dataclasses.replace(footer, verdicts=tuple(_clean_verdict(verdict) for verdict in footer.verdicts))


def _clean_verdict(verdict: Verdict) -> Verdict:
    return dataclasses.replace(
        verdict,
        mesh=_name(verdict.mesh),
        api=_name(verdict.api),
        version=_name(verdict.version),
        reason=clean_text(verdict.reason),
    )


def command_line(arguments: Sequence[str]) -> str:
    """A command line that repeats a run and can be published: absolute paths are reduced to their last part."""
    return shlex.join(_without_directory(argument) for argument in arguments)


def _without_directory(argument: str) -> str:
    option, equals, value = argument.partition("=")
    if equals and value.startswith("/"):
        return f"{option}={PurePath(value).name}"
    return PurePath(argument).name if argument.startswith("/") else argument
