"""The sample workloads of a run: deployed once per mesh, watched for disturbances, removed by label."""

from __future__ import annotations

import base64
import contextlib
import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import yaml

from conformance import paths
from conformance.agents import Agent
from conformance.arrival import Arrival
from conformance.cluster import Cluster, ClusterError, Object
from conformance.control_plane import ControlPlane
from conformance.lifecycle.images import through
from conformance.mesh import Mesh
from conformance.mesh.patching import merge
from conformance.pods import Pod, as_pod, autopsy, is_ready, state_of, trouble_of, untaken
from conformance.service import WORKLOAD_LABEL, Service, cluster_names
from conformance.smi import Account
from conformance.waiting import NotConverged, NotYet, Progress, eventually
from conformance.workloads import libraries

RUN_LABEL: Final = "mesh-conformance/run"
POD_SECURITY: Final = "pod-security.kubernetes.io/enforce"
GUARDED: Final = "guarded"
"""The role of the namespace in which access is denied by default; the workload there has the same name."""
CONTROL_PORT: Final = 19000
READY_WITHIN: Final = 120.0
GONE_WITHIN: Final = 120.0
RENEWED_WITHIN: Final = 30.0
"""Seconds that a run waits for pods it has lost."""


class ProvisionError(Exception):
    """The mesh or the sample workloads could not be brought up. Never a nonconformance."""


