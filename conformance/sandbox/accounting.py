"""What containers and the machine have used, from /proc: CPU time that only grows, and memory.

A container is its main process with all that this has started: the processes of its session, and the descendants that
have left the session. CPU time counts to the nanosecond for what runs and to the clock tick (10 ms) for what has ended.
Memory is resident pages summed over processes (RSS). Of pages that forked processes share, it counts each process's;
proportional shares (PSS) would not, but would make a proxy look smaller the more of them run on the node, and reading
them holds up the process that is being measured.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """`at` in nanoseconds since 1970, `cpu` cumulative in nanoseconds of one core, memory in bytes.

    `resident` is all resident memory, `anonymous` the part of it that no file is behind.
    """

    at: int
    cpu: int
    resident: int
    anonymous: int


@dataclass(frozen=True, slots=True)
class MachineUsage:
    """The whole machine, in the units of ContainerUsage.

    `cpu` is what all processes and the kernel have used since the machine started at `started`. `used` is memory in
    use with caches, `working_set` without the inactive part of the file cache, as kubelets count it.
    """

    at: int
    started: int
    cpu: int
    used: int
    working_set: int
    anonymous: int
    available: int


class Account:
    """The usage of containers by name, which never shrinks while a container runs. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orphans: dict[str, int] = {}
        self._highest: dict[str, int] = {}

    def add(self, name: str, seconds: float) -> None:
        """Count the CPU time of a process that ended after its parent."""
        with self._lock:
            self._orphans[name] = self._orphans.get(name, 0) + round(seconds * 1e9)

    def close(self, name: str) -> None:
        """Forget a container that has ended."""
        with self._lock:
            self._orphans.pop(name, None)
            self._highest.pop(name, None)

    def read(self, leaders: Mapping[str, int]) -> dict[int, ContainerUsage]:
        """Read what each container, given by name and main process, has used; by main process."""
        measured = _measure(set(leaders.values()))
        found = {}
        with self._lock:
            for name, pid in leaders.items():
                if pid not in measured:  # ended meanwhile
                    continue
                usage = measured[pid]
                # A process may end between the looks at it and at its parent.
                cpu = max(usage.cpu + self._orphans.get(name, 0), self._highest.get(name, 0))
                self._highest[name] = cpu
                found[pid] = ContainerUsage(usage.at, cpu, usage.resident, usage.anonymous)
        return found


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    parent: int
    session: int
    own_ticks: int
    ended_ticks: int
    started: int


def _processes() -> Iterator[_Process]:
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended
                yield _process(int(entry.name))


def _process(pid: int) -> _Process:
    # The command, field 2, may itself contain spaces and brackets.
    fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    own, ended = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return _Process(pid, int(fields[1]), int(fields[3]), own, ended, int(fields[19]))


def _measure(leaders: set[int]) -> dict[int, ContainerUsage]:
    processes = {process.pid: process for process in _processes()}
    members: dict[int, list[int]] = {}
    # Parents first: whoever ends meanwhile is then missed for the moment, not counted twice for good.
    for process in sorted(processes.values(), key=lambda process: (process.started, process.pid)):
        leader = _leader(process, processes, leaders)
        if leader:
            members.setdefault(leader, []).append(process.pid)
    return {leader: _sum(pids) for leader, pids in members.items()}


def _leader(process: _Process, processes: Mapping[int, _Process], leaders: set[int]) -> int:
    """The main process of the container that a process belongs to; 0 for none."""
    seen: set[int] = set()
    at: _Process | None = process
    while at is not None and at.pid not in seen:
        if at.pid in leaders:
            return at.pid
        if at.session in leaders:
            return at.session
        seen.add(at.pid)
        at = processes.get(at.parent)
    return 0


def _sum(pids: Iterable[int]) -> ContainerUsage:
    cpu = resident = anonymous = 0
    for pid in pids:
        with suppress(OSError):
            process = _process(pid)
            cpu += process.ended_ticks * _TICK + _own(process)
            pages = (_PROC / str(pid) / "statm").read_bytes().split()
            resident += int(pages[1]) * _PAGE
            anonymous += (int(pages[1]) - int(pages[2])) * _PAGE
    return ContainerUsage(time.time_ns(), cpu, resident, max(anonymous, 0))


def _own(process: _Process) -> int:
    """The CPU time of one process and its threads, those that ended included, in nanoseconds."""
    try:
        # The clock of another process, as clock_getcpuclockid(3) names it.
        return time.clock_gettime_ns(~process.pid << 3 | 2)
    except OSError:
        return process.own_ticks * _TICK


def machine() -> MachineUsage:
    """Read what the whole machine has used. Raises OSError where there is no /proc."""
    lines = dict(line.split(" ", 1) for line in (_PROC / "stat").read_text().splitlines() if " " in line)
    user, nice, system, _idle, _iowait, interrupts, soft = (int(part) for part in lines["cpu"].split()[:7])
    at = time.time_ns()
    memory = {}
    for line in (_PROC / "meminfo").read_text().splitlines():
        name, _, amount = line.partition(":")
        memory[name] = int(amount.split()[0]) * 1024
    used = memory["MemTotal"] - memory["MemFree"]
    working_set = used - memory["Inactive(file)"]
    return MachineUsage(
        at=at, started=int(lines["btime"]) * 1_000_000_000, cpu=(user + nice + system + interrupts + soft) * _TICK,
        used=used, working_set=working_set, anonymous=memory["AnonPages"],
        available=memory["MemTotal"] - working_set,
    )
