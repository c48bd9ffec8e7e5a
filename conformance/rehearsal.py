"""Which samples the suites judge, found out without a cluster and without traffic.

A check says what it measures by measuring it. Here every check runs as it is, on a stage: a cluster that takes every
object and has a ready pod for every Deployment, and clients that note each sample that they were to judge instead of
sending it. All else (Services, splits, targets, the topology) is what real runs use.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conformance import mesh as meshes
from conformance.access import Rules, Targets
from conformance.client import Call, Client
from conformance.cluster import Cluster, Object
from conformance.evidence import Evidence
from conformance.expect import Expectation, Tally
from conformance.objects import Objects, Services
from conformance.requirement import Requirement, checks
from conformance.routing import HTTPRoutes
from conformance.service import HTTP_PORT, Service
from conformance.smi import RELEASED, ServedApis
from conformance.splits import Routes, Splits
from conformance.topology import GUARDED, Topology

CLIENTS: Final = frozenset({"client", "second_client", "caller", "neighbour", "outsider", "stranger"})
"""The arguments through which a check judges samples; one that has none of them leaves nothing to chance.

(`meter` sends requests as well: what a mesh reports of them is compared with what the servers counted.)
"""


@dataclass(frozen=True)
class Planned:
    """One sample that a check judges: who sends it, what it must look like, to which port and how many requests."""

    client: str
    expectation: Expectation
    port: int
    size: int


@dataclass(frozen=True)
class Rehearsal:
    """The samples that one check judges, in its order; `trouble` says why they may not be all."""

    requirement: Requirement
    samples: tuple[Planned, ...] = ()
    trouble: str = ""


def rehearse(directory: Path) -> tuple[Rehearsal, ...]:
    """Rehearse every judged requirement of the suites under a directory, each in the newest version that has it."""
    topology = Topology(_Stage(), meshes.load("reference"), "rehearsal")
    topology.provision()
    return tuple(_rehearse(function, row, topology) for row, function in checks(directory).items() if row.judged)


def _rehearse(function: Callable[..., object], row: Requirement, topology: Topology) -> Rehearsal:
    wanted = inspect.signature(function).parameters
    if not CLIENTS & set(wanted):
        return Rehearsal(row)
    planned: list[Planned] = []
    with _deploying(topology) as deploy:
        given = _given(row, topology, planned) | {"deploy": deploy}
        unknown = sorted(set(wanted) - set(given))
        if unknown:
            return Rehearsal(row, trouble=f"cannot be rehearsed with {', '.join(unknown)}")
        try:
            function(**{name: given[name] for name in wanted})
        except Exception as error:  # noqa: BLE001 - whatever stops a rehearsal, its list is not complete
            return Rehearsal(row, tuple(planned), f"its rehearsal ended with {type(error).__name__}: {error}")
    return Rehearsal(row, tuple(planned))


def _given(row: Requirement, topology: Topology, planned: list[Planned]) -> dict[str, Any]:
    """Return what the fixtures of the same names give to a check."""
    def caller(workload: str) -> Client:
        return _Noting(workload, topology, planned)

    def settle() -> None:
        """Have it take effect at once."""

    evidence = Evidence()
    apis = _newest(row)
    objects = Objects(topology.cluster, topology.run, row.id.lower(), evidence)
    namespace = topology.namespace("app")
    return {
        "apis": apis,
        "caller": caller,
        "client": caller("client"),
        "guarded": topology.service(GUARDED),
        "mesh": topology.mesh,
        "neighbour": caller("neighbour"),
        "objects": objects,
        "observe": evidence.observe,
        "outsider": caller("outsider"),
        "route": HTTPRoutes(objects, apis, namespace, settle, topology.mesh.convergence),
        "routes": Routes(objects, apis, namespace),
        "rules": Rules(objects, apis, topology),
        "second_client": caller("second-client"),
        "service": Services(objects, topology),
        "split": Splits(objects, apis, namespace, settle, topology.mesh.convergence),
        "stranger": caller("outsider"),
        "target": Targets(objects, apis, topology, settle),
        "topology": topology,
    }


def _newest(row: Requirement) -> ServedApis:
    served = {group: versions[:1] for group, versions in RELEASED.items()}
    released = RELEASED.get(row.api, row.versions)
    return ServedApis(served | {row.api: tuple(version for version in released if row.applies_to(version))[:1]})


@contextmanager
def _deploying(topology: Topology) -> Iterator[Callable[..., None]]:
    added: list[str] = []

    def deploy(name: str, labels: Mapping[str, str], **parts: Any) -> None:
        added.append(name)
        topology.deploy(name, labels, **parts)

    try:
        yield deploy
    finally:
        for name in added:
            topology.withdraw(name)


class _Noting(Client):
    """Notes the samples that it was to judge. Controls are not among them: one that fails is no verdict."""

    def __init__(self, workload: str, topology: Topology, planned: list[Planned]) -> None:
        super().__init__(workload, topology, Evidence())
        self._planned = planned

    def sees(self, service: Service, expectation: Expectation, *, requests: int | None = None, **call: Any) -> None:
        del service
        size = expectation.size if requests is None else requests
        self._planned.append(Planned(self.workload, expectation, call.get("port", HTTP_PORT), size))

    def control(self, service: Service, **call: Any) -> None:
        """Judge nothing."""

    def observes(self, service: Service, *, requests: int = 0, **call: Any) -> Tally:
        del service, requests
        return Tally(call.get("port", HTTP_PORT))

    def probe(self, call: Call, requests: int) -> Tally:
        del requests
        return Tally(call.port)


class _Stage(Cluster):
    """A cluster that takes every object, has a ready pod for every Deployment, and at each look another warning."""

    def __init__(self) -> None:
        self.name = "the stage of a rehearsal"
        self._pods: dict[tuple[str, str], Object] = {}
        self._warnings = itertools.count(1)

    def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        del dry_run
        return obj

    def apply(self, obj: Object) -> Object:
        if obj["kind"] == "Deployment":
            name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
            labels = obj["spec"]["template"]["metadata"]["labels"]
            self._pods[namespace, name] = {
                "metadata": {"name": f"{name}-pod", "namespace": namespace, "labels": labels},
                "spec": obj["spec"]["template"]["spec"],
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            }
        return obj

    def patch(self, obj: Object, change: Object) -> Object:
        return obj | change

    def delete(self, obj: Object, *, foreground: bool = False) -> None:
        del foreground
        if obj["kind"] == "Deployment":
            self._pods.pop((obj["metadata"]["namespace"], obj["metadata"]["name"]), None)

    def list(
        self, api_version: str, plural: str, namespace: str | None = None, *, labels: str = "", fields: str = "",
    ) -> tuple[list[Object], str]:
        del api_version, fields
        if plural == "events":
            message = f"warning {next(self._warnings)}"
            return [{"type": "Warning", "message": message, "involvedObject": {"kind": "TrafficSplit"}}], "1"
        wanted = dict(label.split("=", 1) for label in labels.split(",") if label)
        pods = [pod for (where, _), pod in self._pods.items()
                if namespace in (None, where) and wanted.items() <= pod["metadata"]["labels"].items()]
        return (pods if plural == "pods" else []), "1"
