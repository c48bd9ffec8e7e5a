"""Tokens, what a request asks for, and RBAC's decisions, without a server around them."""

from __future__ import annotations

import time

import pytest

from conformance.sandbox.apiserver import ApiError, Store, access, roles
from conformance.sandbox.apiserver.access import ANONYMOUS, Tokens, User
from conformance.sandbox.apiserver.attributes import Attributes, attributes_of
from conformance.sandbox.apiserver.rbac import Authorizer, refusal
from conformance.sandbox.apiserver.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, NAMESPACES, ROLE_BINDINGS
from conformance.sandbox.apiserver.rules import Rule

NODE = User("system:serviceaccount:demo:web", ("system:serviceaccounts", "system:serviceaccounts:demo"))


@pytest.mark.parametrize(
    ("method", "path", "query", "wanted"),
    [
        ("GET", "/api/v1/namespaces/a/pods/b/log", "", ("get", "", "pods/log", "a", "b")),
        ("GET", "/api/v1/pods", "", ("list", "", "pods", "", "")),
        ("GET", "/api/v1/pods", "watch=1", ("watch", "", "pods", "", "")),
        ("GET", "/api/v1/pods", "watch=false", ("list", "", "pods", "", "")),
        ("GET", "/api/v1/pods", "fieldSelector=metadata.name%3Dx", ("list", "", "pods", "", "x")),
        ("GET", "/api/v1/pods", "fieldSelector=metadata.name!%3Dx", ("list", "", "pods", "", "")),
        ("HEAD", "/apis/g/v1/things/t", "", ("get", "g", "things", "", "t")),
        ("POST", "/apis/g/v1/namespaces/a/things", "", ("create", "g", "things", "a", "")),
        ("DELETE", "/apis/g/v1/namespaces/a/things", "", ("deletecollection", "g", "things", "a", "")),
        ("PATCH", "/apis/g/v1/namespaces/a/things/t/status", "", ("patch", "g", "things/status", "a", "t")),
        ("GET", "/api/v1/namespaces", "", ("list", "", "namespaces", "", "")),
        ("GET", "/api/v1/namespaces/a", "", ("get", "", "namespaces", "a", "a")),
        ("PUT", "/api/v1/namespaces/a/finalize", "", ("update", "", "namespaces/finalize", "a", "a")),
        ("POST", "/api/v1/namespaces/a/pods/http:b:80/proxy/x/y", "", ("create", "", "pods/proxy", "a", "http:b:80")),
        ("GET", "/apis/m/v1/namespaces/a/pods/b/edges", "", ("get", "m", "pods/edges", "a", "b")),
    ],
)
def test_what_a_request_asks_for(method, path, query, wanted):
    found = attributes_of(method, path, query)
    assert (found.verb, found.group, found.full_resource, found.namespace, found.name) == wanted


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/apis/g/v1", "/apis/g/v1/", "/openapi/v3/api/v1"])
def test_paths_that_are_no_resource(path):
    assert attributes_of("GET", path) == Attributes("get", path)


@pytest.mark.parametrize(
    ("rule", "wish", "allowed"),
    [
        ({"resources": ["pods"]}, {"resource": "pods"}, True),
        ({"resources": ["pods"]}, {"resource": "pods", "subresource": "log"}, False),
        ({"resources": ["pods/log"]}, {"resource": "pods", "subresource": "log"}, True),
        ({"resources": ["*/log"]}, {"resource": "pods", "subresource": "log"}, True),
        ({"resources": ["*/log"]}, {"resource": "log"}, False),
        ({"resources": ["*"]}, {"resource": "pods", "subresource": "log"}, True),
        ({"resources": ["pods"], "apiGroups": ["m"]}, {"resource": "pods"}, False),
        ({"resources": ["pods"], "apiGroups": ["*"]}, {"resource": "pods", "group": "m"}, True),
        ({"resources": ["pods"], "resourceNames": ["a"]}, {"resource": "pods", "name": "a"}, True),
        ({"resources": ["pods"], "resourceNames": ["a"]}, {"resource": "pods"}, False),
        ({"resources": ["pods"], "verbs": ["list"]}, {"resource": "pods"}, False),
        ({"resources": ["pods"], "verbs": ["*"]}, {"resource": "pods"}, True),
        ({"nonResourceURLs": ["/a"]}, {"path": "/a"}, True),
        ({"nonResourceURLs": ["/a"]}, {"path": "/a/b"}, False),
        ({"nonResourceURLs": ["/a/*"]}, {"path": "/a/b"}, True),
        ({"nonResourceURLs": ["*"]}, {"path": "/a/b"}, True),
        ({"resources": ["*"]}, {"path": "/a"}, False),
        ({"nonResourceURLs": ["*"]}, {"resource": "pods"}, False),
    ],
)
def test_rules(rule, wish, allowed):
    made = Rule.of({"verbs": ["get"], "apiGroups": [""], **rule})
    assert made.allows(Attributes("get", **wish)) is allowed


@pytest.fixture
def store():
    made = Store()
    made.create(NAMESPACES, {"metadata": {"name": "demo"}})
    return made


