"""Who may do what: RBAC, tokens of service accounts, and the reviews that tell."""

from __future__ import annotations

import time

import pytest
from contract_api import Api

RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEW = "/apis/authorization.k8s.io/v1"


class Account:
    """A service account, and requests in its name."""

    def __init__(self, api, kubeconfig, namespace, name="tester"):
        self.admin, self.namespace, self.name = api, namespace, name
        self.place = f"/api/v1/namespaces/{namespace}"
        self.user = f"system:serviceaccount:{namespace}:{name}"
        api.ok("POST", f"{self.place}/serviceaccounts", {"metadata": {"name": name}})
        self.ask = Api(kubeconfig, self.token())

    def token(self, **spec):
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        found = self.admin.ok("POST", f"{self.place}/serviceaccounts/{self.name}/token", body)
        return found["status"]["token"]

    @property
    def subject(self):
        return {"kind": "ServiceAccount", "name": self.name, "namespace": self.namespace}

    def role(self, *rules, name="tester"):
        """A Role in the namespace, bound to the account."""
        here = f"{RBAC}/namespaces/{self.namespace}"
        self.admin.ok("POST", f"{here}/roles", {"metadata": {"name": name}, "rules": list(rules)})
        self.bind(name)

    def bind(self, name, kind="Role"):
        here = f"{RBAC}/namespaces/{self.namespace}"
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
        body = {"metadata": {"name": name}, "roleRef": reference, "subjects": [self.subject]}
        self.admin.ok("POST", f"{here}/rolebindings", body)

    def may(self, **attributes):
        body = {"spec": {"user": self.user, "groups": [], "resourceAttributes": attributes}}
        answer = self.admin.ok("POST", f"{REVIEW}/subjectaccessreviews", body)
        return answer["status"]["allowed"]

    def until(self, method, path, status, body=None, seconds=20.0):
        """An answer of this status; a cluster takes a moment until a binding is in effect."""
        return self.soon(lambda: (answer := self.ask(method, path, body)).status == status and answer, seconds)

    def soon(self, true, seconds=20.0):
        """What `true` gives as soon as it is true."""
        end = time.monotonic() + seconds
        while not (found := true()):
            assert time.monotonic() < end, f"not so within {seconds} s"
            self.admin.pause()
        return found


def rule(resources, verbs, group="", **more):
    return {"apiGroups": [group], "resources": resources, "verbs": verbs, **more}


@pytest.fixture
def account(api, kubernetes_api, namespace):
    made = Account(api, kubernetes_api, namespace)
    yield made
    made.ask.http.close()


@pytest.fixture
def cluster_role(api, account):
    """Makes cluster roles, and binds them to the account in the whole cluster if asked."""
    made = []

    def make(name, *rules, bind=False, **content):
        name = f"{account.namespace}-{name}"
        api.ok("POST", f"{RBAC}/clusterroles", {"metadata": {"name": name, "labels": content.pop("labels", {})},
                                                "rules": list(rules), **content})  # fmt: skip
        made.append(f"{RBAC}/clusterroles/{name}")
        if bind:
            reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
            body = {"metadata": {"name": name}, "roleRef": reference, "subjects": [account.subject]}
            api.ok("POST", f"{RBAC}/clusterrolebindings", body)
            made.append(f"{RBAC}/clusterrolebindings/{name}")
        return name

    yield make
    for path in made:
        api("DELETE", path)


# --- authentication


def test_a_wrong_token_is_unauthorized(kubernetes_api):
    answer = Api(kubernetes_api, "no-such-token")("GET", "/api/v1/namespaces")
    assert (answer.status, answer.reason) == (401, "Unauthorized")


def test_without_a_token_one_is_anonymous(kubernetes_api):
    nobody = Api(kubernetes_api, "")
    answer = nobody("GET", "/api/v1/namespaces")
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert 'User "system:anonymous" cannot list resource "namespaces"' in answer.body["message"]
    assert nobody("GET", "/version").status == 200


