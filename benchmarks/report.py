"""What reading, comparing and combining a large record costs: `python benchmarks/report.py [--results N] [--keep DIR]`.

The record is of 500 meshes; its results are as a suite's run writes them, of two kilobytes: with objects, samples and
times to converge. Each command runs in a process of its own, whose CPU time and peak of memory are printed. With
--record, the time that the writers of a run take is compared with the run's own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from conformance.exit_code import exit_code
from conformance.outcome import Convergence, Outcome, Result, SampleSummary
from conformance.report.codec import encode
from conformance.report.model import Catalogue, Component, Described, Footer, Header, MeshUnderTest
from conformance.report.record import read
from conformance.report.writers import writers
from conformance.requirement import Level
from conformance.verdict import Tally, verdict_of

MESHES = 500
PER_GROUP = 250
RATE, MEMORY, SHARE = 50_000, 200, 2.0


def sample() -> Result:
    split = {
        "apiVersion": "split.smi-spec.io/v1alpha4",
        "kind": "TrafficSplit",
        "metadata": {"name": "t5-split", "namespace": "mesh-conformance-s1"},
        "spec": {
            "service": "t5-root",
            "backends": [{"service": "t5-v1", "weight": 90}, {"service": "t5-v2", "weight": 10}],
        },
    }
    services = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"t5-{name}", "namespace": "mesh-conformance-s1"},
            "spec": {"selector": {"app": "echo", "version": name}, "ports": [{"name": "http", "port": 8080}]},
        }
        for name in ("root", "v1", "v2")
    ]
    sent = [
        SampleSummary(
            f"t5-{number}",
            "client-a",
            "GET http://t5-root:8080/",
            2000,
            {"v1": 1801, "v2": 199},
            {},
            {"v1": (1731, 1862), "v2": (138, 269)},
            1e-6,
            0.94,
        )
        for number in range(3)
    ]
    return Result(
        "SPLIT-003",
        Level.BEHAVIOUR,
        "mesh-000",
        "split.smi-spec.io",
        "v1alpha4",
        Outcome.PASSED,
        duration=0.7312,
        convergence=(Convergence("TrafficSplit t5-split is in effect at client-a and client-b", 0.0631, 9),),
        samples=tuple(sent),
        applied=(*services, split),
        observed="1801 from v1:8080, 199 from v2:8080",
        reproduce="mesh-conformance run --requirement SPLIT-003",
    )


def write(path: Path, number: int, worse: int = 0) -> None:
    """A record of `number` results; every so many of `worse` fail, the others pass."""
    per_mesh = number // MESHES
    groups = [f"group{index}.smi-spec.io" for index in range(-(-per_mesh // PER_GROUP))]
    rows = [(f"G{index // PER_GROUP}-{index % PER_GROUP:03}", groups[index // PER_GROUP]) for index in range(per_mesh)]
    described = {
        name: Described(
            "weights are honoured",
            "Traffic is divided by weight. " * 8,
            "Specification",
            Level.BEHAVIOUR,
            api,
            ("v1alpha4",),
        )
        for name, api in rows
    }
    header = Header(
        Component("mesh-conformance", "0.1.0"),
        "2026-11-20T10:00:00Z",
        "mesh-conformance run",
        0,
        "v1.34.0",
        tuple(MeshUnderTest(f"mesh-{index:03}", "1.0.0") for index in range(MESHES)),
        dict.fromkeys(groups, ("v1alpha4",)),
        tuple(name for name, _ in rows),
        catalogue=Catalogue(f"sha256:{'0' * 64}", described),
    )
    pattern = encode(sample())
    failing = encode(replace(sample(), outcome=Outcome.FAILED, message="wanted 90 %\n   got 84 %"))
    tallies: dict[tuple[str, str], Tally] = {}
    with path.open("wb") as stream:
        stream.write(encode(header))
        for count, (mesh, (name, api)) in enumerate((m.name, row) for m in header.meshes for row in rows):
            bad = bool(worse) and count % worse == 0
            line = (
                (failing if bad else pattern)
                .replace(b"SPLIT-003", name.encode())
                .replace(b"mesh-000", mesh.encode(), 1)
            )
            stream.write(line.replace(b"split.smi-spec.io", api.encode(), 1))
            outcome = Outcome.FAILED if bad else Outcome.PASSED
            tallies.setdefault((mesh, api), Tally()).add(name, Level.BEHAVIOUR, outcome, judged=True)
        verdicts = tuple(
            replace(verdict_of(mesh, api, "v1alpha4", tally), reason="") for (mesh, api), tally in tallies.items()
        )
        counts = {
            outcome: sum(t.counts[outcome] for t in tallies.values()) for outcome in (Outcome.PASSED, Outcome.FAILED)
        }
        stream.write(encode(Footer("2026-11-20T11:00:00Z", 3600.0, counts, verdicts, int(exit_code([], verdicts)))))


def measured(name: str, arguments: list[str], results: int) -> None:
    before = os.times()
    began = time.monotonic()
    command = [sys.executable, "-c", _PEAK, *arguments]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    seconds = time.monotonic() - began
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    peak = int(done.stderr.strip().rpartition("\n")[2]) / 1024
    print(
        f"{name}: {results / cpu:,.0f} a second of CPU (limit {RATE:,}), {results / seconds:,.0f} of the clock; "
        f"peak {peak:.0f} MB (limit {MEMORY}); exit {done.returncode}",
        flush=True,
    )


_PEAK = """
import resource, sys
from conformance.cli import main
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def reading(directory: Path, results: int) -> None:
    old, new = directory / "old.jsonl", directory / "new.jsonl"
    for path, worse in ((old, 0), (new, 10_000)):
        if not path.exists():
            write(path, results, worse)
    print(f"{results:,} results, {old.stat().st_size / results:.0f} bytes each", flush=True)
    other, spaced = directory / "other.jsonl", directory / "spaced.jsonl"
    measured("show", ["report", "show", str(old)], results)
    measured("matrix --only failures", ["report", "matrix", str(new), "--only", "failures"], results)
    measured("diff", ["report", "diff", str(old), str(new)], 2 * results)
    if not spaced.exists():
        _respaced(old, spaced)
    measured("show of another form of JSON", ["report", "show", str(spaced)], results)
    if not other.exists():
        _renamed(old, other)
    measured("combine", ["report", "combine", str(old), str(other)], 2 * results)


