"""What the official suite's own report claims: which features are supported, and which tests failed or were skipped.

That is a claim, not evidence: the suite calls a feature supported because it was told so, even where the only test of
it was skipped for want of another one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from conformance.official.errors import OfficialError
from conformance.report.hygiene import clean_text

MAX_BYTES: Final = 256 * 1024
"""The largest report that is read."""
SCHEMA: Final = "official-report.json"

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST: Final = 20


@dataclass(frozen=True)
class Profile:
    """What a report says of one profile. Tests and features by name."""

    name: str
    supported: frozenset[str]
    unsupported: frozenset[str]
    failed: frozenset[str]
    skipped: frozenset[str]


@dataclass(frozen=True)
class Claims:
    """A report of the official suite: of which API, on what, and what it says of each profile."""

    api: str
    channel: str
    date: str
    project: str
    version: str
    profiles: tuple[Profile, ...]

    @property
    def supported(self) -> frozenset[str]:
        """All features that any profile calls supported."""
        return frozenset[str]().union(*(profile.supported for profile in self.profiles))


def read_claims(path: Path) -> Claims:
    """Read a ConformanceReport from a file.

    What is read was written by someone else. Raises OfficialError for what is no such report.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise OfficialError(f"the official suite's report {path.name} cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise OfficialError(f"the official suite's report {path.name} has more than {MAX_BYTES} bytes: it is none")
    return claims(_yaml(data, path.name), path.name)


def claims(document: Any, name: str) -> Claims:
    """Return what a report says. Raises OfficialError, naming the field, for what is none."""
    rules = json.loads((files("conformance") / "schema" / SCHEMA).read_text(encoding="utf-8"))
    problem = best_match(Draft202012Validator(rules).iter_errors(document))
    if problem is not None:
        where = ".".join(str(step) for step in problem.absolute_path) or "the top level"
        raise OfficialError(f"{name} is no ConformanceReport of the Gateway API: {where}: {problem.message:.300}")
    implementation = document["implementation"]
    return Claims(
        clean_text(document["gatewayAPIVersion"]), clean_text(document["gatewayAPIChannel"]),
        clean_text(document["date"]), clean_text(implementation["project"]), clean_text(implementation["version"]),
        tuple(_profile(profile) for profile in document["profiles"] or ()),
    )


def _profile(document: dict[str, Any]) -> Profile:
    core, extended = document["core"], document.get("extended", {})

    def names(key: str) -> frozenset[str]:
        return frozenset(core.get(key) or ()) | frozenset(extended.get(key) or ())

    return Profile(document["name"], frozenset(extended.get("supportedFeatures") or ()),
                   frozenset(extended.get("unsupportedFeatures") or ()), names("failedTests"), names("skippedTests"))


def _yaml(data: bytes, name: str) -> Any:
    try:
        text = data.decode()
        _harmless(text, name)
        return yaml.load(text, _LOADER)  # noqa: S506 - either is safe
    except (yaml.YAMLError, ValueError) as error:
        raise OfficialError(f"{name} is no YAML: {' '.join(str(error).split()):.300}") from error


def _harmless(text: str, name: str) -> None:
    """Refuse what takes long or much to read: a few lines that refer to each other, or are nested without an end."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise OfficialError(f"{name} is no ConformanceReport of the Gateway API: it has aliases")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise OfficialError(f"{name} is no ConformanceReport of the Gateway API: it is nested too deeply")