@pytest.fixture
def authorizer(store):
    made = Authorizer(store)
    store.observers += [made.observe, roles.RoleAggregation(store).observe]
    roles.install(store)
    return made


LIST = Attributes("list", resource="pods", namespace="demo")


def bind(store, name="viewer", role="view"):
    subjects = [{"kind": "ServiceAccount", "name": "web", "namespace": "demo"}]
    body = {"metadata": {"name": name}, "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": subjects}
    store.create(ROLE_BINDINGS, body, "demo")


def test_an_answer_is_kept_until_a_role_or_binding_changes(store, authorizer):
    assert not authorizer.decide(NODE, LIST).allowed
    bind(store)
    assert authorizer.decide(NODE, LIST).allowed
    store.modify(CLUSTER_ROLES, "system:aggregate-to-view", "", lambda role: role.update(rules=[]))
    assert not authorizer.decide(NODE, LIST).allowed
    store.delete(ROLE_BINDINGS, "viewer", "demo")
    assert not authorizer.decide(NODE, LIST).allowed


def test_masters_may_do_everything_whatever_happens_to_the_roles(store, authorizer):
    store.delete(CLUSTER_ROLE_BINDINGS, "cluster-admin")
    assert authorizer.decide(User("x", (access.MASTERS,)), Attributes("impersonate", resource="users")).allowed


def test_bootstrap_roles_that_exist_are_left_alone(store, authorizer):
    store.modify(CLUSTER_ROLES, "system:discovery", "", lambda role: role.update(rules=[]))
    roles.install(store)
    assert store.read(CLUSTER_ROLES, "system:discovery")["rules"] == []


def test_anonymous_reads_the_health_and_nothing_else(authorizer):
    assert authorizer.decide(ANONYMOUS, Attributes("get", "/readyz")).allowed
    assert not authorizer.decide(ANONYMOUS, Attributes("get", "/apis")).allowed


def test_several_missing_roles_are_all_named(store, authorizer):
    for name in ("one", "two"):
        bind(store, name, name)
    why = authorizer.decide(NODE, LIST).why
    assert why == (
        'RBAC: [clusterrole.rbac.authorization.k8s.io "one" not found, '
        'clusterrole.rbac.authorization.k8s.io "two" not found]'
    )


def test_a_refusal_says_what_was_asked():
    wish = Attributes("get", group="metrics.example.org", resource="pods", subresource="edges", namespace="a", name="b")
    error = refusal(NODE, wish)
    assert error.message == (
        'pods.metrics.example.org "b" is forbidden: User "system:serviceaccount:demo:web" cannot get resource '
        '"pods/edges" in API group "metrics.example.org" in the namespace "a"'
    )
    assert error.status()["details"] == {"name": "b", "group": "metrics.example.org", "kind": "pods"}


def test_a_decision_costs_next_to_nothing(store, authorizer):
    for index in range(50):
        bind(store, f"b{index}", "view")
    authorizer.decide(NODE, LIST)
    begin = time.perf_counter()
    for _ in range(2000):
        authorizer.decide(NODE, attributes_of("GET", "/api/v1/namespaces/demo/pods", "limit=500"))
    assert (time.perf_counter() - begin) / 2000 < 0.0002, "200 µs, some twenty times what it takes"


# --- tokens


@pytest.fixture
def accounts():
    return {("demo", "web", "uid-1")}


@pytest.fixture
def tokens(accounts):
    return Tokens(lambda *account: account in accounts)


def test_a_token_is_good_as_long_as_its_account(tokens, accounts):
    kept, issued = tokens.keep("demo", "web", "uid-1"), tokens.issue("demo", "web", "uid-1", 600)
    assert kept == tokens.keep("demo", "web", "uid-1") != issued
    assert tokens.authenticate(f"Bearer {kept}") == tokens.review(issued)
    accounts.clear()
    assert tokens.review(kept) is tokens.review(issued) is None
    accounts.add(("demo", "web", "uid-2"))
    assert tokens.review(kept) is None, "another account of the same name"
    assert tokens.review(tokens.keep("demo", "web", "uid-2")).uid == "uid-2"


def test_a_token_is_good_for_its_time(tokens):
    assert tokens.review(tokens.issue("demo", "web", "uid-1", 60)).name == NODE.name
    assert tokens.review(tokens.issue("demo", "web", "uid-1", -1)) is None


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic YTpi", "Bearer ", "nonsense"])
def test_what_is_no_token(tokens, header):
    assert tokens.authenticate(header) is None


def test_no_header_is_nobody(tokens):
    assert tokens.authenticate("") is ANONYMOUS


def test_the_account_of_a_user():
    assert access.account_of("system:serviceaccount:demo:web") == ("demo", "web")
    for name in ("system:serviceaccount:demo", "system:serviceaccount::web", "demo:web", ""):
        assert access.account_of(name) is None


def test_a_store_that_knows_no_role_still_decides(store):
    with pytest.raises(ApiError, match="cannot list resource"):
        Authorizer(store).require(NODE, LIST)
