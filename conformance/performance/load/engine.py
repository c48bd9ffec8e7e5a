"""Carries out one load: opens the connections, drives one of the two loops through its phases, gives the result."""

from __future__ import annotations

import os
import platform
import select
import time
from collections.abc import Callable, Mapping
from time import perf_counter_ns
from typing import Any

from conformance.performance.load.closed import ClosedLoop
from conformance.performance.load.command import Command
from conformance.performance.load.exchange import Answer, Judge
from conformance.performance.load.machine import Usage, allow_many_files, no_collections, precise_timers
from conformance.performance.load.open import OpenLoop
from conformance.performance.load.recorder import Recorder
from conformance.performance.load.slots import OPENING, Slot, Slots

MILLISECOND = 1_000_000
REPORT_EVERY = 500 * MILLISECOND
SWEEP_AT_MOST = 50 * MILLISECOND
WAIT_AT_MOST = 0.1  # seconds between two looks at whether to stop
OPEN_AT_ONCE = 200  # connections; more than a server's backlog would have to be tried again, after a second

Report = Callable[[Mapping[str, Any]], object]


class Load:
    """One load.

    `report` is told its progress twice a second; after `stop` the result is of the time so far.
    """

    def __init__(self, command: Command, load_id: str = "", report: Report | None = None) -> None:
        self.command, self.id, self._report = command, load_id, report
        self.recorder = Recorder(command)
        self.judge = Judge(command, self._counted)
        self.loop = OpenLoop(self) if command.schedule is not None else ClosedLoop(self)
        self.slots = Slots(command, self.judge, self.loop.done, self._connected)
        self.origin = self.measure = self.end = 0  # of the phases, on the clock of perf_counter_ns
        self.stopped = False
        self.phase = "warmup"
        self._sweep_every = max(MILLISECOND, min(command.timeout // 20, SWEEP_AT_MOST))
        self._sweep = self._progress = 0
        self._before: tuple[float, int, Usage] | None = None
        self._after: tuple[float, int, Usage] | None = None
        self._bytes = (0, 0)
        self._reported = 0

    def run(self) -> dict[str, Any]:
        """Carry the load out and return its result, ready for JSON.

        Where the start that was agreed on has passed before the load could begin, nothing is sent, and the result is by
        how many seconds it was missed.
        """
        slack = precise_timers()
        allow_many_files()
        try:
            self.slots.resolve(self.command.host, self.command.port)
            self._open_connections()
            with no_collections():
                missed = self._await_start()
                if missed:
                    return {"done": True, "id": self.id, "missed": missed}
                self._sweep = self._progress = self.origin
                self.measure = self.recorder.start = self.origin + self.command.warmup
                self.end = self.measure + self.command.duration
                unsent = self.loop.run()
            return self._result(unsent, slack)
        finally:
            self.slots.finish()

    def stop(self) -> None:
        """Send nothing more. Safe to call from a signal handler."""
        self.stopped = True

    def _await_start(self) -> float:
        """Set the origin of the phases, and wait for it; return the seconds by which it has passed already."""
        self.origin = now = perf_counter_ns()
        if self.command.start is None:
            return 0.0
        self.origin = now + self.command.start - time.time_ns()
        if self.origin < now:
            return (now - self.origin) / 1e9
        while not self.stopped and (left := self.origin - perf_counter_ns()) > 0:
            time.sleep(min(left / 1e9, WAIT_AT_MOST))
        return 0.0

    def tick(self, now: int, oldest: Callable[[], int]) -> int:
        """Do what is due now and then; return when to call again.

        `oldest` gives the intended time of the oldest request that has not ended.
        """
        if self.stopped and now < self.end:
            self.end = now
            self.measure = min(self.measure, now)
        if self.phase == "warmup" and now >= self.measure:
            self.phase = "measuring"
            self.judge.flush()
            self._bytes = (self.slots.bytes_sent, self.slots.bytes_received)
            self._before = self._look()
        if self.phase == "measuring" and now >= self.end:
            self.phase = "draining"
            self._after = self._look()
        if now >= self._sweep:
            self.slots.expire(now, self.command.timeout)
            self._sweep = now + self._sweep_every
        if now >= self._progress:
            self._progress = now + REPORT_EVERY
            self.recorder.close_intervals(oldest())
            self._tell(now)
        boundary = {"warmup": self.measure, "measuring": self.end}.get(self.phase, 1 << 62)
        return min(self._sweep, self._progress, boundary)

    def _open_connections(self) -> None:
        """Open the connections ahead, as far as they can be: what fails now is tried again by the first request."""
        if not self.command.keep_alive:
            return
        waiting = list(self.slots.all)
        end = perf_counter_ns() + self.command.timeout
        while waiting and perf_counter_ns() < end and not self.stopped:
            batch, waiting = waiting[:OPEN_AT_ONCE], waiting[OPEN_AT_ONCE:]
            for slot in batch:
                self.slots.open(slot, OPENING)
            while any(slot.state == OPENING for slot in batch) and perf_counter_ns() < end and not self.stopped:
                for fd, mask in self.slots.epoll.poll(0.05):
                    self.slots.event(self.slots.by_fd[fd], mask)
        self.slots.expire(perf_counter_ns(), 0)

    def _connected(self, slot: Slot, nanoseconds: int) -> None:
        if slot.state == OPENING or slot.intended >= self.recorder.start:
            self.recorder.connections += 1
            self.recorder.connect.record(nanoseconds)

    def _counted(self, answer: Answer, count: int) -> None:
        self.slots.bytes_received += answer.size * count
        self.slots.bytes_sent += len(self.command.request) * count
        if self.phase != "warmup":
            self.recorder.answered(answer, count)

    def _look(self) -> tuple[float, int, Usage]:
        return time.time(), perf_counter_ns(), Usage.now()

    def _tell(self, now: int) -> None:
        if self._report is None:
            return
        recorder = self.recorder
        errors = sum(recorder.errors.values())
        rate = (recorder.completed - self._reported) * 1e9 / REPORT_EVERY
        self._reported = recorder.completed
        self._report({
            "done": False, "id": self.id, "phase": self.phase, "elapsed": round((now - self.origin) / 1e9, 3),
            "left": round(max(0, self.end - now) / 1e9, 3), "sent": max(recorder.sent, recorder.completed + errors),
            "completed": recorder.completed, "errors": errors, "rate": round(max(0.0, rate), 1),
        })

    def _result(self, unsent: int, slack: int | None) -> dict[str, Any]:
        self.judge.flush()
        before = self._before or self._look()
        after = self._after or before
        cpu, node = after[2].since(before[2])
        recorded = self.recorder.result()
        return {
            "done": True, "id": self.id,
            "engine": {"python": platform.python_version(), "pacing": "spin" if self.command.spin else "sleep",
                       "arrival": "kernel" if self.slots.stamped >= recorded["completed"] > 0 else "process",
                       "timerslack_ns": slack, "pid": os.getpid()},
            "started": before[0], "elapsed": (after[1] - before[1]) / 1e9, "wall_elapsed": after[0] - before[0],
            "scheduled": recorded["sent"] + unsent, "unsent": unsent,
            "unfinished": recorded["errors"].get("unfinished", 0), **recorded,
            "cpu": cpu, "node": node,
            "bytes": {"sent": self.slots.bytes_sent - self._bytes[0],
                      "received": self.slots.bytes_received - self._bytes[1]},
        }


def supported() -> bool:
    """Whether this machine has what the engine needs."""
    return hasattr(select, "epoll")
