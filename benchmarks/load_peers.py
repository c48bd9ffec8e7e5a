"""Other load generators, as the benchmark runs and reads them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.performance.command import Load, parse


@dataclass(frozen=True)
class Said:
    """What a tool says of a run: requests a second, and latencies in seconds, None where it says none."""

    rate: float
    p50: float | None = None
    p99: float | None = None
    longest: float | None = None


@dataclass(frozen=True)
class Task:
    """What a tool is to do: `rate` requests a second, or as many as it can (None); of a server that stalls or not."""

    url: str
    seconds: float
    connections: int
    rate: float | None
    scratch: Path
    stalled: bool = False


@dataclass(frozen=True)
class Peer:
    """A tool: its command, its standard input, and how its output reads. `paced`: it can send at a given rate."""

    name: str
    command: Callable[[Task], Sequence[str]]
    read: Callable[[Task, str], Said]
    stdin: Callable[[Task], str] = lambda _: ""
    paced: bool = True
    note: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, task: Task, pinned: Sequence[str]) -> Said:
        words = [*pinned, *self.command(task)]
        done = subprocess.run(words, input=self.stdin(task), capture_output=True, text=True, check=False,
                              timeout=task.seconds * 3 + 60, env={"PATH": "/usr/bin:/bin", **self.environment})
        try:
            return self.read(task, done.stdout)
        except (ValueError, KeyError, IndexError, AttributeError, OSError) as error:
            raise SystemExit(f"{self.name}: cannot read what it said ({type(error).__name__}: {error})\n"
                             f"{' '.join(words)}\n{done.stdout[-500:]}\n{done.stderr[-500:]}") from None


def percentile(values: Sequence[float], share: float) -> float:
    """By nearest rank; the values are sorted."""
    return values[max(0, -int(-share * len(values) // 1) - 1)]


def engine(program: Path, python: str, pacing: str) -> Peer:
    """The engine of this project, run as in a pod."""

    def load(task: Task) -> str:
        pace: Any = pacing
        # No warm-up: the others have none, and all that is on the wire is counted.
        asked = Load(task.url, task.rate, task.seconds, warmup=0.0, connections=task.connections, pacing=pace)
        return json.dumps(asked.command())

    def read(task: Task, out: str) -> Said:
        result = parse(json.loads(out.splitlines()[-1]))
        # The wire knows when a request was sent; only the schedule knows when it was meant to be.
        times = result.response if task.stalled else result.service
        return Said(result.achieved, *(times.percentile(share) / 1e9 for share in (0.5, 0.99, 1.0)))

    note = "waits busily before each request" if pacing == "spin" else ""
    return Peer(f"mesh-conformance, {pacing}", lambda _: [python, "-S", "-E", str(program)], read, load, note=note)


def peers(paths: Mapping[str, str]) -> list[Peer]:
    """The tools that are here: those of Debian on the path, the others where `paths` says."""
    made: list[Peer] = []
    for name, make in _MAKE.items():
        path = paths.get(name) or shutil.which(name)
        if path:
            made += make(path)
        else:
            print(f"{name}: not here; name it with --tool {name}=PATH", file=sys.stderr)
    return made


def _wrk(path: str) -> list[Peer]:
    units = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}

    def latency(out: str, share: int) -> float:
        value, unit = _match(rf"^\s+{share}%\s+([\d.]+)(us|ms|s|m)$", out)
        return float(value) * units[unit]

    def read(_: Task, out: str) -> Said:
        return Said(float(_match(r"Requests/sec:\s+([\d.]+)", out)[0]), latency(out, 50), latency(out, 99))

    return [Peer("wrk", lambda task: [path, "-t1", f"-c{task.connections}", f"-d{task.seconds:.0f}s", "--latency",
                                      task.url], read, paced=False)]


def _ab(path: str) -> list[Peer]:
    def read(_: Task, out: str) -> Said:
        return Said(float(_match(r"Requests per second:\s+([\d.]+)", out)[0]))

    return [Peer("ab", lambda task: [path, "-k", "-q", "-c", str(task.connections), "-n", "100000000",
                                     "-t", f"{task.seconds:.0f}", task.url], read, paced=False)]


def _hey(path: str) -> list[Peer]:
    def command(task: Task) -> list[str]:
        words = [path, "-cpus", "1", "-z", f"{task.seconds:.0f}s", "-c", str(task.connections)]
        if task.rate is not None:
            words += ["-q", f"{task.rate / task.connections:g}", "-o", "csv"]
        return [*words, task.url]

    def read(task: Task, out: str) -> Said:
        if task.rate is None:
            return Said(float(_match(r"Requests/sec:\s+([\d.]+)", out)[0]))
        taken = sorted(float(row["response-time"]) for row in csv.DictReader(io.StringIO(out)))
        return Said(len(taken) / task.seconds, percentile(taken, 0.5), percentile(taken, 0.99), taken[-1])

    return [Peer("hey", command, read, note="0.1 ms resolution")]


def _h2load(path: str) -> list[Peer]:
    def command(task: Task) -> list[str]:
        words = [path, "--h1", "-t1", f"-c{task.connections}", f"-D{task.seconds:.0f}"]
        if task.rate is not None:
            (task.scratch / "h2load.log").unlink(missing_ok=True)
            words += [f"--rps={task.rate / task.connections:g}", f"--log-file={task.scratch / 'h2load.log'}"]
        return [*words, task.url]

    def read(task: Task, out: str) -> Said:
        rate = float(_match(r"finished in [\d.]+m?s, ([\d.]+) req/s", out)[0])
        if task.rate is None:
            return Said(rate)
        lines = (task.scratch / "h2load.log").read_text(encoding="ascii").splitlines()
        taken = sorted(int(line.split("\t")[2]) / 1e6 for line in lines)
        return Said(rate, percentile(taken, 0.5), percentile(taken, 0.99), taken[-1])

    return [Peer("h2load", command, read)]


_K6 = """import http from 'k6/http';
const paced = {executor: 'constant-arrival-rate', rate: RATE, timeUnit: '1s', duration: 'DURATIONs',
  preAllocatedVUs: CONNECTIONS, maxVUs: CONNECTIONS};