@dataclass(frozen=True)
class Workload:
    """One Deployment of the agent."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    mesh: bool
    account: str = ""
    ignorant: bool = False
    plaintext: bool = False

    @property
    def service_account(self) -> str:
        """The service account of its pods: one of its own unless another is named."""
        return self.account or self.name


class Topology:
    """The namespaces and workloads of one run on one mesh."""

    def __init__(self, cluster: Cluster, mesh: Mesh, run: str, progress: Progress | None = None, *,
                 described: str = "topology.yaml", registry: str = "", pod_security: str = "") -> None:
        """Describe them. `registry` is a mirror of images, `pod_security` the level that the namespaces enforce."""
        self.cluster = cluster
        self.mesh = mesh
        self.run = run
        self.control_plane = ControlPlane(cluster, mesh)
        self._progress = progress
        self._pods: dict[str, Pod] = {}
        self._lost: set[str] = set()
        self._workloads: dict[str, Workload] = {}
        self._registry = registry
        self._namespace_labels = {POD_SECURITY: pod_security} if pod_security else {}
        self._arrival = Arrival(cluster, {RUN_LABEL: run}, progress)
        self._template = _load("agent.yaml")
        self._described = _load(described)
        self._namespaces = {entry["name"]: bool(entry["mesh"]) for entry in self._described["namespaces"]}

    def namespace(self, role: str = "app") -> str:
        """Return the name that the namespace of a role has in this run."""
        return f"mc-{self.run}-{role}"

    def provision(self) -> None:
        """Create namespaces and workloads and wait until all pods are ready. Raises ProvisionError."""
        for role, mesh in self._namespaces.items():
            self._create_namespace(role, mesh=mesh)
        workloads = [
            Workload(entry["name"], entry["namespace"], entry.get("labels", {}), self._namespaces[entry["namespace"]],
                     plaintext=entry.get("plaintext", False))
            for entry in self._described["workloads"] if self.mesh.plaintext or not entry.get("plaintext")
        ]
        for workload in workloads:
            self._create(workload)
        for name in self.standing():
            self.cluster.apply(self.service(name).manifest())
        self.service_created()
        self.settle(workload.name for workload in workloads)

    def deploy(self, name: str, labels: Mapping[str, str], *, account: str = "", role: str = "app",
               ignorant: bool = False) -> None:
        """Add a workload while a test runs and wait until it is ready; in the mesh if its namespace is.

        `account` is its service account (default: one of its own name), `role` that of its namespace.
        `ignorant`: its proxy shall not enforce policy, where the mesh has that.
        """
        self.start(name, labels, account=account, role=role, ignorant=ignorant)
        self.settle([name])

    def start(self, name: str, labels: Mapping[str, str], *, account: str = "", role: str = "app",
              ignorant: bool = False) -> None:
        """Add a workload as `deploy` does, without waiting for its pod."""
        self._create(Workload(name, role, labels, mesh=self._namespaces[role], account=account, ignorant=ignorant))

    def restart(self, name: str) -> None:
        """Replace a workload's pod as `kubectl rollout restart` does, and wait until only the new one is left."""
        old = self._pods[name]
        annotations = {"kubectl.kubernetes.io/restartedAt": datetime.now(UTC).isoformat(timespec="seconds")}
        self.cluster.patch(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": old.namespace}},
            {"spec": {"template": {"metadata": {"annotations": annotations}}}})

        def replaced() -> Pod:
            pods = self.pods_of(name)
            if len(pods) != 1 or pods[0]["metadata"]["name"] == old.name or not is_ready(pods[0]):
                raise NotYet("; ".join(state_of(pod["metadata"]["name"], pod) for pod in pods) or "there is no pod")
            return as_pod(name, pods[0])

        self._pods[name] = eventually(replaced, what=f"the pod of {name} to be replaced", within=READY_WITHIN,
                                      consecutive=1, longest=0.2, progress=self._progress).last

    def withdraw(self, name: str) -> None:
        """Remove a workload that a test added and wait until its pods are gone."""
        workload = self._workloads.pop(name)
        namespace = self.namespace(workload.namespace)
        self._pods.pop(name, None)
        own = () if workload.account else (("v1", "ServiceAccount"),)
        for api, kind in (("apps/v1", "Deployment"), *own):
            self.cluster.delete({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}})

        def gone() -> None:
            pods = self.pods_of(name)
            if pods:
                raise NotYet(f"there still are {len(pods)} pods")

        eventually(gone, what=f"the pods of {name} to go", within=GONE_WITHIN, consecutive=1, progress=self._progress)

    def selected(self, selector: Mapping[str, str], role: str) -> frozenset[str]:
        """Return the workloads of a namespace whose pods have all labels of a selector."""
        return frozenset(
            name for name, workload in self._workloads.items()
            if workload.namespace == role
            and selector.items() <= {WORKLOAD_LABEL: name, **workload.labels}.items()
        )

    def standing(self) -> tuple[str, ...]:
        """Return the workloads that have a Service as long as the run."""
        return tuple(name for name in self._described["services"] if name in self._workloads)

    def service_created(self) -> None:
        """Note that there is a new Service, which clients have to wait for."""
        self._arrival.expect()

    def await_services(self) -> None:
        """Wait until the cluster, whatever its mesh does, leads clients to the Services created so far."""
        self._arrival.wait(self)

    def outside(self) -> tuple[str, ...]:
        """Return the workloads that are not part of the mesh and whose pods are ready."""
        return tuple(name for name, workload in self._workloads.items() if not workload.mesh and name in self._pods)

    def in_mesh(self, workload: str) -> bool:
        """Tell whether a workload's pods are part of the mesh."""
        return self._workloads[workload].mesh

    def agent(self, workload: str) -> Agent:
        """Return the agent of a workload's pod."""
        pod = self._pods[workload]
        return self.agent_of(pod.namespace, pod.name, workload)

    def agent_of(self, namespace: str, pod: str, name: str = "") -> Agent:
        """Return the agent of any pod, known in messages by a name (default: the pod's)."""

        def send(method: str, path: str, body: bytes | None, timeout: float) -> bytes:
            return self.cluster.pod_proxy(namespace, pod, CONTROL_PORT, method, path, body, timeout)

        return Agent(name or pod, send)

    @property
    def deployed(self) -> bool:
        """Whether its pods are there: they are not where no check needs them."""
        return bool(self._pods)

    def pod(self, workload: str) -> Pod:
        """Return a workload's pod."""
        return self._pods[workload]

    def pods_of(self, workload: str) -> list[Object]:
        """Return the pods that a workload has now, as the cluster has them. Raises ClusterError."""
        pods, _ = self.cluster.list("v1", "pods", labels=f"{RUN_LABEL}={self.run},{WORKLOAD_LABEL}={workload}")
        return pods

    def account(self, workload: str) -> Account:
        """Return the identity of a workload's pods."""
        found = self._workloads[workload]
        return Account(found.service_account, self.namespace(found.namespace))

    def service(self, workload: str) -> Service:
        """Return the standing Service of an echo workload, which no check changes."""
        namespace = self.namespace(self._workloads[workload].namespace)
        described = self._described["services"][workload]
        return Service(
            workload, namespace, self.hosts(workload, namespace), frozenset([workload]), {WORKLOAD_LABEL: workload},
            {name: (number, number) for name, number in described["tcp"].items()},
            udp={name: (number, number) for name, number in described.get("udp", {}).items()},
        )

    def hosts(self, service: str, namespace: str) -> tuple[str, ...]:
        """Return the names under which clients may know a Service, the usual one first."""
        own = self.mesh.host
        return (own.format(service=service, namespace=namespace),) if own else cluster_names(service, namespace)

    def servers(self) -> dict[str, Agent]:
        """Return the agents of all workloads that answer requests, by workload."""
        return {name: self.agent(name) for name in self._pods}

    def workload_of(self, pod: str) -> str | None:
        """Return the workload that a pod belongs to, or None for a pod that is none of ours."""
        return next((entry.workload for entry in self._pods.values() if entry.name == pod), None)

    def disturbances(self) -> list[str]:
        """Say which pods are no longer as they were when they became ready: gone, restarted, not ready or for a while.

        So are those of the control plane. What is over is told once: it is not held against what comes later.
        Raises ClusterError.
        """
        found = {pod["metadata"]["name"]: pod for pod in self._list_pods()}
        troubles = []
        for workload, known in list(self._pods.items()):
            pod = found.get(known.name)
            if trouble := trouble_of(known, pod):
                troubles.append(trouble)
                if pod is not None and is_ready(pod):
                    self._pods[workload] = replace(as_pod(workload, pod), restarts=known.restarts)
        return troubles + self.control_plane.troubles()

    def renew(self) -> None:
        """Take the pods that stand in the place of lost ones, so that later checks have them, once they are ready.

        What is not back in time is not waited for again: its checks say what ails it.
        """
        if not self._pods:
            return
        with contextlib.suppress(ClusterError, ProvisionError):
            ready = [pod for pod in self._list_pods() if is_ready(pod)]
            names = {pod["metadata"]["name"] for pod in ready}
            for pod in ready:
                workload = pod["metadata"]["labels"].get(WORKLOAD_LABEL, "")
                if workload in self._pods and self._pods[workload].name not in names:
                    self._pods[workload] = as_pod(workload, pod)
            lacking = {workload for workload, known in self._pods.items() if known.name not in names}
            awaited, self._lost = lacking - self._lost, lacking
            if awaited:
                self.settle(awaited, within=RENEWED_WITHIN)
                self._lost -= awaited

    def states(self) -> list[str]:
        """Say of each workload how its pod is now."""
        pods = self._by_workload()
        return [state_of(name, pods.get(name)) for name in sorted(self._workloads)]

    def remove(self) -> None:
        """Delete everything that carries this run's label and wait until it is gone. Raises ProvisionError."""
        remove_run(self.cluster, self.run, self._progress)
        self._pods.clear()
        self._workloads.clear()

    # --- one namespace, one workload ---

    def _create_namespace(self, role: str, *, mesh: bool) -> None:
        name = self.namespace(role)
        labels = {RUN_LABEL: self.run, **self._namespace_labels} | (dict(self.mesh.namespace_labels) if mesh else {})
        annotations = dict(self.mesh.namespace_annotations) if mesh else {}
        if role != GUARDED:
            labels |= self.mesh.access.exempt.labels
            annotations |= self.mesh.access.exempt.annotations
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace",
                            "metadata": {"name": name, "labels": labels, "annotations": annotations}})
        self.cluster.apply(self._ours("v1", "ConfigMap", "agent", name) | {
            "data": {"agent.py": paths.agent_program().read_text(encoding="utf-8")},
            "binaryData": {
                libraries.ZIP_NAME: base64.b64encode(libraries.h2_zip()).decode(),
                libraries.LOAD_NAME: base64.b64encode(libraries.load_zip()).decode(),
            },
        })

    def _create(self, workload: Workload) -> None:
        namespace = self.namespace(workload.namespace)
        self._workloads[workload.name] = workload
        self.cluster.apply(self._ours("v1", "ServiceAccount", workload.service_account, namespace))
        self.cluster.apply(self._ours("apps/v1", "Deployment", workload.name, namespace) | {"spec": {
            "replicas": 1, "selector": {"matchLabels": {WORKLOAD_LABEL: workload.name}},
            "template": self._template_of(workload, workload.name),
        }})

    def companions(self, workload: str, name: str, kind: tuple[str, str], spec: Object) -> Object:
        """Apply an object of another kind (API version and kind) whose pods are as a workload's, under another name.

        Identity, labels and the part in the mesh are the workload's; what `spec` says of the pod template is merged
        into it. Returns the object.
        """
        described = self._workloads[workload]
        template = copy.deepcopy(self._template_of(described, name))
        merge(template, spec.get("template", {}))
        obj = self._ours(*kind, name, self.namespace(described.namespace)) | {"spec": {**spec, "template": template}}
        self.cluster.apply(obj)
        return obj

    def _template_of(self, workload: Workload, name: str) -> Object:
        labels = {RUN_LABEL: self.run, WORKLOAD_LABEL: name, **workload.labels}
        template: Object = {"metadata": {"labels": labels},
                            "spec": {**self._template["spec"], "serviceAccountName": workload.service_account}}
        if workload.mesh:
            template = self.mesh.inject(template, ignorant=workload.ignorant, plaintext=workload.plaintext)
        return through(self._registry, template)

    def _ours(self, api_version: str, kind: str, name: str, namespace: str) -> Object:
        return {"apiVersion": api_version, "kind": kind,
                "metadata": {"name": name, "namespace": namespace, "labels": {RUN_LABEL: self.run}}}

    # --- readiness ---

    def _list_pods(self) -> list[Object]:
        pods, _ = self.cluster.list("v1", "pods", labels=f"{RUN_LABEL}={self.run}")
        return pods

    def _by_workload(self) -> dict[str, Object]:
        """Return a pod of each workload: the ready one, where others are ending or were evicted."""
        pods = sorted(self._list_pods(), key=is_ready)
        return {pod["metadata"]["labels"].get(WORKLOAD_LABEL, ""): pod for pod in pods}

    def settle(self, names: Iterable[str], within: float | None = None) -> None:
        """Wait until the pods of these workloads are ready, usually READY_WITHIN seconds. Raises ProvisionError."""
        wanted = frozenset(names)

        def ready() -> dict[str, Pod]:
            pods = self._by_workload()
            missing = sorted(name for name in wanted if name not in pods or not is_ready(pods[name]))
            if missing:
                raise NotYet("; ".join(state_of(name, pods.get(name)) for name in missing))
            return {name: as_pod(name, pods[name]) for name in wanted}

        try:
            waited = eventually(ready, what=f"the pods of {', '.join(sorted(wanted))} to be ready",
                                within=READY_WITHIN if within is None else within, consecutive=1, longest=0.2,
                                progress=self._progress)
        except NotConverged as error:
            raise ProvisionError(f"{error}\n{self._autopsy(wanted)}") from error
        self._pods.update(waited.last)

    def _autopsy(self, wanted: frozenset[str]) -> str:
        """Collect what tells why pods are not ready: their events and the end of their logs."""
        lines: list[str] = []
        for pod in self._list_pods():
            if pod["metadata"]["labels"].get(WORKLOAD_LABEL) in wanted and not is_ready(pod):
                lines += autopsy(self.cluster, pod)
        lines = lines or ["no pod was created; look at the events of the Deployments"]
        return "\n".join([*lines, *untaken(self.cluster)])


