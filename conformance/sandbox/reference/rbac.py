"""Policies as Envoy's access control.

HTTP requests are judged one by one by the RBAC filter, which answers 403. Other TCP is judged by the TLS handshake,
which accepts only the identities that a policy names: the RBAC filter for TCP waits for the first byte of the client,
before which a server that speaks first has already been reached.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from conformance.sandbox.reference.plan import ANYONE, Grant, Permission, Policy

Resource = dict[str, Any]

_RBAC: Final = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
_ANY: Final[Resource] = {"any": True}
ONE_REQUEST: Final[Resource] = {"common_http_protocol_options": {"max_requests_per_connection": 1}}
"""An HTTP connection that carries one request: a kept one would serve one more under the policy before a change."""


def http(policy: Policy) -> Resource:
    """Return the HTTP filter that refuses every request that no grant of the policy allows."""
    policies = {
        f"grant-{number}{version and f' {version}'}": _policy(grant, version)
        for number, grant in enumerate(policy)
        for version in dict.fromkeys(permission.version for permission in grant.permissions)
    }
    return {"name": "envoy.filters.http.rbac",
            "typed_config": {"@type": _RBAC, "rules": {"action": "ALLOW", "policies": policies}}}


def identities(policy: Policy) -> tuple[str, ...]:
    """Return the identities that a policy lets in whatever they send, which is all that TCP can tell; or ANYONE."""
    named = {identity for grant in policy for identity in grant.identities if Permission() in grant.permissions}
    return ANYONE if named.intersection(ANYONE) else tuple(sorted(named))


def _policy(grant: Grant, version: str) -> Resource:
    principals = [_principal(identity) for identity in grant.identities]
    permissions = [_permission(permission) for permission in grant.permissions if permission.version == version]
    return {"principals": principals, "permissions": permissions} | ({"condition": _spoken(version)} if version else {})


def _spoken(version: str) -> Resource:
    """Return the condition that a request came in this version of HTTP, as a syntax tree of CEL."""
    protocol = {"select_expr": {"operand": {"ident_expr": {"name": "request"}}, "field": "protocol"}}
    return {"call_expr": {"function": "_==_", "args": [protocol, {"const_expr": {"string_value": version}}]}}


def _principal(identity: str) -> Resource:
    return _ANY if identity in ANYONE else {"authenticated": {"principal_name": {"exact": identity}}}


def _permission(permission: Permission) -> Resource:
    rules: list[Resource] = []
    if permission.path:
        # Envoy's expressions match the whole path; the group keeps an alternative's end inside.
        rules.append({"url_path": {"path": {"safe_regex": {"regex": f"(?:{permission.path}).*"}}}})
    if permission.methods:
        rules.append(_any_of(_header(":method", {"exact": method}) for method in permission.methods))
    rules += [_header(header.name, {"safe_regex": {"regex": header.regex}}) for header in permission.headers]
    return {"and_rules": {"rules": rules}} if rules else _ANY


def _any_of(rules: Iterable[Resource]) -> Resource:
    return {"or_rules": {"rules": list(rules)}}


def _header(name: str, matcher: Resource) -> Resource:
    return {"header": {"name": name, "string_match": matcher}}
