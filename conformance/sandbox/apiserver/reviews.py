"""Questions about identity and access: reviews, and tokens of service accounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from conformance.sandbox.apiserver import wire
from conformance.sandbox.apiserver.discovery import REVIEWS
from conformance.sandbox.apiserver.errors import method_not_allowed
from conformance.sandbox.apiserver.objects import JSON, metadata, now, uid_of
from conformance.sandbox.apiserver.resources import SERVICE_ACCOUNTS
from conformance.sandbox.apiserver.wire import respond

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from conformance.sandbox.apiserver.access import Tokens, User
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.targets import Target

_RULE = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_HOURS = 24


def is_review(group: str, plural: str) -> bool:
    return any((group, plural) == (owner, name) for owner, name, _ in REVIEWS)


def _user(user: User) -> JSON:
    return {"username": user.name, "uid": user.uid, "groups": list(user.groups)}


class ReviewHandler:
    """Answers reviews. Whoever has a token may do everything, and that is what they say."""

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens

    async def review(self, request: Request, plural: str) -> Response:
        """POST of a review."""
        if request.method != "POST":
            raise method_not_allowed()
        obj = await wire.body(request)
        metadata(obj).setdefault("creationTimestamp", None)
        user: User = request.scope["user"]
        if plural == "selfsubjectreviews":
            obj["status"] = {"userInfo": _user(user)}
        elif plural == "tokenreviews":
            found = self._tokens.review(str((obj.get("spec") or {}).get("token") or ""))
            obj["status"] = {"authenticated": True, "user": _user(found)} if found else {"authenticated": False}
        elif plural == "selfsubjectrulesreviews":
            obj["status"] = {
                "resourceRules": [_RULE],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                "incomplete": False,
            }
        else:
            obj["status"] = {"allowed": True, "reason": "the sandbox does not enforce RBAC"}
        return respond(obj, status=201)

    async def token(self, request: Request, target: Target) -> Response:
        """POST of a TokenRequest for a service account. The token does not expire before the sandbox does."""
        if request.method != "POST":
            raise method_not_allowed()
        account = self._store.read(SERVICE_ACCOUNTS, target.name, target.namespace)
        obj = await wire.body(request)
        end = datetime.now(UTC) + timedelta(hours=_HOURS)
        token = self._tokens.issue(target.namespace, target.name, uid_of(account))
        meta = {"name": target.name, "namespace": target.namespace, "creationTimestamp": now()}
        return respond(
            {
                "kind": "TokenRequest",
                "apiVersion": "authentication.k8s.io/v1",
                "metadata": meta,
                "spec": obj.get("spec") or {},
                "status": {"token": token, "expirationTimestamp": end.strftime("%Y-%m-%dT%H:%M:%SZ")},
            },
            status=201,
        )