def remove_run(cluster: Cluster, run: str, progress: Progress | None = None) -> None:
    """Delete the namespaces of a run, found by label, and wait until they are gone. Raises ProvisionError."""
    namespaces, _ = cluster.list("v1", "namespaces", labels=f"{RUN_LABEL}={run}")
    for namespace in namespaces:
        cluster.delete({"apiVersion": "v1", "kind": "Namespace", **namespace})

    def gone() -> None:
        left, _ = cluster.list("v1", "namespaces", labels=f"{RUN_LABEL}={run}")
        if left:
            raise NotYet("; ".join(_blocked(namespace) for namespace in left))

    try:
        eventually(gone, what=f"the namespaces of run {run} to go", within=GONE_WITHIN, consecutive=1,
                   longest=0.5, progress=progress)
    except NotConverged as error:
        raise ProvisionError(f"{error}. Remove what blocks them, then run `mesh-conformance cleanup`") from error


def _load(name: str) -> dict[str, Any]:
    data = yaml.safe_load((paths.fixtures() / "workloads" / name).read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise ProvisionError(f"workloads/{name} is not a YAML mapping")
    return data


def _blocked(namespace: Object) -> str:
    name = namespace["metadata"]["name"]
    reasons = [
        entry.get("message", "") for entry in namespace.get("status", {}).get("conditions") or ()
        if entry.get("status") == "True"
    ]
    return f"{name} is still there" + (f": {'; '.join(reasons)}" if reasons else "")
