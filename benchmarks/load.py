"""The load engine beside its peers, in one run: `python benchmarks/load.py [WHAT …]`.

WHAT is closed (requests a second), open (latency against the wire), stall, histogram, memory; by default all of them.
Rounds are interleaved: in each one every tool has its turn, the order rotating. Tables are Markdown, figures medians.
On two cores or more the tools run on the first, the server (nginx, else the engine's own) and the recorder of packets
on the second. Only 127.0.0.1 is contacted. The times on the wire need root.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import load_wire
from load_peers import Peer, Said, Task, engine, peers, percentile
from tabulate import tabulate

from conformance.performance.histogram import Histogram
from conformance.performance.load.command import read_command
from conformance.performance.load.recorder import Recorder
from conformance.workloads.libraries import load_zip

CONNECTIONS_CLOSED, CONNECTIONS_OPEN, RATE = 32, 16, 1000.0
STALL_SECONDS = 10.0
CORES = sorted(os.sched_getaffinity(0))
NGINX = """worker_processes 1; daemon off; master_process off;
pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 1000000000;
  client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "0123456789abcdef"; }} }} }}
"""


def pinned(core: int) -> list[str]:
    return ["taskset", "-c", str(CORES[core])] if len(CORES) > 1 else []


class Server:
    """The server under load, on a core of its own."""

    def __init__(self, kind: str, program: Path, directory: Path) -> None:
        self.kind = kind
        if kind == "nginx":
            self.port = 18_473
            config = directory / "nginx.conf"
            config.write_text(NGINX.format(directory=directory, port=self.port), encoding="ascii")
            words = ["nginx", "-c", str(config), "-e", str(directory / "error.log")]
        else:
            words = [sys.executable, "-S", "-E", str(program), "target", "127.0.0.1", '{"port": 0}']
        self.process = subprocess.Popen([*pinned(-1), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if kind != "nginx":
            assert self.process.stdout is not None
            self.port = json.loads(self.process.stdout.readline())["port"]
        time.sleep(0.3)
        if self.process.poll() is not None:
            raise SystemExit(f"{kind} did not start: exit status {self.process.returncode}")
        self.url = f"http://127.0.0.1:{self.port}/"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    @contextmanager
    def stalled(self, after: float, seconds: float) -> Iterator[None]:
        """Stop the process for a while, as an overloaded node would."""
        def stall() -> None:
            time.sleep(after)
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            self.process.send_signal(signal.SIGCONT)

        thread = threading.Thread(target=stall)
        thread.start()
        try:
            yield
        finally:
            thread.join()


@contextmanager
def on_the_wire(port: int) -> Iterator[list[list[int]]]:
    """Record packets; afterwards the list holds the times of sending and the times taken, in ns. Empty without root."""
    found: list[list[int]] = []
    words = [*pinned(-1), sys.executable, str(Path(load_wire.__file__)), str(port)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        yield found
        if ready:
            said = json.loads(process.communicate(timeout=30)[0])
            found += [said["sent"], said["taken"]]


def in_turns(tools: Sequence[Peer], rounds: int) -> Iterator[Peer]:
    for number in range(rounds):
        first = number % len(tools)
        yield from [*tools[first:], *tools[:first]]
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)


def micro(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e6:.0f}"


def closed(tools: Sequence[Peer], server: Server, scratch: Path, options: argparse.Namespace) -> None:
    """How many requests a second each tool makes on one core."""
    rates: dict[str, list[float]] = {tool.name: [] for tool in tools}
    for tool in in_turns([tool for tool in tools if tool.note != "only with a rate"], options.rounds):
        task = Task(server.url, options.seconds, CONNECTIONS_CLOSED, None, scratch)
        rates[tool.name].append(tool.run(task, pinned(0)).rate)
    base = statistics.median(rates["wrk"]) if rates.get("wrk") else None
    rows = [[name, f"{statistics.median(values):,.0f}", f"{min(values):,.0f} to {max(values):,.0f}",
             f"{statistics.median(values) / base:.2f}" if base else "-"] for name, values in rates.items() if values]
    print(f"\n### Closed loop, {CONNECTIONS_CLOSED} connections, {server.kind}: requests a second\n")
    print(tabulate(rows, ["tool", "median", "range", "of wrk"], tablefmt="github", disable_numparse=True))


def open_loop(tools: Sequence[Peer], server: Server, scratch: Path, options: argparse.Namespace) -> None:
    """What each tool says of latency, and what it was on the wire."""
    found: dict[str, list[tuple[Said, list[list[int]]]]] = {tool.name: [] for tool in tools if tool.paced}
    for tool in in_turns([tool for tool in tools if tool.paced], options.rounds):
        with on_the_wire(server.port) as wire:
            said = tool.run(Task(server.url, options.seconds, CONNECTIONS_OPEN, RATE, scratch), pinned(0))
        found[tool.name].append((said, wire))
    rows = []
    for name, runs in found.items():
        row: list[str] = [name, f"{statistics.median(said.rate for said, _ in runs):.0f}"]
        for share, told in ((0.5, "p50"), (0.99, "p99")):
            says = [getattr(said, told) for said, _ in runs]
            wires = [percentile(sorted(wire[1]), share) / 1e9 if wire else None for _, wire in runs]
            errors = [said - on for said, on in zip(says, wires, strict=True) if on is not None]
            row += [micro(_median(wires)), micro(_median(says)), micro(_median(errors))]
        gaps = [percentile(sorted(b - a for a, b in zip(wire[0], wire[0][1:], strict=False)), 0.5) / 1e9
                for _, wire in runs if wire]
        rows.append([*row, micro(_median(gaps))])
    print(f"\n### Open loop, {RATE:g}/s, {CONNECTIONS_OPEN} connections, {server.kind}: microseconds\n")
    print(tabulate(rows, ["tool", "rate", "wire p50", "says p50", "error", "wire p99", "says p99", "error",
                          "median gap between sends"], tablefmt="github", disable_numparse=True))
    if os.geteuid() != 0:
        print("\nWithout root there are no times on the wire, and so no errors.")


def stall(tools: Sequence[Peer], server: Server, scratch: Path, _: argparse.Namespace) -> None:
    """What each tool says of a server that stops for a second."""
    rows = []
    for tool in tools:
        if tool.paced:
            print(f"stall: {tool.name}", file=sys.stderr, flush=True)
            task = Task(server.url, STALL_SECONDS, CONNECTIONS_OPEN, RATE, scratch, stalled=True)
            with server.stalled(4.5, 1.0):
                said = tool.run(task, pinned(0))
            rows.append([tool.name, *(f"{(value or 0) * 1e3:.1f}" for value in (said.p99, said.longest))])
    true = 1000 - 10 * STALL_SECONDS
    print(f"\n### A stall of 1 s in {STALL_SECONDS:g} s at {RATE:g}/s, {server.kind}: the true p99 is {true:g} ms\n")
    print(tabulate(rows, ["tool", "p99, ms", "longest, ms"], tablefmt="github", disable_numparse=True))


def histogram() -> None:
    """How long merging takes."""
    draw = random.Random(1)
    parts = [Histogram() for _ in range(20)]
    for part in parts:
        for _ in range(50_000):
            part.record(int(draw.lognormvariate(11, 1)))
    times = []
    for _ in range(5):
        whole, begin = Histogram(), time.perf_counter()
        for part in parts:
            whole.merge(part)
        times.append(time.perf_counter() - begin)
    print(f"\nMerging 20 histograms of 50,000 requests each: {statistics.median(times) * 1e3:.2f} ms")


def memory() -> None:
    """What the recorder of an hour at 10,000/s takes, in a process of its own; every tenth request stands for ten."""
    if os.fork() == 0:
        command = {"target": {"url": "http://127.0.0.1/"}, "mode": "open", "schedule": {"rate": 10_000.0},
                   "duration": 3600.0, "connections": 16, "raw": False}
        recorder = Recorder(read_command(command))
        draw = random.Random(1)
        for number in range(3_600_000):
            intended = number * 1_000_000
            taken = int(draw.lognormvariate(11, 1))
            recorder.began(intended, intended + 50_000)
            recorder.ended(None, "", intended, intended + 50_000, intended + 50_000 + taken)
            if number % 500 == 0:
                recorder.close_intervals(intended)
        result = json.dumps(recorder.result())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"\nMemory of an hour at 10,000/s: {peak:.0f} MB for the whole process, this benchmark included; "
              f"the result has {len(result) / 1e6:.1f} MB", flush=True)
        os._exit(0)
    with suppress(ChildProcessError):
        os.wait()


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="WHAT", help="default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--server", choices=("nginx", "own"), default="nginx")
    parser.add_argument("--python", default=sys.executable, help="that runs the engine")
    parser.add_argument("--tool", action="append", default=[], metavar="NAME=PATH", help="k6, oha, autocannon, …")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="tools whose name begins so")
    options = parser.parse_args()
    network = {"closed": closed, "open": open_loop, "stall": stall}
    chosen = options.what or [*network, "histogram", "memory"]
    with TemporaryDirectory(prefix="benchmark-load-") as name:
        scratch = Path(name)
        program = scratch / "load.zip"
        program.write_bytes(load_zip())
        tools = [engine(program, options.python, pacing) for pacing in ("sleep", "spin")]
        tools += peers(dict(word.split("=", 1) for word in options.tool))
        tools = [tool for tool in tools if not options.only or tool.name.startswith(tuple(options.only))]
        if network.keys() & set(chosen):
            server = Server(options.server, program, scratch)
            try:
                for what in chosen:
                    if what in network:
                        network[what](tools, server, scratch, options)
            finally:
                server.stop()
    if "histogram" in chosen:
        histogram()
    if "memory" in chosen:
        memory()


if __name__ == "__main__":
    main()
