"""What a sandbox could leave behind, and waiting until it has not."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil


def processes(directory: Path) -> list[psutil.Process]:
    """Processes of a run, found by its directory in their arguments or environment."""
    found = []
    for process in psutil.process_iter():
        if process.pid == psutil.Process().pid:
            continue
        with contextlib.suppress(psutil.Error):
            words = [*process.cmdline(), *process.environ().values()]
            if process.status() != psutil.STATUS_ZOMBIE and any(str(directory) in word for word in words):
                found.append(process)
    return found


def sockets(network: int) -> list[str]:
    """Sockets that are bound in 127.n.*, connections that merely time out excepted."""
    return [
        f"{entry.laddr} {entry.status}"
        for entry in psutil.net_connections("inet4")
        if entry.laddr and entry.laddr.ip.startswith(f"127.{network}.") and entry.status != psutil.CONN_TIME_WAIT
    ]


def gone(directory: Path, network: int, pids: tuple[int, ...] = (), within: float = 5) -> None:
    """Wait until nothing of a run is left; fails with what is."""
    deadline = time.monotonic() + within
    while True:
        left = [
            *processes(directory),
            *sockets(network),
            *([directory] if directory.exists() else []),
            *(pid for pid in pids if alive(pid)),
        ]
        if not left:
            return
        assert time.monotonic() < deadline, f"still there after {within} s: {left}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def eventually(condition, within: float = 5, every: float = 0.01):
    """The first true value of `condition()`; fails when there is none in time."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {within} s: {condition}"
        time.sleep(every)
    return found
