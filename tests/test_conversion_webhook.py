"""What objects say in any version, and the sandbox's webhook, which says the same in another one."""

from __future__ import annotations

import pytest
from smi_objects import EVERY, rendered

from conformance.sandbox.conversion.__main__ import review
from conformance.sandbox.conversion.convert import Conversion, ConversionError, UnscaledWeights
from conformance.smi import DEFINITIONS
from conformance.smi.reading import ASPECTS, meaning
from conformance.trials import body, changed, lacking, without


@pytest.mark.parametrize(("version", "weights", "shares"), [
    ("v1alpha4", [1, 3], ["1/4", "3/4"]),
    ("v1alpha1", ["500m", "1"], ["1/3", "2/3"]),
    ("v1alpha1", [1, "3"], ["1/4", "3/4"]),
    ("v1alpha2", ["500m", 1], ["unreadable weight '500m'", "1"]),
    ("v1alpha2", [None, True], ["unreadable weight None", "unreadable weight True"]),
])
def test_weights_mean_shares(version, weights, shares):
    split = rendered("TrafficSplit", version)
    for index, weight in enumerate(weights):
        split = changed(split, ("spec", "backends", index, "weight"), weight)
    assert meaning(split)["weights"] == dict(zip("ab", shares, strict=True))


@pytest.mark.parametrize("kind", ASPECTS)
@pytest.mark.parametrize("spec", [
    None, "text", [1], {"backends": "x", "matches": {"a": 1}, "rules": [None], "sources": 3},
    {"matches": [{"headers": "x"}, 7]},
])
def test_nothing_is_too_odd_to_be_read(kind, spec):
    for version in ASPECTS[kind]:
        meaning({"apiVersion": f"x/{version}", "kind": kind, "spec": spec})


def test_what_was_added_is_no_loss():
    assert list(lacking({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2, "c": 3}], "status": {}})) == []
    assert list(lacking({"a": [1, {"b": 2}], "d": 4}, {"a": [1, {"b": 3}]})) == ["a[1].b: 2 became 3", "d is gone"]


def test_fields_are_taken_out_of_copies():
    split = rendered("TrafficSplit", "v1alpha4")
    assert "service" not in without(split, ("spec", "service"))["spec"]
    assert "service" in split["spec"]
    assert body(rendered("TrafficTarget", "v1alpha1")) == ()


# --- conversion ---


@pytest.mark.parametrize("kind", ASPECTS)
def test_conversion_keeps_what_both_versions_can_say(kind):
    versions = [version for known, version in EVERY if known == kind]
    for written in versions:
        obj = rendered(kind, written)
        for read in versions:
            group = obj["apiVersion"].partition("/")[0]
            found = meaning(Conversion().convert(obj, f"{group}/{read}"))
            said = meaning(obj)
            assert {aspect: found[aspect] for aspect in found if aspect in said and aspect != "port"} == {
                aspect: said[aspect] for aspect in said if aspect in found and aspect != "port"}


def halves():
    first = changed(rendered("TrafficSplit", "v1alpha1"), ("spec", "backends", 0, "weight"), "500m")
    return changed(first, ("spec", "backends", 1, "weight"), "1")


def test_quantities_become_whole_numbers_of_the_same_proportion():
    def weights(conversion):
        converted = conversion.convert(halves(), "split.smi-spec.io/v1alpha4")
        return [backend["weight"] for backend in converted["spec"]["backends"]]

    assert weights(Conversion()) == [1, 2]
    assert weights(UnscaledWeights()) == [500, 1]
    with pytest.raises(ConversionError, match="no quantity"):
        Conversion().convert(changed(halves(), ("spec", "backends", 0, "weight"), "much"), "split.smi-spec.io/v1alpha4")


def test_a_review_is_answered_whatever_it_asks():
    def answer(*objects):
        request = {"uid": "7", "desiredAPIVersion": "split.smi-spec.io/v1alpha4", "objects": list(objects)}
        asked = {"apiVersion": f"{DEFINITIONS}/v1", "kind": "ConversionReview", "request": request}
        return review(Conversion(), asked)["response"]

    good = answer(halves())
    assert (good["uid"], good["result"], len(good["convertedObjects"])) == ("7", {"status": "Success"}, 1)
    for odd in ({"kind": "Cheese", "apiVersion": "x/v1"}, {**halves(), "spec": "text"}, {}):
        bad = answer(halves(), odd)
        assert (bad["result"]["status"], bad["convertedObjects"]) == ("Failure", [])
