"""The metrics API as a check uses it: an aggregated API, read through the API server as any user reads it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from conformance.cluster import Cluster, ClusterError, NotFound, Object
from conformance.metrics import API_VERSION, TrafficMetrics, TrafficMetricsList, read, read_list, shorten
from conformance.outcome import Nonconformance
from conformance.waiting import NotConverged, NotYet, Progress, eventually

AUTHORISED_WITHIN: Final = 5.0
"""Seconds until a new role is in effect."""
_GROUP, _VERSION = API_VERSION.split("/")


@dataclass(frozen=True)
class Subject:
    """A resource that metrics are asked of, by its plural."""

    plural: str
    name: str
    namespace: str = ""

    @property
    def path(self) -> str:
        """Where it is below the API's version."""
        place = f"namespaces/{self.namespace}/" if self.namespace else ""
        return f"{place}{self.plural}/{self.name}"


@dataclass
class Availability:
    """Whether the API server has a server behind the metrics API. Found out once in a run: waiting costs time."""

    cluster: Cluster
    within: float
    progress: Progress | None = None
    found: str | None = None

    def require(self) -> None:
        """Wait until the APIService is available; at later calls look once. Raises Nonconformance."""
        if self.found == "":
            return
        try:
            eventually(self._look, what="the metrics API to be available", consecutive=1, longest=0.2,
                       within=self.within if self.found is None else 0.0, progress=self.progress)
        except NotConverged as error:
            self.found = error.reason
            raise Nonconformance(f"APIService {_VERSION}.{_GROUP} to be Available within {self.within:g} s",
                                 error.reason) from None
        self.found = ""

    def broke(self, why: str) -> None:
        """Take note that the server failed in spite of all patience: nobody needs to wait for it again."""
        self.found = why

    def _look(self) -> None:
        if self.found:
            raise NotYet(self.found)
        try:
            service = self.cluster.get("apiregistration.k8s.io/v1", "APIService", f"{_VERSION}.{_GROUP}")
        except NotFound as error:
            raise NotYet(error.found) from error
        conditions = service.get("status", {}).get("conditions") or ()
        state: Object = next((entry for entry in conditions if entry.get("type") == "Available"), {})
        if state.get("status") != "True":
            raise NotYet(f"condition Available is {state.get('status', 'not there')}: {state.get('reason', '')} "
                         f"{state.get('message', '')}".strip())


class MetricsApi:
    """The aggregated API, read through the API server. Methods raise Nonconformance when it does not answer well."""

    def __init__(self, cluster: Cluster, availability: Availability) -> None:
        self.cluster = cluster
        self.availability = availability

    def ask(self, path: str = "", **query: str) -> Object:
        """GET a path below the API's version."""
        self.availability.require()
        target = f"/apis/{API_VERSION}/{path}".rstrip("/")
        try:
            return self.cluster.json("GET", target, query=query)
        except ClusterError as error:
            if not error.code:
                raise
            if error.code >= 500:
                self.availability.broke(str(error))
            raise Nonconformance(f"an answer to GET {target}", error.found) from error

    def kinds(self) -> dict[str, bool]:
        """Return the resources that there are metrics of, by plural, and whether each is namespaced."""
        entries = self.ask().get("resources") or ()
        if not isinstance(entries, list) or not all(isinstance(entry, dict) and entry.get("name") for entry in entries):
            raise Nonconformance("an APIResourceList", shorten(entries))
        return {str(entry["name"]): entry.get("namespaced") is True for entry in entries if "/" not in entry["name"]}

    def get(self, subject: Subject) -> TrafficMetrics:
        """Return the metrics of one resource."""
        return read(self.ask(subject.path))

    def list(self, plural: str, namespace: str = "", selector: str = "") -> TrafficMetricsList:
        """Return the metrics of all resources of a kind."""
        place = f"namespaces/{namespace}/" if namespace else ""
        return read_list(self.ask(f"{place}{plural}", **({"labelSelector": selector} if selector else {})))

    def edges(self, subject: Subject) -> TrafficMetricsList:
        """Return a resource's metrics by the other end of its traffic."""
        return read_list(self.ask(f"{subject.path}/edges"))

    @contextlib.contextmanager
    def by_token(self, token: str) -> Iterator[MetricsApi]:
        """Give the API as another user is given it."""
        cluster = self.cluster.with_token(token)
        try:
            yield MetricsApi(cluster, self.availability)
        finally:
            cluster.close()

    def waits_for(self, path: str) -> None:
        """Wait until a path is answered, because a new role takes a moment. Raises Nonconformance."""

        def answered() -> None:
            try:
                self.cluster.json("GET", f"/apis/{API_VERSION}/{path}")
            except ClusterError as error:
                if error.code not in (401, 403):
                    raise Nonconformance(f"an answer to GET {path}", error.found) from error
                raise NotYet(error.found) from error

        try:
            eventually(answered, what=f"{path} to be answered", within=AUTHORISED_WITHIN, consecutive=1)
        except NotConverged as error:
            raise Nonconformance(f"an answer to GET {path} for a user who may see it", error.reason) from None

    def refuses(self, path: str) -> str:
        """Return how the API server refused a path (HTTP 403). Raises Nonconformance when it did not."""
        try:
            self.cluster.json("GET", f"/apis/{API_VERSION}/{path}")
        except ClusterError as error:
            if error.code == 403:
                return error.found
            raise Nonconformance(f"GET {path} to be forbidden (HTTP 403)", error.found) from error
        raise Nonconformance(f"GET {path} to be forbidden (HTTP 403)", "it was answered (HTTP 200)")
