"""The parts that can be judged alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from conformance.sandbox.apiserver import ApiError, fieldsets, patches
from conformance.sandbox.apiserver.columns import duration
from conformance.sandbox.apiserver.definitions import priority
from conformance.sandbox.apiserver.faults import Fault, Faults
from conformance.sandbox.apiserver.jsonpath import evaluate
from conformance.sandbox.apiserver.podstatus import pod_restarts, pod_status
from conformance.sandbox.apiserver.protobuf import decode
from conformance.sandbox.apiserver.schemas import Validator
from conformance.sandbox.apiserver.selectors import label_matcher
from conformance.sandbox.apiserver.shapes import BuiltinShape
from conformance.sandbox.apiserver.wire import negotiate


@pytest.mark.parametrize("selector", ["=a", "a in", "a in x", "a=b=c", "a,,b", "-a", "a=b c"], ids=str)
def test_bad_label_selectors(selector):
    with pytest.raises(ApiError, match="unable to parse requirement"):
        label_matcher(selector)


def test_values_with_dots_and_prefixes_in_selectors():
    matches = label_matcher("example.org/app=v1.2_x, !example.org/none")
    assert matches({"example.org/app": "v1.2_x"})
    assert not matches({"example.org/app": "v1.2_x", "example.org/none": ""})


def test_jsonpath():
    obj = {"a": [{"n": 1, "t": "x"}, {"n": 2, "t": "y"}], "b": {"c.d": "dot", "e": True}, "empty": None}
    for path, wanted in {
        ".a[0].n": [1],
        ".a[-1].n": [2],
        ".a[*].n": [1, 2],
        '.a[?(@.t=="y")].n': [2],
        ".a[?(@.n!=1)].t": ["y"],
        r".b.c\.d": ["dot"],
        ".b['c.d']": ["dot"],
        "{.b.e}": [True],
        ".missing.way": [],
        ".empty": [],
        ".a[9]": [],
        ".a[bad": [],
    }.items():
        assert evaluate(path, obj) == wanted, path


def test_durations():
    shown = [duration(timedelta(seconds=seconds)) for seconds in (-1, 5, 119, 200, 600, 11000, 30000, 200000, 9**7)]
    assert shown == ["0s", "5s", "119s", "3m20s", "10m", "3h3m", "8h", "2d7h", "55d"]


def test_version_priority():
    assert sorted(["v1alpha4", "v1", "v1beta1", "odd", "v2", "v1alpha10"], key=priority) == [
        "v2", "v1", "v1beta1", "v1alpha10", "v1alpha4", "odd",
    ]  # fmt: skip


def test_field_sets_survive_encoding():
    obj = {
        "apiVersion": "v1",
        "metadata": {"name": "x", "uid": "1", "labels": {"a": "b"}, "finalizers": ["x/y"]},
        "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}], "empty": {}, "list": [1, 2]},
    }
    paths = fieldsets.leaves(obj, BuiltinShape())
    assert ("f:metadata", "f:name") not in paths
    assert ("f:spec", "f:empty") in paths
    encoded = fieldsets.encode(paths)
    item = encoded["f:spec"]["f:containers"]['k:{"name":"c"}']
    assert item["."] == {}
    assert 'k:{"containerPort":80,"protocol":"TCP"}' in item["f:ports"]
    assert fieldsets.decode(encoded) == set(paths)
    assert fieldsets.dotted(("f:a", 'k:{"n":"x"}', "f:b")) == '.a[n="x"].b'
    with pytest.raises(ValueError, match="made of maps"):
        fieldsets.decode({"f:a": 1})


def test_strategic_directives():
    obj = {
        "spec": {"containers": [{"name": "a"}, {"name": "b"}], "x": {"p": 1, "q": 2}},
        "metadata": {"finalizers": ["f"]},
    }
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}],
            "containers": [{"name": "c"}],
            "x": {"$retainKeys": ["q"], "q": 3},
        },
        "metadata": {"$deleteFromPrimitiveList/finalizers": ["f"], "finalizers": ["g"]},
    }
    found = patches.strategic(obj, patch, BuiltinShape())
    assert [item["name"] for item in found["spec"]["containers"]] == ["c", "b", "a"]
    assert found["spec"]["x"] == {"q": 3}
    assert found["metadata"]["finalizers"] == ["g"]
    assert obj["spec"]["x"] == {"p": 1, "q": 2}
    with pytest.raises(ApiError, match="does not contain declared merge key"):
        patches.strategic(obj, {"spec": {"containers": [{"image": "x"}]}}, BuiltinShape())


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        ({"type": "string", "minLength": 2}, "a", "at least 2 chars long"),
        ({"type": "string", "maxLength": 2}, "abc", "Too long: may not be more than 2 bytes"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, [], "should have at least 1 items"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 1}, ["a", "b"], "Too many: 2: must have at most 1"),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, 1, "should be greater than 1"),
        ({"type": "integer", "multipleOf": 5}, 7, "a multiple of 5"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"k": 1}, "v.k in body must be of type"),
        ({"type": "integer", "oneOf": [{"minimum": 5}, {"maximum": 1}]}, 3, "only one schema (oneOf). Found none"),
        ({"type": "integer", "oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3, "Found more than one valid"),
        ({"type": "integer", "anyOf": [{"minimum": 5}]}, 3, "at least one schema (anyOf)"),
        ({"type": "integer", "not": {"minimum": 1}}, 3, "must not validate the schema (not)"),
        ({"type": "string"}, None, 'must be of type string: "null"'),
        ({"type": "integer"}, True, 'must be of type integer: "boolean"'),
    ],
    ids=["minLength", "maxLength", "minItems", "maxItems", "exclusive", "multipleOf", "map", "none", "both", "any",
         "not", "null", "bool"],
)  # fmt: skip
def test_wording(schema, value, words):
    (cause,) = Validator({"type": "object", "properties": {"v": schema}}).problems({"v": value})
    assert words in cause.message


def test_pod_status_in_a_word():
    def shown(statuses=(), *, init=(), **status):
        obj = {"metadata": {}, "spec": {"containers": [{}], "initContainers": [{}] * len(init)},
               "status": {"containerStatuses": list(statuses), "initContainerStatuses": list(init),
                          **status}}  # fmt: skip
        return pod_status(obj)

    assert shown(phase="Running") == "Running"
    assert shown([{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}], phase="Running") == "CrashLoopBackOff"
    assert shown([{"state": {"terminated": {"exitCode": 3}}}], phase="Failed") == "ExitCode:3"
    assert shown(init=[{"state": {"running": {}}}, {}], phase="Pending") == "Init:0/2"
    assert shown(init=[{"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}], phase="Pending") == "Init:Error"
    ended = {"restartCount": 2, "lastState": {"terminated": {"finishedAt": "2026-01-01T00:00:00Z"}}}
    assert pod_restarts({"status": {"containerStatuses": [ended]}}, lambda _: "5m") == "2 (5m ago)"


def test_damaged_protobuf():
    for data in (b"nothing", b"k8s\x00\xff", b"k8s\x00\x0a\xff", b"k8s\x00\x0a\x04\x0a\x02v1"):
        with pytest.raises(ApiError) as refused:
            decode(data)
        assert refused.value.code == 400


def test_negotiation():
    table = {"meta.k8s.io/Table": ("v1",)}
    assert negotiate("").transform == ""
    assert negotiate("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", table).transform == "Table"
    assert negotiate("application/json;as=Other;v=v1;g=meta.k8s.io,application/json", table).transform == ""
    assert negotiate("application/vnd.kubernetes.protobuf,*/*").media_type == "application/json"
    with pytest.raises(ApiError, match="only the following media types"):
        negotiate("application/vnd.kubernetes.protobuf")


def test_faults_are_bounded():
    faults = Faults()
    faults.add(Fault("/x/.*", "GET", status=500, times=2))
    requests = [("GET", "/x/1"), ("PUT", "/x/1"), ("GET", "/x/2"), ("GET", "/x/3")]
    assert [bool(faults.take(*request)) for request in requests] == [True, False, True, False]
    for bad in ({}, {"status": 500, "hang": 9999}, {"status": 500, "times": 0}):
        with pytest.raises(ValueError, match="a fault"):
            Fault("/", **bad)
