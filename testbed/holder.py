"""The node's namespaces: one process holds them all, so that ending it ends everything in them.

It is `unshare --kill-child`: when it is killed, by whatever means, the kernel kills `init`, its child, and with process
1 of a process namespace everything else in there.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from testbed import cgroups, processes
from testbed.components import Component
from testbed.errors import TestbedError
from testbed.layout import Layout
from testbed.processes import Process
from testbed.settings import KERNEL, NODE_NETWORK

_PATIENCE: Final = 20.0  # seconds for the kernel to take down what nothing holds any more
OWN: Final = ("/run", "/var/lib", "/var/log")
"""What programs of a node have fixed paths in: each node has these to itself."""

_DIRECTORIES: Final = ("/run/lock", "/run/netns", "/var/log/containers")
_ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def plan(layout: Layout, components: Sequence[Component]) -> dict[str, Any]:
    """Return what `init` has to do."""
    node, machine_address = layout.node_interface, str(layout.machine_address)
    return {
        "hostname": layout.node,
        "own": OWN,
        "directories": _DIRECTORIES,
        "shown": dict(KERNEL),
        "commands": [
            ["ip", "link", "set", "lo", "up"],
            ["ip", "address", "add", f"{layout.node_address}/{layout.link.prefixlen}", "dev", node],
            ["ip", "link", "set", node, "up"],
            # Never used as such: without any route to a Service a connection fails before kube-proxy's rules see it.
            ["ip", "route", "add", str(layout.services), "via", machine_address],
        ],
        "sysctls": dict(NODE_NETWORK),
        "components": [asdict(component) for component in components],
        "signs": str(layout.signs),
        "logs": str(layout.logs),
        "record": str(layout.components),
        "environment": {**_ENVIRONMENT, "HOME": str(layout.state / "home")},
    }


def start(layout: Layout, components: Sequence[Component]) -> int:
    """Start `init` in namespaces of its own; returns the number of the child that holds them. Raises OSError."""
    for directory in (layout.signs, layout.logs, layout.state / "home", layout.settings / "manifests"):
        directory.mkdir(parents=True, exist_ok=True)
    cgroups.make(layout, cgroups.hierarchies())
    layout.plan.write_text(json.dumps(plan(layout, components), indent=1))
    program = Path(__file__).with_name("init.py")
    log = str(layout.logs / "init.log")
    return os.posix_spawnp(
        "unshare",
        ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--propagation", "private", "--net", "--uts", "--ipc",
         "--mount-proc", sys.executable, "-I", str(program), str(layout.plan)],
        _ENVIRONMENT,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,  # Ctrl-C is for the command that started it
    )


def arranged(layout: Layout, child: int) -> bool:
    """Tell whether `init` has arranged the namespaces. Raises TestbedError when it has given up.

    The child itself is asked: one that has just begun to run its program has no arguments yet to find it by.
    """
    if (layout.signs / "arranged").exists():
        return True
    if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
        raise TestbedError("the node has ended")
    return False


def init(layout: Layout) -> Process | None:
    """Return process 1 of the node, as the machine sees it; None when no testbed is up."""
    found = processes.with_argument(str(layout.plan))
    holders = {process.pid for process in found}
    return next((process for process in found if process.parent in holders), None)


def link(layout: Layout, node: Process) -> None:
    """Connect the machine with the node's network, and route pods and Services there. Raises TestbedError."""
    address = f"{layout.machine_address}/{layout.link.prefixlen}"
    _ip("link", "add", layout.interface, "type", "veth", "peer", "name", layout.node_interface, "netns", str(node.pid))
    _ip("address", "add", address, "dev", layout.interface)
    _ip("link", "set", layout.interface, "up")
    for network in (layout.pods, layout.services):
        _ip("route", "add", str(network), "via", str(layout.node_address))


def inside(layout: Layout, command: Sequence[str]) -> list[str]:
    """Return the command that runs `command` in the node's namespaces. Raises TestbedError when there is no node."""
    node = init(layout)
    if node is None:
        raise TestbedError("there is no node to enter: start it with `python -m testbed up`")
    return ["nsenter", "--target", str(node.pid), "--mount", "--net", "--pid", "--uts", "--ipc", "--", *command]


def end(layout: Layout) -> None:
    """End every process of the node, and undo what is outside its namespaces. Raises TestbedError for what stays."""
    until = time.monotonic() + _PATIENCE
    found = processes.with_argument(str(layout.plan))
    for process in found:
        processes.kill(process)
    while left := [process for process in found if processes.alive(process)]:
        if time.monotonic() > until:
            raise TestbedError(f"ending the node: process {left[0].pid} ({left[0].name}) does not end")
        time.sleep(0.02)
    if (Path("/sys/class/net") / layout.interface).exists():
        # The kernel may just be taking it down, as its other end has gone with the node.
        with contextlib.suppress(TestbedError):
            _ip("link", "delete", layout.interface)
    while left_groups := cgroups.remove(layout, cgroups.hierarchies()):
        if time.monotonic() > until:
            raise TestbedError(f"removing the node's cgroups: {left_groups[0]} is still in use")
        time.sleep(0.05)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise TestbedError(f"setting up the node's network with ip {' '.join(arguments)}: {done.stderr.strip()}")
