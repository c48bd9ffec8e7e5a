"""One container of a pod: started, probed, restarted with back-off, ended."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal, Protocol

from conformance.sandbox.containers import Container, ContainerError, Exit, Program, RuntimeClient
from conformance.sandbox.kubelet import hooks
from conformance.sandbox.kubelet.probes import Probe
from conformance.sandbox.kubelet.state import Record, Running, Terminated, Waiting
from conformance.sandbox.kubelet.values import ConfigurationError

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.objects import JSON

# The first restart is immediate, as in Kubernetes; then the steps are shorter, because people wait for the outcome.
_BACKOFF: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_HEALTHY_AFTER: Final = 10.0
# Failing probes of a starting container are no news; after this many seconds they are.
_QUIET: Final = 1.0
# What a container gets at least between SIGTERM and SIGKILL when its preStop hook has used up the grace period.
_LEAST: Final = 2.0

Restart = Literal["Always", "OnFailure", "Never"]


class Surroundings(Protocol):
    """What a container needs from its pod."""

    runtime: RuntimeClient

    def program(self, spec: JSON, attempt: int) -> Program:
        """What to execute in the given attempt (from 0). Raises ConfigurationError."""

    def address(self, port: int) -> str:
        """Where a port of the pod is bound, for a probe."""

    def changed(self) -> None:
        """The container's record has changed."""

    def event(self, reason: str, message: str, type_: Literal["Normal", "Warning"] = "Normal") -> None:
        """Record an event about the pod."""

    def describe(self) -> str:
        """The pod as in messages: `name_namespace(uid)`."""


