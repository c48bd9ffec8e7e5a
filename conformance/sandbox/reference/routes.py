"""Rules as Envoy's routes and TCP proxies. No retries: they would hide what a sample has to count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from conformance.sandbox.reference import rbac
from conformance.sandbox.reference.http_route import RequestMatch
from conformance.sandbox.reference.plan import Policy, Rule, Share

Resource = dict[str, Any]

_NETWORK: Final = "type.googleapis.com/envoy.extensions.filters.network"
_ROUTER: Final[Resource] = {
    "name": "envoy.filters.http.router",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router", "suppress_envoy_headers": True,
    },
}
NOWHERE: Final = "nowhere"
"""A cluster that does not exist: TCP connections to it are closed."""


def http(name: str, rules: Sequence[Rule], *, extra: Resource | None = None, policy: Policy | None = None) -> Resource:
    """Return the filter that routes HTTP/1.1 and HTTP/2 by these rules, leaving requests and answers as they are.

    With a policy, requests that it does not allow are answered 403.
    """
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{_NETWORK}.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": name, "generate_request_id": False, "server_header_transformation": "PASS_THROUGH",
            "http_filters": [_ROUTER] if policy is None else [rbac.http(policy), _ROUTER],
            # Clusters arrive by another file: a route may be there a moment before its cluster.
            "route_config": {"name": name, "validate_clusters": False, "virtual_hosts": _virtual_hosts(rules)},
        } | ({} if policy is None else rbac.ONE_REQUEST) | (extra or {}),
    }


def to_cluster(
    name: str, cluster: str, *, extra: Resource | None = None, policy: Policy | None = None,
) -> Resource:
    """Return the filter that sends all HTTP requests that the policy allows to one cluster."""
    filter_ = http(name, (), extra=extra, policy=policy)
    filter_["typed_config"]["route_config"]["virtual_hosts"] = [catch_all(cluster)]
    return filter_


def catch_all(cluster: str) -> Resource:
    """Return the virtual host that sends every request to one cluster."""
    return {"name": "any", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": _route(cluster)}]}


def tcp(name: str, shares: Sequence[Share]) -> Resource:
    """Return the filter that sends each connection to one of the shares."""
    if len(shares) == 1:
        return to_tcp_cluster(name, shares[0].destination.name)
    if not shares:
        return to_tcp_cluster(name, NOWHERE)
    return _tcp(name, {"weighted_clusters": {"clusters": _weighted(shares)}})


def to_tcp_cluster(name: str, cluster: str) -> Resource:
    """Return the filter that sends all connections to one cluster."""
    return _tcp(name, {"cluster": cluster})


def _tcp(name: str, target: Resource) -> Resource:
    return {
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {"@type": f"{_NETWORK}.tcp_proxy.v3.TcpProxy", "stat_prefix": name} | target,
    }


def _virtual_hosts(rules: Sequence[Rule]) -> list[Resource]:
    hosts: dict[tuple[str, ...], list[Resource]] = {}
    for rule in rules:
        hosts.setdefault(rule.hosts, []).append(_rule(rule))
    return [{"name": domains[0].replace("*", "any"), "domains": list(domains), "routes": routes}
            for domains, routes in hosts.items()]


def _rule(rule: Rule) -> Resource:
    match = _match(rule)
    if not rule.shares:
        return {"match": match, "direct_response": {"status": rule.refusal}}
    copied = {"request_mirror_policies": [{"cluster": rule.copied_to}]} if rule.copied_to else {}
    if len(rule.shares) == 1:
        return {"match": match, "route": _route(rule.shares[0].destination.name) | copied}
    divided = {"weighted_clusters": {"clusters": _weighted(rule.shares)}, "timeout": "0s"}
    return {"match": match, "route": divided | copied}


def _match(rule: Rule) -> Resource:
    wanted = rule.request or RequestMatch()
    match: Resource = {"prefix": "/"}
    if wanted.exact:
        match = {"path": wanted.path}
    elif wanted.path != "/":
        match = {"path_separated_prefix": wanted.path}
    headers = [{"name": header.name, "string_match": {"safe_regex": {"regex": header.regex}}}
               for header in rule.headers]
    exact = [*wanted.headers, *([(":method", wanted.method)] if wanted.method else ())]
    headers += [{"name": name, "string_match": {"exact": value}} for name, value in exact]
    if headers:
        match["headers"] = headers
    if rule.portion != 1:
        millionths = {"numerator": round(rule.portion * 10**6), "denominator": "MILLION"}
        match["runtime_fraction"] = {"default_value": millionths}
    return match


def _route(cluster: str) -> Resource:
    return {"cluster": cluster, "timeout": "0s"}


def _weighted(shares: Sequence[Share]) -> list[Resource]:
    return [{"name": share.destination.name, "weight": share.weight} for share in shares]
