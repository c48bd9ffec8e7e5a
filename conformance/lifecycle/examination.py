"""Looking at a cluster before anything is done there: what would be in the way of a run, and what to do about it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import yaml

from conformance import paths, smi
from conformance.cluster import Cluster, ClusterError, NotFound, Object, Rejected
from conformance.lifecycle import blocked, cleaning, images, permissions
from conformance.lifecycle.permissions import Right
from conformance.mesh import Mesh, MeshError, load, names
from conformance.pods import ails
from conformance.topology import POD_SECURITY, RUN_LABEL

_WHERE: Final = "default"
"""Where a pod is tried: the namespace that every cluster has, and that most leave as new ones are."""


class State(StrEnum):
    """What a finding means for a run."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; a run may go on."""
    PROBLEM = "problem"
    """A run would end in errors."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    state: State
    subject: str
    text: str


def _ok(subject: str, text: str) -> Finding:
    return Finding(State.OK, subject, text)


def _note(subject: str, text: str) -> Finding:
    return Finding(State.NOTE, subject, text)


def _problem(subject: str, text: str) -> Finding:
    return Finding(State.PROBLEM, subject, text)


@dataclass(frozen=True)
class Plan:
    """What a run is going to do there: on which meshes, what it would apply to install them, and how."""

    meshes: tuple[Mesh, ...]
    installs: tuple[Object, ...] = ()
    provision: bool = False
    registry: str = ""
    pod_security: str = ""


def examine(cluster: Cluster, plan: Plan) -> Iterator[Finding]:
    """Look at a cluster, and yield what is found, the most basic first. Raises ClusterError if it does not answer."""
    version, user = cluster.version(), permissions.user(cluster)
    yield _ok("cluster", f"Kubernetes {version}, as {user or 'a user whom it does not name'}")
    if user == permissions.NOBODY:
        yield _problem("cluster", "no credential was sent: the kubeconfig has none for this context, or the program "
                                  "that it names for one (aws, gke-gcloud-auth-plugin, kubelogin) is missing or failed")
        return
    if cluster.proxy:
        yield _note("proxy", f"the API server, and through it the agents, are asked through {cluster.proxy}. If that "
                             "is slow or limits requests, add the API server's host to NO_PROXY")
    looks: Sequence[tuple[str, Callable[[], Iterable[Finding]]]] = (
        ("mesh", lambda: _meshes(cluster, plan)), ("SMI", lambda: _served(cluster)),
        ("permissions", lambda: _permissions(cluster, plan)), ("nodes", lambda: _nodes(cluster)),
        ("pods", lambda: _pods(cluster)), ("admission", lambda: _admission(cluster, plan)),
        ("limits", lambda: _limits(cluster, plan)), ("metrics", lambda: _metrics(cluster)),
        ("aggregation", lambda: _aggregation(cluster)), ("remains", lambda: _remains(cluster)),
    )
    for subject, look in looks:
        try:
            yield from look()
        except ClusterError as error:
            yield _note(subject, f"could not be looked at: {error}")


def _meshes(cluster: Cluster, plan: Plan) -> Iterator[Finding]:
    for mesh in plan.meshes:
        found = mesh.installations(cluster)
        where = ", ".join(f"{each.version} in {each.namespace}" for each in found)
        if found and plan.provision:
            yield _problem("mesh", f"{mesh.title} is installed already ({where}): run without --provision")
        elif found:
            yield _ok("mesh", f"{mesh.title} is installed: {where}")
        elif plan.provision:
            yield _ok("mesh", f"{mesh.title} is not installed; the run installs it")
        else:
            yield _problem("mesh", f"{mesh.title} is not installed: install it, or let --provision do it")
    asked = {mesh.base for mesh in plan.meshes}
    for other in (load(name) for name in names() if name not in asked):
        there = ", ".join(f"{each.version} in {each.namespace}" for each in other.installations(cluster))
        if there:
            yield _note("mesh", f"{other.title} is there as well: {there}. Of an API that both bring, one definition "
                                "is served")


def _served(cluster: Cluster) -> Iterator[Finding]:
    served = smi.served_apis(cluster).served
    groups = [f"{group} {', '.join(served[group])}" for group in (*smi.RESOURCES, smi.METRICS) if group in served]
    yield Finding(State.OK if groups else State.NOTE, "SMI", "; ".join(groups) or "no API of SMI is served")
    if smi.GATEWAY in served:
        yield _ok("Gateway API", f"{smi.GATEWAY} {', '.join(served[smi.GATEWAY])}")


def _permissions(cluster: Cluster, plan: Plan) -> Iterator[Finding]:
    rights: tuple[Right, ...] = permissions.RUN
    if plan.provision:
        for mesh in plan.meshes:
            rights += permissions.to_provision(cluster, mesh, plan.installs)
    lacking = permissions.missing(cluster, rights)
    if not lacking:
        yield _ok("permissions", f"all {len(set(rights))} rights that a run needs are there")
        return
    rules = [yaml.safe_dump(rule, default_flow_style=True, sort_keys=False, width=1000).strip()
             for rule in permissions.rules(lacking)]
    text = (f"not allowed: {', '.join(str(right) for right in lacking)}. These rules in a ClusterRole grant it:\n- "
            + "\n- ".join(rules))
    yield _problem("permissions", text)


def _nodes(cluster: Cluster) -> Iterator[Finding]:
    nodes = cluster.nodes()
    usable = []
    for node in nodes:
        trouble = ails(node)
        if trouble:
            yield _note("nodes", f"{node['metadata']['name']}: {trouble}")
        else:
            usable.append(node)
    if not usable:
        yield _problem("nodes", f"none of {len(nodes)} nodes takes pods that tolerate nothing")
    else:
        yield _ok("nodes", f"{len(usable)} of {len(nodes)} take pods")


def _pods(cluster: Cluster) -> Iterator[Finding]:
    pending, _ = cluster.list("v1", "pods", fields="status.phase=Pending")
    for pod in pending[:5]:
        for entry in (pod.get("status") or {}).get("conditions") or ():
            if entry["type"] == "PodScheduled" and entry["status"] == "False":
                name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
                yield _note("pods", f"{name} cannot be scheduled: {entry.get('message', '')}")


def _admission(cluster: Cluster, plan: Plan) -> Iterator[Finding]:
    """Let the API server try a pod of each mesh, without making it."""
    template = yaml.safe_load((paths.fixtures() / "workloads" / "agent.yaml").read_text(encoding="utf-8"))
    for mesh in plan.meshes:
        try:
            pod = images.through(plan.registry, mesh.inject(template))
        except MeshError as error:
            yield _problem("admission", str(error))
            continue
        pod |= {"apiVersion": "v1", "kind": "Pod"}
        pod["metadata"] |= {"name": f"mc-preflight-{secrets.token_hex(3)}", "namespace": _WHERE}
        try:
            cluster.create(pod, dry_run=True)
        except Rejected as refusal:
            yield _refused(refusal, mesh, plan)
        else:
            yield _ok("admission", f"a pod of {mesh.title} is admitted (tried in {_WHERE}, not made)")


def _refused(refusal: Rejected, mesh: Mesh, plan: Plan) -> Finding:
    if "cannot create resource" in refusal.found:
        return _note("admission", "whether pods are admitted cannot be tried: this user may not make any, and need "
                                  "not, as Deployments do")
    if "violates PodSecurity" in refusal.found:
        state = State.NOTE if plan.pod_security == "privileged" else State.PROBLEM
        text = (f"pods of {mesh.title} violate the Pod Security of {_WHERE}: {refusal.found}. If new namespaces are "
                f"under it as well, --pod-security privileged labels those that the run makes ({POD_SECURITY})")
        return Finding(state, "admission", text)
    return _problem("admission", f"a pod of {mesh.title} is refused: {refusal.found}. Exempt namespaces with the label "
                                 f"{RUN_LABEL} from what refuses it")


def _limits(cluster: Cluster, plan: Plan) -> Iterator[Finding]:
    homes = {workload.namespace for mesh in plan.meshes for workload in mesh.control_plane}
    for kind, plural in (("ResourceQuota", "resourcequotas"), ("LimitRange", "limitranges")):
        try:
            found, _ = cluster.list("v1", plural)
        except NotFound:
            continue
        namespaces = sorted({obj["metadata"]["namespace"] for obj in found})
        there = homes.intersection(namespaces)
        for namespace in there:
            state = State.PROBLEM if plan.provision and kind == "ResourceQuota" else State.NOTE
            text = f"there is a {kind} in {namespace}, the control plane's: pods without requests may be refused"
            yield Finding(state, "limits", text)
        if namespaces and not there:
            yield _note("limits", f"there is a {kind} in {len(namespaces)} namespaces, such as {namespaces[0]}. If new "
                                  "namespaces get one, the sample workloads, which state no requests, may be refused")


def _metrics(cluster: Cluster) -> Iterator[Finding]:
    there = "metrics.k8s.io" in cluster.groups()
    yield Finding(State.OK if there else State.NOTE, "metrics",
                  "the resource metrics API is served" if there else
                  "no resource metrics API (metrics.k8s.io); nothing needs it: usage is read from kubelets")


def _aggregation(cluster: Cluster) -> Iterator[Finding]:
    for line in blocked.unavailable_apis(cluster):
        yield _problem("aggregation", f"{line}. Until then no namespace can be deleted")


def _remains(cluster: Cluster) -> Iterator[Finding]:
    found, unseen = cleaning.remains(cluster)
    if found:
        yield _note("remains", f"objects of runs {', '.join(each.run for each in found)} are there: they go on, or "
                               "`mesh-conformance cleanup` removes what they left")
    for line in unseen:
        if "may not list" in line:
            yield _note("remains", line)
        else:
            yield _problem("remains", f"{line}. While that lasts, no namespace can be deleted")
