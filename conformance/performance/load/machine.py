"""The process and the machine under the load: precise timers, no garbage collection, and how busy both are."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_TIMERSLACK, PR_GET_TIMERSLACK = 1, 29, 30
STAT = Path("/proc/stat")


def prctl(option: int, value: int = 0) -> int:
    """Set or get a property of this process as prctl does; -1 where there is no such thing."""
    with contextlib.suppress(OSError, AttributeError):
        return int(ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0))
    return -1


def precise_timers() -> int | None:
    """Let timeouts end within a nanosecond instead of 50 us; return the slack now in force, None if unknown."""
    prctl(PR_SET_TIMERSLACK, 1)
    slack = prctl(PR_GET_TIMERSLACK)
    return None if slack < 0 else slack


def allow_many_files() -> None:
    """Raise the limit of open files to the hard one."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """Keep the garbage collector from interrupting."""
    was = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was:
            gc.enable()


@dataclass(frozen=True)
class Usage:
    """CPU so far: seconds of this process, and the node's ticks (all, idle, stolen), None where they cannot be read."""

    user: float
    system: float
    node: tuple[int, int, int] | None

    @classmethod
    def now(cls) -> Usage:
        """Look."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        return cls(own.ru_utime, own.ru_stime, _node())

    def since(self, before: Usage) -> tuple[dict[str, float], dict[str, float] | None]:
        """Return (CPU seconds of this process, shares of the node's CPU time that were busy and stolen) since then."""
        own = {"user": round(self.user - before.user, 6), "system": round(self.system - before.system, 6)}
        if self.node is None or before.node is None:
            return own, None
        total, idle, steal = (self.node[place] - before.node[place] for place in range(3))
        if total <= 0:
            return own, None
        # The kernel's counters of idle time may run backwards a little.
        return own, {"busy": round(_share(total - idle, total), 4), "steal": round(_share(steal, total), 4)}


def _share(part: int, whole: int) -> float:
    return min(1.0, max(0.0, part / whole))


def _node() -> tuple[int, int, int] | None:
    try:
        with STAT.open("rb") as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    # user nice system idle iowait irq softirq steal; guests are within user and nice
    return (sum(ticks), ticks[3] + ticks[4], ticks[7]) if len(ticks) == 8 else None


def die_with(parent: int) -> None:
    """End this process when its parent ends, also if that has happened already."""
    prctl(PR_SET_PDEATHSIG, 9)
    if os.getppid() != parent:
        os._exit(1)
