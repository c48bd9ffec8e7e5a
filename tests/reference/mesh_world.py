"""A small made-up cluster for the tests of the reference mesh: three versions of a workload, and a client."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction

from conformance.sandbox.reference.interception import CLUSTER
from conformance.sandbox.reference.model import (
    Backend,
    Endpoint,
    HeaderMatch,
    Match,
    Pod,
    RouteGroup,
    Service,
    ServicePort,
    Snapshot,
    Split,
)

NAMESPACE = "demo"
ADDRESSES = {"client": "10.251.0.10", "second": "10.251.0.20", "v1": "10.251.0.11", "v2": "10.251.0.12",
             "v3": "10.251.0.13", "afar": "10.251.0.30"}
HTTP = ServicePort("http", 8080)
ON_A_CLUSTER = replace(CLUSTER, proxy_user=os.getgid())
"""The network of a cluster, for a test that is not root and can give files to its own group only."""


def pod(name: str, *, meshed: bool = True) -> Pod:
    """One of the pods of ADDRESSES; `afar` is in another namespace."""
    namespace = "elsewhere" if name == "afar" else NAMESPACE
    return Pod(namespace, name, f"uid-{name}", ADDRESSES[name], service_account=name, ports=((8080, True),),
               meshed=meshed)


class World:
    """Collects services, splits and groups, and gives a snapshot of them."""

    def __init__(self) -> None:
        self.pods = {entry.address: entry for entry in map(pod, ADDRESSES)}
        self.services: dict[tuple[str, str], Service] = {}
        self.endpoints: dict[tuple[str, str], tuple[Endpoint, ...]] = {}
        self.splits: list[Split] = []
        self.groups: dict[tuple[str, str], RouteGroup] = {}

    def service(self, name, *workloads, ports=(HTTP,), targets=None, **fields) -> Service:
        """Add a Service; `targets` maps the names of its ports to target ports, by default the same numbers."""
        number = len(self.services) + 1
        service = Service(NAMESPACE, name, ports=tuple(ports),
                          **{"cluster_ip": f"10.251.128.{number}", "created": f"{number:04}"} | fields)
        self.services[service.key] = service
        mapped = tuple((targets or {port.name: port.number for port in ports}).items())
        self.endpoints[service.key] = tuple(Endpoint(ADDRESSES[workload], mapped) for workload in workloads)
        return service

    def split(self, root, backends, groups=None, **fields) -> Split:
        """Add a split; `backends` maps names to weights."""
        number = len(self.splits) + 1
        split = Split(NAMESPACE, fields.pop("name", f"split-{number}"), root,
                      tuple(Backend(name, Fraction(weight)) for name, weight in backends.items()), groups,
                      **{"uid": f"uid-split-{number}", "created": f"{number:04}"} | fields)
        self.splits.append(split)
        return split

    def group(self, name, *matches) -> RouteGroup:
        """Add a route group; each match maps header names to expressions."""
        group = RouteGroup(NAMESPACE, name, tuple(
            Match(f"m{number}", tuple(HeaderMatch(*header) for header in match.items()))
            for number, match in enumerate(matches)
        ))
        self.groups[group.key] = group
        return group

    def snapshot(self) -> Snapshot:
        """What the control plane would see."""
        return Snapshot(dict(self.services), dict(self.endpoints), dict(self.pods), tuple(self.splits),
                        dict(self.groups))


def rules(translation, root, port=8080, client="client"):
    """The rules for a port of a Service, as `[(headers, {destination: weight})]`."""
    plan = translation.plan(pod(client))
    virtual = next(entry for entry in plan.outbound if entry.name == f"{NAMESPACE}/{root}:{port}")
    return [
        ({header.name: header.regex for header in rule.headers},
         {share.destination.name.removeprefix(f"outbound|{NAMESPACE}/"): share.weight for share in rule.shares})
        for rule in virtual.rules
    ]
