"""Waiting that says what it waits for. Only waiting may retry: a measurement is never repeated until it passes.

A probe looks once and returns what it saw. It says "not yet" by raising `NotYet` or an `AssertionError` (so that
an expectation can serve as a probe) or by returning `False`; every other value, `None` included, is a success,
and every other exception is a fault that ends the wait at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

Clock = Callable[[], float]
Sleep = Callable[[float], None]
Progress = Callable[[str, float, str], None]
"""Called with what is waited for, the seconds so far, and why it is not there yet."""

_PROGRESS_EVERY = 1.0
_GROWTH = 1.5


class NotYet(Exception):  # noqa: N818 - a probe's answer, not a fault
    """Raised by a probe when what it looks for is not there yet; the message says what is there instead."""


class NotConverged(Exception):  # noqa: N818 - reads as what happened
    """The wait ended without what was waited for.

    Neither a failure of the mesh nor of the harness by itself: who waits knows whether a mesh that does not get
    there violates a requirement. `cause` is the probe's last answer as it was raised, `None` if it returned
    `False` or was never asked.
    """

    def __init__(self, what: str, seconds: float, probes: int, reason: str, cause: Exception | None = None) -> None:
        super().__init__(what, seconds, probes, reason)
        self.what = what
        self.seconds = seconds
        self.probes = probes
        self.reason = reason
        self.cause = cause

    def __str__(self) -> str:
        times = "once" if self.probes == 1 else f"{self.probes} times"
        return f"waited {self.seconds:.1f} s for {self.what}, looked {times}; last: {self.reason}"


class Undecided(Exception):  # noqa: N818 - reads as what happened
    """What was waited for was there, and whether in time is not known: one look outlasted the limit."""


class NotHeld(Exception):  # noqa: N818 - reads as what happened
    """What had to stay as it was did not."""


@dataclass(frozen=True, slots=True)
class Waited(Generic[T]):
    """A wait that ended well.

    `seconds` is the time until it was there: from the start to the first of the consecutive successes, the
    probe that saw it included. `total` is the whole wait, `probes` how often was looked, `last` what was seen.
    """

    what: str
    seconds: float
    total: float
    probes: int
    last: T


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time by which something must be done, shared by the steps that lead to it."""

    what: str
    seconds: float
    clock: Clock = field(default=time.monotonic, repr=False, compare=False)
    started: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "started", self.clock())

    @property
    def elapsed(self) -> float:
        """Seconds since the deadline was set."""
        return self.clock() - self.started

    @property
    def remaining(self) -> float:
        """Seconds left, never negative: safe as a timeout of the next step."""
        return max(0.0, self.seconds - self.elapsed)

    @property
    def expired(self) -> bool:
        """Whether the time is up."""
        return self.elapsed >= self.seconds

    def check(self, reason: str) -> None:
        """Raise `NotConverged` if the time is up; `reason` says what is still missing."""
        if self.expired:
            raise NotConverged(self.what, self.elapsed, 0, reason)


@dataclass(slots=True)
class _Reporter:
    """Calls a progress callback at most once a second, and not at all for a short wait."""

    what: str
    callback: Progress | None
    due: float = _PROGRESS_EVERY

    def tell(self, elapsed: float, reason: str) -> None:
        if self.callback is not None and elapsed >= self.due:
            self.callback(self.what, elapsed, reason)
            self.due = elapsed + _PROGRESS_EVERY


def _look(probe: Callable[[], T]) -> tuple[bool, T | None, str, Exception | None]:
    """Ask a probe once: whether it succeeded, what it saw, why not, and what it raised."""
    try:
        seen = probe()
    except (NotYet, AssertionError) as error:
        return False, None, str(error) or type(error).__name__, error
    if seen is False:
        return False, None, "the probe said no", None
    return True, seen, "", None


def eventually(
    probe: Callable[[], T],
    *,
    what: str,
    within: float,
    consecutive: int = 3,
    interval: float = 0.02,
    longest: float = 1.0,
    clock: Clock = time.monotonic,
    sleep: Sleep = time.sleep,
    progress: Progress | None = None,
) -> Waited[T]:
    """Probe until it succeeded `consecutive` times in a row.

    Times are in seconds. The first of the successes must be seen `within`; a row that began in time may be
    completed after it. Successes are `interval` apart; after each failed probe the pause grows by half, up to
    `longest`, and a failure breaks the row. At least one probe is made, and one at the very end of the time.
    Raises `NotConverged`, `Undecided` where the look that saw it first began in time and ended too late (the API
    server that it went through may have been slow, which is not the mesh's doing), and whatever the probe raises other
    than `NotYet` and `AssertionError`.
    """
    if consecutive < 1:
        raise ValueError(f"waiting for {what}: consecutive must be at least 1, not {consecutive}")
    started = clock()
    reporter = _Reporter(what, progress)
    probes = row = 0
    first = 0.0
    pause = interval
    while True:
        began = clock() - started
        success, seen, reason, cause = _look(probe)
        probes += 1
        elapsed = clock() - started
        if success:
            if row == 0:
                first = elapsed
                pause = interval
            row += 1
            if first > within:
                if began < within:
                    raise Undecided(f"waiting {within:g} s for {what}: it was there after {first:.1f} s, and the look "
                                    f"that saw it took {elapsed - began:.1f} s; try again when the cluster is faster")
                reason = f"it was there only after {first:.1f} s, and had to be within {within:g} s"
                raise NotConverged(what, elapsed, probes, reason)
            if row >= consecutive:
                return Waited(what, first, elapsed, probes, seen)  # type: ignore[arg-type]
            reason = f"seen {row} of {consecutive} times in a row"
            wait = interval
        else:
            row = 0
            if elapsed >= within:
                raise NotConverged(what, elapsed, probes, reason, cause) from cause
            wait = min(pause, within - elapsed)
            pause = min(pause * _GROWTH, longest)
        reporter.tell(elapsed, reason)
        sleep(wait)


def consistently(
    probe: Callable[[], T],
    *,
    what: str,
    during: float,
    interval: float = 0.05,
    clock: Clock = time.monotonic,
    sleep: Sleep = time.sleep,
    progress: Progress | None = None,
) -> Waited[T]:
    """Probe again and again for `during` seconds and hold that it succeeds every time.

    An `AssertionError` of the probe passes through unchanged: it already says what was wanted and what was got.
    Raises `NotHeld` when the probe returns `False` or raises `NotYet`.
    """
    started = clock()
    reporter = _Reporter(what, progress)
    probes = 0
    while True:
        success, seen, reason, cause = _look(probe)
        probes += 1
        elapsed = clock() - started
        if isinstance(cause, AssertionError):
            raise cause
        if not success:
            times = "at the first look" if probes == 1 else f"after {elapsed:.1f} s ({probes} looks)"
            raise NotHeld(f"{what} had to hold for {during:g} s and did not {times}: {reason}") from cause
        if elapsed >= during:
            return Waited(what, 0.0, elapsed, probes, seen)  # type: ignore[arg-type]
        reporter.tell(elapsed, "holds so far")
        sleep(min(interval, during - elapsed))