class Runner:
    """Runs one container until it has ended for good. `record` says how it fares."""

    def __init__(self, spec: JSON, surroundings: Surroundings, restart: Restart) -> None:
        self.spec = spec
        self.record = Record(spec["name"], spec.get("image", ""))
        self.started = asyncio.Event()
        self._surroundings = surroundings
        self._restart = restart
        self._container: Container | None = None
        self._failures = 0
        self._attempts = 0

    @property
    def attempts(self) -> int:
        """How often the container has been started; its logs are numbered by it, from 0."""
        return self._attempts

    async def run(self) -> None:
        """Start it, and start it again as the restart policy says; returns when it has ended for good."""
        while True:
            began = time.monotonic()
            end = await self._once()
            if end is not None and not self._again(end):
                self.record.for_good = True
                self._surroundings.changed()
                return
            self._failures = 0 if time.monotonic() - began > _HEALTHY_AFTER else self._failures
            await self._back_off(ended=end is not None)

    def _again(self, end: Exit) -> bool:
        return self._restart == "Always" or (self._restart == "OnFailure" and end.code != 0)

    async def _back_off(self, *, ended: bool) -> None:
        delay = _BACKOFF[min(self._failures, len(_BACKOFF) - 1)]
        self._failures += 1
        name = self.record.name
        if delay:
            text = f"back-off {delay:g}s restarting failed container={name} pod={self._surroundings.describe()}"
            if ended:
                self.record.state = Waiting("CrashLoopBackOff", text)
                self._surroundings.event("BackOff", f"Back-off restarting failed container {name}", "Warning")
                self._surroundings.changed()
        await asyncio.sleep(delay or 0.01)
        if ended:
            self.record.restarts += 1

    async def _once(self) -> Exit | None:
        """One run from start to end; None when it could not be started."""
        around, record = self._surroundings, self.record
        reason = "CreateContainerConfigError"
        try:
            probes = self._probes()
            hooks.pre_stop(self.spec, around.address)  # what cannot be had is said before the container runs
            program = around.program(self.spec, self._attempts)
            reason = "CreateContainerError"
            self._container = container = await around.runtime.run(program)
        except (ConfigurationError, ContainerError, OSError) as error:
            record.state = Waiting(reason, str(error))
            around.event("Failed", f"Error: {error}", "Warning")
            around.changed()
            return None
        self._attempts += 1
        record.id = f"process://{container.pid}"
        record.state = Running(container.started_at)
        record.started = "startupProbe" not in probes
        record.ready = record.started and "readinessProbe" not in probes
        if record.started:
            self.started.set()
        around.event("Started", f"Started container {record.name}")
        around.changed()
        watching = asyncio.create_task(self._watch(probes, container)) if probes else None
        try:
            end = await container.wait()
        finally:
            if watching is not None:
                watching.cancel()
        self._container = None
        self._ended(container, end)
        return end

    def _ended(self, container: Container, end: Exit) -> None:
        record = self.record
        record.ready = record.started = False
        message = "" if end.signal is None else f"ended by {signal.Signals(end.signal).name}"
        record.state = record.last = Terminated(
            end.code, container.started_at, time.time(), f"process://{container.pid}", end.signal, message
        )
        self._surroundings.changed()

    def _probes(self) -> dict[str, Probe]:
        kinds = ("startupProbe", "readinessProbe", "livenessProbe")
        address = self._surroundings.address
        return {kind: Probe.parse(self.spec[kind], self.spec, address) for kind in kinds if self.spec.get(kind)}

    async def _watch(self, probes: dict[str, Probe], container: Container) -> None:
        startup = probes.pop("startupProbe", None)
        if startup is not None:
            await self._start_up(startup, container)
        async with asyncio.TaskGroup() as tasks:
            if "readinessProbe" in probes:
                tasks.create_task(self._readiness(probes["readinessProbe"]))
            if "livenessProbe" in probes:
                tasks.create_task(self._liveness(probes["livenessProbe"], container))

    async def _start_up(self, probe: Probe, container: Container) -> None:
        limit = asyncio.get_running_loop().time() + probe.initial_delay + probe.period * probe.failures
        while not await self._first_success(probe, "Startup", limit):
            self._surroundings.event(
                "Killing", f"Container {self.record.name} failed startup probe, will be restarted"
            )
            await self._kill(container)
        self.record.started = True
        self.record.ready = not self.spec.get("readinessProbe")
        self.started.set()
        self._surroundings.changed()

    async def _readiness(self, probe: Probe) -> None:
        while True:
            await self._first_success(probe, "Readiness")
            self.record.ready = True
            self._surroundings.changed()
            await self._until_failing(probe, "Readiness")
            self.record.ready = False
            self._surroundings.changed()

    async def _liveness(self, probe: Probe, container: Container) -> None:
        await asyncio.sleep(probe.initial_delay)
        await self._until_failing(probe, "Liveness")
        name = self.record.name
        self._surroundings.event("Killing", f"Container {name} failed liveness probe, will be restarted")
        await self._kill(container)

    async def _first_success(self, probe: Probe, kind: str, limit: float | None = None) -> bool:
        """Probe often until `probe.successes` in a row; False when the loop's time passes `limit`."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(probe.initial_delay)
        began = reported = loop.time()
        in_a_row = 0
        while True:
            await asyncio.sleep(probe.pause(loop.time() - began))
            problem = await probe.attempt()
            in_a_row = 0 if problem else in_a_row + 1
            if in_a_row >= probe.successes:
                return True
            if problem and loop.time() - reported > _QUIET:
                reported = loop.time()
                self._surroundings.event("Unhealthy", f"{kind} probe failed: {problem}", "Warning")
            if limit is not None and loop.time() > limit:
                return False

    async def _until_failing(self, probe: Probe, kind: str) -> None:
        in_a_row = 0
        while in_a_row < probe.failures:
            await asyncio.sleep(probe.period)
            problem = await probe.attempt()
            in_a_row = in_a_row + 1 if problem else 0
            if problem:
                self._surroundings.event("Unhealthy", f"{kind} probe failed: {problem}", "Warning")

    async def _kill(self, container: Container, grace: float = 2.0) -> None:
        self._surroundings.runtime.signal(container, signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(container.wait(), grace)
        self._surroundings.runtime.kill(container)
        await container.wait()

    async def end(self, grace: float) -> None:
        """End the container if it runs: its preStop hook, SIGTERM, and SIGKILL when it has not ended in time.

        `run` must be over.
        """
        container = self._container
        if container is None:
            return
        self._surroundings.event("Killing", f"Stopping container {self.record.name}")
        await self._kill(container, await self._pre_stop(container, grace))
        self._container = None
        self._ended(container, container.ended.result())

    async def _pre_stop(self, container: Container, grace: float) -> float:
        """Run the hook, unless the container ends first; returns what is left of the grace period, in seconds."""
        around, began = self._surroundings, time.monotonic()
        hook = hooks.pre_stop(self.spec, around.address)
        if hook is None or grace <= 0:
            return grace

        def program(command: tuple[str, ...]) -> Program:
            return around.program({**self.spec, "command": list(command), "args": []}, self._attempts - 1)

        running = asyncio.create_task(hooks.run(hook, around.runtime, program, grace))
        ended = asyncio.create_task(container.wait())
        try:
            await asyncio.wait([running, ended], return_when=asyncio.FIRST_COMPLETED)
            if running.done() and (problem := running.result()):
                around.event("FailedPreStopHook", f"PreStopHook failed: {problem}", "Warning")
        finally:
            running.cancel()
            ended.cancel()
            await asyncio.wait([running, ended])
        return max(_LEAST, grace - (time.monotonic() - began))

    def kill(self) -> None:
        """End it at once, while `end` waits."""
        if self._container is not None:
            self._surroundings.runtime.kill(self._container)
