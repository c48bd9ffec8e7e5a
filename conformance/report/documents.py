"""Lines of a record as JSON has them, to and from what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.outcome import Convergence, Known, Outcome, Result, SampleSummary
from conformance.report.model import SCHEMA, Catalogue, Component, Described, Footer, Header, MeshUnderTest
from conformance.requirement import Level
from conformance.verdict import Capability, Compliance, Verdict


def document_of(item: Header | Result | Footer) -> dict[str, Any]:
    """A line of a record as JSON has it."""
    if isinstance(item, Header):
        return header_document(item)
    return result_document(item) if isinstance(item, Result) else footer_document(item)


def _component(component: Component) -> dict[str, str]:
    return {"name": component.name, "version": component.version}


def header_document(header: Header) -> dict[str, Any]:
    """A header as the record writes it."""
    return {
        "type": "header",
        "schema": SCHEMA,
        "harness": _component(header.harness),
        "started": header.started,
        "command": header.command,
        "seed": header.seed,
        "kubernetes": {"version": header.kubernetes},
        "meshes": [
            {"name": m.name, "version": m.version, "proxy": _component(m.proxy) if m.proxy else None,
             "policy": m.policy}
            for m in header.meshes
        ],
        "apis": {group: list(versions) for group, versions in header.apis.items()},
        "selected": list(header.selected),
        "environment": dict(header.environment),
        "catalogue": _catalogue(header.catalogue),
        "snapshot": header.snapshot,
        "parts": [header_document(part) for part in header.parts],
    }


def _catalogue(catalogue: Catalogue) -> dict[str, Any]:
    rows = {
        name: {"title": row.title, "statement": row.statement, "spec": row.spec, "level": row.level.value,
               "api": row.api, "versions": list(row.versions), "judged": row.judged}
        for name, row in catalogue.requirements.items()
    }
    return {"digest": catalogue.digest, "requirements": rows}


def _to_catalogue(document: dict[str, Any]) -> Catalogue:
    return Catalogue(document["digest"], {
        name: Described(**{**row, "level": Level(row["level"]), "versions": tuple(row["versions"])})
        for name, row in document["requirements"].items()
    })


def to_header(document: dict[str, Any]) -> Header:
    """The header of a document that the schema has passed."""
    meshes = (
        MeshUnderTest(m["name"], m["version"], Component(**m["proxy"]) if m["proxy"] else None, m.get("policy", ""))
        for m in document["meshes"]
    )
    return Header(
        harness=Component(**document["harness"]),
        started=document["started"],
        command=document["command"],
        seed=document["seed"],
        kubernetes=document["kubernetes"]["version"],
        meshes=tuple(meshes),
        apis={group: tuple(versions) for group, versions in document["apis"].items()},
        selected=tuple(document["selected"]),
        environment=document["environment"],
        catalogue=_to_catalogue(document["catalogue"]),
        snapshot=document["snapshot"],
        parts=tuple(to_header(part) for part in document["parts"]),
    )


def result_document(result: Result) -> dict[str, Any]:
    """A result as the record writes it."""
    return {
        "type": "result",
        "requirement": result.requirement,
        "level": result.level.value,
        "judged": result.judged,
        "mesh": result.mesh,
        "api": result.api,
        "version": result.version,
        "outcome": result.outcome.value,
        "message": result.message,
        "duration": result.duration,
        "converged": [{"what": c.what, "seconds": c.seconds, "probes": c.probes} for c in result.convergence],
        "samples": [sample_document(sample) for sample in result.samples],
        "applied": [dict(item) for item in result.applied],
        "observed": result.observed,
        "reproduce": result.reproduce,
        "worker": result.worker,
        **({"known": _known(result.known)} if result.known else {}),
    }


def _known(known: Known) -> dict[str, str]:
    return {"reason": known.reason, "link": known.link, "since": known.since}


def sample_document(sample: SampleSummary) -> dict[str, Any]:
    """A sample as the record writes it; other writers attach it in the same form."""
    return {
        "id": sample.id,
        "client": sample.client,
        "request": sample.request,
        "size": sample.size,
        "counts": dict(sample.counts),
        "failures": dict(sample.failures),
        "expected": {backend: list(interval) for backend, interval in sample.expected.items()},
        "alpha": sample.alpha,
        "p_value": sample.p_value,
    }


def to_result(document: dict[str, Any]) -> Result:
    """The result of a document that the schema has passed. Raises ValueError for an outcome that it cannot have."""
    return Result(
        requirement=document["requirement"],
        level=Level(document["level"]),
        mesh=document["mesh"],
        api=document["api"],
        version=document["version"],
        outcome=Outcome(document["outcome"]),
        message=document["message"],
        duration=document["duration"],
        convergence=tuple(Convergence(**item) for item in document["converged"]),
        samples=tuple(_to_sample(item) for item in document["samples"]),
        applied=tuple(document["applied"]),
        observed=document["observed"],
        reproduce=document["reproduce"],
        worker=document["worker"],
        judged=document["judged"],
        known=Known(**document["known"]) if "known" in document else None,
    )


def _to_sample(document: dict[str, Any]) -> SampleSummary:
    expected = {backend: (low, high) for backend, (low, high) in document["expected"].items()}
    return SampleSummary(**{**document, "expected": expected})


def _counts(counts: Mapping[Outcome, int]) -> dict[str, int]:
    return {outcome.value: number for outcome, number in counts.items()}


def _to_counts(counts: Mapping[str, int]) -> dict[Outcome, int]:
    return {Outcome(outcome): number for outcome, number in counts.items()}


def footer_document(footer: Footer) -> dict[str, Any]:
    """A footer as the record writes it."""
    return {
        "type": "footer",
        "finished": footer.finished,
        "duration": footer.duration,
        "counts": _counts(footer.counts),
        "verdicts": [_verdict(verdict) for verdict in footer.verdicts],
        "interrupted": footer.interrupted,
        "exit_code": int(footer.exit_code),
    }


def to_footer(document: dict[str, Any]) -> Footer:
    """The footer of a document that the schema has passed."""
    return Footer(
        finished=document["finished"],
        duration=document["duration"],
        counts=_to_counts(document["counts"]),
        verdicts=tuple(_to_verdict(item) for item in document["verdicts"]),
        exit_code=document["exit_code"],
        interrupted=document["interrupted"],
    )


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "mesh": verdict.mesh,
        "api": verdict.api,
        "version": verdict.version,
        "capability": verdict.capability.value,
        "compliance": verdict.compliance.value,
        "counts": _counts(verdict.counts),
        "missing": verdict.missing,
        "left_out": verdict.left_out,
        "reason": verdict.reason,
    }


def _to_verdict(document: dict[str, Any]) -> Verdict:
    values = {
        **document,
        "capability": Capability(document["capability"]),
        "compliance": Compliance(document["compliance"]),
        "counts": _to_counts(document["counts"]),
    }
    return Verdict(**values)
