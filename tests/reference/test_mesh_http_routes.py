"""HTTPRoutes in the reference mesh: how they are read, what becomes of them, and what their status says."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from fractions import Fraction

import pytest
from mesh_world import NAMESPACE, World, pod

from conformance.cluster import ClusterError, Conflict, NotFound
from conformance.sandbox.mutants import MUTANTS
from conformance.sandbox.reference import routes
from conformance.sandbox.reference.behaviour import Behaviour
from conformance.sandbox.reference.fields import Malformed
from conformance.sandbox.reference.http_route import HTTPRoute, RequestMatch, http_route
from conformance.sandbox.reference.model import ServicePort
from conformance.sandbox.reference.plan import Rule
from conformance.sandbox.reference.route_status import CONTROLLER, StatusWriter
from conformance.sandbox.reference.translate import Translation

SERVICE = {"group": "", "kind": "Service", "name": "root"}


def backends(**weights):
    return [{"name": name, "port": 8080, "weight": weight} for name, weight in weights.items()]


def route(*rules, parents=(SERVICE,), name="route", created="t", **spec):
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "generation": 2,
                         "creationTimestamp": created},
            "spec": {"parentRefs": list(parents), "rules": list(rules)} | spec}


def world(**ports):
    made = World()
    for name, at in {"root": "v1", "stable": "v1", "canary": "v2", "other": "v3"}.items():
        made.service(name, at, **ports)
    return made


def rules(*objects, port=8080, behaviour=Translation, made=None):
    """What happens to requests for the root: the condition, and shares in percent or a status."""
    snapshot = replace((made or world()).snapshot(), routes=tuple(http_route(obj) for obj in objects))
    plan = behaviour(snapshot).plan(pod("client"))
    virtual = next(entry for entry in plan.outbound if entry.name == f"{NAMESPACE}/root:{port}")
    return [
        (rule.request, {share.destination.name.split("/")[1].split("|")[0]: share.weight for share in rule.shares}
         or rule.refusal, rule.portion)
        for rule in virtual.rules
    ]


# --- reading ---


def test_a_route_is_read():
    read = http_route(route({
        "matches": [{"path": {"type": "Exact", "value": "/a/"}, "method": "POST"},
                    {"path": {"value": "/b/"}, "headers": [{"name": "X-User", "value": "beta"},
                                                           {"name": "x-user", "value": "ignored"}]}, {}],
        "backendRefs": backends(canary=3),
    }, parents=[SERVICE | {"port": 9090}, {"name": "gateway"}]))
    assert [(parent.service, parent.port) for parent in read.parents] == [("root", 9090)]
    assert read.rules[0].matches == (
        RequestMatch("/a/", exact=True, method="POST"), RequestMatch("/b", headers=(("X-User", "beta"),)),
        RequestMatch())
    assert [(one.key, one.port, one.weight) for one in read.rules[0].backends] == [((NAMESPACE, "canary"), 8080, 3)]


@pytest.mark.parametrize("parent", [
    {"name": "root"}, {"group": "", "kind": "Gateway", "name": "root"}, SERVICE | {"namespace": "elsewhere"},
])
def test_parents_of_others_are_left_to_them(parent):
    assert http_route(route(parents=[parent])).parents == ()
    assert rules(route({"backendRefs": backends(canary=1)}, parents=[parent])) == [(None, {"root": 1}, 1)]


@pytest.mark.parametrize("rule", [
    {"matches": [{"path": {"value": "no/slash"}}]}, {"matches": [{"path": {"value": "/a?b"}}]},
    {"matches": [{"path": {"value": "/a\ud800"}}]}, {"matches": [{"path": {"value": 1}}]},
    {"matches": [{"headers": [{"name": "a b", "value": "x"}]}]}, {"matches": [{"headers": [{"name": "a"}]}]},
    {"matches": [{"headers": [{"name": "a", "value": "\udfff"}]}]}, {"matches": [{"headers": "x"}]},
    {"matches": "x"}, {"matches": [None]}, {"matches": [{"method": "G T"}]}, "rule",
    {"backendRefs": [{"name": "canary", "weight": -1}]}, {"backendRefs": [{"name": "canary", "weight": True}]},
    {"backendRefs": [{"name": "canary", "weight": 1.5}]}, {"backendRefs": [{"name": "../x", "port": 1}]},
    {"backendRefs": [{"name": "canary", "port": 70000}]}, {"backendRefs": {}},
], ids=repr)
def test_what_cannot_be_compared_is_malformed(rule):
    with pytest.raises(Malformed):
        http_route(route(rule))


@pytest.mark.parametrize(("rule", "told"), [
    ({"filters": []}, "'filters' of a rule"), ({"matches": [{"queryParams": []}]}, "'queryParams' of a match"),
    ({"matches": [{"path": {"type": "RegularExpression", "value": "["}}]}, "type RegularExpression"),
    ({"backendRefs": [{"name": "canary", "filters": []}]}, "'filters' of a backendRef"),
])
def test_what_is_not_implemented_makes_a_route_unacceptable(rule, told):
    read = http_route(route(rule))
    assert told in read.unsupported
    assert rules(route(rule)) == [(None, {"root": 1}, 1)]
    (condition,) = Translation(world().snapshot()).reported(read)
    assert condition[:3] == ("Accepted", False, "UnsupportedValue")


# --- what becomes of them ---


def test_a_rule_divides_and_all_else_is_refused():
    assert rules(route({"matches": [{"method": "PUT"}], "backendRefs": backends(canary=10, stable=90)})) == [
        (RequestMatch(method="PUT"), {"canary": 1, "stable": 9}, 1), (None, 404, 1)]


def test_a_split_gives_way_to_a_route():
    made = world()
    made.split("root", {"other": 1})
    assert rules(route({"backendRefs": backends(canary=1)}), made=made)[0] == (RequestMatch(), {"canary": 1}, 1)


def test_the_share_of_what_is_missing_is_refused():
    missing = [*backends(canary=1, gone=2), {"name": "stable", "port": 1234, "weight": 1}]
    assert rules(route({"backendRefs": missing}))[:2] == [
        (RequestMatch(), 500, Fraction(3, 4)), (RequestMatch(), {"canary": 1}, 1)]
    for nothing in (backends(gone=1), backends(canary=0), [], [{"kind": "Other", "name": "canary"}]):
        assert rules(route({"backendRefs": nothing}))[0] == (RequestMatch(), 500, 1)


def test_the_most_specific_match_comes_first():
    tester = {"headers": [{"name": "x", "value": "y"}]}
    found = rules(
        route({"matches": [{}, tester, {"path": {"value": "/items"}}], "backendRefs": backends(canary=1)},
              {"matches": [{"method": "PUT"}, {"path": {"type": "Exact", "value": "/"}}],
               "backendRefs": backends(other=1)}, created="2"),
        route({"backendRefs": backends(stable=1)}, name="older", created="1"),
    )
    assert [(match.path, match.exact, match.method, len(match.headers), next(iter(shares)))
            for match, shares, _ in found[:-1]] == [
        ("/", True, "", 0, "other"), ("/items", False, "", 0, "canary"), ("/", False, "PUT", 0, "other"),
        ("/", False, "", 1, "canary"), ("/", False, "", 0, "stable"), ("/", False, "", 0, "canary")]


def test_a_route_is_for_the_port_that_it_names():
    ports = {"ports": (ServicePort("http", 8080), ServicePort("admin", 9090), ServicePort("tcp", 7070, http=False))}
    one = route({"backendRefs": backends(canary=1)}, parents=[SERVICE | {"port": 9090}])
    assert [rules(one, port=port, made=world(**ports))[0][1] for port in (8080, 9090, 7070)] == [
        {"root": 1}, {"canary": 1}, {"root": 1}]
    every = route({"backendRefs": backends(canary=1)})
    assert [rules(every, port=port, made=world(**ports))[0][1] for port in (8080, 9090, 7070)] == [
        {"canary": 1}, {"canary": 1}, {"root": 1}]


def test_what_envoy_is_told():
    match = RequestMatch("/a", method="PUT", headers=(("x", "y"),))
    filter_ = routes.http("name", [Rule((), request=match, refusal=500, portion=Fraction(1, 3)),
                                   Rule((), request=RequestMatch("/a/", exact=True), refusal=404)])
    first, second = filter_["typed_config"]["route_config"]["virtual_hosts"][0]["routes"]
    assert first["match"] == {
        "path_separated_prefix": "/a",
        "headers": [{"name": "x", "string_match": {"exact": "y"}},
                    {"name": ":method", "string_match": {"exact": "PUT"}}],
        "runtime_fraction": {"default_value": {"numerator": 333333, "denominator": "MILLION"}},
    }
    assert first["direct_response"] == {"status": 500}
    assert second == {"match": {"path": "/a/"}, "direct_response": {"status": 404}}
    assert json.dumps(filter_)


# --- what is said of them ---


@pytest.mark.parametrize(("obj", "said"), [
    (route({"backendRefs": backends(canary=1)}),
     [("Accepted", True, "Accepted"), ("ResolvedRefs", True, "ResolvedRefs")]),
    (route({"backendRefs": backends(gone=1)}),
     [("Accepted", True, "Accepted"), ("ResolvedRefs", False, "BackendNotFound")]),
    (route({"backendRefs": [{"kind": "Other", "name": "canary"}]}),
     [("Accepted", True, "Accepted"), ("ResolvedRefs", False, "InvalidKind")]),
    (route(parents=[SERVICE | {"name": "nobody"}]),
     [("Accepted", False, "NoMatchingParent"), ("ResolvedRefs", True, "ResolvedRefs")]),
], ids=["all there", "a backend is missing", "no Service", "no parent"])
def test_conditions(obj, said):
    conditions = Translation(world().snapshot()).reported(http_route(obj))
    assert [condition[:3] for condition in conditions] == said


class Cluster:
    """A cluster with one route; `errors` are raised by the next writes."""

    def __init__(self, obj, *errors):
        self.obj = obj
        self.errors = list(errors)
        self.written = []

    def get(self, *_):
        if self.obj is None:
            raise NotFound("reading", "gone")
        return json.loads(json.dumps(self.obj))

    def kind(self, *_):
        return self

    def path(self, *parts):
        return "/".join(parts)

    def request(self, method, path, *, body, **_):
        if self.errors:
            raise self.errors.pop(0)
        self.written.append((method, path, body))
        self.obj["status"] = body["status"]


def written(obj, cluster, *rounds):
    """Run a writer until it has nothing more to do, for each round of conditions."""
    writer, stop = StatusWriter(cluster), threading.Event()
    thread = threading.Thread(target=writer.run, args=(stop,))
    thread.start()
    read = http_route(obj)
    for said in rounds:
        writer.update({read: said})
        for _ in range(1000):
            if not writer._due:
                break
            thread.join(0.01)
        assert not writer._due
    stop.set()
    thread.join(5)
    return cluster.written


YES, NO = ("Accepted", True, "Accepted", "yes"), ("Accepted", False, "NoMatchingParent", "no")


def stored(**parts):
    return route(**parts) | {"metadata": route()["metadata"] | {"resourceVersion": "7"}}


def test_the_status_is_written_beside_that_of_others():
    others = {"controllerName": "example.com/other", "parentRef": {"name": "gateway"}, "conditions": []}
    obj = stored(parents=[SERVICE, {"name": "gateway"}]) | {"status": {"parents": [others]}}
    ((method, path, body),) = written(obj, Cluster(obj), (YES,))
    assert (method, path) == ("PATCH", f"{NAMESPACE}/route/status")
    kept, ours = body["status"]["parents"]
    assert kept == others
    assert (ours["controllerName"], ours["parentRef"]) == (CONTROLLER, SERVICE)
    (condition,) = ours["conditions"]
    assert (condition["status"], condition["observedGeneration"]) == ("True", 2)
    assert body["metadata"]["resourceVersion"] == "7"


def test_a_status_that_is_there_is_left_and_keeps_its_time():
    obj = stored()
    entry = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "yes", "observedGeneration": 2,
             "lastTransitionTime": "2020-01-01T00:00:00Z"}
    obj["status"] = {"parents": [{"parentRef": SERVICE, "controllerName": CONTROLLER, "conditions": [entry]}]}
    found = written(obj, Cluster(obj), (YES,), (NO,), (YES,))
    assert [body["status"]["parents"][0]["conditions"][0]["status"] for _, _, body in found] == ["False", "True"]


def test_a_route_without_conditions_is_left_alone():
    obj = stored()
    assert written(obj, Cluster(obj), ()) == []


def test_a_route_that_is_gone_or_newer_is_left_alone():
    assert written(stored(), Cluster(None), (YES,)) == []
    newer = stored()
    newer["metadata"]["generation"] = 3
    assert written(stored(), Cluster(newer), (YES,)) == []


def test_writing_is_tried_again():
    cluster = Cluster(stored(), Conflict("writing", "changed"), ClusterError("writing", "broken"))
    assert len(written(stored(), cluster, (YES,))) == 1


# --- mutants ---


def test_mutants_of_routes_have_their_requirement_and_differ():
    ours = [mutant for mutant in MUTANTS.values() if mutant.kills.startswith("ROUTE-")]
    assert sorted({mutant.kills for mutant in ours}) == [f"ROUTE-{number:03}" for number in range(1, 19)]
    assert all(mutant.behaviour != Behaviour() for mutant in ours)


def test_mutants_with_a_memory():
    before = replace(world().snapshot(), routes=(http_route(route({"backendRefs": backends(canary=1)})),))
    changed = replace(before, routes=(http_route(route({"backendRefs": backends(stable=1)})),))
    gone = replace(before, routes=())
    stays = MUTANTS["route-updates-ignored"].behaviour.view()
    stays(before)
    assert stays(changed).routes == before.routes
    kept = MUTANTS["deleted-route-stays"].behaviour.view()
    kept(before)
    assert kept(gone).routes == before.routes
    assert kept(replace(gone, services={})).routes == ()
    assert kept(gone).routes == ()
    assert isinstance(before.routes[0], HTTPRoute)
