"""One record made of several: of other meshes, clusters and dates, of shards of one run and of workers side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from conformance import __version__
from conformance.exit_code import exit_code
from conformance.outcome import Outcome, Result
from conformance.report.catalogue import disagreement, joint
from conformance.report.codec import RecordError
from conformance.report.model import Catalogue, Component, Described, Footer, Header, MeshUnderTest
from conformance.verdict import Tally, Verdict, verdict_of

APART: Final = ("version", "kubernetes", "date")
"""By what the same mesh of several records can be told apart."""

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """A record to be combined: its header, and what its meshes are to be called."""

    header: Header
    names: Mapping[str, str]


def parts(headers: Sequence[Header], apart: Sequence[str], *, different_catalogues: bool = False) -> tuple[Part, ...]:
    """Return the records with names for their meshes. Raises RecordError for those that cannot be combined.

    A mesh keeps its name where all records have it in one version, as shards of a run do; where versions differ, each
    is called by its version as well. `apart` names what else is to be told apart, of `APART`.
    """
    if not different_catalogues and (why := disagreement(headers)):
        raise RecordError(
            f"the records were made with different catalogues, so that one requirement may not be the same in all of "
            f"them: {why}; --different-catalogues combines them all the same"
        )
    found: dict[str, list[tuple[Header, MeshUnderTest]]] = {}
    for header in headers:
        for mesh in header.meshes:
            found.setdefault(mesh.name, []).append((header, mesh))
    by = {
        name: [what for what in APART if _differ(places, what) and (what == "version" or what in apart)]
        for name, places in found.items()
    }
    return tuple(
        Part(header, {mesh.name: _called(header, mesh, by[mesh.name]) for mesh in header.meshes}) for header in headers
    )


def _differ(places: list[tuple[Header, MeshUnderTest]], what: str) -> bool:
    return len({_property(header, mesh, what) for header, mesh in places}) > 1


def _property(header: Header, mesh: MeshUnderTest, what: str) -> str:
    return {"version": mesh.version, "kubernetes": header.kubernetes, "date": header.started[:10]}[what]


def _called(header: Header, mesh: MeshUnderTest, by: Sequence[str]) -> str:
    words = [
        re.sub(r"[^a-z0-9._]+", "-", _property(header, mesh, what).lower()).strip("-._") or "unknown" for what in by
    ]
    return "-".join((mesh.name, *words))


def header_of(chosen: Sequence[Part], command: str) -> Header:
    """Return the header of the combined record."""
    headers = [part.header for part in chosen]
    described: dict[str, Described] = {}
    apis: dict[str, dict[str, None]] = {}
    meshes: dict[str, MeshUnderTest] = {}
    for part in chosen:
        for name, row in part.header.catalogue.requirements.items():
            described.setdefault(name, row)
        for group, versions in part.header.apis.items():
            apis.setdefault(group, {}).update(dict.fromkeys(versions))
        for mesh in part.header.meshes:
            meshes.setdefault(part.names[mesh.name], replace(mesh, name=part.names[mesh.name]))
    return Header(
        harness=Component("mesh-conformance", __version__),
        started=min(header.started for header in headers),
        command=command,
        seed=0,
        kubernetes=_joined(header.kubernetes for header in headers),
        meshes=tuple(meshes.values()),
        apis={group: tuple(versions) for group, versions in apis.items()},
        selected=tuple(sorted({name for header in headers for name in header.selected})),
        catalogue=Catalogue(joint(headers), dict(sorted(described.items()))),
        parts=tuple(_part(one, part.names) for part in chosen for one in (part.header.parts or (part.header,))),
    )


def _part(header: Header, names: Mapping[str, str]) -> Header:
    """A header as a part: with the names that the meshes have now, and without the words that the whole has."""
    meshes = tuple(replace(mesh, name=names.get(mesh.name, mesh.name)) for mesh in header.meshes)
    return replace(header, meshes=meshes, catalogue=Catalogue(header.catalogue.digest), parts=())


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(sorted(set(texts)))


class Footers:
    """Takes the parts' footers and makes one of them: counts and verdicts follow from all results together."""

    def __init__(self, header: Header) -> None:
        self._catalogue = header.catalogue.requirements
        self._selected = set(header.selected)
        self._told: list[tuple[Part, Footer, Mapping[Key, Tally]]] = []

    def add(self, part: Part, footer: Footer, tallies: Mapping[Key, Tally]) -> None:
        """Take the footer of a part with the tallies of its results, under the names that its meshes had in it."""
        self._told.append((part, footer, tallies))

    def footer(self, every: Iterable[Result]) -> Footer:
        """Return the footer of the whole; `every` has a result of each kind that there is, for the exit code."""
        tallies: dict[Key, Tally] = {}
        for part, _, found in self._told:
            for (mesh, api, version), tally in found.items():
                tallies.setdefault((part.names[mesh], api, version), Tally()).merge(tally)
        verdicts = self._verdicts(tallies)
        counts = {
            outcome: number for outcome in Outcome if (number := sum(t.counts[outcome] for t in tallies.values()))
        }
        interrupted = any(footer.interrupted for _, footer, _ in self._told)
        return Footer(
            finished=max(footer.finished for _, footer, _ in self._told),
            duration=round(sum(footer.duration for _, footer, _ in self._told), 3),
            counts=counts,
            verdicts=verdicts,
            exit_code=int(exit_code(every, verdicts, interrupted=interrupted)),
            interrupted=interrupted,
        )

    def _verdicts(self, tallies: Mapping[Key, Tally]) -> tuple[Verdict, ...]:
        told: dict[Key, list[tuple[Verdict, int]]] = {}
        held = {(mesh, api) for mesh, api, _ in tallies}
        for part, footer, found in self._told:
            for one in footer.verdicts:
                key = (part.names.get(one.mesh, one.mesh), one.api, one.version)
                # A part that has nothing of an API says in which version it would have been: another part knows better.
                if key in tallies or key[:2] not in held:
                    tally = found.get((one.mesh, one.api, one.version), Tally())
                    told.setdefault(key, []).append((one, tally.judged.total()))
        keys = sorted({*tallies, *told})
        return tuple(self._verdict(key, tallies.get(key, Tally()), told.get(key, [])) for key in keys)

    def _verdict(self, key: Key, tally: Tally, told: list[tuple[Verdict, int]]) -> Verdict:
        """The verdict on one mesh for one version of an API group.

        What a part judged, missed and left out adds up to all that is judged there, the same in each part. Of what no
        part has a result for, that which was selected is missing, and the rest was left out.
        """
        if len(told) == 1:
            missing, left_out = told[0][0].missing, told[0][0].left_out
        else:
            judged = tally.judged.total()
            total = max((number + one.missing + one.left_out for one, number in told), default=judged)
            selected = sum(1 for name in self._selected if self._applies(name, key))
            missing = max(min(selected, total) - judged, 0)
            left_out = max(total - judged - missing, 0)
        return verdict_of(*key, tally, missing=missing, left_out=left_out)

    def _applies(self, requirement: str, key: Key) -> bool:
        row = self._catalogue.get(requirement)
        return row is not None and row.judged and row.api == key[1] and key[2] in row.versions
