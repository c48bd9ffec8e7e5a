"""Pods as a cluster's node makes them, without a cluster: a network namespace each, on one bridge. Needs root."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from mesh_traffic import ENVOY, is_ready, running_envoy

from conformance import paths
from conformance.sandbox.reference.interception import PROXY_USER

PREFIX = "mc-pods"
NODE = "10.251.0.1"
INTERCEPT = paths.fixtures() / "meshes" / "reference" / "intercept"
ARGUMENTS = ("--outbound-port", "15001", "--inbound-port", "15006", "--proxy-uid", str(PROXY_USER),
             "--udp-shift", "16384", "--exclude-inbound-ports", "19000,15000")

T = TypeVar("T")


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command; what it says is part of the error."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done


def within(namespace: str, action: Callable[[], T]) -> T:
    """Do something in a pod's network namespace; sockets that it opens stay there."""
    libc, results, errors = ctypes.CDLL(None, use_errno=True), [], []

    def act() -> None:
        try:
            with Path(f"/run/netns/{namespace}").open() as file:
                assert libc.setns(file.fileno(), 0x40000000) == 0, os.strerror(ctypes.get_errno())
            results.append(action())
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    # Of the calling thread only: one of its own, so that nobody else moves.
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


@contextlib.contextmanager
def pods(addresses: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Make the network of a node with pods of these names and addresses; gives the namespace of each."""
    made = {name: f"{PREFIX}-{os.getpid()}-{name}" for name in ("node", *addresses)}
    try:
        for namespace in made.values():
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        node = made["node"]
        run("ip", "-n", node, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", node, "addr", "add", f"{NODE}/24", "dev", "br0")
        run("ip", "-n", node, "link", "set", "br0", "up")
        for number, (name, address) in enumerate(addresses.items()):
            run("ip", "-n", node, "link", "add", f"veth{number}", "type", "veth", "peer", "name", "eth0", "netns",
                made[name])
            run("ip", "-n", node, "link", "set", f"veth{number}", "master", "br0", "up")
            run("ip", "-n", made[name], "addr", "add", f"{address}/24", "dev", "eth0")
            run("ip", "-n", made[name], "link", "set", "eth0", "up")
            run("ip", "-n", made[name], "route", "add", "default", "via", NODE)
        yield made
    finally:
        for namespace in made.values():
            run("ip", "netns", "del", namespace, check=False)


def intercept(namespace: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the init container's program in a pod."""
    return run("ip", "netns", "exec", namespace, "sh", str(INTERCEPT), *(arguments or ARGUMENTS), check=False)


@contextlib.contextmanager
def readable_directory() -> Iterator[Path]:
    """A directory that other users reach, with a copy of Envoy; pytest's own is private."""
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        directory.chmod(0o755)
        try:
            (directory / "envoy").hardlink_to(ENVOY)
        except OSError:
            shutil.copy(ENVOY, directory / "envoy")
        yield directory
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def sidecar(namespace: str, directory: Path, address: str, binary: Path) -> Iterator[None]:
    """Run Envoy in a pod as the user of sidecars, from ready to gone."""
    command = ["ip", "netns", "exec", namespace, "setpriv", f"--reuid={PROXY_USER}", f"--regid={PROXY_USER}",
               "--clear-groups", "--inh-caps=-all", binary]
    with running_envoy(command, directory, directory.parents[2] / f"{namespace}.log",
                       lambda: within(namespace, lambda: is_ready(address))):
        yield
