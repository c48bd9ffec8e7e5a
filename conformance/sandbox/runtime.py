"""The container runtime of the sandbox: a small process that owns every other process of a run, and its directory.

It is separate from the program that uses the sandbox so that something is left to clean up when that program is
killed with -9. It takes commands as JSON lines on its standard input and reports events on its standard output:

    {"start": ID, "argv": [...], "env": {...}, "cwd": DIR, "log": FILE}    -> {"started": ID, "pid": N} or
                                                                              {"failed": ID, "message": TEXT}
    {"signal": ID, "number": N}    to the container's main process; 9 goes to its whole process group
                                   -> in the end {"exited": ID, "code": N, "signal": N or null}

Unasked it says {"orphan": ID, "cpu": SECONDS} of a process whose parent in the container had ended before it did, for
its CPU time is nowhere else to be found afterwards.

The first line that it prints is {"ready": DIRECTORY} or {"error": TEXT}. When its input ends, or its owner does, it
kills every container and whatever these have left behind, removes the directory, and exits.

Standard library only, and no import of this package: it is run as `python -S -E runtime.py`, and is up in 25 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
PREFIX = "mesh-conformance-"

_libc = ctypes.CDLL(None, use_errno=True)


class Containers:
    """The running containers: each is the leader of its own session and process group."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._pid = os.getpid()

    def start(self, name: str, argv: list[str], env: dict[str, str], cwd: str, log: str) -> int:
        """Start one container; raises OSError when the program cannot be executed or the log not be opened."""
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            process = subprocess.Popen(
                argv,
                executable=_find(argv[0], env.get("PATH", "")),
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=self._in_child,  # noqa: PLW1509 - this process has one thread
            )
        finally:
            os.close(output)
        self._running[name] = process
        return process.pid

    def _in_child(self) -> None:
        # Tied to the thread that forks, which is why the runtime must have only one.
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._pid:  # the runtime died before the signal was armed
            os._exit(127)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def signal(self, name: str, number: int) -> None:
        """Signal a container; one that is gone is not an error, as its exit is already on its way."""
        process = self._running.get(name)
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(process.pid, number)
            else:
                # Not by Popen, which would collect a process that has just ended, and `reap` would never hear of it.
                os.kill(process.pid, number)

    def reap(self) -> list[tuple[str, int]]:
        """Collect what has ended: (container, return code as of subprocess). Of orphans, the CPU time is reported."""
        names = {process.pid: name for name, process in self._running.items()}
        ended = []
        while True:
            try:
                # WNOWAIT leaves the zombie, which keeps the process group's number from being used again.
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if info is None:
                break
            name = names.get(info.si_pid)
            if name is None:
                container = names.get(_session(info.si_pid))
                used = os.wait4(info.si_pid, 0)[2]
                if container is not None:
                    _report(orphan=container, cpu=used.ru_utime + used.ru_stime)
                continue
            # As in a PID namespace, nothing in a container outlives its main process.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(info.si_pid, signal.SIGKILL)
            ended.append((name, self._running.pop(name).wait()))
        return ended

    def kill_all(self) -> None:
        """Kill and reap every descendant; returns only when none is left."""
        for name in list(self._running):
            self.signal(name, signal.SIGKILL)
        while True:
            for pid in _children():  # also orphans of other sessions, adopted because this is a subreaper
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def _find(program: str, path: str) -> str:
    """The file to execute; raises FileNotFoundError or PermissionError in words that a pod's author understands."""
    candidates = [program] if "/" in program else [f"{folder}/{program}" for folder in path.split(":") if folder]
    found = [candidate for candidate in candidates if Path(candidate).is_file()]
    for candidate in found:
        if os.access(candidate, os.X_OK):
            return candidate
    if found:
        raise PermissionError(f"{found[0]!r} is not executable")
    raise FileNotFoundError(f"executable {program!r} not found" + (f" in PATH {path}" if "/" not in program else ""))


