"""The pods that send loads together, as an Indexed Job: Kubernetes is the distributed load engine.

Each runs the agent and is driven through `pods/proxy`, as the usual client is. So there is one way to run a load and
one to read its result, the pods stand between the rounds (their sidecars stay warm), and nothing has to be fetched from
logs or volumes. Of the Job come their numbers, and that none is replaced behind the measurement's back: a pod that ends
fails the Job. The agents go on until the Job is deleted, with the run's namespaces, so that it ends whatever kind of
sidecar its pods have.
"""

from __future__ import annotations

import itertools
import re
from typing import Final

from conformance.cluster import Object
from conformance.performance.paths import Path
from conformance.performance.probes.effects import first_answer
from conformance.performance.together import Crew
from conformance.pods import as_pod, autopsy, is_ready, state_of
from conformance.service import WORKLOAD_LABEL
from conformance.topology import READY_WITHIN, RUN_LABEL, ProvisionError, Topology
from conformance.waiting import NotConverged, NotYet, Progress, eventually

KIND: Final = ("batch/v1", "Job")
INDEX: Final = "batch.kubernetes.io/job-completion-index"
"""The annotation by which Kubernetes numbers the pods of an Indexed Job from 0."""
_NUMBER: Final = re.compile(r"[0-9]{1,4}")


def deploy(topology: Topology, client: str, count: int, progress: Progress | None = None) -> Crew:
    """Start `count` pods that are to the mesh what a client's pod is; return when all of them are ready.

    Raises ProvisionError when they do not become ready, or one of them ends.
    """
    name = f"{client}-load"
    job = topology.companions(client, name, KIND, {
        "completions": count, "parallelism": count, "completionMode": "Indexed", "backoffLimit": 0,
        "template": {"spec": {"restartPolicy": "Never", "topologySpreadConstraints": [{
            "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {RUN_LABEL: topology.run, WORKLOAD_LABEL: name}},
        }]}},
    })
    namespace = job["metadata"]["namespace"]

    def ready() -> list[Object]:
        pods = numbered(topology.pods_of(name), name)
        ended = [pod for pod in pods.values() if pod.get("status", {}).get("phase") in ("Failed", "Succeeded")]
        if ended:
            raise ProvisionError(f"load pod {ended[0]['metadata']['name']} ended before any load\n"
                                 + "\n".join(autopsy(topology.cluster, ended[0])))
        waiting = [f"load pod {number + 1}" if (pod := pods.get(number)) is None else
                   state_of(pod["metadata"]["name"], pod)
                   for number in range(count) if number not in pods or not is_ready(pods[number])]
        if waiting:
            raise NotYet("; ".join(waiting))
        return [pods[number] for number in range(count)]

    try:
        found = eventually(ready, what=f"{count} load pods of {client} to be ready", within=READY_WITHIN,
                           consecutive=1, longest=0.2, progress=progress).last
    except NotConverged as error:
        told = [line for pod in topology.pods_of(name) if not is_ready(pod) for line in autopsy(topology.cluster, pod)]
        raise ProvisionError("\n".join([
            f"{error}. Fewer --load-pods need less of the cluster", *(told or [f"see the events of Job {name}"]),
        ])) from error
    pods = [as_pod(name, pod) for pod in found]
    return Crew(client, tuple(topology.agent_of(namespace, pod.name) for pod in pods),
                tuple((pod.namespace, pod.name) for pod in pods))


def reaching(topology: Topology, path: Path, count: int, progress: Progress | None = None) -> Crew:
    """Start the load pods of a path's client, and wait until each gets answers from its server: Ready is too early.

    Raises ProvisionError as `deploy` does, NotConverged, AgentError.
    """
    crew = deploy(topology, path.client, count, progress)
    numbers = itertools.count(1)
    for number, agent in enumerate(crew.agents, 1):
        first_answer(agent, path.service.hosts[0], lambda pod: pod is not None, numbers,
                     f"load pod {number} of {path.client} to be answered by {path.server}")
    return crew


def numbered(pods: list[Object], name: str) -> dict[int, Object]:
    """Return the pods of an Indexed Job by number. Raises ProvisionError for one without, or two with the same."""
    found: dict[int, Object] = {}
    for pod in pods:
        number, own = (pod["metadata"].get("annotations") or {}).get(INDEX, ""), pod["metadata"]["name"]
        if not _NUMBER.fullmatch(number):
            raise ProvisionError(f"pod {own} of Job {name} has no number ({INDEX}: {number!r:.20}); "
                                 "Indexed Jobs need Kubernetes 1.24 or later")
        if int(number) in found:
            raise ProvisionError(f"Job {name} has two pods with number {number}: one of them was replaced, and load "
                                 "that it had sent would be missing")
        found[int(number)] = pod
    return found
