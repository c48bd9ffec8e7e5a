"""Badges: what a verdict says in two words, for Shields and as pictures of our own.

Green says conformant, and only a verdict says that: an interrupted run, a group of which nothing was judged, and one
in which anything is missing is grey, whatever else is known of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import jinja2

from conformance.outcome import Outcome
from conformance.report.model import Footer
from conformance.report.rows import one_line
from conformance.verdict import Capability, Compliance, Verdict

_NOT_JUDGED: Final = frozenset({Outcome.UNSUPPORTED, Outcome.NOT_APPLICABLE, Outcome.OBSERVED})
# Shields' own names of colours, and the same in shades that white letters can be read on.
_GREEN, _OLIVE, _RED, _GREY = "brightgreen", "yellowgreen", "red", "lightgrey"
_SHADES: Final = {_GREEN: "#1a7f37", _OLIVE: "#6b7300", _RED: "#b3261e", _GREY: "#5f6771"}
_LONGEST: Final = 48
_LETTER: Final = 6.6
"""How wide a letter of the badge is on average, in pixels; its text is then fitted to the width exactly."""


@dataclass(frozen=True, slots=True)
class Badge:
    """A badge; `name` is what its files are called, without ending."""

    name: str
    label: str
    message: str
    colour: str

    @property
    def shields(self) -> str:
        """What Shields reads from an address that it is given (its "endpoint" badge)."""
        document: dict[str, object] = {
            "schemaVersion": 1, "label": self.label, "message": self.message, "color": self.colour,
        }
        if self.colour not in (_GREEN, _OLIVE):
            # The address of a badge can ask for another colour; not of one that is said to be an error.
            document["isError"] = True
        return json.dumps(document, indent=2) + "\n"

    @property
    def svg(self) -> str:
        """A picture that needs nothing else: no font, no address."""
        widths = [round(len(text) * _LETTER) + 12 for text in (self.label, self.message)]
        return _template().render(badge=self, left=widths[0], right=widths[1], shade=_SHADES[self.colour])


def badges(footer: Footer) -> tuple[Badge, ...]:
    """Return a badge for each mesh, and one for each API group and version of it."""
    meshes: dict[str, list[Verdict]] = {}
    for verdict in footer.verdicts:
        meshes.setdefault(verdict.mesh, []).append(verdict)
    found = []
    for mesh, verdicts in meshes.items():
        found.append(Badge(_plain(mesh), _short(mesh), *_overall(verdicts, interrupted=footer.interrupted)))
        for verdict in verdicts:
            label = _short(f"{verdict.mesh} {verdict.api} {verdict.version}".strip())
            found.append(Badge(_plain(f"{mesh}-{verdict.api}-{verdict.version}".rstrip("-")), label,
                               *_of(verdict, interrupted=footer.interrupted)))
    return tuple(_distinct(found))


def _of(verdict: Verdict, *, interrupted: bool) -> tuple[str, str]:
    """Return the message and the colour of one verdict."""
    if verdict.compliance is Compliance.NONCONFORMANT:
        return "nonconformant", _RED
    if interrupted:
        return "interrupted", _GREY
    if verdict.compliance is Compliance.CONFORMANT:
        full = verdict.capability is Capability.FULL
        return ("conformant", _GREEN) if full else ("conformant in part", _OLIVE)
    return ("not supported" if _unsupported(verdict) else "incomplete"), _GREY


def _overall(verdicts: list[Verdict], *, interrupted: bool) -> tuple[str, str]:
    """Return the message and the colour of a mesh: the worst of its groups, without those that it does not have."""
    had = [verdict for verdict in verdicts if not _unsupported(verdict)]
    if not had:
        return "not supported", _GREY
    found = {_of(verdict, interrupted=interrupted) for verdict in had}
    worst = min(found, key=lambda each: (_RED, _GREY, _OLIVE, _GREEN).index(each[1]))
    # A group that it does not have leaves a mesh conformant, but not with all that there is.
    return ("conformant in part", _OLIVE) if worst[1] == _GREEN and len(had) < len(verdicts) else worst


def _unsupported(verdict: Verdict) -> bool:
    there = {outcome for outcome, number in verdict.counts.items() if number}
    return Outcome.UNSUPPORTED in there and there <= _NOT_JUDGED and not verdict.missing and not verdict.left_out


def _short(text: str) -> str:
    return one_line(text, _LONGEST) or "mesh"


def _plain(text: str) -> str:
    """Return a file's name that is no path, whatever a mesh is called."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-")[:100] or "mesh"


def _distinct(found: Iterable[Badge]) -> list[Badge]:
    """Give names that became the same a number, so that no badge takes the place of another."""
    there: dict[str, Badge] = {}
    for badge in found:
        name, number = badge.name, 1
        while name.lower() in there:
            number += 1
            name = f"{badge.name}-{number}"
        there[name.lower()] = Badge(name, badge.label, badge.message, badge.colour)
    return list(there.values())


def written(found: Iterable[Badge]) -> Mapping[str, str]:
    """Return what is in each file, by its name."""
    return {f"{badge.name}{ending}": text for badge in found
            for ending, text in ((".json", badge.shields), (".svg", badge.svg))}


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string((files("conformance.report") / "templates" / "badge.svg").read_text("utf-8"))
