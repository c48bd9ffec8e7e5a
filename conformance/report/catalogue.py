"""The catalogue as a record carries it, so that it explains itself and can be told from another one.

Records of different suites have different catalogues that agree: no requirement is in both, or what is in both is the
same. That can be told from the records alone, because each has its requirements in words, and a digest of all that
there were.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from conformance.report.model import Catalogue, Component, Described, Header
from conformance.requirement import Level, Requirement

_Fact = tuple[str, str, str, tuple[str, ...], str, str, bool]


def describe(rows: Iterable[Requirement], selected: Iterable[Requirement]) -> Catalogue:
    """Return the selected requirements in words, with the digest of all rows of the catalogue, in whatever order."""
    return Catalogue(digest(rows), {
        row.id: Described(row.title, row.statement, row.section, row.level, row.api, row.versions, row.judged)
        for row in selected
    })


def digest(rows: Iterable[Requirement]) -> str:
    """Return the SHA-256 of what meshes are held to, `sha256:` and 64 hexadecimal digits.

    Titles are left out: they come from names of functions, and say nothing that the statements do not.
    """
    return _digest(
        _fact(row.id, row.level, row.api, row.versions, row.statement, row.section, judged=row.judged) for row in rows
    )


def _fact(
    name: str, level: Level, api: str, versions: tuple[str, ...], statement: str, section: str, *, judged: bool
) -> _Fact:
    return (name, level.value, api, versions, statement, section, judged)


def _digest(facts: Iterable[_Fact]) -> str:
    text = json.dumps(sorted(facts), ensure_ascii=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@dataclass
class _Known:
    """What records say of one catalogue, which each of them may have in part."""

    digest: str
    facts: dict[str, _Fact] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)
    harnesses: set[Component] = field(default_factory=set)
    unexplained: set[str] = field(default_factory=set)
    contradicted: set[str] = field(default_factory=set)

    @cached_property
    def whole(self) -> bool:
        """Whether these are all requirements that there were, selected or not: the digest proves it."""
        return _digest(self.facts.values()) == self.digest

    def take(self, part: Header, explained: Mapping[str, Described]) -> None:
        """Take in what a record selected, in the words of the whole that it is a part of, or its own."""
        self.harnesses.add(part.harness)
        for name in part.selected:
            row = explained.get(name)
            if row is None:
                self.unexplained.add(name)
                continue
            fact = _fact(name, row.level, row.api, row.versions, row.statement, row.spec, judged=row.judged)
            if self.facts.setdefault(name, fact) != fact:
                self.contradicted.add(name)
            self.groups.setdefault(row.api, set()).add(name)


def _known(headers: Iterable[Header]) -> list[_Known]:
    found: dict[str, _Known] = {}
    for header in headers:
        for part in header.parts or (header,):
            one = found.setdefault(part.catalogue.digest, _Known(part.catalogue.digest))
            one.take(part, header.catalogue.requirements)
    return list(found.values())


def disagreement(headers: Sequence[Header]) -> str:
    """Say why records were not judged by the same requirements, as far as they meet; empty where they were.

    Records with one digest were. Of others that one harness made, the requirements that are in several have to be the
    same. Where they have an API group in common, all of its requirements have to be, and to be there: who selected some
    of them cannot show what the others say.
    """
    known = _known(headers)
    for one in known:
        if one.contradicted:
            return f"{min(one.contradicted)} is not the same in all of them, though their digest is one"
    if len(known) == 1:
        return ""
    harnesses = {harness for one in known for harness in one.harnesses}
    if len(harnesses) > 1:
        return f"of {' and '.join(sorted(f'{harness.name} {harness.version}' for harness in harnesses))}"
    for one in known:
        if one.unexplained:
            return f"one does not say what {min(one.unexplained)} was"
        if not one.digest:
            return "one does not say which requirements there were"
    return _conflict(known)


def _conflict(known: Sequence[_Known]) -> str:
    """Say where catalogues of one harness contradict each other; each is looked at once, however many there are."""
    facts: dict[str, _Fact] = {}
    sharing: dict[str, list[_Known]] = {}
    for one in known:
        for name, fact in one.facts.items():
            if facts.setdefault(name, fact) != fact:
                return f"{name} is not the same in all of them"
        for group in one.groups:
            sharing.setdefault(group, []).append(one)
    for group, among in sorted(sharing.items()):
        names = [one.groups[group] for one in among]
        if alone := names[0].union(*names) - names[0].intersection(*names):
            return f"{min(alone)} is not in all of them that have requirements of {group}"
        if len(among) > 1 and not all(one.whole for one in among):
            return f"they may have more requirements of {group} than were selected"
    return ""


def joint(headers: Sequence[Header]) -> str:
    """Return the digest of the catalogues of all these records together; empty where nobody knows it.

    It is the same that a run of all their suites would have.
    """
    known = _known(headers)
    if len(known) == 1:
        return known[0].digest
    if disagreement(headers) or not all(one.whole for one in known):
        return ""
    return _digest({name: fact for one in known for name, fact in one.facts.items()}.values())
