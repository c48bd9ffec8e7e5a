"""Reports for the tests of the HTML page: one with something hostile in every field, one of the size of a field."""

from __future__ import annotations

import random

from conformance.exit_code import exit_code
from conformance.outcome import Convergence, Known, Outcome, Result, SampleSummary
from conformance.performance.model import Environment, Figure, Node, ProbeResult, Run, RunHeader
from conformance.report.model import Catalogue, Component, Described, Footer, Header, MeshUnderTest, Report, count
from conformance.requirement import Level
from conformance.verdict import verdicts

APIS = ("access.smi-spec.io", "metrics.smi-spec.io", "specs.smi-spec.io", "split.smi-spec.io")

PAYLOAD = (
    "</script></style></title></textarea><script>window.hacked=1;alert(1)</script>"
    "<img src=x onerror='window.hacked=2'><svg onload=\"window.hacked=3\"><iframe srcdoc='<p>'></iframe>"
    "{{ 7 * 7 }}{% raw %}"
    "\" onmouseover=\"window.hacked=4\" x='&lt;&#0;\x1b[31m\u202egnp.exe\x00\x9b2J</pre></dialog>--><!--"
)


def footer_of(results, **changes):
    found = verdicts(results)
    values = {"finished": "2026-11-20T10:10:00Z", "duration": 600.0, "counts": count(results), "verdicts": found,
              "exit_code": int(exit_code(results, found))}
    return Footer(**values | changes)


def described(requirements, level=Level.BEHAVIOUR):
    return Catalogue("sha256:" + "0" * 64, {
        one: Described(f"title of {one}", f"What {one} asks of a mesh, in a sentence as long as most of them are.",
                       "Specification: weight", level, APIS[number % len(APIS)])
        for number, one in enumerate(requirements)
    })


def hostile():
    """A report with a payload wherever text can stand, in results of every outcome."""
    known = Known(PAYLOAD, "javascript:window.hacked=5//https://example.org", PAYLOAD)
    results = []
    for number, outcome in enumerate(Outcome, 1):
        sample = SampleSummary(PAYLOAD, PAYLOAD, PAYLOAD, 10, {PAYLOAD: 4, "b": 6}, {PAYLOAD: 1},
                               {PAYLOAD: (1, 2), "b": (5, 7)}, 1e-6, 0.5)
        applied = {"apiVersion": PAYLOAD, "kind": PAYLOAD, "metadata": {"name": PAYLOAD, PAYLOAD: PAYLOAD}}
        results.append(Result(
            f"SPLIT-{number:03}{PAYLOAD}", Level.BEHAVIOUR, f"mesh{PAYLOAD}", f"api{PAYLOAD}", f"v1{PAYLOAD}", outcome,
            message=PAYLOAD, duration=1.0, convergence=(Convergence(PAYLOAD, 0.5, 3),), samples=(sample,),
            applied=(applied,), observed=PAYLOAD, reproduce=PAYLOAD, worker=PAYLOAD,
            judged=outcome is not Outcome.OBSERVED, known=known if outcome is Outcome.KNOWN_FAILURE else None,
        ))
    header = Header(
        Component(PAYLOAD, PAYLOAD), PAYLOAD, PAYLOAD, 1, PAYLOAD,
        (MeshUnderTest(f"mesh{PAYLOAD}", PAYLOAD, Component(PAYLOAD, PAYLOAD), PAYLOAD),),
        {f"api{PAYLOAD}": (PAYLOAD,)}, (*(result.requirement for result in results), PAYLOAD),
        {"python": PAYLOAD, "platform": PAYLOAD},
        Catalogue(PAYLOAD, {
            result.requirement: Described(PAYLOAD, PAYLOAD, PAYLOAD, Level.BEHAVIOUR, f"api{PAYLOAD}", (PAYLOAD,))
            for result in results
        }),
        {PAYLOAD: {PAYLOAD: [PAYLOAD]}},
    )
    return Report(header, tuple(results), footer_of(results, interrupted=True))


def field(meshes=15, requirements=130):
    """A report of many meshes, with the sizes and the variety that real runs have; the same one every time."""
    chance = random.Random(7)
    names = tuple(f"mesh-{number:02}" for number in range(meshes))
    ids = tuple(f"SPLIT-{number:03}" for number in range(1, requirements + 1))
    catalogue = described(ids)
    results = [_measured(one, mesh, catalogue.requirements[one].api, chance) for mesh in names for one in ids]
    header = Header(
        Component("mesh-conformance", "0.1.0"), "2026-11-20T10:00:00.000Z", "mesh-conformance run", 42, "v1.34.0",
        tuple(MeshUnderTest(name, "1.2.3", Component("envoy", "1.40.0")) for name in names),
        dict.fromkeys(APIS, ("v1alpha4",)), ids, catalogue=catalogue,
    )
    return Report(header, tuple(results), footer_of(results))


def _measured(requirement, mesh, api, chance):
    token = f"{chance.getrandbits(24):06x}"
    outcome = chance.choices([Outcome.PASSED, Outcome.FAILED, Outcome.UNSUPPORTED, Outcome.ERROR], [82, 7, 9, 2])[0]
    if outcome is Outcome.UNSUPPORTED:
        return Result(requirement, Level.BEHAVIOUR, mesh, api, "v1alpha4", outcome)
    name = f"{requirement.lower()}-{token}"
    samples = tuple(
        SampleSummary(f"{chance.getrandbits(48):012x}-{size}", "client", f"GET http://{name}-root-1.mc-{token}-app:8080/",
                      size, {"v1:8080": size - size // 10, "v2:8080": size // 10}, {},
                      {"v1:8080": (size - size // 8, size), "v2:8080": (1, size // 8)}, 1e-6, chance.random())
        for size in (50, 2303)
    )
    waits = tuple(Convergence(what, round(chance.random(), 4), chance.randint(2, 9)) for what in (
        f"client: GET http://{name}-root-1.mc-{token}-app:8080/", "a new split in effect at every client"))
    applied = tuple(
        {"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit",
         "metadata": {"name": f"{name}-split-{number}", "namespace": f"mc-{token}-app"},
         "spec": {"service": f"{name}-root-1", "backends": [
             {"service": f"{name}-stable-2", "weight": 90}, {"service": f"{name}-canary-3", "weight": 10}]}}
        for number in range(6)
    )
    failed = outcome is not Outcome.PASSED
    return Result(
        requirement, Level.BEHAVIOUR, mesh, api, "v1alpha4", outcome,
        message=f"wanted 90.0% from v1\n   got of 2303 requests {chance.randint(100, 2000)} from v1" if failed else "",
        duration=2.5, convergence=waits, samples=samples, applied=applied,
        reproduce=f"mesh-conformance run --mesh {mesh} --requirement {requirement}",
    )


def performance_run(text=""):
    """A performance run with a figure that is drawn; `text` is added wherever text can stand."""
    place = Environment("sandbox", "v1.34.1", (Node("node-0", 2, 24 * 2**30, "6.1.0", "amd64"),), "AMD EPYC")
    header = RunHeader(
        run="run-1", started=1_800_000_000.0, harness="0.2.0", mesh="reference", mesh_title=f"Reference mesh{text}",
        mesh_version="1.40.0", environment=place, seed=7, command=f"mesh-conformance perf run{text}", labels={},
    )
    figures = tuple(
        Figure("latency.overhead", "s", value, value / 2, value * 2, 0.99, (value,), "lower", {"share": share + text})
        for share, value in (("p50", 2e-4), ("p99", 9e-4))
    )
    return Run(header, (ProbeResult("latency-overhead", f"Latency that the mesh adds{text}", figures, ()),))
