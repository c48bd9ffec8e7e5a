"""The closed loop: each connection sends its next request as soon as the last one is answered, as fast as that goes.

It tells how much a server can do, and nothing about waiting times under a load that does not wait for it.
"""

from __future__ import annotations

from collections import deque
from time import perf_counter_ns
from typing import TYPE_CHECKING

from conformance.performance.load.exchange import Answer
from conformance.performance.load.recorder import Tally
from conformance.performance.load.slots import BUSY, CHUNK, CONNECTING, IN, PARTLY, Slot, kind_of

if TYPE_CHECKING:
    from conformance.performance.load.engine import Load

NEVER = 1 << 62
REST = 10_000_000  # nanoseconds that a connection rests after a failure, so that a server that refuses is not flooded
POUR_EVERY = 500_000_000  # nanoseconds, so that progress shows
UNANSWERED = ("refused", "reset", "closed", "name-not-found", "unreachable", "local")


class ClosedLoop:
    """Keeps every slot of a load busy."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.resting: deque[tuple[int, Slot]] = deque()
        self.waiting: deque[Slot] = deque()  # for their next request, outside the fast path
        self.tally = Tally()
        self.boundary = NEVER  # requests sent since then are tallied, in the measuring phase
        self.pour_at = NEVER

    def done(self, slot: Slot, answer: Answer | None, error: str, now: int) -> None:
        """Record the end of a request."""
        self.load.recorder.ended(answer, error, slot.intended, slot.sent, now)
        if error in UNANSWERED:
            self.resting.append((now + REST, slot))
        else:
            self.waiting.append(slot)

    def run(self) -> int:
        """Run through all phases; return 0: there is no schedule of which something could be left unsent."""
        load = self.load
        self.waiting.extend(load.slots.all)
        tick = 0
        while load.phase != "draining":
            self._answers(min(tick, self.pour_at))
            now = perf_counter_ns()
            if now >= self.pour_at:
                self._pour(now)
            tick = load.tick(now, self._oldest)
            if load.phase == "measuring" and self.boundary == NEVER:
                self._pour(now)
        self._pour(perf_counter_ns())
        self._drain()
        load.recorder.sent = load.recorder.completed + sum(load.recorder.errors.values())
        return 0

    def _answers(self, until: int) -> None:  # noqa: C901 - a call for each step would cost a tenth of the rate
        """Take answers and send the next requests until a time."""
        slots = self.load.slots
        request, size = slots.request, len(slots.request)
        poll, slot_of, clock = slots.epoll.poll, slots.by_fd.get, perf_counter_ns
        waiting, resting, boundary, tally = self.waiting, self.resting, self.boundary, self.tally
        cells, total, least, longest = tally.cells, tally.total, tally.least, tally.longest
        now = clock()
        while now < until:
            if waiting or resting:
                self._restart(now)
            wake = min(until, resting[0][0]) if resting else until
            for fd, mask in poll(max(0, wake - now) / 1e9):
                slot = slot_of(fd)
                if slot is None:
                    continue
                if mask != IN or slot.state != BUSY:
                    slots.event(slot, mask)
                    continue
                try:
                    data = slot.recv(CHUNK)
                except BlockingIOError:
                    continue
                except OSError as error:
                    slots.broken(slot, kind_of(error))
                    continue
                now = clock()
                answer, sent = slot.known.get(data), slot.sent
                if answer is None or sent < boundary:
                    slots.received(slot, data, now)
                    continue
                answer.count += 1
                taken = now - sent
                cells[taken >> 6] += 1
                total += taken
                if not least < taken < longest:
                    least, longest = min(least, taken), max(longest, taken)
                slot.intended = slot.sent = now
                try:
                    done = slot.send(request)
                except BlockingIOError:
                    done = 0
                except OSError as error:
                    slots.broken(slot, kind_of(error))
                    continue
                if done != size:
                    slots.bytes_sent += done - size  # all of it is counted with the answer
                    slots.keep_rest(slot, done)
            now = clock()
        tally.total, tally.least, tally.longest = total, least, longest

    def _restart(self, now: int) -> None:
        """Send the next request of every slot that is free and has rested."""
        while self.resting and self.resting[0][0] <= now:
            self.waiting.append(self.resting.popleft()[1])
        for _ in range(len(self.waiting)):
            slot = self.waiting.popleft()
            self.load.slots.begin(slot, perf_counter_ns())

    def _pour(self, now: int) -> None:
        """Hand over what was tallied and begin anew, at the latest with each interval of the timeline."""
        recorder = self.load.recorder
        if self.boundary != NEVER:
            self.load.judge.flush()
            recorder.tallied(self.tally, self.boundary)
        self.tally, self.boundary = Tally(), NEVER if self.load.command.raw else now
        over = (now - recorder.start) // recorder.interval + 1
        self.pour_at = min(recorder.start + over * recorder.interval, now + POUR_EVERY)

    def _oldest(self) -> int:
        return min((slot.sent for slot in self.load.slots.all if slot.state >= BUSY), default=self.load.end)

    def _drain(self) -> None:
        """Wait for the answers that are under way, each as long as it may take."""
        load = self.load
        slots = load.slots
        while any(slot.state in (CONNECTING, BUSY, PARTLY) for slot in slots.all):
            now = perf_counter_ns()
            if now >= load.end + load.command.timeout:
                slots.expire(now, 0, "unfinished")
            load.tick(now, self._oldest)
            for fd, mask in slots.epoll.poll(0.005):
                slots.event(slots.by_fd[fd], mask)
