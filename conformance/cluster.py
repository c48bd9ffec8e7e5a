"""A Kubernetes cluster as the harness sees it: JSON objects over an authenticated HTTPS connection.

The only module that imports `kubernetes`. Of that client it takes what is hard to do well: kubeconfig files,
auth plug-ins, token refresh and TLS. Objects stay plain dictionaries, because the harness must be able to
send what a typed model would refuse (a fractional weight, a version that no client knows).
"""

from __future__ import annotations

import copy
import ipaddress
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit
from urllib.request import getproxies

from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.incluster_config import InClusterConfigLoader
from kubernetes.config.kube_config import load_kube_config

from conformance import kubeconfig, temporary
from conformance.cluster_errors import (
    ClusterError,
    Conflict,
    Gone,
    KubeconfigError,
    NotFound,
    Rejected,
    refusal,
)
from conformance.connection import Connection

__all__ = [
    "Cluster", "ClusterError", "Conflict", "Gone", "Kind", "KubeconfigError", "NotFound", "Object", "Rejected",
    "describe",
]

Object = dict[str, Any]

FIELD_MANAGER: Final = "mesh-conformance"


@dataclass(frozen=True)
class Kind:
    """Where the objects of one kind are served."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        parts = [_prefix(self.api_version)]
        if self.namespaced and namespace:
            parts.append(f"namespaces/{quote(namespace)}")
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


class Cluster(Connection):
    """One cluster, reached by one kubeconfig context or by a pod's service account."""

    def __init__(
        self, configuration: Configuration, name: str, source: Path | None = None, context: str | None = None, *,
        account: Path | None = None,
    ) -> None:
        configuration.retries = False
        configuration.connection_pool_maxsize = 64
        if configuration.proxy in getproxies().values() and _is_loopback(configuration.host):
            configuration.proxy = None  # as kubectl does: no proxy of an office reaches this machine's own addresses
        self.name = name
        self.source = source
        self.context = context
        self.server = str(configuration.host)
        self.account = account
        self._client = ApiClient(configuration)
        self._kinds: dict[str, dict[str, Kind]] = {}
        super().__init__(self._client.rest_client.pool_manager, self._signed)

    @classmethod
    def from_kubeconfig(cls, path: Path, context: str | None = None) -> Cluster:
        """Open the cluster of `context` (the only one that the file has, if None).

        Raises KubeconfigError when the file is missing, unreadable or no kubeconfig, has no such context, or several.
        """
        context = kubeconfig.chosen(path, context)
        configuration = Configuration()
        try:
            # TLS wants certificates and keys in files, which a killed process cannot remove: here the next one can.
            load_kube_config(str(path), context=context, client_configuration=configuration, persist_config=False,
                             temp_file_path=str(temporary.credentials()))
        except (ConfigException, TypeError, ValueError, OSError) as error:
            raise KubeconfigError(f"reading the kubeconfig {path}", f"{error}") from error
        return cls(configuration, context, path, context)

    @classmethod
    def in_pod(cls, directory: Path) -> Cluster:
        """Open the cluster that this pod runs in, with the service account mounted at `directory`."""
        configuration = Configuration()
        try:
            InClusterConfigLoader(
                token_filename=str(directory / "token"), cert_filename=str(directory / "ca.crt"),
            ).load_and_set(configuration)
        except ConfigException as error:
            raise ClusterError(f"reading the service account at {directory}", str(error)) from error
        return cls(configuration, "in-cluster", account=directory)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _signed(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
        """Return the URL of a path, and the headers with those that say who asks: the token may be a new one."""
        _, url, signed, _, _ = self._client.param_serialize(
            method, path, header_params=dict(headers), auth_settings=["BearerToken"],
        )
        return url, signed

    # --- other users ---

    def with_token(self, token: str) -> Cluster:
        """Open a second connection to this cluster, as the user whom a bearer token stands for; close it in the end.

        It trusts what this one trusts. A client certificate and auth plug-ins stay behind, for they say who asks.
        """
        configuration = copy.deepcopy(self._client.configuration)
        configuration.cert_file = configuration.key_file = configuration.refresh_api_key_hook = None
        configuration.username = configuration.password = None
        configuration.api_key = {"BearerToken": f"Bearer {token}"}
        return Cluster(configuration, f"{self.name}, by token")

    def token(self, namespace: str, service_account: str, seconds: int = 600) -> str:
        """Ask for a token of a service account that is good for `seconds` (a cluster gives no less than 600).

        Raises NotFound when there is no such account.
        """
        account = Kind("v1", "ServiceAccount", "serviceaccounts", namespaced=True)
        answer = self.json(
            "POST", account.path(namespace, service_account, "token"),
            body={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                  "spec": {"expirationSeconds": seconds}},
            doing=f"asking for a token of the service account {namespace}/{service_account}",
        )
        return str(answer["status"]["token"])

    # --- discovery ---

    def version(self) -> str:
        """Return the server's git version, such as `v1.34.4`."""
        return str(self.json("GET", "/version").get("gitVersion", "unknown"))

    def served(self, group: str) -> tuple[str, ...]:
        """Return the versions of an API group that are served, preferred first; empty if there is none."""
        return self.groups().get(group, ())

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Return all API groups that are served, each with its versions, preferred first."""
        found = {}
        for entry in self.json("GET", "/apis").get("groups", ()):
            preferred = entry.get("preferredVersion", {}).get("version")
            versions = [version["version"] for version in entry["versions"]]
            found[entry["name"]] = tuple(sorted(versions, key=lambda version: version != preferred))
        return found

    def kinds(self, group: str, version: str) -> frozenset[str]:
        """Return the kinds that a group version serves; none when it is not served at all."""
        api_version = f"{group}/{version}" if group else version
        try:
            listed = self.json("GET", _prefix(api_version), doing=f"discovering {api_version}")
        except NotFound:
            return frozenset()
        return frozenset(entry["kind"] for entry in listed.get("resources", ()) if "/" not in entry["name"])

    def kind(self, api_version: str, kind: str) -> Kind:
        """Find where a kind is served. Raises NotFound if it is not."""
        if kind not in self._kinds.get(api_version, {}):
            listed = self.json("GET", _prefix(api_version), doing=f"discovering {api_version}")
            self._kinds[api_version] = {
                entry["kind"]: Kind(api_version, entry["kind"], entry["name"], bool(entry["namespaced"]))
                for entry in listed.get("resources", ()) if "/" not in entry["name"]
            }
        try:
            return self._kinds[api_version][kind]
        except KeyError:
            raise NotFound(f"discovering {api_version}", f"it serves no {kind}", code=404) from None

    def forget(self) -> None:
        """Forget which kinds there are: their definitions have been replaced."""
        self._kinds.clear()

    # --- objects ---

    def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Create an object and return it as the server stored it."""
        kind = self.kind(obj["apiVersion"], obj["kind"])
        query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        path = kind.path(obj["metadata"].get("namespace"))
        return self.json("POST", path, query=query, body=obj, doing=f"creating {describe(obj)}")

    def apply(self, obj: Object) -> Object:
        """Create or change an object by server-side apply, taking over fields that others own."""
        kind = self.kind(obj["apiVersion"], obj["kind"])
        path = kind.path(obj["metadata"].get("namespace"), obj["metadata"]["name"])
        return self.json(
            "PATCH", path, query={"fieldManager": FIELD_MANAGER, "force": "true"}, body=obj,
            content_type="application/apply-patch+yaml", doing=f"applying {describe(obj)}",
        )

    def patch(self, obj: Object, change: Object) -> Object:
        """Merge `change` into an existing object."""
        kind = self.kind(obj["apiVersion"], obj["kind"])
        path = kind.path(obj["metadata"].get("namespace"), obj["metadata"]["name"])
        return self.json("PATCH", path, body=change, content_type="application/merge-patch+json",
                         doing=f"changing {describe(obj)}")

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
        """Read one object."""
        return self.json("GET", self.kind(api_version, kind).path(namespace, name))

    def list(
        self, api_version: str, plural: str, namespace: str | None = None, *, labels: str = "", fields: str = "",
    ) -> tuple[list[Object], str]:
        """Return the objects of a resource and the revision they were read at."""
        query = {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}
        answer = self.json("GET", Kind(api_version, "", plural, namespaced=True).path(namespace), query=query)
        return list(answer.get("items") or ()), str(answer["metadata"].get("resourceVersion", ""))

    def watch(
        self, api_version: str, plural: str, since: str, *, namespace: str | None = None, timeout: float = 300.0,
    ) -> Iterator[tuple[str, Object]]:
        """Yield `(type, object)` for each change after revision `since`, until `timeout` seconds have passed.

        Raises Gone when the server no longer has that revision: list again, then watch.
        """
        path = Kind(api_version, "", plural, namespaced=True).path(namespace)
        query = {"watch": "1", "resourceVersion": since, "timeoutSeconds": str(int(timeout)),
                 "allowWatchBookmarks": "true"}
        doing = f"watching {plural}"
        with closing(self.stream(path, query=query, timeout=timeout + 10, doing=doing)) as events:
            for event in events:
                if event["type"] == "ERROR":
                    code = event["object"].get("code")
                    raise refusal(doing, code if isinstance(code, int) else 500, json.dumps(event["object"]).encode())
                yield event["type"], event["object"]

    def delete(self, obj: Object, *, foreground: bool = False) -> None:
        """Delete an object; one that is gone already is fine."""
        kind = self.kind(obj["apiVersion"], obj["kind"])
        path = kind.path(obj["metadata"].get("namespace"), obj["metadata"]["name"])
        policy = "Foreground" if foreground else "Background"
        try:
            self.request("DELETE", path, body={"propagationPolicy": policy}, doing=f"deleting {describe(obj)}")
        except NotFound:
            return

    def exists(self, obj: Object) -> bool:
        """Tell whether an object is still there."""
        try:
            self.get(obj["apiVersion"], obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace"))
        except NotFound:
            return False
        return True

    # --- pods ---

    def pod_proxy(
        self, namespace: str, pod: str, port: int, method: str, path: str, body: bytes | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """Send an HTTP request to a port of a pod, through the API server."""
        target = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}:{port}/proxy/{path.lstrip('/')}"
        return self.request(method, target, body=body, timeout=timeout,
                            doing=f"asking pod {namespace}/{pod} for {method} {path} on port {port}")

    def pod_log(self, namespace: str, pod: str, container: str = "", *, tail: int = 50) -> str:
        """Return the last lines that a container of a pod wrote."""
        query = {"tailLines": str(tail)} | ({"container": container} if container else {})
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/log"
        return self.request("GET", path, query=query).decode("utf-8", "replace")

    # --- nodes ---

    def nodes(self) -> tuple[Object, ...]:
        """Return the nodes."""
        return tuple(self.list("v1", "nodes")[0])

    def node_proxy(
        self, node: str, path: str, *, query: Mapping[str, str] | None = None, timeout: float | None = None,
    ) -> bytes:
        """Read a path of a node's kubelet, through the API server; takes the right to get `nodes/proxy`."""
        target = f"/api/v1/nodes/{quote(node)}/proxy/{path.lstrip('/')}"
        return self.request("GET", target, query=query, timeout=timeout,
                            doing=f"asking the kubelet of node {node} for {path}")


def describe(obj: Mapping[str, Any]) -> str:
    """Name an object as people do: `TrafficSplit demo/checkout`."""
    metadata = obj.get("metadata", {})
    name = metadata.get("name") or f"{metadata.get('generateName', '?')}…"
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{obj.get('kind', 'object')} {where}{name}"


def _prefix(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _is_loopback(host: str) -> bool:
    name = urlsplit(host).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
