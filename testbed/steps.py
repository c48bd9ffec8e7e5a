"""Steps that say what they do, and whose failure shows the log that tells why."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import SubprocessError
from typing import Final

from conformance.cluster import ClusterError
from conformance.waiting import NotConverged
from testbed.errors import TestbedError
from testbed.layout import Layout

Progress = Callable[[str], None]

_SHOWN: Final = 20  # lines of a log


class Steps:
    """The steps of one command, told to `progress` with the seconds since the first."""

    def __init__(self, layout: Layout, progress: Progress) -> None:
        self._layout = layout
        self._progress = progress
        self._began = time.monotonic()

    @contextmanager
    def step(self, doing: str, done: str = "", log: str = "init") -> Iterator[None]:
        """Do one step, and say so when it is `done`.

        What fails in it becomes a TestbedError that names the step and ends with the last lines of a log: of the
        component that has ended, if one has, or else of the one that this step depends on.
        """
        try:
            yield
        except (TestbedError, ClusterError, NotConverged, OSError, SubprocessError) as error:
            raise TestbedError(f"{doing}: {error}{self._shown(log)}") from error
        if done:
            self.say(done)

    def say(self, text: str) -> None:
        """Tell something."""
        self._progress(f"{time.monotonic() - self._began:5.1f} s  {text}")

    def _shown(self, log: str) -> str:
        suspects = [name for name, component in components(self._layout).items() if component["ended"]]
        path = self._layout.logs / f"{(suspects or [log])[0]}.log"
        lines = tail(path, _SHOWN)
        return f"\nthe last lines of {path.name}:\n{lines}" if lines else ""


def components(layout: Layout) -> dict[str, dict[str, int]]:
    """Return what `init` says of the components: `pid` in the node (0: does not run) and how often each `ended`."""
    try:
        found: dict[str, dict[str, int]] = json.loads(layout.components.read_text())
    except (OSError, ValueError):
        return {}
    return found


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a file, indented; nothing when there is no such file."""
    try:
        found = path.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(f"    {line[:400]}" for line in found[-lines:])
