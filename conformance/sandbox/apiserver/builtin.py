"""The built-in kinds: which defaults and which validation belong to which resource."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeAlias

from conformance.sandbox.apiserver import data, defaults, jobs, resources, rules, validation
from conformance.sandbox.apiserver.definitions import DefinitionStrategy
from conformance.sandbox.apiserver.errors import bad_request
from conformance.sandbox.apiserver.registry import Strategy

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.sandbox.apiserver.errors import Cause
    from conformance.sandbox.apiserver.objects import JSON
    from conformance.sandbox.apiserver.resources import Key, Resource
    from conformance.sandbox.apiserver.store import Store

    Defaults: TypeAlias = Callable[[JSON, JSON | None], None]
    Validation: TypeAlias = Callable[[JSON, JSON | None], list[Cause]]

_MALFORMED = (AttributeError, KeyError, TypeError, ValueError)
"""What reading a field raises when a manifest has a string where a list belongs, and so on."""


def _nothing(obj: JSON, old: JSON | None) -> None:
    del obj, old


def _sound(obj: JSON, old: JSON | None) -> list[Cause]:
    del obj, old
    return []


class BuiltinStrategy(Strategy):
    """Defaults and validation of one built-in kind. A field of the wrong type is ApiError 400, as in Kubernetes."""

    def __init__(self, default: Defaults = _nothing, validate: Validation = _sound) -> None:
        self._default = default
        self._validate = validate

    def prepare(self, resource: Resource, obj: JSON, old: JSON | None) -> None:
        try:
            self._default(obj, old)
        except _MALFORMED as error:
            raise _undecodable(resource, error) from error

    def validate(self, resource: Resource, obj: JSON, old: JSON | None) -> list[Cause]:
        try:
            return self._validate(obj, old)
        except _MALFORMED as error:
            raise _undecodable(resource, error) from error


class ServiceStrategy(BuiltinStrategy):
    """Services have a cluster IP and, some, node ports. Node ports are numbers only: nothing listens on them."""

    def __init__(self, store: Store) -> None:
        super().__init__(defaults.service, validation.service)
        self._store = store
        self._node_ports: set[int] = set()

    def allocate(self, obj: JSON, old: JSON | None) -> None:
        spec = obj["spec"]
        if spec["type"] == "ExternalName":
            return
        if not spec.get("clusterIP"):
            spec["clusterIP"] = self._store.allocate()
        spec["clusterIPs"] = [spec["clusterIP"]]
        if spec["type"] not in ("NodePort", "LoadBalancer"):
            return
        before = {port.get("port"): port.get("nodePort") for port in (old or {}).get("spec", {}).get("ports") or []}
        for port in spec.get("ports") or []:
            if not port.get("nodePort"):
                port["nodePort"] = before.get(port["port"]) or self._node_port()
            self._node_ports.add(port["nodePort"])

    def _node_port(self) -> int:
        free = [number for number in range(30000, 32768) if number not in self._node_ports]
        return random.choice(free)  # noqa: S311 - a port, not a secret

    def released(self, obj: JSON) -> None:
        spec = obj["spec"]
        if spec.get("clusterIP") not in (None, "", "None"):
            self._store.release(spec["clusterIP"])
        self._node_ports -= {port.get("nodePort") for port in spec.get("ports") or []}


def _undecodable(resource: Resource, error: Exception) -> Exception:
    what = str(error) or type(error).__name__
    return bad_request(
        f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
        f"a field has the wrong type ({what})"
    )


def install(store: Store) -> None:
    """Make `store` serve the built-in resources."""
    special: dict[Key, Strategy] = {
        resources.PODS.key: BuiltinStrategy(defaults.pod, validation.pod),
        resources.DEPLOYMENTS.key: BuiltinStrategy(defaults.deployment, validation.workload),
        resources.REPLICA_SETS.key: BuiltinStrategy(defaults.replica_set, validation.workload),
        resources.JOBS.key: BuiltinStrategy(jobs.defaults, jobs.problems),
        resources.SERVICES.key: ServiceStrategy(store),
        resources.NAMESPACES.key: BuiltinStrategy(defaults.namespace),
        resources.CONFIG_MAPS.key: BuiltinStrategy(validate=data.config_map),
        resources.SECRETS.key: BuiltinStrategy(defaults.secret, data.secret),
        resources.ENDPOINTS.key: BuiltinStrategy(defaults.endpoints),
        resources.ENDPOINT_SLICES.key: BuiltinStrategy(defaults.endpoint_slice, validation.endpoint_slice),
        resources.EVENTS.key: BuiltinStrategy(validate=validation.event),
        resources.CRDS.key: DefinitionStrategy(),
        resources.API_SERVICES.key: BuiltinStrategy(defaults.api_service, validation.api_service),
        resources.ROLES.key: BuiltinStrategy(validate=rules.role),
        resources.CLUSTER_ROLES.key: BuiltinStrategy(validate=rules.cluster_role),
        resources.ROLE_BINDINGS.key: BuiltinStrategy(defaults.binding, rules.role_binding),
        resources.CLUSTER_ROLE_BINDINGS.key: BuiltinStrategy(defaults.binding, rules.cluster_role_binding),
    }
    for resource in resources.BUILTIN:
        store.registry.add(resource.key, [resource], special.get(resource.key) or BuiltinStrategy())
