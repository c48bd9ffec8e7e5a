"""SMI objects are rendered as each version spells them, read whatever version they are in, and defined as described."""

from __future__ import annotations

import pytest
from smi_objects import EVERY, apis, rendered

from conformance import smi
from conformance.definitions import Definition, Definitions, differences, expected_identity
from conformance.sandbox.apiserver.schemas import Validator
from conformance.smi import SPECS, SPLIT, HTTPMatch, NotExpressible, NotServed, ServedApis, Serving
from conformance.smi.reading import ASPECTS, meaning
from conformance.trials import changed

BETA = HTTPMatch("beta", headers={"x-user": "b.*"}, path_regex="/api", methods=["GET"])
ACCESS_OF = {"v1alpha4": "v1alpha3", "v1alpha3": "v1alpha2", "v1alpha2": "v1alpha1", "v1alpha1": "v1alpha1"}


# --- rendering ---


@pytest.mark.parametrize("version", smi.GENERATIONS)
def test_split_is_written_in_the_served_version(version):
    split = smi.traffic_split(apis(version), "s", "demo", "root", {"v1": 90, "v2": 10})
    assert split["apiVersion"] == f"split.smi-spec.io/{version}"
    assert split["spec"]["backends"] == [{"service": "v1", "weight": 90}, {"service": "v2", "weight": 10}]


@pytest.mark.parametrize(("version", "expressible"), [
    ("v1alpha4", True), ("v1alpha3", True), ("v1alpha2", False), ("v1alpha1", False),
])
def test_matches_came_with_v1alpha3(version, expressible):
    def render():
        return smi.traffic_split(apis(version), "s", "demo", "root", {"v1": 1}, ["beta"])

    if expressible:
        assert render()["spec"]["matches"] == [{"kind": "HTTPRouteGroup", "name": "beta"}]
    else:
        with pytest.raises(NotExpressible, match="v1alpha3"):
            render()


def test_matches_stand_under_spec_from_v1alpha3():
    assert "spec" in smi.http_route_group(apis("v1alpha3"), "g", "demo", [BETA])
    old = smi.http_route_group(apis("v1alpha2"), "g", "demo", [BETA])
    assert "spec" not in old
    assert old["matches"][0]["name"] == "beta"


def test_headers_take_the_shape_of_the_served_schema():
    def headers(shape):
        return smi.http_route_group(apis("v1alpha4", shape), "g", "demo", [BETA])["spec"]["matches"][0]["headers"]

    assert headers("map") == {"x-user": "b.*"}
    assert headers("list") == [{"x-user": "b.*"}]


def test_headers_came_with_v1alpha2():
    with pytest.raises(NotExpressible, match="headers"):
        smi.http_route_group(apis("v1alpha1"), "g", "demo", [BETA])


def test_newest_known_version_is_spoken_and_unknown_ones_are_named():
    served = ServedApis({SPLIT: ("v1alpha2", "v1alpha9", "v1alpha3")})
    assert served.version(SPLIT) == "v1alpha3"
    assert served.unknown(SPLIT) == ("v1alpha9",)
    assert served.version(SPECS) is None
    with pytest.raises(NotServed, match="no version"):
        smi.traffic_split(ServedApis({}), "s", "demo", "root", {})


def test_a_group_may_serve_only_some_kinds():
    served = ServedApis({SPECS: ("v1alpha4",)}, kinds={f"{SPECS}/v1alpha4": frozenset({"HTTPRouteGroup"})})
    assert served.version(SPECS, "HTTPRouteGroup") == "v1alpha4"
    with pytest.raises(NotServed, match="UDPRoute"):
        smi.udp_route(served, "r", "demo", [53])


# --- definitions: what each renders is what each takes ---


@pytest.mark.parametrize(("kind", "version"), EVERY)
def test_what_is_rendered_is_valid_and_reads_the_same(kind, version):
    obj = rendered(kind, version)
    schema = Definition(smi.project_definitions()[kind]).schema(version)
    assert not Validator(schema).problems(obj)
    assert set(meaning(obj)) == set(ASPECTS[kind].get(version, ()))
    assert all(value not in (None, [], {}) for value in meaning(obj).values())


