"""Lines of a record, to and from what they mean; held to the schema in both directions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from conformance import strictjson
from conformance.outcome import (
    Capability,
    Compliance,
    Convergence,
    Outcome,
    Result,
    SampleSummary,
    Verdict,
)
from conformance.report.hygiene import clean_footer, clean_header, clean_result
from conformance.report.model import Component, Footer, Header, MeshUnderTest
from conformance.requirement import Level

SCHEMA = 1
"""The version of the record that is written, and the only one that is read."""

MAX_LINE = 4 * 2**20
"""The longest line that is written or read, in bytes."""

_KINDS = ("header", "result", "footer")


class RecordError(Exception):
    """A record, or a line of it, is not what the schema says; `line` counts from 1, 0 where there is none."""

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(problem, line)
        self.problem = problem
        self.line = line

    def __str__(self) -> str:
        return f"line {self.line}: {self.problem}" if self.line else self.problem


@cache
def _validator(kind: str) -> Draft202012Validator:
    text = (files("conformance.report") / "schema" / f"record-v{SCHEMA}.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    # One definition is chosen by the line's type: `oneOf` over all three would explain every fault thrice.
    return Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})


def encode(item: Header | Result | Footer) -> bytes:
    """One line of a record, its line feed included, cleaned of secrets and control characters.

    Raises `RecordError` when the item cannot be recorded as it is: an error of the harness.
    """
    if isinstance(item, Header):
        document = _header(clean_header(item))
    elif isinstance(item, Result):
        document = _result(clean_result(item))
    else:
        document = _footer(clean_footer(item))
    _hold(document)
    try:
        line = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except ValueError as error:
        raise RecordError(f"a {document['type']} cannot be written as JSON: {error}") from error
    if len(line) > MAX_LINE:
        raise RecordError(f"a {document['type']} of {len(line)} bytes is longer than a line may be ({MAX_LINE})")
    return line


def decode(line: bytes) -> Header | Result | Footer:
    """What one line of a record means, cleaned as if it were written here. Raises `RecordError`."""
    if len(line) > MAX_LINE:
        raise RecordError(f"is longer than a line may be ({MAX_LINE} bytes)")
    if not line.endswith(b"\n"):
        raise RecordError("ends in the middle: the file is truncated")
    try:
        document = strictjson.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise RecordError(f"is not JSON: {error}") from error
    _hold(document)
    try:
        return _build(document)
    except ValueError as error:
        raise RecordError(str(error)) from error


def _hold(document: Any) -> None:
    kind = document.get("type") if isinstance(document, dict) else None
    if kind not in _KINDS:
        raise RecordError(f"has no known type: `type` must be one of {', '.join(_KINDS)}")
    if kind == "header" and document.get("schema") != SCHEMA:
        raise RecordError(
            f"the record has schema version {document.get('schema')!r:.40} and this mesh-conformance reads version "
            f"{SCHEMA}; read it with the version that wrote it"
        )
    try:
        error = best_match(_validator(kind).iter_errors(document))
    except RecursionError as nested:
        raise RecordError("is nested too deeply") from nested
    if error is not None:
        raise RecordError(f"is not a valid {kind}: {_explain(error)}")


def _explain(error: ValidationError) -> str:
    message = error.message if len(error.message) <= 300 else f"{error.message[:140]} … {error.message[-140:]}"
    return f"{error.json_path[:200]}: {message}"


def _build(document: dict[str, Any]) -> Header | Result | Footer:
    if document["type"] == "header":
        return clean_header(_to_header(document))
    if document["type"] == "result":
        return clean_result(_to_result(document))
    return clean_footer(_to_footer(document))


def _component(component: Component) -> dict[str, str]:
    return {"name": component.name, "version": component.version}


def _header(header: Header) -> dict[str, Any]:
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
    }


def _to_header(document: dict[str, Any]) -> Header:
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
    )


def _result(result: Result) -> dict[str, Any]:
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
    }


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


def _to_result(document: dict[str, Any]) -> Result:
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
    )


def _to_sample(document: dict[str, Any]) -> SampleSummary:
    expected = {backend: (low, high) for backend, (low, high) in document["expected"].items()}
    return SampleSummary(**{**document, "expected": expected})


def _counts(counts: Mapping[Outcome, int]) -> dict[str, int]:
    return {outcome.value: number for outcome, number in counts.items()}


def _to_counts(counts: Mapping[str, int]) -> dict[Outcome, int]:
    return {Outcome(outcome): number for outcome, number in counts.items()}


def _footer(footer: Footer) -> dict[str, Any]:
    return {
        "type": "footer",
        "finished": footer.finished,
        "duration": footer.duration,
        "counts": _counts(footer.counts),
        "verdicts": [_verdict(verdict) for verdict in footer.verdicts],
        "interrupted": footer.interrupted,
        "exit_code": int(footer.exit_code),
    }


def _to_footer(document: dict[str, Any]) -> Footer:
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