def _children() -> list[int]:
    """Processes whose parent is this one."""
    own, found = os.getpid(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if int(_status(int(entry.name))[1]) == own:
                    found.append(int(entry.name))
    return found


def _session(pid: int) -> int:
    """The session of a process, also of one that is only waited for; 0 when it cannot be found out."""
    try:
        return int(_status(pid)[3])
    except OSError:
        return 0


def _status(pid: int) -> list[bytes]:
    """What the kernel says of a process, from field 3 on: state, parent, group, session, … (proc(5))."""
    # The command, field 2, may itself contain spaces and brackets.
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()


def _report(**event: Any) -> None:
    with contextlib.suppress(OSError):  # the owner is gone; its end is noticed elsewhere
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()


def _obey(containers: Containers, line: bytes) -> None:
    command = json.loads(line)
    if "start" in command:
        name = command["start"]
        try:
            pid = containers.start(name, command["argv"], command["env"], command["cwd"], command["log"])
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            _report(failed=name, message=str(error))
        else:
            _report(started=name, pid=pid)
    else:
        containers.signal(command["signal"], command["number"])


def _serve(owner: int) -> None:
    """Obey until the input or the owner ends."""
    containers = Containers()
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: stopping.append(number))
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    buffer = b""
    owned = _process_descriptor(owner)
    try:
        while not stopping and os.getppid() == owner:
            ready, _, _ = select.select([0, woken, *owned], [], [])
            if not set(owned).isdisjoint(ready):
                break
            if 0 in ready:
                received = os.read(0, 65536)
                if not received:
                    break
                *lines, buffer = (buffer + received).split(b"\n")
                for line in lines:
                    _obey(containers, line)
            if woken in ready:
                os.read(woken, 4096)
            for name, code in containers.reap():
                _report(exited=name, code=code if code >= 0 else 128 - code, signal=-code if code < 0 else None)
    finally:
        containers.kill_all()


def _process_descriptor(pid: int) -> list[int]:
    """A descriptor that becomes readable when the process ends, if the kernel (5.3 or later) has such a thing.

    A forked child of the owner may keep the pipe open for longer than the owner lives.
    """
    try:
        return [os.pidfd_open(pid)]
    except OSError:
        return []


def _sweep(parent: Path) -> None:
    """Remove the directories of runs whose runtime was itself killed: those whose lock nobody holds."""
    for stale in parent.glob(f"{PREFIX}*/.lock"):
        with contextlib.suppress(OSError):
            descriptor = os.open(stale, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_uid == os.getuid():
                    os.lockf(descriptor, os.F_TLOCK, 0)
                    _remove(stale.parent)
            finally:
                os.close(descriptor)


def _make_directory(parent: Path) -> Path:
    """The run's directory, locked for as long as this process lives."""
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    unnamed = directory / ".lock.new"
    descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.lockf(descriptor, os.F_LOCK, 0)
    unnamed.rename(directory / ".lock")  # only now can a sweep see it
    return directory


def _remove(directory: Path) -> None:
    def unlock(_function: Any, path: str, _error: Any) -> None:
        # A program may have made its directories read-only.
        with contextlib.suppress(OSError):
            Path(path).parent.chmod(0o700)
            Path(path).chmod(0o700)

    shutil.rmtree(directory, onerror=unlock)
    shutil.rmtree(directory, ignore_errors=True)


def main() -> int:
    """Serve one owner; the exit code is 1 when the directory could not be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--owner", type=int, required=True, help="process that started this one")
    parser.add_argument("--parent", type=Path, required=True, help="where to make the run's directory")
    options = parser.parse_args()
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # the owner's thread may have blocked the signals used here
    try:
        _sweep(options.parent)
        directory = _make_directory(options.parent)
    except OSError as error:
        _report(error=f"cannot make a directory in {options.parent}: {error.strerror}")
        return 1
    try:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        _report(ready=str(directory))
        _serve(options.owner)
    finally:
        _remove(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
