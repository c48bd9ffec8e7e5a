"""The open loop: requests go out when the schedule says so, however long the server takes to answer.

What is due and finds no free connection waits; its response time counts from when it was meant to be sent. Nothing has
to be kept of those that wait: the schedule simply is not read on.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Iterator
from time import perf_counter_ns
from typing import TYPE_CHECKING

from conformance.performance.load.exchange import Answer
from conformance.performance.load.slots import Slot

if TYPE_CHECKING:
    from conformance.performance.load.engine import Load

NEVER = 1 << 62
SPIN = 120_000  # nanoseconds before an intended time that are waited out busily, if so wanted
GRACE = 100_000_000  # nanoseconds after the end, for requests that were due but for a process that got no CPU


class OpenLoop:
    """Drives the slots of a load by its schedule."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.free: deque[Slot] = deque()
        self.intended = NEVER  # time of the next request
        self.times: Iterator[int] = iter(())

    def done(self, slot: Slot, answer: Answer | None, error: str, now: int) -> None:
        """Record the end of a request and free its slot."""
        self.load.recorder.ended(answer, error, slot.intended, slot.sent, now)
        slot.freed = now
        self.free.append(slot)

    def run(self) -> int:
        """Run through all phases; return how many requests of the measuring phase were never sent."""
        load, free = self.load, self.free
        slots = load.slots
        event, slot_of, poll = slots.event, slots.by_fd.get, slots.epoll.poll
        assert load.command.schedule is not None
        self.times = load.command.schedule.times()
        self._next()
        free.extend(slots.all)
        # An epoll can itself be waited for: so select's timeouts, exact to the microsecond, serve any number of them.
        watched, ahead = [slots.epoll.fileno()], SPIN if load.command.spin else 0
        tick = 0
        while True:
            now = perf_counter_ns()
            while self.intended <= now and free and now < load.end + GRACE:
                self._send(free.popleft())
                now = perf_counter_ns()
            if now >= tick:
                tick = load.tick(now, self._oldest)
                if self._over(now):
                    return self._unsent()
            wait = (min(self.intended, tick) if free else tick) - now - ahead
            if wait > 0 and not select.select(watched, (), (), wait / 1e9)[0]:
                continue
            for fd, mask in poll(0):
                slot = slot_of(fd)
                if slot is not None:
                    event(slot, mask)

    def _send(self, slot: Slot) -> None:
        intended = self.intended
        self._next()
        self.load.slots.begin(slot, intended)
        self.load.recorder.began(intended, slot.sent, slot.freed)

    def _next(self) -> None:
        intended = self.load.origin + next(self.times)
        self.intended = intended if intended < self.load.end else NEVER

    def _oldest(self) -> int:
        free = set(self.free)
        return min((slot.intended for slot in self.load.slots.all if slot not in free), default=self.intended)

    def _over(self, now: int) -> bool:
        """Whether all is done: nothing more will be sent, and every answer is there or given up."""
        load = self.load
        if load.phase != "draining" or (self.intended < load.end and now < load.end + GRACE):
            return False
        if now >= load.end + load.command.timeout + GRACE:
            load.slots.expire(now, 0, "unfinished")
        return len(self.free) == len(load.slots.all)

    def _unsent(self) -> int:
        load, schedule = self.load, self.load.command.schedule
        assert schedule is not None
        if self.intended >= load.end:
            return 0
        if schedule.shape != "poisson":
            planned = schedule.count(load.end - load.origin) - schedule.count(load.measure - load.origin)
            return planned - load.recorder.sent
        unsent = 0
        while self.intended < load.end:
            unsent += self.intended >= load.measure
            self._next()
        return unsent
