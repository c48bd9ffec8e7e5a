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

AUTHORISED_WITHIN: Final = 30.0
"""Seconds until a new role is in effect: a server that asks whether a user may see it remembers a no, usually 10 s."""
PROBED_WITHIN: Final = 30.0
"""Seconds that an API server, after failures, may let pass until it asks again whether a server behind it is there."""
_PROBED: Final = "FailedDiscoveryCheck"
"""Reason of a condition that is as old as the last such question; others are of what an API server sees at once."""
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
    """Whether the API server has a server behind the metrics API. Waited for once in a run: waiting costs time.

    `found` is why it was not, when last looked; empty when it was. `broken` tells that the server failed in spite of
    all patience.
    """

    cluster: Cluster
    within: float
    progress: Progress | None = None
    found: str | None = None
    broken: bool = False

    def require(self) -> None:
        """Wait until the APIService is available; where that was in vain once, look once. Raises Nonconformance.

        A mesh has `within`, and the API server besides what it needs to notice.
        """
        if self.found == "":
            return
        try:
            if self.found is None:
                self._wait()
            else:
                self._look()
        except (NotConverged, NotYet) as error:
            self.found = error.reason if isinstance(error, NotConverged) else str(error)
            wanted = f"APIService {_VERSION}.{_GROUP} to be Available within {self.within:g} s"
            raise Nonconformance(wanted, self.found) from None
        self.found = ""

    def _wait(self) -> None:
        def look_for(within: float) -> None:
            eventually(self._look, what="the metrics API to be available", consecutive=1, longest=0.2, within=within,
                       progress=self.progress)

        try:
            look_for(self.within)
        except NotConverged as error:
            if _PROBED not in error.reason:
                raise
            look_for(PROBED_WITHIN)

    def _look(self) -> None:
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
            answer = self.cluster.json("GET", target, query=query, patience=0.0 if self.availability.broken else None)
        except ClusterError as error:
            if not error.code:
                raise
            self.availability.broken = error.code >= 500
            raise Nonconformance(f"an answer to GET {target}", error.found) from error
        self.availability.broken = False
        return answer

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
