"""What a container is asked to do before it is stopped: `lifecycle.preStop`.

Source: Kubernetes, "Container Lifecycle Hooks": the hook runs before SIGTERM, its time counts against the grace
period, and one that fails or takes too long does not keep the container from being stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from conformance.sandbox.containers import ContainerError
from conformance.sandbox.kubelet.probes import Probe
from conformance.sandbox.kubelet.values import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.sandbox.apiserver.objects import JSON
    from conformance.sandbox.containers import Program, RuntimeClient

_LOG: Final = "pre-stop.log"


@dataclass(frozen=True)
class Sleep:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Exec:
    """Run a command beside the container's own program."""

    command: tuple[str, ...]


Hook: TypeAlias = "Sleep | Exec | Probe"
"""A Probe stands for an HTTP request that has to be answered without an error."""


def pre_stop(container: JSON, address: Callable[[int], str]) -> Hook | None:
    """The preStop hook of a container, None without one; `address` says where a port of the pod is bound.

    Raises ConfigurationError for a hook that cannot be had here, also for postStart.
    """
    lifecycle = container.get("lifecycle") or {}
    if lifecycle.get("postStart"):
        raise ConfigurationError("a postStart hook is not supported; start what it does in the container's command")
    hook = lifecycle.get("preStop")
    if not hook:
        return None
    if "sleep" in hook:
        return Sleep(float(hook["sleep"].get("seconds") or 0))
    if "exec" in hook:
        return Exec(tuple(hook["exec"].get("command") or ()))
    if "httpGet" in hook:
        return Probe.parse({"httpGet": hook["httpGet"]}, container, address)
    raise ConfigurationError(f"a preStop hook with {', '.join(hook)} is not supported; use exec, httpGet or sleep")


async def run(hook: Hook, runtime: RuntimeClient, program: Callable[[tuple[str, ...]], Program], limit: float) -> str:
    """Do what a hook says, for at most `limit` seconds. Returns what went wrong, empty when nothing did.

    `program` makes of a command what runs with the container's environment and volumes.
    """
    try:
        async with asyncio.timeout(limit):
            return await _run(hook, runtime, program, limit)
    except TimeoutError:
        return f"it did not end within the grace period, {limit:g} s"
    except (ConfigurationError, ContainerError, OSError) as error:
        return str(error)


async def _run(hook: Hook, runtime: RuntimeClient, program: Callable[[tuple[str, ...]], Program], limit: float) -> str:
    if isinstance(hook, Sleep):
        await asyncio.sleep(hook.seconds)
        return ""
    if isinstance(hook, Probe):
        return await replace(hook, timeout=limit).attempt()
    made = program(hook.command)
    container = await runtime.run(replace(made, log=made.log.with_name(_LOG)))
    try:
        end = await container.wait()
    finally:
        with contextlib.suppress(ContainerError):
            runtime.kill(container)
    return f"command {' '.join(hook.command)!r} exited with {end.code}" if end.code else ""
