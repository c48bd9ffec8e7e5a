"""TrafficTarget, written once and rendered for the served version.

Source: SMI v0.6.0, `apis/traffic-access` (v1alpha1 to v1alpha3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from conformance.cluster import Object
from conformance.smi.apis import ACCESS, NotExpressible, ServedApis

_WITH_PORT: Final = frozenset({"v1alpha1", "v1alpha2"})


@dataclass(frozen=True)
class Account:
    """A ServiceAccount: the identity of a source or destination. Without a namespace it says none."""

    name: str
    namespace: str = ""

    def subject(self) -> Object:
        """Return it as the objects name it."""
        namespace = {"namespace": self.namespace} if self.namespace else {}
        return {"kind": "ServiceAccount", "name": self.name} | namespace


@dataclass(frozen=True)
class Rule:
    """What of a destination may be used: a route object, and of a route group these matches (None: says nothing)."""

    kind: Literal["HTTPRouteGroup", "TCPRoute", "UDPRoute"]
    name: str
    matches: Sequence[str] | None = None

    def reference(self) -> Object:
        """Return it as the objects name it."""
        matches = {} if self.matches is None else {"matches": list(self.matches)}
        return {"kind": self.kind, "name": self.name} | matches


def usual_port(apis: ServedApis, port: int) -> int | None:
    """Return the port where the served version has a target always be for one (v1alpha1), else None."""
    return port if apis.version(ACCESS, "TrafficTarget") == "v1alpha1" else None


def traffic_target(
    apis: ServedApis, name: str, namespace: str, destination: Account, rules: Sequence[Rule],
    sources: Sequence[Account], *, port: int | None = None,
) -> Object:
    """Render a TrafficTarget: pods of `sources` may use what `rules` say of the pods of `destination`.

    `port` restricts it to a port of the destination, in versions that have that. Raises NotExpressible where the
    served version has no `port`, or cannot do without, and NotServed.
    """
    version = apis.spoken(ACCESS, "TrafficTarget")
    if port is not None and version not in _WITH_PORT:
        raise NotExpressible(f"TrafficTarget {version} has no `destination.port`; a TCPRoute has the ports")
    if port is None and version == "v1alpha1":
        raise NotExpressible("TrafficTarget v1alpha1 is always for one port")
    body: Object = {
        "destination": destination.subject() | ({} if port is None else {"port": port}),
        "specs" if version == "v1alpha1" else "rules": [rule.reference() for rule in rules],
        "sources": [source.subject() for source in sources],
    }
    rendered: Object = {"apiVersion": f"{ACCESS}/{version}", "kind": "TrafficTarget",
                        "metadata": {"name": name, "namespace": namespace}}
    return rendered | (body if version == "v1alpha1" else {"spec": body})
