"""What would be in the way of a run is said before it, with what to do about it."""

from __future__ import annotations

import json
from functools import partial

import pytest
import yaml
from absent_server import api_without_server

from conformance import cli, mesh, place
from conformance.cluster import Cluster, Rejected
from conformance.exit_code import ExitCode
from conformance.lifecycle import blocked, examination, permissions
from conformance.lifecycle.examination import Plan, State
from conformance.lifecycle.permissions import RUN, Right
from conformance.sandbox import Sandbox
from conformance.smi import custom_resource_definitions
from conformance.topology import RUN_LABEL
from conformance.waiting import eventually

RBAC = "rbac.authorization.k8s.io"
REFERENCE = mesh.load("reference")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(crds=custom_resource_definitions()) as started:
        cluster = Cluster.from_kubeconfig(started.kubeconfig)
        place.install(cluster, REFERENCE)
        eventually(lambda: not blocked.unavailable_apis(cluster), what="the metrics API", within=30)
        cluster.close()
        yield started


@pytest.fixture
def preflight(command):
    return partial(command, "preflight")


@pytest.fixture
def user(cluster, tmp_path):
    """Give a kubeconfig of a service account with these rules; the account and its role go again."""
    made = []

    def make(rules):
        head = {"apiVersion": f"{RBAC}/v1", "metadata": {"name": "somebody"}}
        made.extend([
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "somebody", "namespace": "default"}},
            {**head, "kind": "ClusterRole", "rules": rules},
            {**head, "kind": "ClusterRoleBinding",
             "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "somebody"},
             "subjects": [{"kind": "ServiceAccount", "name": "somebody", "namespace": "default"}]}])
        for obj in made:
            cluster.create(obj)
        config = yaml.safe_load(cluster.source.read_text())
        config["users"][0]["user"] = {"token": cluster.token("default", "somebody")}
        (tmp_path / "somebody").write_text(yaml.safe_dump(config))
        return tmp_path / "somebody"

    yield make
    for obj in made:
        cluster.delete(obj)


def found(cluster, subject, **plan):
    return [(finding.state, finding.text) for finding in examination.examine(cluster, Plan((REFERENCE,), **plan))
            if finding.subject == subject]


def test_a_cluster_where_a_run_can_begin(sandbox, preflight):
    code, told = preflight(sandbox.kubeconfig)
    assert code == ExitCode.CONFORMANT, told
    assert "ok       mesh: Reference mesh is installed: 0.1.0 in reference-mesh" in told
    assert "split.smi-spec.io v1alpha4" in told
    assert "rights that a run needs are there" in told
    assert "1 of 1 take pods" in told
    assert "a pod of Reference mesh is admitted" in told
    assert "problem" not in told
    code, told = preflight(sandbox.kubeconfig, "--format", "json")
    assert {"state": "ok", "subject": "mesh",
            "text": "Reference mesh is installed: 0.1.0 in reference-mesh"} in json.loads(told)


def test_a_mesh_that_is_not_there_or_is_there_already(sandbox, preflight):
    code, told = preflight(sandbox.kubeconfig, "--mesh", "istio")
    assert (code, "problem  mesh: Istio is not installed: install it" in told) == (ExitCode.ERROR, True)
    assert "note     mesh: Reference mesh is there as well: 0.1.0 in reference-mesh" in told
    code, told = preflight(sandbox.kubeconfig, "--provision")
    assert code == ExitCode.ERROR
    assert "problem  mesh: Reference mesh is installed already (0.1.0 in reference-mesh): run without" in told
    assert "is not installed; the run installs it" in preflight(sandbox.kubeconfig, "--provision", "--mesh", "kuma")[1]


def test_who_has_the_rights_of_a_run_needs_no_more(user, preflight):
    code, told = preflight(user(permissions.rules(RUN)))
    assert code == ExitCode.CONFORMANT, told
    assert f"all {len(RUN)} rights that a run needs are there" in told
    assert "whether pods are admitted cannot be tried" in told
    assert "note     nodes: could not be looked at" in told


@pytest.mark.parametrize("forbidden", [Right("", "pods/proxy", "create"), Right("apps", "deployments", "delete"),
                                       Right("split.smi-spec.io", "trafficsplits", "patch")])
def test_one_forbidden_verb_is_named_with_the_rule_that_grants_it(user, preflight, forbidden):
    kubeconfig = user(permissions.rules(right for right in RUN if right != forbidden))
    code, told = preflight(kubeconfig)
    assert code == ExitCode.ERROR
    assert f"problem  permissions: not allowed: {forbidden}. These rules in a ClusterRole grant it:" in told
    rule = told.split("grant it:\n")[1].split("\n")[0]
    assert yaml.safe_load(rule) == permissions.rules([forbidden])


