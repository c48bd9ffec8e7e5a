"""A whole report with a result of every outcome, records of it in files, and the commands that read them."""

import dataclasses
import io
import sys

import pytest

from conformance.cli import main
from conformance.exit_code import exit_code
from conformance.outcome import Convergence, Outcome, Result, SampleSummary
from conformance.report.model import Catalogue, Component, Described, Footer, Header, MeshUnderTest, Report, count
from conformance.report.record import encode
from conformance.requirement import Level
from conformance.verdict import verdict, verdicts

API, VERSION = "split.smi-spec.io", "v1alpha4"
DIGEST = f"sha256:{'1' * 64}"


def make(number, outcome, level="B", mesh="reference", **changes):
    outcome = Outcome(outcome)
    values = {"judged": outcome is not Outcome.OBSERVED, "duration": 0.5, "worker": "gw0"} | changes
    return Result(f"SPLIT-{number:03}", Level(level), mesh, API, "v1alpha4", outcome, **values)


def footer_of(results, **changes):
    found = verdicts(results)
    values = {
        "finished": "2026-11-20T10:00:12.500Z",
        "duration": 12.5,
        "counts": count(results),
        "verdicts": found,
        "exit_code": exit_code(results, found),
    }
    return Footer(**values | changes)


def header_of(results):
    return Header(
        harness=Component("mesh-conformance", "0.1.0"),
        started="2026-11-20T10:00:00.000Z",
        command="mesh-conformance run --mesh reference",
        seed=42,
        kubernetes="v1.34.0",
        meshes=tuple(
            MeshUnderTest(name, "1.2.3", Component("envoy", "1.40.0"))
            for name in sorted({r.mesh for r in results} or {"reference"})
        ),
        apis={API: ("v1alpha4", "v1alpha3")},
        selected=tuple(sorted({r.requirement for r in results})),
    )


@pytest.fixture
def result():
    """A maker of results: `result(3, "failed", message="…")`."""
    return make


@pytest.fixture
def results():
    sample = SampleSummary(
        id="split-003-1", client="client", request="GET http://root:8080/", size=2000,
        counts={"v1": 1680, "v2": 320}, failures={"reset": 0},
        expected={"v1": (1731, 1862), "v2": (138, 269)}, alpha=1e-6, p_value=3.5e-16,
    )  # fmt: skip
    split = {
        "apiVersion": "split.smi-spec.io/v1alpha4",
        "kind": "TrafficSplit",
        "metadata": {"name": "split-003", "namespace": "demo", "uid": "1-2-3", "managedFields": [{}]},
        "spec": {"service": "root", "backends": [{"service": "v1", "weight": 90}, {"service": "v2", "weight": 10}]},
    }
    return (
        make(1, "passed", "M", convergence=(Convergence("the split is in effect", 0.12, 5),)),
        make(3, "failed", message="wanted 90 %\n   got 84 %", samples=(sample,), applied=(split,),
             reproduce="mesh-conformance run --requirement SPLIT-003"),
        make(4, "error", message="the pod did not start"),
        make(5, "unsupported"),
        make(6, "not-applicable"),
        make(7, "skipped", message="left out with --level M"),
        make(8, "known-failure", message="linkerd/linkerd2#1"),
        make(27, "observed", "N", observed="path and method are honoured as well"),
        make(1, "passed", "M", mesh="another"),
    )  # fmt: skip


@pytest.fixture
def report_of():
    """A maker of whole reports from results."""

    def whole(results, **changes):
        return Report(header_of(results), tuple(results), footer_of(results, **changes))

    return whole


@pytest.fixture
def report(results, report_of):
    return report_of(results)


@pytest.fixture
def run():
    """Play a whole report to a writer."""

    def play(writer, report):
        writer.start(report.header)
        for one in report.results:
            writer.result(one)
        writer.finish(report.footer)

    return play


@pytest.fixture
def record(report_of, tmp_path):
    """A maker of records in files: `record("name", results, version="1.0.0", …)`; the rest changes the header."""

    def make(name, results, version="1.2.3", gaps=None, **changes):
        whole = report_of(results)
        explained = {
            r.requirement: Described("a title", "It is so.", "Specification", r.level, API, (VERSION,), r.judged)
            for r in results
        }
        values = {
            "meshes": tuple(dataclasses.replace(mesh, version=version) for mesh in whole.header.meshes),
            "catalogue": Catalogue(DIGEST, explained),
        }
        header = dataclasses.replace(whole.header, **values | changes)
        footer = whole.footer
        if gaps:
            missing, left_out = gaps
            again = tuple(
                verdict(
                    v.mesh,
                    v.api,
                    v.version,
                    [r for r in results if r.mesh == v.mesh],
                    missing=missing,
                    left_out=left_out,
                )
                for v in footer.verdicts
            )
            footer = dataclasses.replace(footer, verdicts=again)
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(b"".join(encode(item) for item in (header, *results, footer)))
        return str(path)

    return make


@pytest.fixture
def report_command(capsys):
    """Run a command: its exit code, and what it printed."""

    def run(*words):
        code = main(["report", *map(str, words)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.fixture
def piped(monkeypatch):
    """Give bytes as standard input."""

    def give(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give
