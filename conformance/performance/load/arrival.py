"""When an answer arrived, as the kernel saw it: some 40 us before a process that had to be woken can look at a clock.

Linux stamps packets by the wall clock, for TCP with the last byte read (SO_TIMESTAMPNS, socket(7)). Only how long ago
that was is taken from it, so that a clock that jumps can spoil no more than what arrives in that very moment.
"""

from __future__ import annotations

import struct
import time
from time import perf_counter_ns

SO_TIMESTAMPNS = 35  # of all architectures that images of Python are made for; the socket module has no name for it
ROOM = 64  # bytes for ancillary data

_TIMESPEC = struct.Struct("=qq")


def arrived(ancillary: list[tuple[int, int, bytes]], sent: int) -> tuple[int, bool]:
    """Return when what was just read arrived, on the clock of `perf_counter_ns`, and whether the kernel said so.

    Without a stamp, or with one that lies in the future or before `sent`, it has arrived now.
    """
    for _, kind, data in ancillary:
        if kind == SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            ago = time.time_ns() - (seconds * 1_000_000_000 + nanoseconds)
            now = perf_counter_ns()
            return (now - ago, True) if 0 <= ago <= now - sent else (now, False)
    return perf_counter_ns(), False
