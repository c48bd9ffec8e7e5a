"""Whether the load engine measures right, by measuring what is known beforehand.

Each check runs `load.zip`, byte for byte what travels into a pod, against its own fast server on 127.0.0.1. What is
true follows from what the server was told to do wrong, never from another measurement.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conformance import temporary
from conformance.performance import command
from conformance.performance.command import Load, LoadResult
from conformance.workloads.libraries import LOAD_NAME, load_zip

Progress = Callable[[str], object]

STALL_WITHIN: Final = 0.02  # of the true percentile
DELAY_WITHIN: Final = 50e-6  # seconds
RATE_WITHIN: Final = 0.02  # of the rate
PATIENCE: Final = 30.0  # seconds that a process may take beyond its load


class SelfCheckError(Exception):
    """A self-check could not be carried out: nothing is known of the engine."""


@dataclass(frozen=True)
class Check:
    """One thing that was known beforehand: what it is, what the engine had to find and what it found."""

    name: str
    expected: str
    found: str
    passed: bool


class Loopback:
    """The load engine and its fast server as processes on 127.0.0.1: `load.zip` in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        program = directory / LOAD_NAME
        program.write_bytes(load_zip())
        self._run = [sys.executable, "-S", "-E", str(program)]

    @contextlib.contextmanager
    def server(self, **options: Any) -> Iterator[str]:
        """Run a fast server (`load/target.py`) and give its URL. Raises SelfCheckError."""
        words = [*self._run, "target", "127.0.0.1", json.dumps({"port": 0, **options})]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                line = process.stdout.readline()
                if not line:
                    raise SelfCheckError(f"the fast server did not start: exit status {process.wait(PATIENCE)}")
                yield f"http://127.0.0.1:{json.loads(line)['port']}/"
            finally:
                process.stdin.close()
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()

    def measure(self, load: Load) -> LoadResult:
        """Carry out a load. Raises SelfCheckError, also when any request failed."""
        limit = load.warmup + load.seconds + 2 * load.timeout + PATIENCE
        try:
            done = subprocess.run(self._run, input=json.dumps(load.command()), capture_output=True, text=True,
                                  timeout=limit, check=True)
        except subprocess.TimeoutExpired:
            raise SelfCheckError(f"the load engine did not end within {limit:g} s") from None
        except subprocess.CalledProcessError as error:
            message = f"the load engine ended with status {error.returncode}: {error.stderr[-500:]}"
            raise SelfCheckError(message) from None
        result = command.parse(json.loads(done.stdout.splitlines()[-1]))
        if result.errors:
            raise SelfCheckError(f"requests failed on loopback: {dict(result.errors)}; is the machine overloaded?")
        return result


def run(progress: Progress) -> tuple[Check, ...]:
    """Carry out all checks, which takes about 20 seconds. `progress` is told which. Raises SelfCheckError."""
    with temporary.directory("selfcheck") as directory:
        loopback = Loopback(directory)
        checks = []
        for what, check in (("a server that stalls", stall), ("a server with a known delay", delay),
                            ("a server of known rate", rate)):
            progress(f"load engine against {what}")
            checks.append(check(loopback))
        return tuple(checks)


def stall(loopback: Loopback, *, seconds: float = 5.0, stalled: float = 1.0, per_second: float = 1000.0) -> Check:
    """Let a server stop in the middle of an open loop: the p99 of the response time must tell.

    The requests of the stall had to wait for what was left of it. A tool that sends only when an answer has come, or
    that counts from when it could send, does not see them (coordinated omission).
    """
    warmup = 0.5
    with loopback.server(stall={"after": warmup + (seconds - stalled) / 2, "for": stalled}) as url:
        found = loopback.measure(Load(url, per_second, seconds, warmup=warmup))
    true = stalled_percentile(0.99, seconds=seconds, stalled=stalled, per_second=per_second)
    response, service = found.response.percentile(0.99) / 1e9, found.service.percentile(0.99) / 1e9
    return Check(
        name=f"p99 when the server stalls for {stalled:g} s",
        expected=f"{true * 1e3:.0f} ms ± {STALL_WITHIN:.0%}",
        found=f"{response * 1e3:.0f} ms (from sending alone, as many tools count: {service * 1e3:.1f} ms)",
        passed=abs(response - true) <= STALL_WITHIN * true and not found.unsent,
    )


def stalled_percentile(share: float, *, seconds: float, stalled: float, per_second: float) -> float:
    """Return the percentile, by nearest rank, of the waits that a stall alone makes, in seconds."""
    count = round(seconds * per_second)
    waits = sorted(max(0.0, stalled - number / per_second) for number in range(count))
    return waits[-(-int(share * count * 1_000_000) // 1_000_000) - 1]


def delay(loopback: Loopback, *, added: float = 0.002, rounds: int = 5, seconds: float = 0.8) -> Check:
    """Find a delay by comparing with the same server without it, in turns.

    It is in every answer: so their tenth percentiles show it as well as their medians, and are disturbed less by
    whatever else the machine does.
    """
    differences = []
    with loopback.server() as plain, loopback.server(delay=added) as delayed:
        for _ in range(rounds):
            without, with_it = (loopback.measure(Load(url, 200.0, seconds, warmup=0.1)).service.percentile(0.1) / 1e9
                                for url in (plain, delayed))
            differences.append(with_it - without)
    found = statistics.median(differences)
    return Check(
        name=f"a delay of {added * 1e3:g} ms",
        expected=f"{added * 1e6:.0f} µs ± {DELAY_WITHIN * 1e6:.0f}",
        found=f"{found * 1e6:.0f} µs (median of {rounds} differences, {min(differences) * 1e6:.0f} to "
              f"{max(differences) * 1e6:.0f})",
        passed=abs(found - added) <= DELAY_WITHIN,
    )


def rate(loopback: Loopback, *, per_second: float = 2000.0, seconds: float = 2.0) -> Check:
    """Find how much a server can do by a closed loop.

    There are connections enough that the server has 30 ms of work in hand, and loses nothing when it has to pause.
    """
    with loopback.server(rate=per_second) as url:
        found = loopback.measure(Load(url, None, seconds, connections=round(per_second * 0.03)))
    return Check(
        name=f"a server that answers {per_second:g} requests a second",
        expected=f"{per_second:g}/s ± {RATE_WITHIN:.0%}",
        found=f"{found.achieved:.1f}/s",
        passed=abs(found.achieved - per_second) <= RATE_WITHIN * per_second,
    )
