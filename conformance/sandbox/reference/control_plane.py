"""The control plane: from what the API server says to what each proxy reads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

from conformance import smi
from conformance.cluster import Cluster
from conformance.sandbox.reference import parse, parse_access
from conformance.sandbox.reference.behaviour import Behaviour
from conformance.sandbox.reference.events import Reporter
from conformance.sandbox.reference.fields import Json
from conformance.sandbox.reference.files import AUTHORITY, ProxyFiles
from conformance.sandbox.reference.http_route import http_route
from conformance.sandbox.reference.identity import Authority
from conformance.sandbox.reference.interception import Interception
from conformance.sandbox.reference.mirror import Mirror
from conformance.sandbox.reference.model import Endpoint, Key, Snapshot
from conformance.sandbox.reference.pace import Pace
from conformance.sandbox.reference.route_status import StatusWriter

COMPONENT: Final = "reference-mesh"
_RETRY: Final = 0.5

T = TypeVar("T")

log = logging.getLogger(__name__)


class ControlPlane:
    """Watches a cluster and keeps the files of its proxies current."""

    def __init__(
        self, cluster: Cluster, state: Path, interception: Interception, behaviour: Behaviour, *,
        deny_by_default: bool = True,
    ) -> None:
        """Open the state directory. Raises OSError or IdentityError when that is not possible.

        Without `deny_by_default` access is not enforced anywhere.
        """
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files = ProxyFiles(state, interception, Authority.open(state / AUTHORITY))
        self._behaviour = behaviour
        self._deny_by_default = deny_by_default
        self._view = behaviour.view()
        self._reporter = Reporter(cluster, COMPONENT)
        self._statuses = StatusWriter(cluster)
        self._pace = Pace()
        self._wake = threading.Event()
        changed = self._wake.set
        self._services = Mirror(cluster, "services", lambda: "v1", parse.service, changed)
        self._pods = Mirror(cluster, "pods", lambda: "v1", parse.pod, changed)
        self._slices = Mirror(cluster, "endpointslices", lambda: "discovery.k8s.io/v1", parse.slice_endpoints, changed)
        self._open = Mirror(cluster, "namespaces", lambda: "v1", parse_access.open_namespace, changed)
        # Kubernetes serves it since 1.33.
        self._ranges = Mirror(cluster, "servicecidrs", lambda: "networking.k8s.io/v1", parse.service_range, changed)

        def api_mirror(group: str, kind: str, plural: str, parser: Callable[[Json], T]) -> Mirror[T]:
            return Mirror(cluster, plural, _served(cluster, group, kind), parser, changed)

        self._splits = api_mirror(smi.SPLIT, "TrafficSplit", "trafficsplits", parse.split)
        self._groups = api_mirror(smi.SPECS, "HTTPRouteGroup", "httproutegroups", parse.route_group)
        self._tcp_routes = api_mirror(smi.SPECS, "TCPRoute", "tcproutes", parse_access.port_route)
        self._udp_routes = api_mirror(smi.SPECS, "UDPRoute", "udproutes", parse_access.port_route)
        self._targets = api_mirror(smi.ACCESS, "TrafficTarget", "traffictargets", parse_access.target)
        self._routes = api_mirror(smi.GATEWAY, "HTTPRoute", "httproutes", http_route)
        self._users: tuple[Mirror[Any], ...] = (
            self._splits, self._groups, self._tcp_routes, self._udp_routes, self._targets, self._routes)
        self._mirrors: tuple[Mirror[Any], ...] = (
            self._services, self._pods, self._slices, self._open, self._ranges, *self._users)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set and `wake` is called."""
        writers = ((self._reporter.run, "events"), (self._statuses.run, "statuses"))
        for run, name in (*writers, *((mirror.run, mirror.plural) for mirror in self._mirrors)):
            threading.Thread(target=run, args=(stop,), name=name, daemon=True).start()
        while not stop.is_set():
            self._wake.wait()
            self._pace.gather(self._wake, stop)
            if all(mirror.synced.is_set() for mirror in self._mirrors):
                self._round(stop)

    def wake(self) -> None:
        """Make the control plane look again."""
        self._wake.set()

    def _round(self, stop: threading.Event) -> None:
        try:
            self.reconcile(self.snapshot())
        except OSError as error:
            log.warning("writing the proxies' files: %s; trying again", error)
            stop.wait(_RETRY)
            self.wake()

    def snapshot(self) -> Snapshot:
        """Return what the API server has said so far."""
        pods = sorted(self._pods.values(), key=lambda pod: (not pod.terminating, pod.created))
        slices = self._slices.values()
        return Snapshot(
            services={service.key: service for service in self._services.values()},
            endpoints=_by_service(slices, ready=True),
            unready=_by_service(slices, ready=False),
            # The last one wins: an address may be in use again while its former pod is still going.
            pods={pod.address: pod for pod in pods},
            splits=tuple(self._splits.values()),
            groups={group.key: group for group in self._groups.values()},
            targets=tuple(self._targets.values()),
            tcp_routes={route.key: route for route in self._tcp_routes.values()},
            udp_routes={route.key: route for route in self._udp_routes.values()},
            # Without the API nobody could allow anything.
            deny_by_default=self._deny_by_default and self._targets.served,
            open=frozenset(self._open.values()),
            service_ranges=tuple(sorted({network for found in self._ranges.values() for network in found})),
            routes=tuple(self._routes.values()),
            malformed=tuple(problem for mirror in self._users for problem in mirror.malformed()),
        )

    def reconcile(self, snapshot: Snapshot) -> None:
        """Bring all proxies' files and all events in line with a snapshot. Raises OSError."""
        started = time.monotonic()
        translation = self._behaviour.translation(self._view(snapshot))
        proxies = [pod for pod in snapshot.pods.values() if pod.meshed]
        written = {pod: size for pod in proxies if (size := self._files.write(translation.plan(pod)))}
        self._pace.gave(written.values())
        for gone in self._files.keep_only(proxies):
            log.info("removed the proxy of pod %s", gone)
        if written:
            names = ", ".join(f"{pod.namespace}/{pod.name}" for pod in written)
            log.info("configured %s in %.1f ms", names, 1000 * (time.monotonic() - started))
        self._reporter.update(self._behaviour.problems(translation))
        self._statuses.update({route: translation.reported(route) for route in snapshot.routes if route.parents})


def _served(cluster: Cluster, group: str, kind: str) -> Callable[[], str | None]:
    """Return a question: in which version, of those that the mesh understands, a kind is served; the newest."""
    def api_version() -> str | None:
        served = cluster.served(group)
        return next((f"{group}/{version}" for version in smi.RELEASED[group]
                     if version in served and kind in cluster.kinds(group, version)), None)
    return api_version


def _by_service(
    slices: Iterable[tuple[Key, tuple[Endpoint, ...]]], *, ready: bool,
) -> dict[Key, tuple[Endpoint, ...]]:
    endpoints: dict[Key, tuple[Endpoint, ...]] = {}
    for key, found in slices:
        endpoints[key] = endpoints.get(key, ()) + tuple(endpoint for endpoint in found if endpoint.ready == ready)
    return endpoints