def test_a_token_is_its_account(account):
    found = account.ask.ok("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    user = found["status"]["userInfo"]
    assert user["username"] == account.user
    assert set(user["groups"]) == {
        "system:serviceaccounts", f"system:serviceaccounts:{account.namespace}", "system:authenticated",
    }  # fmt: skip


def test_a_token_ends_with_its_account(api, account):
    account.role(rule(["configmaps"], ["list"]))
    path = f"{account.place}/configmaps"
    account.until("GET", path, 200)
    api.ok("DELETE", f"{account.place}/serviceaccounts/{account.name}")
    account.until("GET", path, 401)  # a cluster may remember for 10 s that the token was good


def test_a_token_request_is_checked(api, account):
    path = f"{account.place}/serviceaccounts"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    made = api.ok("POST", f"{path}/{account.name}/token", body)
    assert made["spec"]["expirationSeconds"] == 600
    assert made["status"]["expirationTimestamp"].endswith("Z")
    body["spec"]["expirationSeconds"] = 5
    answer = api("POST", f"{path}/{account.name}/token", body)
    assert (answer.status, answer.fields) == (422, {"spec.expirationSeconds"})
    assert api("POST", f"{path}/nobody/token", {**body, "spec": {}}).status == 404


# --- rules


def test_nothing_is_allowed_without_a_binding(account):
    answer = account.ask("GET", f"{account.place}/pods")
    assert answer.status == 403
    assert answer.body["message"] == (
        f'pods is forbidden: User "{account.user}" cannot list resource "pods" in API group "" '
        f'in the namespace "{account.namespace}"'
    )
    assert answer.body["details"] == {"kind": "pods"}
    one = account.ask("DELETE", f"/apis/apps/v1/namespaces/{account.namespace}/deployments/web")
    assert one.body["message"] == (
        f'deployments.apps "web" is forbidden: User "{account.user}" cannot delete resource "deployments" '
        f'in API group "apps" in the namespace "{account.namespace}"'
    )
    assert one.body["details"] == {"name": "web", "group": "apps", "kind": "deployments"}


def test_discovery_is_for_everybody_who_is_known(account):
    for path in ("/api", "/apis", "/apis/apps/v1", "/openapi/v3", "/version"):
        assert account.ask("GET", path).status == 200, path
    answer = account.ask("GET", "/metrics")
    assert answer.status == 403
    assert answer.body["message"] == f'forbidden: User "{account.user}" cannot get path "/metrics"'


def test_verbs_are_told_apart(account):
    account.role(rule(["configmaps"], ["list", "create", "patch"]))
    path = f"{account.place}/configmaps"
    account.until("GET", path, 200)
    assert account.ask("POST", path, {"metadata": {"name": "a"}}).status == 201
    assert account.ask("PATCH", f"{path}/a", {"data": {"x": "1"}}, type="application/merge-patch+json").status == 200
    assert account.ask("GET", f"{path}/a").status == 403
    assert account.ask("GET", path, watch="true").status == 403
    assert account.ask("PUT", f"{path}/a", {"metadata": {"name": "a"}}).status == 403
    assert account.ask("DELETE", f"{path}/a").status == 403
    assert account.ask("DELETE", path).status == 403


def test_resource_names(account):
    account.role(rule(["configmaps"], ["get", "list"], resourceNames=["mine"]))
    path = f"{account.place}/configmaps"
    account.until("GET", f"{path}/mine", 404)
    assert account.ask("GET", f"{path}/other").status == 403
    assert account.ask("GET", path).status == 403
    assert account.ask("GET", path, fieldSelector="metadata.name=mine").status == 200


def test_subresources_are_resources_of_their_own(account):
    account.role(rule(["pods/log"], ["get"]), rule(["*/scale"], ["get"], "apps"))
    account.until("GET", f"{account.place}/pods/none/log", 404)
    assert account.ask("GET", f"{account.place}/pods/none").status == 403
    apps = f"/apis/apps/v1/namespaces/{account.namespace}/deployments/none"
    assert account.ask("GET", f"{apps}/scale").status == 404
    assert account.ask("GET", f"{apps}/status").status == 403


def test_a_proxy_is_asked_with_the_verb_of_the_method(account):
    account.role(rule(["pods/proxy"], ["get"]))
    path = f"{account.place}/pods/none:80/proxy/x"
    account.until("GET", path, 404)
    answer = account.ask("POST", path, {})
    assert answer.status == 403
    assert 'cannot create resource "pods/proxy"' in answer.body["message"]


def test_a_role_reaches_no_further_than_its_namespace(account):
    account.role(rule(["*"], ["*"], "*"))
    account.until("GET", f"{account.place}/pods", 200)
    assert account.ask("GET", f"/api/v1/namespaces/{account.namespace}").status == 200, "the namespace is in itself"
    assert account.ask("GET", "/api/v1/namespaces/default/pods").status == 403
    everywhere = account.ask("GET", "/api/v1/pods")
    assert everywhere.status == 403
    assert everywhere.body["message"].endswith('cannot list resource "pods" in API group "" at the cluster scope')


def test_a_cluster_role_in_a_namespace_and_in_the_cluster(account, cluster_role):
    account.bind(cluster_role("local", rule(["configmaps"], ["list"])), "ClusterRole")
    account.until("GET", f"{account.place}/configmaps", 200)
    assert account.ask("GET", "/api/v1/configmaps").status == 403
    cluster_role("wide", rule(["nodes"], ["list"]), {"nonResourceURLs": ["/metrics", "/logs/*"], "verbs": ["get"]},
                 bind=True)  # fmt: skip
    account.until("GET", "/api/v1/nodes", 200)
    assert account.ask("GET", "/logs/x").status != 403
    assert account.ask("GET", "/debug").status == 403


def test_a_binding_may_come_before_its_role(api, account):
    account.bind("later")
    answer = account.until("GET", f"{account.place}/pods", 403)
    assert answer.body["message"].endswith('RBAC: role.rbac.authorization.k8s.io "later" not found')
    body = {"metadata": {"name": "later"}, "rules": [rule(["pods"], ["list"])]}
    api.ok("POST", f"{RBAC}/namespaces/{account.namespace}/roles", body)
    account.until("GET", f"{account.place}/pods", 200)
    api.ok("DELETE", f"{RBAC}/namespaces/{account.namespace}/roles/later")
    account.until("GET", f"{account.place}/pods", 403)


def test_roles_that_are_made_up_of_others(api, account, cluster_role):
    labels = {f"example.org/{account.namespace}": "yes"}
    whole = cluster_role("whole", aggregationRule={"clusterRoleSelectors": [{"matchLabels": labels}]})
    cluster_role("part", rule(["configmaps"], ["list"]), labels=labels)
    account.bind(whole, "ClusterRole")
    account.until("GET", f"{account.place}/configmaps", 200)
    assert api.ok("GET", f"{RBAC}/clusterroles/{whole}")["rules"] == [rule(["configmaps"], ["list"])]


@pytest.mark.parametrize(
    ("role", "allowed", "forbidden"),
    [("view", ("get", "pods"), ("get", "secrets")), ("edit", ("delete", "pods"), ("create", "roles")),
     ("admin", ("get", "secrets"), ("create", "nodes"))],
)  # fmt: skip
def test_the_roles_that_every_cluster_has(account, role, allowed, forbidden):
    account.bind(role, "ClusterRole")
    groups = {"roles": "rbac.authorization.k8s.io"}

    def may(verb, resource):
        return account.may(namespace=account.namespace, verb=verb, resource=resource, group=groups.get(resource, ""))

    account.soon(lambda: may(*allowed))
    assert not may(*forbidden)


def test_groups_of_service_accounts(api, account, cluster_role):
    name = cluster_role("group", rule(["configmaps"], ["list"]))
    here = f"{RBAC}/namespaces/{account.namespace}/rolebindings"
    everyone = f"system:serviceaccounts:{account.namespace}"
    group = {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": everyone}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    api.ok("POST", here, {"metadata": {"name": "group"}, "roleRef": reference, "subjects": [group]})
    account.until("GET", f"{account.place}/configmaps", 200)


# --- reviews


def test_reviews_say_what_requests_meet(account):
    account.role(rule(["configmaps"], ["list"]))
    account.until("GET", f"{account.place}/configmaps", 200)

    def ask(**attributes):
        spec = {"resourceAttributes": {"namespace": account.namespace, **attributes}}
        return account.ask.ok("POST", f"{REVIEW}/selfsubjectaccessreviews", {"spec": spec})["status"]

    allowed = ask(verb="list", resource="configmaps")
    assert allowed["allowed"]
    assert allowed["reason"] == (
        f'RBAC: allowed by RoleBinding "tester/{account.namespace}" of Role "tester" '
        f'to ServiceAccount "tester/{account.namespace}"'
    )
    assert not ask(verb="get", resource="configmaps")["allowed"]
    assert account.may(namespace=account.namespace, verb="list", resource="configmaps")
    answer = account.ask("POST", f"{REVIEW}/subjectaccessreviews", {"spec": {"user": "x"}})
    assert answer.status == 403, "to ask about others takes a right of its own"


def test_a_rules_review_lists_them(account):
    account.role(rule(["configmaps"], ["list"]))
    account.until("GET", f"{account.place}/configmaps", 200)
    body = {"spec": {"namespace": account.namespace}}
    found = account.ask.ok("POST", f"{REVIEW}/selfsubjectrulesreviews", body)["status"]
    assert rule(["configmaps"], ["list"]) in found["resourceRules"]
    assert any("/version" in item["nonResourceURLs"] for item in found["nonResourceRules"])


def test_impersonation(api, account):
    account.role(rule(["configmaps"], ["list"]))
    account.until("GET", f"{account.place}/configmaps", 200)
    as_account = {"impersonate-user": account.user}
    assert api.http.get(f"{account.place}/configmaps", headers=as_account).status_code == 200
    assert api.http.get(f"{account.place}/secrets", headers=as_account).status_code == 403
    answer = account.ask.http.get(f"{account.place}/configmaps", headers={"impersonate-user": "somebody"})
    assert answer.status_code == 403
    assert 'cannot impersonate resource "users"' in answer.json()["message"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": []}]}, "rules[0].verbs"),
        ({"rules": [{"resources": ["pods"], "verbs": ["get"]}]}, "rules[0].apiGroups"),
        ({"rules": [{"apiGroups": [""], "verbs": ["get"]}]}, "rules[0].resources"),
        ({"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]}, "rules[0].nonResourceURLs"),
    ],
    ids=["verbs", "groups", "resources", "paths"],
)
def test_invalid_roles(api, namespace, change, field):
    answer = api("POST", f"{RBAC}/namespaces/{namespace}/roles", {"metadata": {"name": "bad"}, **change})
    assert answer.status == 422
    assert field in answer.fields


def test_a_binding_keeps_its_role(api, account):
    account.role(rule(["pods"], ["get"]))
    path = f"{RBAC}/namespaces/{account.namespace}/rolebindings/tester"
    change = {"roleRef": {"name": "other"}}
    answer = api("PATCH", path, change, type="application/merge-patch+json")
    assert (answer.status, answer.fields) == (422, {"roleRef"})
