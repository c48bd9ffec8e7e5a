"""The figures of benchmarks/README.md, measured again: `python benchmarks/measure.py [WHAT …]`.

Each figure is printed with its limit. Absolute times wobble on a small or busy machine: run it alone, and twice.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from conformance import mesh, smi
from conformance.client import Call, Client
from conformance.cluster import Cluster
from conformance.evidence import Evidence
from conformance.expect import Only
from conformance.lifecycle import inventory
from conformance.objects import Objects, Services
from conformance.options import Settings
from conformance.place import open_place
from conformance.topology import Topology

RUN = [sys.executable, "-m", "conformance.cli", "run", "-q"]


def report(what: str, value: float, limit: float, unit: str, detail: str = "") -> None:
    print(f"{what}: {value:.3g} {unit} (limit {limit:g} {unit}){'; ' + detail if detail else ''}", flush=True)


@contextmanager
def provisioned() -> Iterator[tuple[Cluster, Topology]]:
    with open_place(Settings()) as cluster:
        topology = Topology(cluster, mesh.load("reference"), "bench")
        topology.provision()
        yield cluster, topology


def topology() -> None:
    """From nothing (imports included) to a ready topology."""
    script = ("from benchmarks_measure import provisioned\nimport time\n"
              "with provisioned(): print(time.monotonic())")
    times = []
    for _ in range(5):
        started = time.monotonic()
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
                              env={"PYTHONPATH": str(_alias()), "PATH": "/usr/bin:/bin"})
        times.append(float(done.stdout) - started)
    report("sandbox from nothing to a ready topology", statistics.median(times), 5, "s", _spread(times))


def suite() -> None:
    """The suite, from the command to the report: all of SMI, and TrafficSplit alone."""
    every, splits = (), ("--requirement", "SPLIT-*")
    for what, options, workers, limit in (
        ("SMI suite", every, "0", 120), ("SMI suite", every, "2", 60), ("TrafficSplit suite", splits, "0", 30),
    ):
        times = [_run("-n", workers, *options)[0] for _ in range(3)]
        report(f"{what} with -n{workers}", statistics.median(times), limit, "s", _spread(times))


def sample() -> None:
    """2,000 requests through a sidecar, a connection each, and a control before them."""
    with provisioned() as (_, deployed):
        client = Client("client", deployed, Evidence())
        target = deployed.service("v1")
        times = []
        for _ in range(10):
            started = time.perf_counter()
            client.sees(target, Only(target), requests=50)
            client.sees(target, Only(target), requests=2000)
            times.append(time.perf_counter() - started)
    report("sample of 2,000 with its control", statistics.median(times), 1, "s", _spread(times))


def effect() -> None:
    """From sending a changed split to the first answer that shows it."""
    with provisioned() as (cluster, deployed):
        evidence = Evidence()
        objects = Objects(cluster, "bench", "bench", evidence)
        services, client = Services(objects, deployed), Client("client", deployed, evidence)
        root, left, right = services("root", "v1"), services("left", "v2"), services("right", "v3")
        split = smi.traffic_split(smi.served_apis(cluster), "bench", root.namespace, root.name, {left.name: 1})
        objects.create(split)
        client.sees(root, Only(left), requests=10)
        times = []
        for number in range(30):
            wanted = (right, left)[number % 2]
            started = time.perf_counter()
            cluster.patch(split, {"spec": {"backends": [{"service": wanted.name, "weight": 1}]}})
            while not client.probe(Call(root.hosts[0]), 1).answers.keys() <= wanted.endpoints(8080):
                pass
            times.append((time.perf_counter() - started) * 1000)
    report("changed split to effect at the client", statistics.median(times), 150, "ms", _spread(times))


def cost() -> None:
    """Processor time of a request and of a change of configuration, over all processes."""
    with provisioned() as (cluster, deployed):
        client, objects = Client("client", deployed, Evidence()), Objects(cluster, "bench", "bench", Evidence())
        services, call = Services(objects, deployed), Call(deployed.service("v1").hosts[0])
        before = _processor_time()
        client.probe(call, 4000)
        between = _processor_time()
        for _ in range(30):
            services("bench", "v1")
            time.sleep(0.1)  # longer than changes are gathered: each is a round of its own
        after = _processor_time()
    for what, start, end, number in (("a request", before, between, 4000), ("a change", between, after, 30)):
        parts = {kind: (end[kind] - start.get(kind, 0)) / number * 1000 for kind in end}
        detail = ", ".join(f"{kind} {value:.3g}" for kind, value in sorted(parts.items()) if value > 0.005)
        print(f"processor time of {what}: {sum(parts.values()):.3g} ms ({detail})", flush=True)


def _processor_time() -> dict[str, float]:
    times: dict[str, float] = {}
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            line, used = " ".join(process.cmdline()), process.cpu_times()
        except psutil.Error:
            continue
        kinds = (("envoy -c", "Envoys"), ("agent.py", "agents"), ("sandbox.reference", "control plane"))
        kind = next((kind for mark, kind in kinds if mark in line), "harness and API server")
        times[kind] = times.get(kind, 0.0) + used.user + used.system
    return times


def memory() -> None:
    """Peak of the whole run: the sum over all its processes, pages that they share counted once (PSS)."""
    seconds, peak = _run(watch=_pss)
    report("peak memory of the whole run", peak / 2**20, 1536, "MiB", f"sampled over {seconds:.0f} s")


def endurance(runs: int = 40, context: str = "", kubeconfig: str = "") -> None:
    """Runs in a row, in a temporary directory of their own: no failure, no error, nothing left behind.

    On a cluster that is named, each run installs and removes the mesh, and all objects are compared with those before.
    """
    named = {"--context": context, "--kubeconfig": kubeconfig}
    where = [word for name, value in named.items() if value for word in (name, value)]
    bad, words = 0, (*where, "--provision") if where else ()
    with TemporaryDirectory(prefix="endurance-") as place, ExitStack() as opened:
        settings = Settings(context=context or None, kubeconfig=Path(kubeconfig) if kubeconfig else None)
        cluster = opened.enter_context(open_place(settings)) if where else None
        before = _objects(cluster)
        for number in range(1, runs + 1):
            seconds, _ = _run(*words, place=place)
            after = _objects(cluster)
            left = [*_remains(place), *sorted(after - before), *(f"no {name}" for name in sorted(before - after))]
            print(f"run {number}: {seconds:.1f} s{', left behind: ' + ', '.join(left) if left else ''}", flush=True)
            bad += bool(left)
    report(f"{runs} runs in a row, runs that left anything", bad, 0, "runs")


def _objects(cluster: Cluster | None) -> set[str]:
    """Names of all objects that do not come and go by themselves."""
    if cluster is None:
        return set()
    kinds, _ = inventory.resources(cluster)
    found = inventory.objects(cluster, kinds).objects
    return {str(each) for each in found if each.kind.kind not in ("Event", "Lease", "IPAddress", "EndpointSlice")}


def _run(
    *options: str, watch: Callable[[psutil.Process], float] | None = None, place: str | None = None,
) -> tuple[float, float]:
    """Run the suite once; raises when it is not conformant. Returns seconds, and the peak of what was watched."""
    with TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        started = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen([*RUN, "--report-dir", f"{directory}/report", *options],
                                       stdout=output, stderr=subprocess.STDOUT,
                                       env={**os.environ, "TMPDIR": place} if place else None)
            peak = _watched(process, watch) if watch else 0.0
            code = process.wait(timeout=600)
        seconds = time.monotonic() - started
        if code:
            print(log.read_text(errors="replace"))
            raise SystemExit(f"a run of the reference mesh ended with {code}")
    return seconds, peak


def _watched(process: subprocess.Popen[bytes], watch: Callable[[psutil.Process], float]) -> float:
    peaks, over = [0.0], threading.Event()

    def look() -> None:
        while not over.wait(0.3):
            peaks.append(watch(psutil.Process(process.pid)))

    watcher = threading.Thread(target=look)
    watcher.start()
    process.wait(timeout=600)
    over.set()
    watcher.join()
    return max(peaks)


def _pss(root: psutil.Process) -> float:
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return float(total)


def _remains(place: str) -> list[str]:
    """What runs left in their temporary directory, and processes that name it."""
    processes = [
        f"process {process.info['name']}" for process in psutil.process_iter(["name", "cmdline"])
        if any(place in word for word in process.info["cmdline"] or ())
    ]
    return [path.name for path in Path(place).iterdir()] + processes


def _spread(times: list[float]) -> str:
    return f"median of {len(times)}, {min(times):.3g} to {max(times):.3g}"


def _alias() -> Path:
    """A directory in which this file can be imported by a plain name."""
    directory = Path(_keep.name)
    target = directory / "benchmarks_measure.py"
    if not target.exists():
        target.symlink_to(Path(__file__).resolve())
    return directory


_keep = TemporaryDirectory()

WHAT = {"topology": topology, "suite": suite, "sample": sample, "effect": effect, "cost": cost,
        "memory": memory, "endurance": endurance}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", choices=[*WHAT, []], help="figures to measure (default: all but endurance)")
    parser.add_argument("--runs", type=int, default=50, help="runs of `endurance`")
    parser.add_argument("--context", default="", help="cluster for the runs of `endurance` (default: the sandbox)")
    parser.add_argument("--kubeconfig", default="", help="where that context is")
    chosen = parser.parse_args()
    for name in chosen.what or [name for name in WHAT if name != "endurance"]:
        endurance(chosen.runs, chosen.context, chosen.kubeconfig) if name == "endurance" else WHAT[name]()


if __name__ == "__main__":
    main()