@pytest.mark.parametrize("generation", smi.GENERATIONS)
def test_crds_serve_exactly_the_chosen_generation(generation):
    crds = {crd["spec"]["names"]["kind"]: crd for crd in smi.custom_resource_definitions(generation)}
    udp = {"UDPRoute"} if generation == "v1alpha4" else set()
    assert set(crds) == {"TrafficSplit", "HTTPRouteGroup", "TCPRoute", "TrafficTarget"} | udp
    for kind, crd in crds.items():
        wanted = ACCESS_OF[generation] if kind == "TrafficTarget" else generation
        for flag in ("served", "storage"):
            assert [version["name"] for version in crd["spec"]["versions"] if version[flag]] == [wanted]


def test_variants_of_schemas():
    whole = Serving(("v1alpha3", "v1alpha1"), "v1alpha3", weight="integer")
    split = smi.custom_resource_definition("TrafficSplit", whole)
    problem = changed(rendered("TrafficSplit", "v1alpha3"), ("spec", "backends", 0, "weight"), 0.5)
    assert Validator(Definition(split).schema("v1alpha3")).problems(problem)
    # Quantities stay quantities.
    halves = changed(rendered("TrafficSplit", "v1alpha1"), ("spec", "backends", 0, "weight"), "500m")
    assert not Validator(Definition(split).schema("v1alpha1")).problems(halves)
    free = smi.custom_resource_definition("TrafficSplit", Serving(("v1alpha3",), "v1alpha3", schema=False))
    assert not Validator(Definition(free).schema("v1alpha3")).problems({"spec": {"cheese": True}})
    with pytest.raises(ValueError, match="has no version v1alpha9"):
        smi.custom_resource_definition("TrafficSplit", Serving(("v1alpha9",), "v1alpha9"))


def test_differences_of_schemas_are_told_field_by_field():
    def told(**variant):
        definition = smi.custom_resource_definition("HTTPRouteGroup", Serving(("v1alpha4",), "v1alpha4", **variant))
        return differences(Definition(definition), "v1alpha4")

    assert told() == []
    assert told(headers="map") == ["spec.matches[].headers: type object instead of array"]
    assert "spec: not declared" in told(schema=False)
    assert differences(Definition(smi.project_definitions()["UDPRoute"]), "v1alpha1") == [
        "SMI has no version v1alpha1 of UDPRoute"]


@pytest.mark.parametrize("schema", [
    None, {}, {"openAPIV3Schema": None}, {"openAPIV3Schema": {"type": "object", "properties": {"spec": True}}},
    {"openAPIV3Schema": {"properties": {"spec": {"properties": {"matches": {"items": ["odd"]}}}}}},
])
def test_no_schema_is_too_odd_to_be_looked_at(schema):
    definition = smi.project_definitions()["HTTPRouteGroup"]
    definition["spec"]["versions"][0]["schema"] = schema
    assert differences(Definition(definition), "v1alpha4")


class Crds:
    """A cluster of which only the definitions are asked for."""

    def __init__(self, *definitions):
        self.definitions = definitions

    def list(self, *_):
        return list(self.definitions), "1"


def test_kinds_of_the_mesh_itself_are_left_alone():
    ours, own = smi.project_definitions()["TCPRoute"], smi.project_definitions()["UDPRoute"]
    own["spec"]["names"] = {"kind": "IdentityBinding", "plural": "identitybindings"}
    assert [each.kind for each in Definitions(Crds(ours, own), apis("v1alpha4")).all] == ["TCPRoute"]
    own["spec"]["names"] = {"kind": "UdpRoute", "plural": "udproutes"}
    misnamed = Definitions(Crds(ours, own), apis("v1alpha4")).all[1]
    assert misnamed.identity() == "UdpRoute as udproutes.specs.smi-spec.io, Namespaced, not established"
    assert misnamed.identity() != expected_identity(misnamed.kind)
    with pytest.raises(NotServed, match="no definition"):
        _ = Definitions(Crds(), apis("v1alpha4")).all


def test_nothing_to_convert_where_one_version_is_served():
    def several(*versions):
        split = smi.custom_resource_definition("TrafficSplit", Serving(versions, "v1alpha4"))
        return [found for _, found in Definitions(Crds(split), apis("v1alpha4")).several()]

    assert several("v1alpha4", "v1alpha1") == [("v1alpha4", "v1alpha1")]
    with pytest.raises(NotExpressible, match="one version only"):
        several("v1alpha4")
