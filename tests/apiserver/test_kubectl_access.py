"""kubectl as other users, with versions by name, and with a group whose server is gone."""

from __future__ import annotations

import json

import pytest
from api_harness import Kubectl

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.light.example.org}
spec:
  group: light.example.org
  scope: Namespaced
  names: {plural: lamps, kind: Lamp}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {watts: {type: integer}, colour: {type: string}}}}}}
  - name: v1beta1
    served: true
    storage: false
    additionalPrinterColumns: [{name: Watts, type: integer, jsonPath: .spec.watts}]
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {watts: {type: integer}}}}}}
"""  # noqa: E501
LAMP = """
apiVersion: light.example.org/VERSION
kind: Lamp
metadata: {name: desk}
spec: {watts: 40, colour: warm}
"""
APISERVICE = """
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.gone.example.org}
spec: {group: gone.example.org, version: v1, groupPriorityMinimum: 1, versionPriority: 1, insecureSkipTLSVerify: true,
       service: {namespace: default, name: gone}}
"""


@pytest.fixture
def kubectl(harness, tmp_path):
    return Kubectl(harness.server.kubeconfig, tmp_path)


@pytest.fixture
def account(kubectl):
    kubectl("create", "serviceaccount", "reader")
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods,pods/log")
    kubectl("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:reader")
    yield "system:serviceaccount:default:reader"
    for kind in ("serviceaccount", "role", "rolebinding"):
        kubectl("delete", kind, "reader")


def test_auth_can_i(kubectl, account):
    assert kubectl("auth", "can-i", "list", "pods", "--as", account) == "yes\n"
    assert kubectl("auth", "can-i", "get", "pods", "--subresource=log", "--as", account) == "yes\n"
    assert kubectl.run("auth", "can-i", "delete", "pods", "--as", account).stdout.startswith("no")
    assert kubectl("auth", "can-i", "get", "/version", "--as", account) == "yes\n"
    assert kubectl("auth", "can-i", "*", "*", "--all-namespaces") == "yes\n"
    listed = kubectl("auth", "can-i", "--list", "--as", account)
    assert any(line.split()[0] == "pods/log" for line in listed.splitlines() if line.strip())
    assert account in kubectl("auth", "whoami", "--as", account)


def test_a_refusal_is_printed(kubectl, account):
    wanted = (f'Error from server (Forbidden): secrets is forbidden: User "{account}" cannot list resource "secrets" '
              f'in API group "" in the namespace "default"')  # fmt: skip
    assert kubectl.failing("get", "secrets", "--as", account).strip() == wanted


def test_a_token_of_kubectl_is_good(kubectl, harness, account):
    token = kubectl("create", "token", "reader", "--duration=10m").strip()
    with harness.client(token) as client:
        assert client.get("/api/v1/namespaces/default/pods").status_code == 200
        assert client.get("/api/v1/namespaces/default/secrets").status_code == 403


def test_a_version_by_name(kubectl):
    kubectl("apply", "-f", "-", stdin=CRD)
    kubectl("wait", "--for=condition=Established", "crd/lamps.light.example.org", "--timeout=5s")
    kubectl("apply", "-f", "-", stdin=LAMP.replace("VERSION", "v1"))
    older = json.loads(kubectl("get", "lamps.v1beta1.light.example.org", "desk", "-o", "json"))
    assert (older["apiVersion"], older["spec"]) == ("light.example.org/v1beta1", {"watts": 40})
    assert kubectl("get", "lamps.v1beta1.light.example.org").splitlines()[0].split() == ["NAME", "WATTS"]
    assert kubectl("get", "lamps.light.example.org", "desk", "-o", "jsonpath={.apiVersion}") == "light.example.org/v1"
    assert kubectl("explain", "lamp.spec", "--api-version=light.example.org/v1beta1").count("colour") == 0
    kubectl("delete", "crd", "lamps.light.example.org")


def test_a_group_whose_server_is_gone(kubectl):
    kubectl("apply", "-f", "-", stdin=APISERVICE)
    try:
        line = kubectl("get", "apiservice", "v1.gone.example.org").splitlines()[1].split()
        assert line[1:4] == ["default/gone", "False", "(ServiceNotFound)"]
        assert kubectl("get", "pods", "-o", "name") == ""
        assert "deployments" in kubectl("api-resources", "-o", "name")
        why = 'Error from server (ServiceUnavailable): service unavailable: service/gone in "default" is not present'
        assert kubectl.failing("get", "--raw", "/apis/gone.example.org/v1").strip() == why
    finally:
        kubectl("delete", "apiservice", "v1.gone.example.org")
