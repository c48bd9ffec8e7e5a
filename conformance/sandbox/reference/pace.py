"""When a round of the control plane begins: changes are gathered, and proxies get the time to read.

Envoy reads a file of resources whole, whatever has changed in it. With a thousand Services that keeps a proxy busy for
a third of a second; a control plane that wrote for every change of a burst would have all proxies do nothing else. So
changes of a burst wait for each other for longer, the more the last round cost; one that comes alone is not held up.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection
from typing import Final

DEBOUNCE: Final = 0.03  # seconds without a change after which a round begins, at least
GATHERED: Final = 0.15  # seconds after which a round begins although changes keep coming, at least
LONGEST: Final = 3.0  # seconds: whatever the size, a change must not wait for longer
READING: Final = 1e-7
"""Seconds of a core that Envoy 1.40 needs for each byte of a file (measured: 0.07 to 0.13 microseconds)."""


class Pace:
    """Decides when a round begins."""

    def __init__(self, cores: int | None = None) -> None:
        self._cores = cores or os.cpu_count() or 1
        self._cost = 0.0
        self._free = 0.0

    def gave(self, sizes: Collection[int]) -> None:
        """Note that proxies were given files of these sizes in bytes, one number per proxy."""
        if sizes:
            self._cost = min(LONGEST, READING * max(*sizes, sum(sizes) / self._cores))
            self._free = time.monotonic() + self._cost

    def gather(self, changed: threading.Event, stop: threading.Event) -> None:
        """Return when a round may begin: after a pause in the changes, or when they have come for long enough.

        `changed` is set by each change, and cleared before this returns. Who sets `stop` sets `changed` as well.
        """
        began = time.monotonic()
        # A change that comes before the last ones have been read is one of many: worth more patience.
        many = began < self._free
        pause = max(DEBOUNCE, self._cost / 2 if many else 0.0)
        until = began + max(GATHERED, min(LONGEST, 3 * self._cost) if many else 0.0)
        while changed.is_set() and time.monotonic() < until and not stop.is_set():
            changed.clear()
            changed.wait(pause)
        # What was given last has been read by now, or else it would be read once more for nothing.
        stop.wait(max(0.0, self._free - time.monotonic()))
        changed.clear()