def _renamed(path: Path, target: Path) -> None:
    with path.open("rb") as stream, target.open("wb") as out:
        out.write(stream.readline().replace(b'"version":"1.0.0"', b'"version":"1.1.0"'))
        out.writelines(stream)


def _respaced(path: Path, target: Path) -> None:
    """The record as a pretty-printer that keeps lines would have it: sorted, with spaces, other numbers and escapes."""
    with path.open("rb") as stream, target.open("w") as out:
        out.writelines(f"{json.dumps(json.loads(line), sort_keys=True)}\n" for line in stream)


def writing(path: Path) -> None:
    """The time that all writers of a run take for its record, beside the time that the run took."""
    report = read(path)
    with TemporaryDirectory() as directory:
        before = time.process_time()
        every = writers(Path(directory))
        every.start(report.header)
        for result in report.results:
            every.result(result)
        every.finish(report.footer)
        spent = time.process_time() - before
    share = 100 * spent / report.footer.duration
    print(
        f"writing: {spent:.2f} s of CPU for {len(report.results)} results of a run of {report.footer.duration:.0f} s: "
        f"{share:.2f} % (limit {SHARE:g} %)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="a directory for the records, 6 GB, which are made once")
    parser.add_argument("--record", type=Path, help="measure writing the record of this run, and nothing else")
    chosen = parser.parse_args()
    if chosen.record:
        writing(chosen.record)
    elif chosen.keep:
        chosen.keep.mkdir(parents=True, exist_ok=True)
        reading(chosen.keep, chosen.results)
    else:
        with TemporaryDirectory() as directory:
            reading(Path(directory), chosen.results)


if __name__ == "__main__":
    main()
