"""TrafficTargets of one check, and the wait until the mesh has taken a change in."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from conformance import smi
from conformance.beacon import until_lit
from conformance.client import Call, Client
from conformance.cluster import Object
from conformance.evidence import Evidence
from conformance.expect import Allowed
from conformance.grants import has_policy
from conformance.objects import Objects
from conformance.outcome import Nonconformance
from conformance.service import HTTP_PORT
from conformance.smi import EVERYTHING, Account, HTTPMatch, Rule, ServedApis
from conformance.splits import Settle
from conformance.topology import GUARDED, Topology
from conformance.waiting import Progress


class TrafficTarget:
    """A TrafficTarget that has been applied."""

    def __init__(self, targets: Targets, obj: Object, port: int | None) -> None:
        self._targets = targets
        self._object = obj
        self._port = port

    def change(self, *, sources: Sequence[Client] | None = None, rules: Sequence[Rule] | None = None) -> None:
        """Replace sources or rules and wait until the mesh has taken that in."""
        rendered = self._targets.render(
            self._object["metadata"]["name"], sources or (), rules or (), port=self._port,
        )
        wanted = {"sources": sources, "specs" if "specs" in rendered else "rules": rules}
        body = rendered.get("spec", rendered)
        change = {field: body[field] for field, given in wanted.items() if given is not None}
        self._targets.objects.change(self._object, change)
        self._targets.settle()

    def delete(self) -> None:
        """Delete the target and wait until the mesh has taken that in."""
        self._targets.objects.delete(self._object)
        self._targets.settle()


@dataclass(frozen=True)
class Targets:
    """Makes the TrafficTargets of one check, in the namespace where access is denied by default."""

    objects: Objects
    apis: ServedApis
    topology: Topology
    settle: Settle

    def __call__(
        self, *sources: Client | Account, rules: Sequence[Rule], to: str = GUARDED, port: int | None = None,
        every_port: bool = False,
    ) -> TrafficTarget:
        """Allow clients to use, of a workload's pods, what `rules` say, and wait until the mesh has taken that in.

        `port` restricts it to one port, in versions of the API that say that here. In v1alpha1, where a target is
        always for one, that is the usual one unless another is named, or `every_port` is what the check is about:
        then this raises NotExpressible.
        """
        if port is None and not every_port:
            port = smi.usual_port(self.apis, HTTP_PORT)
        obj = self.render(self.objects.name("target"), sources, rules, to=to, port=port)
        self.objects.create(obj)
        self.settle()
        return TrafficTarget(self, obj, port)

    def at(self, port: int, *sources: Client) -> TrafficTarget:
        """Allow clients to use one port of the guarded workload: by a TCPRoute, or by the target's own port."""
        rules = Rules(self.objects, self.apis, self.topology)
        if smi.has_ports(self.apis):
            return self(*sources, rules=[rules.tcp(port)])
        return self(*sources, rules=[rules.tcp()], port=port)

    def render(
        self, name: str, sources: Sequence[Client | Account], rules: Sequence[Rule], *, to: str = GUARDED,
        port: int | None = None,
    ) -> Object:
        """Return the object."""
        accounts = [source.account if isinstance(source, Client) else source for source in sources]
        destination = self.topology.account(to)
        return smi.traffic_target(self.apis, name, destination.namespace, destination, rules, accounts, port=port)


@dataclass(frozen=True)
class Rules:
    """Makes the route objects of one check, in the namespace where access is denied by default."""

    objects: Objects
    apis: ServedApis
    topology: Topology

    def http(self, *matches: HTTPMatch, only: Sequence[str] | None = None) -> Rule:
        """Create an HTTPRouteGroup; return the rule that refers to it, or to those matches of it that `only` names."""
        name = self.objects.name("routes")
        self.objects.create(smi.http_route_group(self.apis, name, self._namespace, matches))
        return Rule("HTTPRouteGroup", name, only)

    def change(self, rule: Rule, *matches: HTTPMatch) -> None:
        """Replace the matches of the HTTPRouteGroup that a rule refers to. `Targets.settle` waits for the effect."""
        obj = smi.http_route_group(self.apis, rule.name, self._namespace, matches)
        self.objects.change(obj, obj.get("spec") or {"matches": obj["matches"]})

    def everything(self) -> Rule:
        """Create an HTTPRouteGroup that any request matches."""
        return self.http(EVERYTHING)

    def tcp(self, *ports: int) -> Rule:
        """Create a TCPRoute of these ports; of all without any."""
        name = self.objects.name("tcp")
        self.objects.create(smi.tcp_route(self.apis, name, self._namespace, ports))
        return Rule("TCPRoute", name)

    def udp(self, *ports: int) -> Rule:
        """Create a UDPRoute of these ports; of all without any."""
        name = self.objects.name("udp")
        self.objects.create(smi.udp_route(self.apis, name, self._namespace, ports))
        return Rule("UDPRoute", name)

    def try_without_matches(self, kind: Literal["TCPRoute", "UDPRoute"]) -> str:
        """Say whether the server would take a route that says nothing of ports."""
        render = smi.tcp_route if kind == "TCPRoute" else smi.udp_route
        return self.objects.try_out(render(self.apis, self.objects.name("bare"), self._namespace))

    @property
    def _namespace(self) -> str:
        return self.topology.namespace(GUARDED)


