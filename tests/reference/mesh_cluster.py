"""An API server of a few lines, in the process: what the control plane needs of `Cluster`, and faults on demand."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict

from conformance.cluster import ClusterError, NotFound

GROUPS = {"trafficsplits": "split.smi-spec.io", "httproutegroups": "specs.smi-spec.io",
          "tcproutes": "specs.smi-spec.io", "udproutes": "specs.smi-spec.io", "traffictargets": "access.smi-spec.io"}
KINDS = {"trafficsplits": "TrafficSplit", "httproutegroups": "HTTPRouteGroup", "tcproutes": "TCPRoute",
         "udproutes": "UDPRoute", "traffictargets": "TrafficTarget"}
DELETED, END = "DELETED", ("END", {})


class FakeCluster:
    """Lists, watches and events. `fail` holds exceptions that the next list of a resource raises."""

    def __init__(self, **versions: str) -> None:
        self.versions = versions or {"trafficsplits": "v1alpha4", "httproutegroups": "v1alpha4"}
        self.objects: dict[str, dict] = defaultdict(dict)
        self.events: list[dict] = []
        self.fail: dict[str, list[Exception]] = defaultdict(list)
        self.lists: dict[str, int] = defaultdict(int)
        self._watches: dict[str, list[queue.Queue]] = defaultdict(list)
        self._lock = threading.RLock()

    def served(self, group):
        return tuple(version for plural, version in self.versions.items() if GROUPS[plural] == group)

    def kinds(self, group, version):
        return frozenset(KINDS[plural] for plural, served in self.versions.items()
                         if served == version and GROUPS[plural] == group)

    def list(self, _api_version, plural, namespace=None, **_):
        with self._lock:
            self.lists[plural] += 1
            if self.fail[plural]:
                raise self.fail[plural].pop(0)
            if plural in GROUPS and plural not in self.versions:
                raise NotFound(f"listing {plural}", "not served", code=404)
            waiting: queue.Queue = queue.Queue()
            self._watches[plural].append(waiting)
            return list(self.objects[plural].values()), "1"

    def watch(self, _api_version, plural, since, **_):
        with self._lock:
            waiting = self._watches[plural][-1]
        while (event := waiting.get()) != END:
            if isinstance(event, Exception):
                raise event
            yield event

    def create(self, obj, **_):
        if self.fail["events"]:
            raise self.fail["events"].pop(0)
        self.events.append(obj)
        return obj

    def put(self, plural, obj):
        key = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        with self._lock:
            kind = "MODIFIED" if key in self.objects[plural] else "ADDED"
            self.objects[plural][key] = obj
            self._tell(plural, (kind, obj))

    def delete(self, plural, obj):
        with self._lock:
            del self.objects[plural][obj["metadata"]["namespace"], obj["metadata"]["name"]]
            self._tell(plural, (DELETED, obj))

    def end_watches(self, plural, event=END):
        with self._lock:
            self._tell(plural, event)

    def _tell(self, plural, event):
        for waiting in self._watches[plural]:
            waiting.put(event)


def refused(*_):
    return ClusterError("listing", "the connection was refused")


def service(name, cluster_ip):
    return {"metadata": {"name": name, "namespace": "demo"},
            "spec": {"clusterIP": cluster_ip, "ports": [{"name": "http", "port": 8080}]}}


def slice_of(name, *addresses):
    return {"metadata": {"name": f"{name}-x", "namespace": "demo", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}],
            "endpoints": [{"addresses": [address]} for address in addresses]}


def pod(name, address, *, uid=None, **metadata):
    return {"metadata": {"name": name, "namespace": "demo", "uid": uid or f"uid-{name}",
                         "labels": {"reference-mesh/proxy": "enabled"}} | metadata,
            "spec": {"serviceAccountName": name}, "status": {"podIP": address}}


def split(root, version="v1alpha4", generation=1, **weights):
    return {"apiVersion": f"split.smi-spec.io/{version}", "kind": "TrafficSplit",
            "metadata": {"name": "split", "namespace": "demo", "uid": "uid-split", "generation": generation},
            "spec": {"service": root, "backends": [{"service": name, "weight": weight}
                                                   for name, weight in weights.items()]}}
