"""SMI objects, written once and rendered for the version that the cluster serves.

Source: the Service Mesh Interface specification v0.6.0, `apis/traffic-split` (v1alpha1 to v1alpha4) and
`apis/traffic-specs` (v1alpha1 to v1alpha4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import yaml

from conformance import paths
from conformance.cluster import Cluster, NotFound, Object

SPLIT: Final = "split.smi-spec.io"
SPECS: Final = "specs.smi-spec.io"
GENERATIONS: Final = ("v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1")

_SPLITS_WITH_MATCHES: Final = frozenset({"v1alpha3", "v1alpha4"})
_ROUTES_WITH_SPEC: Final = frozenset({"v1alpha3", "v1alpha4"})
_ROUTES_WITH_HEADERS: Final = frozenset({"v1alpha2", "v1alpha3", "v1alpha4"})

HeaderShape = Literal["map", "list"]


class NotExpressible(Exception):  # noqa: N818 - not a fault of anybody
    """The served version of the API has no way to say what the requirement asks for."""


@dataclass(frozen=True)
class HTTPMatch:
    """One match of an HTTPRouteGroup: path, methods and headers that must all hold.

    `headers` maps a header's name to a regular expression on its value.
    """

    name: str
    headers: Mapping[str, str] = field(default_factory=dict)
    path_regex: str = ""
    methods: Sequence[str] = ()


@dataclass(frozen=True)
class ServedApis:
    """Which versions of the SMI APIs a cluster serves, and which of them the harness speaks to it."""

    served: Mapping[str, tuple[str, ...]]
    header_shape: HeaderShape = "list"

    def version(self, group: str) -> str | None:
        """Return the newest served version that the harness knows, or None."""
        return next((version for version in GENERATIONS if version in self.served.get(group, ())), None)

    def unknown(self, group: str) -> tuple[str, ...]:
        """Return the served versions that no SMI release has."""
        return tuple(version for version in self.served.get(group, ()) if version not in GENERATIONS)


def served_apis(cluster: Cluster) -> ServedApis:
    """Ask a cluster which SMI APIs it serves, and in which shape it takes the headers of a match.

    The CRDs of the SMI project declare `headers` as a list of maps, the specification's text as a map
    (smi-spec#233), so the served schema decides.
    """
    served = {group: cluster.served(group) for group in (SPLIT, SPECS)}
    apis = ServedApis({group: versions for group, versions in served.items() if versions})
    return ServedApis(apis.served, _header_shape(cluster, apis.version(SPECS)))


def traffic_split(
    apis: ServedApis, name: str, namespace: str, root: str, backends: Mapping[str, float],
    groups: Sequence[str] = (),
) -> Object:
    """Render a TrafficSplit: traffic for Service `root` goes to `backends` (name to weight).

    With `groups`, only requests that an HTTPRouteGroup of that name matches are split. Raises NotExpressible
    where the served version has no matches.
    """
    version = _served(apis, SPLIT)
    spec: Object = {
        "service": root,
        "backends": [{"service": service, "weight": weight} for service, weight in backends.items()],
    }
    if groups:
        if version not in _SPLITS_WITH_MATCHES:
            raise NotExpressible(f"TrafficSplit {version} has no `matches`; they came with v1alpha3")
        spec["matches"] = [{"kind": "HTTPRouteGroup", "name": group} for group in groups]
    return {"apiVersion": f"{SPLIT}/{version}", "kind": "TrafficSplit",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def http_route_group(apis: ServedApis, name: str, namespace: str, matches: Sequence[HTTPMatch]) -> Object:
    """Render an HTTPRouteGroup. Raises NotExpressible where the served version has no header matches."""
    version = _served(apis, SPECS)
    rendered = [_render_match(match, version, apis.header_shape) for match in matches]
    obj: Object = {"apiVersion": f"{SPECS}/{version}", "kind": "HTTPRouteGroup",
                   "metadata": {"name": name, "namespace": namespace}}
    return obj | ({"spec": {"matches": rendered}} if version in _ROUTES_WITH_SPEC else {"matches": rendered})


def custom_resource_definitions(generation: str = GENERATIONS[0]) -> list[Object]:
    """Return the SMI CRDs, each serving and storing only `generation` of its versions.

    A kind that did not exist in that generation is left out.
    """
    definitions = []
    for file in sorted((paths.fixtures() / "crds").glob("*.yaml")):
        definition = yaml.safe_load(file.read_text(encoding="utf-8"))
        versions = definition["spec"]["versions"]
        for version in versions:
            version["served"] = version["storage"] = version["name"] == generation
        if any(version["served"] for version in versions):
            definitions.append(definition)
    return definitions


def _served(apis: ServedApis, group: str) -> str:
    version = apis.version(group)
    if version is None:
        raise NotExpressible(f"the cluster serves no known version of {group}")
    return version


def _render_match(match: HTTPMatch, version: str, shape: HeaderShape) -> Object:
    rendered: Object = {"name": match.name}
    if match.path_regex:
        rendered["pathRegex"] = match.path_regex
    if match.methods:
        rendered["methods"] = list(match.methods)
    if match.headers:
        if version not in _ROUTES_WITH_HEADERS:
            raise NotExpressible(f"HTTPRouteGroup {version} has no `headers`; they came with v1alpha2")
        rendered["headers"] = (
            dict(match.headers) if shape == "map" else [{name: value} for name, value in match.headers.items()]
        )
    return rendered


def _header_shape(cluster: Cluster, version: str | None) -> HeaderShape:
    try:
        crd = cluster.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"httproutegroups.{SPECS}")
    except NotFound:
        return "map"
    for served in crd["spec"]["versions"]:
        if served["name"] == version:
            return _declared_shape(served.get("schema", {}).get("openAPIV3Schema", {}))
    return "map"


def _declared_shape(schema: Mapping[str, Any]) -> HeaderShape:
    properties = schema.get("properties", {})
    matches = properties.get("spec", {}).get("properties", {}).get("matches") or properties.get("matches", {})
    headers = matches.get("items", {}).get("properties", {}).get("headers", {})
    return "list" if headers.get("type") == "array" else "map"
