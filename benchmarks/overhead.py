"""How well the harness measures a sidecar: `python benchmarks/overhead.py [hop | alike] [--trials N]`.

hop: one Envoy, measured for a minute: the interval is to be ± 10 us or better. On a virtual machine whose idle CPUs go
to the host, each waking up costs 30 to 100 us more or less; `--awake` (root) lets them wait a millisecond first, and
undoes it.
alike: two identical paths, measured again and again: at least 95 of 100 are to be called no different.
Run it alone: what else the machine does is in every time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from conformance import mesh
from conformance.options import Settings
from conformance.performance import paired
from conformance.performance.bench import Bench, Effort
from conformance.performance.findings import Findings
from conformance.performance.paths import AGAIN, CLIENT, DIRECT, LOAD_PORT
from conformance.performance.probe import Probe
from conformance.place import open_place
from conformance.topology import Topology

HALT_POLL = Path("/sys/module/haltpoll/parameters/guest_halt_poll_ns")


@contextmanager
def arena() -> Iterator[Topology]:
    with open_place(Settings()) as cluster:
        topology = Topology(cluster, mesh.load("reference"), "bench", described="performance.yaml")
        topology.provision()
        for name in topology.standing():
            topology.agent(name).serve(LOAD_PORT)
        yield topology


def measured(topology: Topology, other: str, effort: Effort) -> tuple[paired.Estimate, list[str], float]:
    """The added p50 of another path than the direct one, what was invalid, and the seconds it took."""
    bench = Bench(topology, effort, Findings(Probe("benchmark", "a benchmark")), print)
    begun = time.monotonic()
    series = bench.rounds(bench.ways(DIRECT, other), warmup=0.05)
    seconds = time.monotonic() - begun
    invalid = [str(found) for several in series.invalid.values() for found in several]
    return paired.difference(series.percentiles(DIRECT, 0.5), series.percentiles(other, 0.5)), invalid, seconds


@contextmanager
def awake() -> Iterator[None]:
    before = HALT_POLL.read_text()
    HALT_POLL.write_text("1000000")
    try:
        yield
    finally:
        HALT_POLL.write_text(before)


def hop(chosen: argparse.Namespace) -> None:
    with arena() as topology, awake() if chosen.awake else nullcontext():
        for attempt in range(1, 6):
            found, invalid, seconds = measured(topology, CLIENT, Effort(rounds=75, seconds=0.3, seed=attempt))
            print(f"one hop: {found.value * 1e6:+.1f} us, {found.low * 1e6:+.1f} to {found.high * 1e6:+.1f} "
                  f"(± {found.margin * 1e6:.1f} us at {found.confidence:.3g}) in {seconds:.0f} s; "
                  f"{'; '.join(invalid) or 'valid'}", flush=True)


def alike(chosen: argparse.Namespace) -> None:
    same = whole = 0
    with arena() as topology:
        for trial in range(chosen.trials):
            found, invalid, _ = measured(topology, AGAIN, Effort(rounds=20, seconds=0.1, seed=trial))
            whole += 1
            same += not found.differs
            if found.differs or invalid:
                print(f"trial {trial}: {found.value * 1e6:+.1f} us, {found.low * 1e6:+.1f} to {found.high * 1e6:+.1f}; "
                      f"{'; '.join(invalid) or 'valid'}", flush=True)
    print(f"identical paths called no different: {same} of {whole} (limit 95 of 100)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = {"hop": hop, "alike": alike}
    parser.add_argument("what", nargs="*", choices=[*every, []], default=list(every))
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--awake", action="store_true")
    chosen = parser.parse_args()
    for name in chosen.what or every:
        every[name](chosen)


if __name__ == "__main__":
    main()
