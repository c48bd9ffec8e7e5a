"""Processes of this machine, found by exact arguments and ended by descriptors: a number may be another's by now."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process: `started` (clock ticks since the machine started) tells it from a later one with its number."""

    pid: int
    parent: int
    started: int
    name: str
    arguments: tuple[str, ...] = ()


def processes(proc: Path = Path("/proc")) -> Iterator[Process]:
    """Yield what runs, as far as this process can see it."""
    for entry in proc.iterdir():
        if entry.name.isdigit():
            found = read(int(entry.name), proc)
            if found is not None:
                yield found


def read(pid: int, proc: Path = Path("/proc")) -> Process | None:
    """Return a process; None when there is none of this number, or it has ended and is only waited for."""
    try:
        status = (proc / str(pid) / "stat").read_text(errors="replace")
        arguments = (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return None
    # The name, field 2, may itself contain spaces and brackets: proc(5).
    name, _, rest = status.partition("(")[2].rpartition(")")
    fields = rest.split()
    if fields[0] in "ZX":
        return None
    return Process(pid, int(fields[1]), int(fields[19]), name, tuple(arguments))


def with_argument(argument: str) -> list[Process]:
    """Return the processes that were started with this very argument, parents before their children."""
    found = {process.pid: process for process in processes() if argument in process.arguments}
    found.pop(os.getpid(), None)
    return sorted(found.values(), key=lambda process: (process.parent in found, process.started))


def kill(process: Process) -> None:
    """End a process at once; one that has ended already is fine."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process.pid)
        try:
            if alive(process):  # the descriptor holds on to what has this number now
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)


def alive(process: Process) -> bool:
    """Tell whether it still runs."""
    found = read(process.pid)
    return found is not None and found.started == process.started
