"""What was the matter with a run's pods, told no sooner than their kubelets have looked at them.

That a container has died shows in its pod only when the kubelet has noticed, which takes a second or two, and on a busy
node as long as it likes. However long one waits, a slower kubelet would have the mesh blamed for a sidecar that was
killed. So each node that has pods of the run is given a container that ends at once: a kubelet that reports its end has
looked since it was asked to, and with that seen every container that had ended before.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from typing import Final

from conformance.cluster import Cluster, ClusterError, Object
from conformance.topology import RUN_LABEL, Topology
from conformance.waiting import NotConverged, NotYet, eventually

HEARD_WITHIN: Final = 20.0
"""Seconds within which a kubelet has to report a container that ended at once."""
WRITTEN_WITHIN: Final = 0.25
"""Seconds that a kubelet has to write down what it has seen: it writes one pod after the other."""
UNASKED: Final = 5.0
"""Seconds to wait for what kubelets may have to say where they cannot be asked."""
_LABEL: Final = "mesh-conformance/asked"


@dataclass(frozen=True)
class _Question:
    """A Deployment on one node, whose container ends at once."""

    cluster: Cluster
    node: str
    deployment: Object

    def answered(self) -> bool:
        """Tell whether the kubelet has reported the container's end. Raises ClusterError."""
        entries = (entry for pod in self._pods() for entry in pod.get("status", {}).get("containerStatuses") or ())
        return any("terminated" in (entry.get(state) or {}) for entry in entries for state in ("state", "lastState"))

    def ignored(self) -> bool:
        """Tell whether the kubelet has not said a word of the pod that it was given. Raises ClusterError."""
        return any("startTime" not in pod.get("status", {}) for pod in self._pods() if pod["spec"].get("nodeName"))

    def _pods(self) -> list[Object]:
        metadata = self.deployment["metadata"]
        return self.cluster.list("v1", "pods", metadata["namespace"], labels=f"{_LABEL}={metadata['name']}")[0]


def disturbances(topology: Topology) -> str:
    """Say which of a run's pods are not as they were (see Topology), or that it cannot be known; else return nothing.

    To be asked at once after a violation was seen; what disturbs pods later may be told as well.
    """
    questions: list[_Question] = []
    try:
        if found := _told(topology):
            return found
        all_asked = _ask(topology, questions)
        return _answers(topology, questions) or _last_look(topology, WRITTEN_WITHIN if all_asked else UNASKED)
    except ClusterError as error:
        return _unseen(error)
    finally:
        for question in questions:
            with contextlib.suppress(ClusterError):
                topology.cluster.delete(question.deployment)


def noticed(topology: Topology) -> str:
    """Say what `disturbances` says, as far as the kubelets have noticed by now: it costs no more than a look."""
    try:
        return _told(topology)
    except ClusterError as error:
        return _unseen(error)


def _unseen(error: ClusterError) -> str:
    return f"the pods could not be looked at: {error}"


def _told(topology: Topology) -> str:
    return "; ".join(topology.disturbances())


def _ask(topology: Topology, questions: list[_Question]) -> bool:
    """Ask the kubelets of all nodes that have pods of the run; tell whether that could be done. Raises ClusterError."""
    pods, _ = topology.cluster.list("v1", "pods", labels=f"{RUN_LABEL}={topology.run}")
    # Out of the mesh, where no sidecar is added.
    outside = {topology.pod(workload).name for workload in topology.outside()}
    beside = min(pods, key=lambda pod: pod["metadata"]["name"] not in outside, default={})
    for node in sorted({pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")}):
        question = _Question(topology.cluster, node, _deployment(beside, node, topology.run))
        try:
            topology.cluster.create(question.deployment)
        except ClusterError:
            return False
        questions.append(question)
    return True


def _answers(topology: Topology, questions: list[_Question]) -> str:
    """Wait until all questions are answered; say what disturbs pods meanwhile, or who does not answer."""

    def look() -> str:
        if found := _told(topology):
            return found
        if waiting := [question.node for question in questions if not question.answered()]:
            raise NotYet(f"no answer from {', '.join(waiting)}")
        return ""

    try:
        return eventually(look, what="the kubelets to have looked", within=HEARD_WITHIN, consecutive=1,
                          longest=0.25).last
    except NotConverged as error:
        silent = ", ".join(question.node for question in questions if question.ignored())
        return (f"the kubelet of {silent} has not taken up a pod within {error.seconds:.0f} s, so that it is not known "
                "how its pods are") if silent else ""


def _last_look(topology: Topology, within: float) -> str:
    def look() -> str:
        if found := _told(topology):
            return found
        raise NotYet("all pods are as they were")

    with contextlib.suppress(NotConverged):
        return eventually(look, what="a disturbance", within=within, consecutive=1, interval=within / 5).last
    return ""


def _deployment(pod: Object, node: str, run: str) -> Object:
    """Return a Deployment beside a pod, of its image, which the nodes have."""
    name = f"asked-{secrets.token_hex(3)}"
    containers = pod["spec"]["containers"]
    agent = next((entry for entry in containers if entry["name"] == "agent"), containers[0])
    kept = {key: agent[key] for key in ("image", "imagePullPolicy", "securityContext", "resources") if key in agent}
    shared = {key: pod["spec"][key] for key in ("imagePullSecrets", "securityContext") if key in pod["spec"]}
    labels = {_LABEL: name}
    # By the scheduler: a kubelet without room would refuse a pod, and be sent another one at once, for ever.
    here = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    spec = {
        **shared, "tolerations": [{"operator": "Exists"}], "automountServiceAccountToken": False,
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [here]}}},
        "terminationGracePeriodSeconds": 0,
        "containers": [{**kept, "name": "asked", "command": ["python", "-S", "-c", "pass"]}],
    }
    return {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": pod["metadata"]["namespace"], "labels": {RUN_LABEL: run}},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": spec}},
    }