def test_who_may_not_install(cluster, user, preflight):
    code, told = preflight(user(permissions.rules(RUN)), "--provision")
    assert code == ExitCode.ERROR
    for right in ("create clusterroles.rbac.authorization.k8s.io", "escalate clusterroles.rbac.authorization.k8s.io",
                  "bind clusterroles.rbac.authorization.k8s.io", "patch apiservices.apiregistration.k8s.io",
                  "create customresourcedefinitions.apiextensions.k8s.io"):
        assert right in told
    rights = permissions.to_provision(cluster, REFERENCE, REFERENCE.install_objects())
    assert permissions.missing(cluster, rights) == [], "the owner of the cluster may"


def test_rights_of_leftovers_and_kinds_that_are_not_served(cluster):
    rights = permissions.to_provision(cluster, mesh.load("istio"), [
        {"apiVersion": "example.org/v1", "kind": "Nothing", "metadata": {"name": "x"}}])
    assert Right("", "configmaps", "delete") in rights, "istiod's root certificates"
    assert not [right for right in rights if right.group.startswith(("example.org", "gateway."))]


def test_rules_group_what_has_the_same_verbs():
    rules = permissions.rules([Right("", "pods", "get"), Right("", "pods", "list"), Right("", "events", "get"),
                               Right("", "events", "list"), Right("apps", "deployments", "get")])
    assert rules == [{"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["get", "list"]},
                     {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}]


# --- what a cluster may refuse ---


@pytest.mark.parametrize(("refusal", "state", "says"), [
    ('pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true', State.PROBLEM,
     "--pod-security privileged labels those that the run makes"),
    ('admission webhook "policy.example.org" denied the request: no', State.PROBLEM,
     f"Exempt namespaces with the label {RUN_LABEL} from what refuses it"),
    ('pods is forbidden: cannot create resource "pods"', State.NOTE, "cannot be tried"),
])
def test_a_pod_that_is_refused(cluster, monkeypatch, refusal, state, says):
    def create(obj, *, dry_run=False):
        assert dry_run, "nothing is made"
        raise Rejected("creating it", refusal, code=403)

    monkeypatch.setattr(cluster, "create", create)
    [(seen, text)] = found(cluster, "admission")
    assert (seen, says in text) == (state, True)


def test_a_level_of_pod_security_that_is_asked_for_is_no_problem(cluster, monkeypatch):
    def create(obj, *, dry_run=False):
        raise Rejected("creating it", "violates PodSecurity", code=403)

    monkeypatch.setattr(cluster, "create", create)
    assert found(cluster, "admission", pod_security="privileged")[0][0] is State.NOTE


@pytest.mark.parametrize(("kind", "namespace", "provision", "state"), [
    ("resourcequotas", "reference-mesh", True, State.PROBLEM), ("resourcequotas", "reference-mesh", False, State.NOTE),
    ("limitranges", "reference-mesh", True, State.NOTE), ("resourcequotas", "elsewhere", True, State.NOTE),
])
def test_quotas(cluster, monkeypatch, kind, namespace, provision, state):
    listed = cluster.list

    def with_quota(api_version, plural, *more, **named):
        if plural in ("resourcequotas", "limitranges"):
            return ([{"metadata": {"namespace": namespace, "name": "tiny"}}] if plural == kind else []), ""
        return listed(api_version, plural, *more, **named)

    monkeypatch.setattr(cluster, "list", with_quota)
    [(seen, text)] = found(cluster, "limits", provision=provision)
    assert (seen, namespace in text) == (state, True)


def test_nodes_that_take_no_pods(cluster, monkeypatch):
    ready = {"type": "Ready", "status": "True"}
    nodes = [
        {"metadata": {"name": "dead"}, "status": {"conditions": [{**ready, "status": "False", "message": "no disk"}]}},
        {"metadata": {"name": "full"}, "status": {"conditions": [ready, {"type": "DiskPressure", "status": "True"}]}},
        {"metadata": {"name": "kept"}, "status": {"conditions": [ready]},
         "spec": {"taints": [{"key": "team", "effect": "NoSchedule"}, {"key": "x", "effect": "PreferNoSchedule"}]}},
        {"metadata": {"name": "new"}},
    ]
    monkeypatch.setattr(cluster, "nodes", lambda: nodes)
    *notes, (state, text) = found(cluster, "nodes")
    assert [note for _, note in notes] == ["dead: not ready (no disk)", "full: DiskPressure",
                                           "kept: taint team:NoSchedule",
                                           "new: not ready (no word from its kubelet)"]
    assert (state, text) == (State.PROBLEM, "none of 4 nodes takes pods that tolerate nothing")


def test_pods_that_cannot_be_scheduled_and_runs_that_left_something(cluster, monkeypatch):
    listed = cluster.list
    pending = {"metadata": {"name": "big", "namespace": "default"}, "status": {"conditions": [
        {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: Insufficient memory."}]}}
    monkeypatch.setattr(cluster, "list", lambda api, plural, *more, **named: (
        ([pending], "") if named.get("fields") == "status.phase=Pending" else listed(api, plural, *more, **named)))
    assert found(cluster, "pods") == [
        (State.NOTE, "default/big cannot be scheduled: 0/1 nodes are available: Insufficient memory.")]
    namespace = {"apiVersion": "v1", "kind": "Namespace",
                 "metadata": {"name": "mc-old-app", "labels": {RUN_LABEL: "old"}}}
    cluster.create(namespace)
    [(_, text)] = found(cluster, "remains")
    cluster.delete(namespace)
    assert "objects of runs old are there" in text


def test_what_cannot_be_listed_keeps_every_namespace(sandbox, cluster):
    fault = sandbox.api.fault(r"/apis/split.smi-spec.io/v1alpha4/trafficsplits", method="GET", status=503, times=1)
    [(state, text)] = found(cluster, "remains")
    assert fault.seen
    assert (state, "listing trafficsplits" in text) == (State.PROBLEM, True)
    assert "no namespace can be deleted" in text


def test_an_aggregated_api_without_a_server(cluster):
    with api_without_server(cluster) as name:
        [(state, text)] = found(cluster, "aggregation")
    assert (state, f"{name} is not available" in text) == (State.PROBLEM, True)
    assert "no namespace can be deleted" in text


# --- a cluster that cannot be reached ---


def test_what_was_not_named_is_not_touched(capsys):
    assert cli.main(["preflight"]) == ExitCode.USAGE
    assert "the current one is never taken" in capsys.readouterr().err


@pytest.mark.parametrize(("change", "code", "says"), [
    (lambda config: config["users"][0].update(user={"token": "expired"}), ExitCode.ERROR,
     "The credential is missing, wrong or expired"),
    (lambda config: config["clusters"][0]["cluster"].update(server="https://127.0.0.1:1"), ExitCode.ERROR,
     "Is the API server running?"),
    (lambda config: config.update(contexts=[]), ExitCode.USAGE, "it has no context"),
])
def test_what_keeps_from_reaching_it(cluster, preflight, tmp_path, change, code, says):
    config = yaml.safe_load(cluster.source.read_text())
    change(config)
    (tmp_path / "broken").write_text(yaml.safe_dump(config))
    seen, told = preflight(tmp_path / "broken")
    assert (seen, says in told) == (code, True), told


def test_a_program_for_credentials_that_is_missing(cluster, preflight, tmp_path):
    config = yaml.safe_load(cluster.source.read_text())
    config["users"][0]["user"] = {"exec": {"apiVersion": "client.authentication.k8s.io/v1",
                                           "command": "no-such-program", "interactiveMode": "Never"}}
    (tmp_path / "exec").write_text(yaml.safe_dump(config))
    code, told = preflight(tmp_path / "exec")
    assert code == ExitCode.ERROR
    assert "problem  cluster: no credential was sent" in told
    assert "admission" not in told, "nothing else can be told"


def test_nobody_in_particular(cluster, monkeypatch):
    monkeypatch.setattr(permissions, "user", lambda _: "system:anonymous")
    [_, (state, text)] = found(cluster, "cluster")
    assert (state, "no credential was sent" in text) == (State.PROBLEM, True)


def test_a_context_that_is_not_there(sandbox, preflight):
    code, told = preflight(sandbox.kubeconfig, "--context", "elsewhere")
    assert (code, "it has no context 'elsewhere', only" in told) == (ExitCode.USAGE, True)


def test_a_proxy_in_the_environment(cluster, preflight, tmp_path, monkeypatch):
    """It is not asked for this machine's own addresses; elsewhere it is, and is named when it does not answer."""
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert preflight(cluster.source)[0] == ExitCode.CONFORMANT
    config = yaml.safe_load(cluster.source.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://cluster.example.org:6443"
    (tmp_path / "far").write_text(yaml.safe_dump(config))
    code, told = preflight(tmp_path / "far")
    assert code == ExitCode.ERROR
    assert "the proxy of the environment (HTTPS_PROXY)" in told
    assert "Add the API server's host to NO_PROXY" in told


def test_a_proxy_that_is_used_is_noted(cluster, monkeypatch):
    monkeypatch.setattr(Cluster, "proxy", "http://proxy.example.org:3128")
    [(state, text)] = found(cluster, "proxy")
    assert (state, "asked through http://proxy.example.org:3128" in text) == (State.NOTE, True)