const free = {executor: 'constant-vus', vus: CONNECTIONS, duration: 'DURATIONs'};
export const options = {discardResponseBodies: true, summaryTrendStats: ['med', 'p(99)', 'max'],
  scenarios: {load: RATE ? paced : free}};
export default function () { http.get('URL'); }
"""


def _k6(path: str) -> list[Peer]:
    def command(task: Task) -> list[str]:
        script = _K6.replace("RATE", f"{task.rate or 0:.0f}").replace("DURATION", f"{task.seconds:.0f}")
        script = script.replace("CONNECTIONS", str(task.connections)).replace("URL", task.url)
        (task.scratch / "k6.js").write_text(script, encoding="ascii")
        return [path, "run", "--quiet", "--no-usage-report", "--address", "127.0.0.1:0",
                "--summary-export", str(task.scratch / "k6.json"), str(task.scratch / "k6.js")]

    def read(task: Task, _: str) -> Said:
        metrics = json.loads((task.scratch / "k6.json").read_text(encoding="utf-8"))["metrics"]
        taken = metrics["http_req_duration"]
        return Said(metrics["http_reqs"]["rate"], *(taken[name] / 1e3 for name in ("med", "p(99)", "max")))

    return [Peer("k6", command, read, environment={"GOMAXPROCS": "1", "K6_NO_USAGE_REPORT": "true"})]


def _oha(path: str) -> list[Peer]:
    def read(_: Task, out: str) -> Said:
        said = json.loads(out)
        taken = said["latencyPercentiles"]
        return Said(said["summary"]["requestsPerSec"], taken["p50"], taken["p99"], said["summary"]["slowest"])

    def command(task: Task, *more: str) -> list[str]:
        pace = [] if task.rate is None else ["-q", f"{task.rate:g}"]
        return [path, "--no-tui", "--output-format", "json", "-z", f"{task.seconds:.0f}s", "-c", str(task.connections),
                *pace, *more, task.url]

    return [Peer("oha", command, read),
            Peer("oha, corrected", lambda task: command(task, "--latency-correction"), read, note="only with a rate")]


def _autocannon(path: str) -> list[Peer]:
    def command(task: Task) -> list[str]:
        pace = [] if task.rate is None else ["-R", f"{task.rate:.0f}"]
        return [path, "-j", "-c", str(task.connections), "-d", f"{task.seconds:.0f}", *pace, task.url]

    def read(_: Task, out: str) -> Said:
        said = json.loads(out)
        return Said(said["requests"]["average"], *(said["latency"][name] / 1e3 for name in ("p50", "p99", "max")))

    return [Peer("autocannon", command, read, note="whole milliseconds",
                 environment={"PATH": f"{Path(path).parent}:/usr/local/bin:/usr/bin:/bin"})]


def _match(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise ValueError(f"no {pattern!r}")
    return found.groups()


_MAKE: dict[str, Callable[[str], list[Peer]]] = {
    "wrk": _wrk, "ab": _ab, "hey": _hey, "h2load": _h2load, "k6": _k6, "oha": _oha, "autocannon": _autocannon,
}
