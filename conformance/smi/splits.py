"""TrafficSplit, written once and rendered for the served version.

Source: SMI v0.6.0, `apis/traffic-split` (v1alpha1 to v1alpha4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from conformance.cluster import Object
from conformance.smi.apis import SPLIT, NotExpressible, ServedApis

_WITH_MATCHES: Final = frozenset({"v1alpha3", "v1alpha4"})


def traffic_split(
    apis: ServedApis, name: str, namespace: str, root: str, backends: Mapping[str, float],
    groups: Sequence[str] = (),
) -> Object:
    """Render a TrafficSplit: traffic for Service `root` goes to `backends` (name to weight).

    With `groups`, only requests that an HTTPRouteGroup of that name matches are split. Raises NotExpressible
    where the served version has no matches, NotServed where none is served.
    """
    version = apis.spoken(SPLIT, "TrafficSplit")
    spec: Object = {
        "service": root,
        "backends": [{"service": service, "weight": weight} for service, weight in backends.items()],
    }
    if groups:
        if version not in _WITH_MATCHES:
            raise NotExpressible(f"TrafficSplit {version} has no `matches`; they came with v1alpha3")
        spec["matches"] = [{"kind": "HTTPRouteGroup", "name": group} for group in groups]
    return {"apiVersion": f"{SPLIT}/{version}", "kind": "TrafficSplit",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec}
