"""One pod on the node, from its admission to its end."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.objects import JSON, name_of, namespace_of, uid_of
from conformance.sandbox.apiserver.resources import PODS
from conformance.sandbox.containers import Program, RuntimeClient
from conformance.sandbox.kubelet import interception
from conformance.sandbox.kubelet.environment import Values, expand, mounted
from conformance.sandbox.kubelet.interception import Interception, InterceptionError
from conformance.sandbox.kubelet.runner import Restart, Runner
from conformance.sandbox.kubelet.state import INITIALIZING, Record, Terminated, Waiting, conditions, phase
from conformance.sandbox.kubelet.values import ConfigurationError
from conformance.sandbox.kubelet.volumes import Credentials, Volumes
from conformance.sandbox.network import Network, inside, loopback

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.kubelet.programs import Programs
    from conformance.sandbox.recorder import Recorder

_LOG = logging.getLogger(__name__)
_MOUNT_RETRY: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_KEPT_LOGS: Final = 2
_SIDECAR_GRACE: Final = 2.0  # seconds for a sidecar to end when the pod's work is done


@dataclass(frozen=True)
class Node:
    """What all pods of the node share."""

    name: str
    store: Store
    runtime: RuntimeClient
    network: Network
    programs: Programs
    credentials: Credentials
    recorder: Recorder
    directory: Path
    services: Path
    """The file that tells the socket shim of each pod which services there are."""


class PodWorker:
    """Runs one pod; made for one uid, and of no use after `finished`. The Surroundings of its containers."""

    def __init__(self, node: Node, pod: JSON) -> None:
        self.pod = pod
        self.namespace, self.name, self.uid = namespace_of(pod), name_of(pod), uid_of(pod)
        self.ip = node.network.pods.allocate()
        self.runtime = node.runtime
        self.finished = asyncio.Event()
        self._node = node
        self._directory = node.directory / "pods" / self.uid
        self._started_at = time.time()
        self._interception: Interception | None = None
        self._volumes = Volumes(
            node.store,
            {**pod, "status": self._addresses()},
            directory=self._directory / "volumes",
            host=node.directory / "host",
            credentials=node.credentials,
        )
        self._sandboxed = False
        self._publishing: asyncio.Handle | None = None
        spec = pod["spec"]
        self._restart: Restart = spec.get("restartPolicy", "Always")
        init_restart: Restart = "Never" if self._restart == "Never" else "OnFailure"
        self._init = [
            Runner(container, self, "Always" if _is_sidecar(container) else init_restart)
            for container in spec.get("initContainers") or []
        ]
        self._containers = [Runner(container, self, self._restart) for container in spec["containers"]]
        if self._init:
            for runner in (*self._init, *self._containers):
                runner.record.state = Waiting(INITIALIZING)
        self._main = asyncio.create_task(self._run(), name=f"pod {self.namespace}/{self.name}")
        self._ending: asyncio.Task[None] | None = None

    # --- life

    async def _run(self) -> None:
        try:
            self._publish()
            await self._prepare()
            sidecars: dict[Runner, asyncio.Task[None]] = {}
            async with asyncio.TaskGroup() as tasks:
                for runner in self._init:
                    if _is_intercept(runner.spec):
                        self._intercept(runner)
                    elif _is_sidecar(runner.spec):
                        sidecars[runner] = tasks.create_task(runner.run())
                        await runner.started.wait()
                    else:
                        await runner.run()
                    if runner.record.for_good and not runner.record.succeeded:
                        return
                await asyncio.gather(*(tasks.create_task(runner.run()) for runner in self._containers))
                # All have ended for good: sidecars have nobody left to serve.
                for runner in reversed(self._sidecars()):
                    sidecars[runner].cancel()
                    await runner.end(_SIDECAR_GRACE)
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001 - the node must go on with its other pods
            _LOG.exception("pod %s/%s", self.namespace, self.name)
            self.event("FailedSync", "the sandbox's kubelet failed; its log has the details", "Warning")

    async def _prepare(self) -> None:
        for folder in ("volumes", "logs", "home/tmp"):
            (self._directory / folder).mkdir(parents=True, exist_ok=True)
        self._write_network()
        for attempt in range(1_000_000):
            try:
                self._volumes.prepare()
                break
            except (ConfigurationError, OSError) as error:
                self.event("FailedMount", f"MountVolume.SetUp failed: {error}", "Warning")
                await asyncio.sleep(_MOUNT_RETRY[min(attempt, len(_MOUNT_RETRY) - 1)])
        self._sandboxed = True
        self.changed()

    def _intercept(self, runner: Runner) -> None:
        """Run the one program that is part of the node: it has nothing to do but to set up interception."""
        arguments = [*(runner.spec.get("command") or [])[1:], *(runner.spec.get("args") or [])]
        try:
            self._interception = interception.parse(arguments)
            code, said = 0, f"outbound TCP goes to port {self._interception.outbound_port}\n"
        except InterceptionError as error:
            code, said = 2, f"{error}\n"
            self.event("Failed", f"Error: {error}", "Warning")
        self._write_network()
        log = self._log(runner.record.name, 0)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(said)
        moment = time.time()
        runner.record.state = Terminated(code, moment, moment, "process://builtin", message=said if code else "")
        runner.record.for_good = True
        self.changed()

    def _write_network(self) -> None:
        shared = {"address": self.ip, "namespace": self.namespace, "network": self._node.network.number}
        found = self._interception.to_json() if self._interception else None
        for name, value in (("pod.json", found), ("exempt.json", None)):
            (self._directory / name).write_text(json.dumps({**shared, "intercept": value}))

    def terminate(self, grace: float) -> None:
        """End the pod within `grace` seconds, and then delete it. Calling it again may shorten the time."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(grace), name=f"end of pod {self.namespace}/{self.name}")
        else:
            asyncio.get_running_loop().call_later(grace, self._kill)

    def _kill(self) -> None:
        for runner in (*self._init, *self._containers):
            runner.kill()

    async def _end(self, grace: float) -> None:
        self._main.cancel()
        await asyncio.wait([self._main])
        until = time.monotonic() + grace
        sidecars = self._sidecars()
        others = [runner for runner in (*self._init, *self._containers) if runner not in sidecars]
        await asyncio.gather(*(runner.end(grace) for runner in others))
        # Sidecars last, the other way round from how they started: until then containers may need them.
        for runner in reversed(sidecars):
            await runner.end(max(0.0, until - time.monotonic()))
        self._publish()
        self.forget()
        try:
            self._node.store.delete(PODS, self.name, self.namespace, grace=0, uid=self.uid)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def _sidecars(self) -> list[Runner]:
        return [runner for runner in self._init if _is_sidecar(runner.spec)]

    async def abandon(self) -> None:
        """Stop looking after the pod, without a word to anyone."""
        self.finished.set()
        tasks = [task for task in (self._main, self._ending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    def forget(self) -> None:
        """Give back what the pod had."""
        if self._publishing is not None:
            self._publishing.cancel()
        shutil.rmtree(self._directory, ignore_errors=True)
        self._node.network.pods.release(self.ip)
        self.finished.set()

    def refresh_volumes(self) -> None:
        """A config map or secret of the namespace has changed."""
        if self._sandboxed and not self.finished.is_set():
            self._volumes.refresh()

    # --- what its containers need

    def program(self, spec: JSON, attempt: int) -> Program:
        """What a container executes. Raises ConfigurationError."""
        node = self._node
        own = {
            "PATH": node.programs.path,
            "HOME": str(self._directory / "home"),
            "TMPDIR": str(self._directory / "home" / "tmp"),
            "LANG": "C.UTF-8",
            "NODE_NETWORK": "sandbox",
            "HOSTNAME": self.name,
            "KUBERNETES_SERVICE_HOST": node.credentials.host,
            "KUBERNETES_SERVICE_PORT": str(node.credentials.port),
            "KUBERNETES_SERVICE_PORT_HTTPS": str(node.credentials.port),
        }
        pod = {**self.pod, "status": self._addresses()}
        variables = Values(node.store, pod).environment(spec, own)
        mounts = self._volumes.mounts(spec, variables)
        place = mounted(mounts)
        given = [*(spec.get("command") or []), *(spec.get("args") or [])]
        if not spec.get("command"):
            given = []  # an image's entry point would come first, and there is none
        command = [place(expand(word, variables)) for word in given]
        environment = node.programs.environment(command)
        environment |= {name: value if name in own else place(value) for name, value in variables.items()}
        exempt = self._interception is not None and self._user(spec) == self._interception.proxy_uid
        environment["PODNET_POD"] = str(self._directory / ("exempt.json" if exempt else "pod.json"))
        environment["PODNET_SERVICES"] = str(node.services)
        work = self._directory / "home"
        if spec.get("workingDir"):
            wanted = spec["workingDir"]
            # A directory of the image is not there; one of a volume is.
            work = next((mounts[path] for path in mounts if wanted.rstrip("/") == path), work)
        log = self._log(spec["name"], attempt)
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log(spec["name"], attempt - _KEPT_LOGS).unlink(missing_ok=True)
        return Program(node.programs.argv(command), environment, work, log)

    def _user(self, spec: JSON) -> int | None:
        own = spec.get("securityContext") or {}
        shared = self.pod["spec"].get("securityContext") or {}
        user = own.get("runAsUser", shared.get("runAsUser"))
        return None if user is None else int(user)

    def address(self, port: int) -> str:
        """Where a port is bound: inside, unless nothing is intercepted or the port is excluded from it."""
        if self._interception is None or port in self._interception.excluded_inbound_ports:
            return loopback(self.ip)
        return inside(self.ip)

    def event(self, reason: str, message: str, type_: Literal["Normal", "Warning"] = "Normal") -> None:
        """Record an event about the pod."""
        self._node.recorder.record(self.pod, reason, message, type_=type_)

    def describe(self) -> str:
        """The pod as in messages."""
        return f"{self.name}_{self.namespace}({self.uid})"

    # --- status and logs

    def runner(self, container: str) -> Runner | None:
        """The container of a name."""
        return next((r for r in (*self._init, *self._containers) if r.record.name == container), None)

    def log(self, container: str, attempt: int) -> Path:
        """The log of one start of a container (from 0)."""
        return self._log(container, attempt)

    def _log(self, container: str, attempt: int) -> Path:
        return self._directory / "logs" / container / f"{attempt}.log"

    def _addresses(self) -> JSON:
        return {"hostIP": "127.0.0.1", "podIP": self.ip, "podIPs": [{"ip": self.ip}]}

    def changed(self) -> None:
        """Publish the status, once for all changes of this turn of the event loop."""
        if self._publishing is None and not self.finished.is_set():
            self._publishing = asyncio.get_running_loop().call_soon(self._publish)

    def _publish(self) -> None:
        self._publishing = None
        init, containers = _records(self._init), _records(self._containers)

        def write(pod: JSON) -> None:
            if uid_of(pod) != self.uid:
                return
            status = pod.setdefault("status", {})
            ended = all(record.for_good for record in containers)
            status.update(self._addresses())
            status["hostIPs"] = [{"ip": "127.0.0.1"}]
            status["startTime"] = datetime.fromtimestamp(self._started_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            status["qosClass"] = "BestEffort"
            status["phase"] = phase(init, containers, self._restart)
            status["conditions"] = conditions(
                status.get("conditions") or (), init, containers, _records(self._sidecars()),
                sandboxed=self._sandboxed, ended=ended,
            )
            status["containerStatuses"] = [record.to_json() for record in containers]
            if init:
                status["initContainerStatuses"] = [record.to_json() for record in init]

        try:
            self._node.store.modify(PODS, self.name, self.namespace, write, subresource="status")
        except ApiError as error:
            if error.code not in (404, 409):
                _LOG.warning("status of pod %s/%s not written: %s", self.namespace, self.name, error)


def _records(runners: list[Runner]) -> list[Record]:
    return [runner.record for runner in runners]


def _is_sidecar(container: JSON) -> bool:
    return bool(container.get("restartPolicy") == "Always")


def _is_intercept(container: JSON) -> bool:
    return bool((container.get("command") or [""])[0] == interception.PROGRAM)
