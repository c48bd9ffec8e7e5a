"""Which SMI APIs a cluster serves, and which version of each the harness speaks to it.

Source: the Service Mesh Interface specification v0.6.0, README ("Latest stable") and the headers of each version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from conformance.cluster import Cluster, NotFound

SPLIT: Final = "split.smi-spec.io"
SPECS: Final = "specs.smi-spec.io"
ACCESS: Final = "access.smi-spec.io"
METRICS: Final = "metrics.smi-spec.io"
GATEWAY: Final = "gateway.networking.k8s.io"
"""The group of SMI's successor, whose objects `conformance.gateway` writes."""
DEFINITIONS: Final = "apiextensions.k8s.io"
"""The group under which requirements stand that concern the CustomResourceDefinitions of all SMI groups."""

RESOURCES: Final = (SPLIT, SPECS, ACCESS)
"""The groups whose objects are custom resources."""

RELEASED: Final[Mapping[str, tuple[str, ...]]] = {
    SPLIT: ("v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"),
    SPECS: ("v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"),
    ACCESS: ("v1alpha3", "v1alpha2", "v1alpha1"),
    METRICS: ("v1alpha1",),
    GATEWAY: ("v1", "v1beta1"),
    DEFINITIONS: ("v1",),
}
"""The versions that a release of SMI has, or of the Gateway API, newest first."""

HeaderShape = Literal["map", "list"]


class NotExpressible(Exception):  # noqa: N818 - not a fault of anybody
    """The served version of the API has no way to say what the requirement asks for."""


class NotServed(Exception):  # noqa: N818 - as above
    """The cluster does not serve a kind that the requirement is about."""


@dataclass(frozen=True)
class ServedApis:
    """Which versions of the SMI APIs a cluster serves.

    `served` maps a group to its versions, `kinds` a group and version (`group/version`) to its kinds; a group version
    that is not in `kinds` was not asked. `header_shape` is how HTTPRouteGroup takes `headers`.
    """

    served: Mapping[str, tuple[str, ...]]
    header_shape: HeaderShape = "list"
    kinds: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def version(self, group: str, kind: str = "") -> str | None:
        """Return the newest served version that a release of SMI has, of the group or of one kind; or None."""
        return next((version for version in RELEASED.get(group, ())
                     if version in self.served.get(group, ()) and self._has(group, version, kind)), None)

    def versions(self, group: str, kind: str = "") -> tuple[str, ...]:
        """Return all served versions that a release of SMI has, newest first."""
        return tuple(version for version in RELEASED.get(group, ())
                     if version in self.served.get(group, ()) and self._has(group, version, kind))

    def spoken(self, group: str, kind: str) -> str:
        """Return the version in which objects of a kind are written. Raises NotServed."""
        version = self.version(group, kind)
        if version is None:
            raise NotServed(f"the cluster serves {kind} in no version of {group} that SMI has released")
        return version

    def unknown(self, group: str) -> tuple[str, ...]:
        """Return the served versions that no SMI release has."""
        return tuple(version for version in self.served.get(group, ()) if version not in RELEASED.get(group, ()))

    def _has(self, group: str, version: str, kind: str) -> bool:
        known = self.kinds.get(f"{group}/{version}")
        return not kind or known is None or kind in known


def served_apis(cluster: Cluster, claims: Callable[[str, str], bool] | None = None) -> ServedApis:
    """Ask a cluster which SMI APIs it serves, and in which shape it takes the headers of a match.

    With `claims`, of group and version, a group of which a mesh claims some versions counts as serving only those:
    another mesh may have brought newer ones. The CRDs of the SMI project declare `headers` as a list of maps, the
    specification's text as a map (smi-spec#233), so the served schema decides.
    """
    groups = cluster.groups()
    served = {group: groups.get(group, ()) for group in (*RESOURCES, METRICS, GATEWAY, DEFINITIONS)}
    served[METRICS] = served[METRICS] or _registered(cluster)
    served = {group: _claimed(group, versions, claims) for group, versions in served.items() if versions}
    kinds = {
        f"{group}/{version}": cluster.kinds(group, version)
        for group in (*RESOURCES, GATEWAY) for version in served.get(group, ())
    }
    apis = ServedApis(served, kinds=kinds)
    return ServedApis(served, _header_shape(cluster, apis.version(SPECS, "HTTPRouteGroup")), kinds)


def _claimed(group: str, versions: tuple[str, ...], claims: Callable[[str, str], bool] | None) -> tuple[str, ...]:
    return tuple(version for version in versions if claims is not None and claims(group, version)) or versions


def _registered(cluster: Cluster) -> tuple[str, ...]:
    """Return the metrics versions that an APIService announces: one whose server is down is broken, not absent.

    Raises ClusterError where that cannot be told.
    """
    found = []
    for version in RELEASED[METRICS]:
        try:
            cluster.get("apiregistration.k8s.io/v1", "APIService", f"{version}.{METRICS}")
        except NotFound:
            continue
        found.append(version)
    return tuple(found)


def _header_shape(cluster: Cluster, version: str | None) -> HeaderShape:
    try:
        crd = cluster.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"httproutegroups.{SPECS}")
    except NotFound:
        return "map"
    for served in crd["spec"]["versions"]:
        if served["name"] == version:
            return declared_shape(served.get("schema", {}).get("openAPIV3Schema", {}))
    return "map"


def declared_shape(schema: Mapping[str, Any]) -> HeaderShape:
    """Return the shape of a match's headers that the schema of an HTTPRouteGroup declares."""
    properties = _object(schema, "properties")
    matches = _object(properties, "spec", "properties", "matches") or _object(properties, "matches")
    return "list" if _object(matches, "items", "properties", "headers").get("type") == "array" else "map"


def _object(value: Any, *steps: str) -> Mapping[str, Any]:
    """Walk into a schema that may be anything: meshes bring their own."""
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


_COMPATIBLE: Final[Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]]] = {
    (SPLIT, SPECS): {"v1alpha4": ("v1alpha4",), "v1alpha3": ("v1alpha3",)},
    (ACCESS, SPECS): {"v1alpha3": ("v1alpha4",), "v1alpha2": ("v1alpha3",), "v1alpha1": ("v1alpha1", "v1alpha2")},
}
"""Which versions of the second group a version of the first says it is compatible with, where it says so."""


def compatibility(apis: ServedApis) -> str:
    """Say whether the versions in which the groups are judged belong together, as the heads of the versions have it."""
    found = []
    for (one, other), pairs in _COMPATIBLE.items():
        mine, theirs = apis.version(one), apis.version(other)
        if mine is None or theirs is None or mine not in pairs:
            continue
        asked = "compatible" if theirs in pairs[mine] else f"not compatible, it asks for {' or '.join(pairs[mine])}"
        found.append(f"{one}/{mine} with {other}/{theirs}: {asked}")
    return "; ".join(found) or "nothing is said of the served versions"
