"""The command line: `python -m testbed COMMAND`, one of up, down, status, run, enter, images, istio, gateway, ..."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from conformance import mesh
from conformance.cluster import ClusterError
from conformance.mesh import MeshError
from conformance.waiting import NotYet
from testbed import build, gateway, holder, images, istio, node, official, ready
from testbed.errors import RefusedError, TestbedError
from testbed.layout import Layout
from testbed.steps import components

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
LEFT: Final = 3
REFUSED: Final = 4
_INTERRUPTED: Final = 130
_PATIENCE: Final = 60.0  # seconds that a command has to end after Ctrl-C

EXIT_CODES: Final = """exit codes:
  0    done; of status: it is up and ready. `run` ends with the command's own
  1    the testbed cannot be built, started or stopped; of status: it is not up, or not ready
  2    usage
  3    after `down`, the machine is not as it was before `up`
  4    a registry refuses to serve a module that has to be built
  130  interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    chosen = parser().parse_args(arguments)
    try:
        with _ended_by_signals():
            return int(chosen.action(Layout(), chosen))
    except RefusedError as error:
        return _complain(error, REFUSED)
    except (TestbedError, ClusterError, MeshError) as error:
        return _complain(error, FAILED)
    except KeyboardInterrupt:
        return _INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    reader = argparse.ArgumentParser(
        prog="python -m testbed", description="A real Kubernetes of one node. Needs root.", epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )
    commands = reader.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, action: Callable[[Layout, argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        added.set_defaults(action=action)
        return added

    command("build", _build, "build what is missing, and start nothing")
    command("up", _up, "start it, building what is missing, and print where its kubeconfig is")
    command("down", _down, "end it, and compare the machine with what it was before")
    command("status", _status, "say whether it is up, and how its components are")
    command("kubeconfig", _kubeconfig, "print where its kubeconfig is")
    command("images", _images, "import the images that have changed since it started")
    command("istio", _istio, "build Istio, import its images where it is up, and print where istioctl is, for PATH")
    judging = command("gateway", _gateway, "run the Gateway API's own conformance suite on a mesh that is installed")
    judging.add_argument("--mesh", default=str(istio.MESH), help="its name, or its mesh.yaml (default: the testbed's "
                                                                 "Istio)")
    judging.add_argument("--output", metavar="DIRECTORY", type=Path, default=Path("gateway-api-report"),
                         help="where its events and its report are written (default: gateway-api-report)")
    judging.add_argument("--without", metavar="FEATURE", action="append", default=[],
                         help="do not claim this feature of the API, which leaves out the tests that ask for it")
    judging.add_argument("--build", action="store_true", help="build what is missing, and run nothing")
    judging.add_argument("--definitions", action="store_true",
                         help="print where the API's definitions are, for kubectl apply --server-side, and run nothing")
    judging.add_argument("--within", metavar="SECONDS", type=float, default=900.0, help="default: 900")
    running = command("run", _run, "start it, run a command with KUBECONFIG set, and end it whatever happens")
    running.add_argument("--istio", action="store_true", help="with Istio's images in it, and istioctl on PATH")
    running.add_argument("words", nargs="+", metavar="COMMAND", help="what to run, after --")
    entering = command("enter", _enter, "run a command in the node's namespaces (default: a shell)")
    entering.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run there")
    for name, text in (("stop", "end a component, and keep it from starting again"), ("start", "let it start again")):
        chosen = command(name, _component, text)
        chosen.add_argument("component", help="such as kubelet or kube-apiserver")
    return reader


def _build(_: Layout, chosen: argparse.Namespace) -> int:
    del chosen
    images.archives(build.binaries(_tell), _tell)
    return OK


def _up(layout: Layout, _: argparse.Namespace) -> int:
    node.up(layout, _tell)
    print(layout.kubeconfig)
    return OK


def _down(layout: Layout, _: argparse.Namespace) -> int:
    with _uninterrupted():
        found = node.down(layout, _tell)
    for difference in found:
        _tell(f"the machine is not as it was: {difference}")
    return LEFT if found else OK


def _status(layout: Layout, _: argparse.Namespace) -> int:
    running = holder.init(layout)
    if running is None:
        print("not up" + (f"; a testbed that was killed has left {layout.state}" if layout.state.exists() else ""))
        return FAILED
    print(f"up: process {running.pid}, API server {layout.url}, kubeconfig {layout.kubeconfig}")
    for name, component in components(layout).items():
        state = f"process {component['pid']}" if component["pid"] else "does not run"
        print(f"  {name:24} {state}" + (f", ended {component['ended']} times" if component["ended"] else ""))
    try:
        ready.answers(layout)
        ready.node_ready(layout, ready.cluster(layout))
    except (NotYet, ClusterError) as error:
        print(f"not ready: {error}")
        return FAILED
    print("the node is Ready")
    return OK


def _kubeconfig(layout: Layout, _: argparse.Namespace) -> int:
    if not layout.kubeconfig.exists():
        raise TestbedError("there is no testbed: start it with `python -m testbed up`")
    print(layout.kubeconfig)
    return OK


def _images(layout: Layout, _: argparse.Namespace) -> int:
    if holder.init(layout) is None:
        raise TestbedError("there is no node to import into: start it with `python -m testbed up`")
    node.load(layout, images.archives(build.binaries(_tell), _tell), _tell)
    return OK


def _istio(layout: Layout, _: argparse.Namespace) -> int:
    made = istio.istio(_tell)
    archives = istio.archives(made, _tell)
    if holder.init(layout) is None:
        _tell("there is no node to import into: once it is up, `python -m testbed istio` does")
    else:
        node.load(layout, archives, _tell)
    print(istio.tools(made))
    return OK


def _gateway(layout: Layout, chosen: argparse.Namespace) -> int:
    if chosen.definitions:
        print(gateway.definitions())
        return OK
    made = gateway.gateway(_tell)
    if chosen.build:
        return OK
    if holder.init(layout) is None:
        raise TestbedError("there is no cluster to run the suite on: start it with `python -m testbed up`")
    node.load(layout, [made.echo], _tell)
    judged = official.run(layout, made, mesh.load(chosen.mesh), chosen.output, _tell, without=chosen.without,
                          within=chosen.within)
    print(official.summary(judged))
    _tell(f"the outcomes of the tests are in {chosen.output / official.EVENTS}, the suite's own report beside it")
    return OK


def _run(layout: Layout, chosen: argparse.Namespace) -> int:
    code = FAILED
    environment = {**os.environ, "KUBECONFIG": str(layout.kubeconfig)}
    made = istio.istio(_tell) if chosen.istio else None  # what takes minutes comes before anything is started
    node.up(layout, _tell)
    try:
        if made is not None:
            node.load(layout, istio.archives(made, _tell), _tell)
            environment["PATH"] = os.pathsep.join((str(istio.tools(made)), os.environ.get("PATH", os.defpath)))
        code = _wait_for(subprocess.Popen(chosen.words, env=environment))
    except OSError as error:
        raise TestbedError(f"running {chosen.words[0]}: {error.strerror}") from error
    finally:
        left = _down(layout, chosen)
    return left or code


def _wait_for(process: subprocess.Popen[bytes]) -> int:
    """Wait for a command, which gets Ctrl-C as this process does; one that does not end then is ended."""
    try:
        code = process.wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        finally:
            process.kill()
            process.wait()
        raise
    return 128 - code if code < 0 else code


def _enter(layout: Layout, chosen: argparse.Namespace) -> int:
    words = chosen.words[1:] if chosen.words[:1] == ["--"] else chosen.words
    command = holder.inside(layout, words or [os.environ.get("SHELL", "/bin/sh")])
    try:
        return subprocess.run(command, check=False).returncode
    except OSError as error:
        raise TestbedError(f"entering the node: {error.strerror}") from error


def _component(layout: Layout, chosen: argparse.Namespace) -> int:
    known = components(layout)
    if chosen.component not in known:
        raise TestbedError(f"no component {chosen.component!r} runs; there are: {', '.join(known) or 'none'}")
    sign = layout.signs / f"stopped-{chosen.component}"
    if chosen.command == "stop":
        sign.touch()
    else:
        sign.unlink(missing_ok=True)
    return OK


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Take SIGTERM and SIGHUP as Ctrl-C is taken, so that nothing stays behind."""
    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold off Ctrl-C: what it would interrupt is short, and is what it asks for."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _complain(error: Exception, code: int) -> int:
    _tell(f"testbed: {error}")
    return code


if __name__ == "__main__":
    sys.exit(main())