class PermissiveMesh(Exception):  # noqa: N818 - what it says of the mesh
    """The mesh was left in a mode in which it enforces nothing: it was not set up to be judged by."""


@dataclass(frozen=True)
class Policing:
    """What was found of a mesh's policy before the first check. `beacon` is None where it implements no TrafficTarget.

    `permissive` says why nothing can be judged, where the mesh was left in a mode in which it enforces nothing.
    """

    beacon: PolicyBeacon | None = None
    permissive: str = ""

    @property
    def mode(self) -> str:
        """The mode in a few words; empty where there is nothing to say."""
        if self.beacon is None:
            return ""
        return "permissive" if self.permissive else "denies by default"


def police(
    topology: Topology, apis: ServedApis, clients: Sequence[str], progress: Progress | None = None, *,
    settle: bool = False,
) -> Policing:
    """Set up what shows that changes of policy are in effect, and find out whether policy is enforced at all.

    `settle`: wait first until the mesh has taken that in, where something else may still be in effect.
    """
    if not has_policy(topology, apis) or apis.version(smi.SPECS, "HTTPRouteGroup") is None:
        return Policing()
    beacon = PolicyBeacon(topology, apis, clients)
    beacon.stand()
    if settle:
        beacon.settle(Evidence(), progress)
    return Policing(beacon, beacon.permissive(progress))


class PolicyBeacon:
    """Shows that the mesh has taken in all changes of policy so far.

    Some checks expect a denial to stay one; looking at that cannot tell a mesh that does right from one that has not
    noticed yet. So one TrafficTarget of the guarded workload stands as long as the run, for a path that means
    nothing; after each change that path is changed, too, and it is waited for that every client may use the new
    one. Where that never comes to be, the mesh is given its whole documented limit.
    """

    def __init__(self, topology: Topology, apis: ServedApis, clients: Sequence[str]) -> None:
        self._topology = topology
        self._apis = apis
        self._clients = [Client(name, topology, Evidence()) for name in clients]
        # Never one that an earlier run on these workloads has used: it would be lit already.
        token = secrets.token_hex(3)
        self._paths = (f"/beacon-{token}-{number}" for number in itertools.count())

    def stand(self) -> None:
        """Create the target. Raises NotServed or NotExpressible where the cluster has no such thing."""
        destination = self._topology.account(GUARDED)
        sources = [client.account for client in self._clients]
        rule = Rule("HTTPRouteGroup", "beacon")
        target = smi.traffic_target(self._apis, "beacon", destination.namespace, destination, [rule], sources,
                                    port=smi.usual_port(self._apis, HTTP_PORT))
        for obj in (self._lit(next(self._paths)), target):
            self._topology.cluster.apply(obj)

    def permissive(self, progress: Progress | None = None) -> str:
        """Say why policy is not enforced at all, where that is a setting of the mesh; else return an empty string."""
        mesh = self._topology.mesh
        if not mesh.access.setting:
            return ""
        client = Client(self._clients[0].workload, self._topology, Evidence(), progress)
        try:
            client.is_denied(self._topology.service(GUARDED), path="/no-policy-allows-this")
        except Nonconformance as error:
            return (f"{mesh.title} is permissive: a client may use what no TrafficTarget allows, although one stands "
                    f"for that workload. Turn deny-by-default on ({mesh.access.setting}) and run again.\n{error}")
        return ""

    def settle(self, evidence: Evidence, progress: Progress | None = None) -> None:
        """Wait until all that was changed before is in effect, at most the mesh's limit."""
        path = next(self._paths)
        self._topology.cluster.apply(self._lit(path))
        guarded = self._topology.service(GUARDED)
        until_lit("a new policy", self._clients, Call(guarded.hosts[0], path=path), Allowed(guarded), 2,
                  within=self._topology.mesh.convergence, evidence=evidence, progress=progress)

    def _lit(self, path: str) -> Object:
        match = HTTPMatch("beacon", path_regex=path, methods=["*"])
        return smi.http_route_group(self._apis, "beacon", self._topology.namespace(GUARDED), [match])


