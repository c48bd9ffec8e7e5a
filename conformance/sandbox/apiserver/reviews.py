"""Questions about identity and access: who am I, whose token is this, may I."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.sandbox.apiserver import wire
from conformance.sandbox.apiserver.access import User
from conformance.sandbox.apiserver.attributes import Attributes
from conformance.sandbox.apiserver.discovery import REVIEWS
from conformance.sandbox.apiserver.errors import ApiError, bad_request, method_not_allowed
from conformance.sandbox.apiserver.objects import JSON, metadata
from conformance.sandbox.apiserver.wire import respond

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from conformance.sandbox.apiserver.access import Tokens
    from conformance.sandbox.apiserver.rbac import Authorizer

_LOCAL = "localsubjectaccessreviews"


def review_of(group: str, path: str) -> tuple[str, str] | None:
    """(plural, namespace) of the review that a path below its group names; None when it names none."""
    namespace = ""
    if path.startswith("namespaces/"):
        _, namespace, path = (*path.split("/", 2), "")[:3]
    if bool(namespace) is not (path == _LOCAL):
        return None
    return (path, namespace) if any((group, path) == (owner, name) for owner, name, _ in REVIEWS) else None


def _user(user: User) -> JSON:
    return {"username": user.name, "uid": user.uid, "groups": list(user.groups)}


class ReviewHandler:
    """Answers reviews."""

    def __init__(self, tokens: Tokens, authorizer: Authorizer) -> None:
        self._tokens = tokens
        self._authorizer = authorizer

    async def review(self, request: Request, plural: str, namespace: str) -> Response:
        """POST of a review."""
        if request.method != "POST":
            raise method_not_allowed()
        obj = await wire.body(request)
        metadata(obj).setdefault("creationTimestamp", None)
        spec: Any = obj.get("spec") or {}
        user: User = request.scope["user"]
        match plural:
            case "selfsubjectreviews":
                obj["status"] = {"userInfo": _user(user)}
            case "tokenreviews":
                obj["status"] = self._token(spec)
            case "selfsubjectrulesreviews":
                obj["status"] = self._rules(user, str(spec.get("namespace") or ""))
            case "selfsubjectaccessreviews":
                obj["status"] = self._access(user, spec, plural)
            case _:
                if namespace and (spec.get("resourceAttributes") or {}).get("namespace") != namespace:
                    raise _invalid(plural, "spec.resourceAttributes.namespace", f"must be {namespace}, as in the path")
                if not spec.get("user") and not spec.get("groups"):
                    raise _invalid(plural, "spec.user", "at least one of user or group must be specified")
                other = User(str(spec.get("user") or ""), tuple(spec.get("groups") or ()), str(spec.get("uid") or ""))
                obj["status"] = self._access(other, spec, plural)
        return respond(obj, status=201)

    def _token(self, spec: JSON) -> JSON:
        found = self._tokens.review(str(spec.get("token") or ""))
        if found is None:
            return {"authenticated": False, "user": {}, "error": "[invalid bearer token]"}
        return {"authenticated": True, "user": _user(found)}

    def _access(self, user: User, spec: JSON, plural: str) -> JSON:
        decision = self._authorizer.decide(user, _wish(spec, plural))
        return {"allowed": decision.allowed, **({"reason": decision.why} if decision.why else {})}

    def _rules(self, user: User, namespace: str) -> JSON:
        if not namespace:
            raise bad_request("no namespace on request")
        rules = [rule for grant in self._authorizer.grants(user, namespace) for _, rule in grant.rules]
        return {
            "resourceRules": [rule for rule in rules if not rule.get("nonResourceURLs")],
            "nonResourceRules": [rule for rule in rules if rule.get("nonResourceURLs")],
            "incomplete": False,
        }


def _wish(spec: JSON, plural: str) -> Attributes:
    resource: Any = spec.get("resourceAttributes")
    path: Any = spec.get("nonResourceAttributes")
    if (resource is None) is (path is None):
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise _invalid(plural, "spec.resourceAttributes", why)
    if resource is None:
        return Attributes(verb=str(path.get("verb") or ""), path=str(path.get("path") or ""))
    fields = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
    return Attributes(**{field: str(resource.get(field) or "") for field in fields})


def _invalid(plural: str, field: str, why: str) -> ApiError:
    kind = next(kind for _, name, kind in REVIEWS if name == plural)
    message = f'{kind}.authorization.k8s.io "" is invalid: {field}: Invalid value: {why}'
    return ApiError(422, "Invalid", message)
