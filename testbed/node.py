"""The testbed up and down: every step in its order, and nothing left when one of them fails."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from conformance.waiting import NotYet, eventually
from testbed import build, dns, holder, images, pki, ready, refusal, settings
from testbed.components import API, components
from testbed.errors import TestbedError
from testbed.layout import Layout
from testbed.machine import Machine, difference
from testbed.steps import Progress, Steps

_START: Final = 60.0  # seconds for one step of the start; all together take about 15
_IMPORT: Final = 300.0  # seconds for one image on a busy machine
_SETTLE: Final = 10.0  # seconds for the kernel to take down a network namespace


class _Refused(TestbedError):  # noqa: N818 - reads as what happened
    """The testbed must not run here."""


def up(layout: Layout, progress: Progress) -> None:
    """Start the testbed; returns when its node is Ready, names are resolved and all images are there.

    Raises TestbedError (RefusedError when a registry refuses what has to be built), and leaves nothing then.
    """
    _refuse(layout)
    made = build.binaries(progress)
    archives = images.archives(made, progress)
    with alone(layout):
        _refuse(layout)  # building takes long enough for another one to have come up
        if layout.state.exists():
            progress("removing what a testbed that was killed has left")
            _erase(layout)
            _refuse(layout)
        steps = Steps(layout, progress)
        before = Machine.read(layout)
        try:
            layout.state.mkdir(parents=True)
            before.save(layout.before)
            _start(layout, made, archives, steps)
        except BaseException:
            _erase(layout)
            raise


def down(layout: Layout, progress: Progress) -> list[str]:
    """End the testbed and remove everything but the last logs; returns in which ways the machine differs from before.

    One that is not up is fine. Raises TestbedError when something cannot be removed.
    """
    with alone(layout):
        before = _before(layout, progress)
        _erase(layout)
        if before is None:
            return []
        until = time.monotonic() + _SETTLE
        while (found := difference(before, Machine.read(layout))) and time.monotonic() < until:
            time.sleep(0.2)
        return found


def load(layout: Layout, archives: Sequence[Path], progress: Progress) -> None:
    """Import images into the testbed that is up. Raises TestbedError."""
    steps = Steps(layout, progress)
    with steps.step("importing images", "the images are there", "containerd"):
        _import(layout, archives)


@contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """Hold off others that would start or end the testbed. Raises TestbedError when one is at it."""
    layout.cache.mkdir(parents=True, exist_ok=True)
    with (layout.cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TestbedError(
                f"another command is starting or ending the testbed of {layout.cache}: wait for it"
            ) from error
        yield


def _refuse(layout: Layout) -> None:
    if found := list(refusal.reasons(layout)):
        raise _Refused("the testbed cannot run here: " + "; ".join(found))


def _start(layout: Layout, made: build.Binaries, archives: Sequence[Path], steps: Steps) -> None:
    plugins = refusal.plugins()
    assert plugins is not None, "it would have been refused"
    with steps.step("writing certificates and settings"):
        pki.write(layout)
        settings.write(layout, plugins, images.PAUSE)
    with steps.step("making the node's namespaces"):
        child = holder.start(layout, components(layout, made.kube, made.etcd))
        eventually(lambda: holder.arranged(layout, child), what="them", within=_START, consecutive=1)
    with steps.step("connecting the node", "the node has its network"):
        node = holder.init(layout)
        if node is None:
            raise TestbedError("the node has ended")
        holder.link(layout, node)
        (layout.signs / "linked").touch()
    with ThreadPoolExecutor(1) as aside:
        importing = aside.submit(_import, layout, archives)
        with steps.step("starting the API server", "the API server answers", "kube-apiserver"):
            eventually(lambda: ready.answers(layout), what="its answer", within=_START, consecutive=1, longest=0.2)
            (layout.signs / API).touch()
        with steps.step("importing images", "the images are there", "containerd"):
            importing.result()
    _settle_down(layout, steps)


def _settle_down(layout: Layout, steps: Steps) -> None:
    """Wait for what takes a cluster that works: its node, its names, its first service account."""
    opened = ready.cluster(layout)
    try:
        with steps.step("waiting for the node", "the node is Ready", "kubelet"):
            eventually(lambda: ready.node_ready(layout, opened), what="it to be Ready", within=_START, consecutive=1)
        with steps.step("starting CoreDNS", "names are resolved", "kubelet"):
            for obj in dns.objects(layout, images.COREDNS):
                opened.apply(obj)
            eventually(lambda: ready.resolves(opened), what="it to be available", within=_START, consecutive=1)
        with steps.step("waiting for controllers", log="kube-controller-manager"):
            eventually(lambda: ready.accounted(opened), what="a service account", within=_START, consecutive=1)
    finally:
        opened.close()


def _import(layout: Layout, archives: Sequence[Path]) -> None:
    control = ["ctr", "--address", str(layout.containerd_socket), "--namespace", "k8s.io"]
    eventually(lambda: _serves(layout, control), what="containerd", within=_START, consecutive=1, longest=0.2)
    layout.imported.mkdir(exist_ok=True)
    for archive in archives:
        if (layout.imported / archive.name).exists():  # its name tells its content
            continue
        done = subprocess.run(
            [*control, "images", "import", str(archive)], capture_output=True, text=True, timeout=_IMPORT, check=False,
        )
        if done.returncode:
            raise TestbedError(f"importing {archive.name}: {done.stderr.strip() or done.stdout.strip()}")
        (layout.imported / archive.name).touch()


def _serves(layout: Layout, control: Sequence[str]) -> None:
    if holder.init(layout) is None:
        raise TestbedError("the node has ended")
    done = subprocess.run([*control, "version"], capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        raise NotYet(done.stderr.strip())


def _before(layout: Layout, progress: Progress) -> Machine | None:
    if not layout.state.exists():
        return None
    try:
        return Machine.load(layout.before)
    except (OSError, ValueError) as error:
        progress(f"what the machine was like before is not known ({error}): nothing is compared")
        return None


def _erase(layout: Layout) -> None:
    """Undo everything, from whatever state. Raises TestbedError."""
    holder.end(layout)
    if not layout.state.exists():
        return
    try:
        if layout.logs.exists():
            shutil.rmtree(layout.last_logs, ignore_errors=True)
            shutil.copytree(layout.logs, layout.last_logs)
        shutil.rmtree(layout.state)
    except OSError as error:
        raise TestbedError(f"removing {layout.state}: {error}") from error
