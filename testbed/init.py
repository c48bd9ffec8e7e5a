"""Process 1 of the node: arranges its namespaces, starts the components, and starts again what ends.

It is run in namespaces of its own as `python -I init.py PLAN` (see `holder`) and its end is the end of everything in
them. It tells and is told by signs, empty files in one directory:

    arranged        made here: the namespaces are as the node needs them
    network, api    waited for: the node has its link, the API server answers; components say which of them they need
    stopped-NAME    the component is ended, and not started again while this is there

Standard library only, and no import of this package.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

_AGAIN = 1.0  # seconds until something that ended is started again
_TICK = 0.1  # seconds between two looks at the signs


@dataclass
class Service:
    """A component, and what has become of it."""

    name: str
    arguments: list[str]
    after: str
    pid: int = 0
    ended: int = 0  # how often
    due: float = field(default=0.0, repr=False)


class Supervisor:
    """Starts components, collects what ends, their children's children included, and records how they are."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._services = [Service(**component) for component in plan["components"]]
        self._signs = Path(plan["signs"])
        self._logs = Path(plan["logs"])
        self._record = Path(plan["record"])
        self._environment: dict[str, str] = plan["environment"]
        self._woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def run(self) -> NoReturn:
        """Go on for ever."""
        while True:
            changed = self._reap()
            for service in self._services:
                changed |= self._attend(service)
            if changed:
                self._tell()
            if select.select([self._woken], [], [], _TICK)[0]:
                os.read(self._woken, 4096)

    def _attend(self, service: Service) -> bool:
        """Start or stop one service as it should be; tells whether it started."""
        stopped = (self._signs / f"stopped-{service.name}").exists()
        if service.pid:
            if stopped:
                os.kill(service.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
            return False
        if stopped or time.monotonic() < service.due or not (self._signs / service.after).exists():
            return False
        try:
            service.pid = self._spawn(service)
        except OSError as error:
            _say(f"{service.name} cannot be started: {error}")
            service.ended += 1
            service.due = time.monotonic() + _AGAIN
        return True

    def _spawn(self, service: Service) -> int:
        log = str(self._logs / f"{service.name}.log")
        return os.posix_spawnp(
            service.arguments[0], service.arguments, self._environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigdef=[signal.SIGPIPE, signal.SIGCHLD],
        )

    def _reap(self) -> bool:
        """Collect all that has ended; tells whether a component has."""
        changed = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return changed
            if pid == 0:
                return changed
            for service in self._services:
                if service.pid == pid:
                    _say(f"{service.name} ended with {os.waitstatus_to_exitcode(status)}")
                    service.pid, service.due = 0, time.monotonic() + _AGAIN
                    service.ended += 1
                    changed = True

    def _tell(self) -> None:
        known = {service.name: {"pid": service.pid, "ended": service.ended} for service in self._services}
        unnamed = self._record.with_suffix(".new")
        unnamed.write_text(json.dumps(known))
        unnamed.rename(self._record)


def arrange(plan: dict[str, Any]) -> None:
    """Give the namespaces what the node needs. Raises CalledProcessError and OSError."""
    _run("hostname", plan["hostname"])
    _run("mount", "--make-rshared", "/")  # pods may ask for mounts to be seen by others
    for directory in plan["own"]:
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "testbed", directory)
    for directory in plan["directories"]:
        Path(directory).mkdir(parents=True, exist_ok=True)
    for path, value in plan["shown"].items():
        # These settings are the whole machine's. Whoever looks here sees the value that it wants, and sets nothing.
        shown = Path(plan["signs"]) / path.replace("/", ".")
        shown.write_text(f"{value}\n")
        _run("mount", "--bind", str(shown), f"/proc/sys/{path}")


def connect(plan: dict[str, Any]) -> None:
    """Set up the node's network, once it has its link. Raises CalledProcessError and OSError."""
    for command in plan["commands"]:
        _run(*command)
    for path, value in plan["sysctls"].items():
        (Path("/proc/sys") / path).write_text(value)


def _run(*arguments: str) -> None:
    subprocess.run(arguments, check=True, stdin=subprocess.DEVNULL)


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


def main() -> NoReturn:
    """Do what the plan says; returns only when the namespaces cannot be arranged."""
    os.umask(0o022)  # what components make for containers has to be readable there, whoever started this
    plan = json.loads(Path(sys.argv[1]).read_text())
    signs = Path(plan["signs"])
    try:
        arrange(plan)
        (signs / "arranged").touch()
        while not (signs / "linked").exists():
            time.sleep(_TICK)
        connect(plan)
    except (OSError, subprocess.CalledProcessError) as error:
        _say(f"the node cannot be arranged: {error}")
        sys.exit(1)
    (signs / "network").touch()
    Supervisor(plan).run()


if __name__ == "__main__":
    main()
