"""HTTPRoutes: how they are written, what is read of their status, and how what a mesh answers itself is judged."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conformance import gateway, mesh, paths, selection
from conformance.cluster import Cluster, Rejected
from conformance.dialect import load
from conformance.expect import Denied, Tally
from conformance.expect_errors import Answered, WeightsWithout
from conformance.gateway import RouteMatch, RouteRule
from conformance.options import settings
from conformance.outcome import Nonconformance, Outcome, Result
from conformance.requirement import Level, SelectionError
from conformance.routing import HTTPRoutes, Portion
from conformance.run import Run
from conformance.sandbox import Sandbox
from conformance.service import Service
from conformance.smi import GATEWAY, HTTPMatch, NotExpressible, NotServed, ServedApis

BOTH = ServedApis({GATEWAY: ("v1beta1", "v1")})


# --- writing ---


def test_a_route_is_written_in_the_newest_served_version():
    rule = RouteRule({"a": 1, "b": 0}, (RouteMatch("/x", exact=True, method="GET", headers={"h": "v"}), RouteMatch()))
    written = gateway.http_route(BOTH, "name", "space", "root", [rule], port=9090)
    assert written["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert written["spec"] == {
        "parentRefs": [{"group": "", "kind": "Service", "name": "root", "port": 9090}],
        "rules": [{"matches": [{"path": {"type": "Exact", "value": "/x"}, "method": "GET",
                                "headers": [{"type": "Exact", "name": "h", "value": "v"}]}, {}],
                   "backendRefs": [{"name": "a", "port": 8080, "weight": 1},
                                   {"name": "b", "port": 8080, "weight": 0}]}],
    }
    old = gateway.http_route(ServedApis({GATEWAY: ("v1beta1",)}), "name", "space", "root", [RouteRule({"a": 1})])
    assert old["apiVersion"] == "gateway.networking.k8s.io/v1beta1"
    assert "port" not in old["spec"]["parentRefs"][0]
    assert "matches" not in old["spec"]["rules"][0]


@pytest.mark.parametrize("apis", [ServedApis({}), ServedApis({GATEWAY: ("v1alpha2",)}),
                                  ServedApis({GATEWAY: ("v1",)}, kinds={f"{GATEWAY}/v1": frozenset({"Gateway"})})])
def test_what_is_not_served_cannot_be_written(apis):
    with pytest.raises(NotServed, match="HTTPRoute"):
        gateway.http_route(apis, "name", "space", "root", [])


def test_matches_of_smi_are_matches_of_routes_where_they_are_plain():
    match = HTTPMatch("m", headers={"x": "beta-7"}, path_regex="/items", methods=["POST", "PUT"])
    assert gateway.matches_of(match) == tuple(
        RouteMatch("/items", method=method, headers={"x": "beta-7"}) for method in ("POST", "PUT"))
    assert gateway.matches_of(HTTPMatch("m", methods=["*"])) == gateway.matches_of(HTTPMatch("m")) == (RouteMatch(),)
    for odd in (HTTPMatch("m", path_regex="/v[0-9]"), HTTPMatch("m", headers={"x": ".*"})):
        with pytest.raises(NotExpressible, match="regular expressions"):
            gateway.matches_of(odd)


# --- what the status says ---


def told(*conditions, generation=3, parent="root"):
    return {"metadata": {"generation": generation},
            "status": {"parents": [{"parentRef": {"name": parent}, "conditions": list(conditions)}]}}


ACCEPTED = {"type": "Accepted", "status": "True", "reason": "Accepted", "observedGeneration": 3}


def test_conditions_are_those_of_the_parent_and_of_this_generation():
    assert gateway.conditions(told(ACCEPTED), "root") == {"Accepted": [("True", "Accepted")]}
    assert gateway.conditions(told({**ACCEPTED, "observedGeneration": 2}), "root") == {}
    assert gateway.conditions(told(ACCEPTED, parent="other"), "root") == {}
    without = {key: value for key, value in ACCEPTED.items() if key != "observedGeneration"}
    assert gateway.conditions(told(without), "root")


@pytest.mark.parametrize("status", [None, [], {"parents": 1}, {"parents": [1, {"parentRef": 2}]},
                                    {"parents": [{"parentRef": {"name": "root"}, "conditions": [None, {}]}]}], ids=repr)
def test_a_status_may_be_anything(status):
    assert set(gateway.conditions({"metadata": {}, "status": status}, "root")) <= {"None"}


class Objects:
    """The objects of a check, on a cluster whose routes have this status."""

    def __init__(self, status=None):
        self.cluster, self.status, self.done = self, status or {}, []

    def name(self, hint):
        return hint

    def create(self, obj):
        self.done.append(("create", obj["spec"]["rules"]))

    def change(self, _, spec):
        self.done.append(("change", spec["rules"]))

    def delete(self, _):
        self.done.append(("delete", None))

    def get(self, *_):
        return {"metadata": {"generation": 3}} | self.status


def routes(objects):
    return HTTPRoutes(objects, BOTH, "space", lambda: objects.done.append(("settle", None)), within=0.05)


def service(name, *workloads):
    return Service(name, "space", (name,), frozenset(workloads or [name]), {})


ROOT, ONE, GONE = service("root"), service("one"), service("gone", "nobody")


def test_a_route_is_changed_for_the_same_requests_and_settled_each_time():
    objects = Objects()
    match = RouteMatch("/x")
    applied = routes(objects)(ROOT, {ONE: 1}, matches=[match], port=9090)
    applied.change({ONE: 2})
    applied.delete()
    assert [what for what, _ in objects.done] == ["create", "settle", "change", "settle", "delete", "settle"]
    first, second = objects.done[0][1], objects.done[2][1]
    assert second == [{**first[0], "backendRefs": [{"name": "one", "port": 9090, "weight": 2}]}]
    routes(objects).of(ROOT, Portion({ONE: 1}), Portion({GONE: 1}, (match,)))
    assert len(objects.done[-2][1]) == 2


def test_what_a_status_says_is_waited_for():
    applied = routes(Objects(told(ACCEPTED)))(ROOT, {ONE: 1})
    assert applied.reports("Accepted", "True") == "Accepted: True (Accepted)"
    with pytest.raises(Nonconformance, match=r"wanted condition Accepted True for the reason Other(.|\n)*\(Accepted\)"):
        applied.reports("Accepted", "True", "Other")
    with pytest.raises(Nonconformance, match=r"ResolvedRefs True"):
        applied.reports("ResolvedRefs", "True")
    with pytest.raises(Nonconformance, match=r"(?s)got.*nothing"):
        routes(Objects())(ROOT, {ONE: 1}).reports("Accepted", "True")


# --- what a mesh answers itself ---


def test_all_are_answered_with_the_status():
    Answered(404).judge(Tally(8080, failures={"HTTP 404": 40}))
    for seen, why in (
        (Tally(8080, failures={"HTTP 404": 39, "HTTP 503": 1}), "not all requests were answered with 404"),
        (Tally(8080, failures={"reset": 40}), "not all"),
        (Tally(8080, {("root", 8080): 1}, {"HTTP 404": 39}), "reached servers: answered"),
        (Tally(8080, failures={"HTTP 404": 40}, received={"root": 2}), "reached servers: root 2"),
    ):
        with pytest.raises(Nonconformance, match=why):
            Answered(404).plausible(seen)
    with pytest.raises(ValueError, match="an empty sample"):
        Answered(404).judge(Tally(8080))


def test_the_share_of_what_is_missing_is_judged_by_its_answers():
    wanted = WeightsWithout({ONE: 1, GONE: 1}, GONE, 500)
    assert wanted.wanted(8080) == "50.0% from one:8080 and 50.0% answered HTTP 500"
    wanted.judge(Tally(8080, {("one", 8080): 1000}, {"HTTP 500": 1010}, {"one": 1000}))
    for seen in (
        Tally(8080, {("one", 8080): 2000}, received={"one": 2000}),
        Tally(8080, failures={"HTTP 500": 2000}),
        Tally(8080, {("one", 8080): 1000}, {"HTTP 503": 1000}),
        Tally(8080, {("one", 8080): 1000}, {"HTTP 500": 999, "reset": 1}),
        Tally(8080, {("one", 8080): 1000, ("nobody", 8080): 1000}),
        Tally(8080, {("one", 8080): 1000}, {"HTTP 500": 1000}, {"one": 1000, "root": 1}),
    ):
        with pytest.raises(Nonconformance):
            wanted.judge(seen)


def test_no_traffic_is_also_an_error_of_any_kind():
    Denied().judge(Tally(8080, failures={"HTTP 500": 20, "reset": 20}))


# --- which suite ---


def test_the_suite_is_the_one_that_was_named_else_that_of_the_requirements():
    assert selection.chosen((), ()) == ("smi",)
    assert selection.chosen(("gateway",), ("SPLIT-003",)) == ("gateway",)
    assert selection.chosen(("gateway", "smi", "gateway")) == ("gateway", "smi")
    assert selection.chosen((), ("route-0*",)) == ("gateway",)
    assert selection.chosen((), ("SPLIT-003", "ROUTE-001")) == ("smi", "gateway")
    assert selection.chosen((), ("*",)) == selection.chosen((), ("NONE-001",)) == ("smi",)
    with pytest.raises(SelectionError, match=r"no suite 'other'; use smi or gateway"):
        selection.chosen(("other",))


def test_the_suite_is_that_of_the_tests_that_pytest_was_given():
    home = paths.suites()
    assert selection.chosen((), (), [str(home)]) == ("smi", "gateway")
    assert selection.chosen((), (), [f"{home}/gateway/test_http_routes.py::test_exact_path"]) == ("gateway",)
    assert selection.chosen((), (), [str(home / "performance"), "elsewhere"]) == ("smi",)


def test_the_command_that_repeats_a_run_names_the_suite():
    assert settings({"conformance_suite": ["gateway"]}).command() == "mesh-conformance run --suite gateway"
    found = settings({"conformance_suite": ["gateway,smi"], "conformance_requirement": ["ROUTE-001"]})
    assert found.command("ROUTE-001") == "mesh-conformance run --requirement ROUTE-001"
    assert settings({}).command() == "mesh-conformance run"


# --- the definition ---


def test_the_newest_dialect_serves_routes_and_no_other_does():
    definition = gateway.definition()
    assert definition["metadata"]["annotations"]["api-approved.kubernetes.io"].startswith("unapproved")
    assert definition in load("v1alpha4").definitions()
    assert load("v1alpha4").apis()[GATEWAY] == ("v1", "v1beta1")
    assert GATEWAY not in load("osm").apis()


def test_the_api_server_holds_routes_to_the_definition(tmp_path):
    """What the suite writes is taken; what HTTPRoute does not have is refused or dropped."""
    with Sandbox(crds=[gateway.definition()], directory=tmp_path) as sandbox:
        cluster = Cluster.from_kubeconfig(sandbox.kubeconfig)
        rule = RouteRule({"a": 1}, (RouteMatch("/x", method="GET", headers={"h": "v"}),))
        route = gateway.http_route(BOTH, "route", "default", "root", [rule])
        assert cluster.create(route)["spec"] == route["spec"] | {
            "rules": [{**route["spec"]["rules"][0], "backendRefs": [
                {"group": "", "kind": "Service", "name": "a", "port": 8080, "weight": 1}]}]}
        for spec in ({"rules": [{"backendRefs": [{"name": "a", "weight": -1}]}]},
                     {"rules": [{"matches": [{"path": {"type": "Fuzzy", "value": "/"}}]}]},
                     {"rules": [{"matches": [{"method": "get"}]}]}):
            with pytest.raises(Rejected):
                cluster.create(route | {"metadata": {"name": "bad", "namespace": "default"}, "spec": spec})
        cluster.close()


# --- the end of a run that judged nothing ---


def test_a_run_that_judged_nothing_hints_at_the_suite_that_would():
    def hint(name, outcome, *chosen):
        run = Run(settings({"conformance_suite": list(chosen)}), (), (), (mesh.load(name),), None, 0.0)
        run.results.append(Result("SPLIT-001", Level.BEHAVIOUR, name, "split.smi-spec.io", "v1alpha4", outcome))
        return run.hint()

    assert hint("istio", Outcome.UNSUPPORTED) == "Istio: claims gateway.networking.k8s.io; --suite gateway judges that"
    assert hint("istio", Outcome.UNSUPPORTED, "gateway") == ""
    assert hint("linkerd", Outcome.UNSUPPORTED) == ""
    assert hint("istio", Outcome.PASSED) == ""


# --- the command ---


def command(*words):
    return subprocess.run([sys.executable, "-m", "conformance.cli", "run", "--report-dir", "none", *words],
                          capture_output=True, text=True, check=False, timeout=200)


@pytest.mark.parametrize(("smi", "prospect"), [
    ("v1alpha4", "be judged"),
    ("osm", "be unsupported: Reference mesh claims no version of gateway.networking.k8s.io"),
])
def test_a_preview_of_the_suite(smi, prospect):
    done = command("--suite", "gateway", "--dry-run", "--smi", smi)
    assert done.returncode == 0, done.stdout + done.stderr
    told = {words[0]: words[3:] for line in done.stdout.splitlines() if (words := line.split()) and "-0" in words[0]}
    assert {name: " ".join(rest) for name, rest in told.items()} == {
        row.id: prospect for row in selection.rows(("gateway",))}


def test_a_suite_that_is_not_there_is_a_usage_error():
    done = command("--suite", "other")
    assert (done.returncode, "there is no suite 'other'; use smi or gateway" in done.stderr) == (2, True)
    done = command("--suite", "smi", "--requirement", "ROUTE-001")
    assert done.returncode == 2
    assert "no requirement matches 'ROUTE-001'" in done.stderr
