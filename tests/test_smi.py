"""SMI objects are rendered as each version of the specification spells them."""

from __future__ import annotations

import pytest

from conformance import smi
from conformance.smi import SPECS, SPLIT, HTTPMatch, NotExpressible, ServedApis

BETA = HTTPMatch("beta", headers={"x-user": "b.*"}, path_regex="/api", methods=["GET"])


def apis(version, shape="list"):
    return ServedApis({SPLIT: (version,), SPECS: (version,)}, shape)


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
    with pytest.raises(NotExpressible, match="serves no known version"):
        smi.traffic_split(ServedApis({}), "s", "demo", "root", {})


@pytest.mark.parametrize("version", smi.GENERATIONS)
def test_crds_serve_exactly_the_chosen_version(version):
    crds = smi.custom_resource_definitions(version)
    assert {crd["spec"]["names"]["kind"] for crd in crds} == {"TrafficSplit", "HTTPRouteGroup"}
    for crd in crds:
        assert [v["name"] for v in crd["spec"]["versions"] if v["served"]] == [version]
        assert [v["name"] for v in crd["spec"]["versions"] if v["storage"]] == [version]
