"""Before every answer: faults that a test has asked for, who asks, and whether they may."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.access import ANONYMOUS, AUTHENTICATED, User, account_groups, account_of
from conformance.sandbox.apiserver.attributes import Attributes, attributes_of
from conformance.sandbox.apiserver.errors import ApiError, bad_request, unauthorized
from conformance.sandbox.apiserver.wire import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from conformance.sandbox.apiserver.access import Tokens
    from conformance.sandbox.apiserver.faults import Faults
    from conformance.sandbox.apiserver.rbac import Authorizer


class Gate:
    """Lets a request through to `app` with its user in `scope["user"]`, or answers 401 or 403."""

    def __init__(self, app: ASGIApp, tokens: Tokens, faults: Faults, authorizer: Authorizer) -> None:
        self._app = app
        self._tokens = tokens
        self._faults = faults
        self._authorizer = authorizer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        fault = self._faults.take(scope["method"], scope["path"])
        if fault is not None:
            await asyncio.sleep(fault.hang)
            if fault.status is not None:
                error = ApiError(fault.status, *fault.reason, retry_after=fault.retry_after)
                await refuse(error)(scope, receive, send)
                return
        try:
            user = scope["user"] = self._user(scope)
            query = scope["query_string"].decode("latin-1")
            self._authorizer.require(user, attributes_of(scope["method"], scope["path"], query))
        except ApiError as error:
            await refuse(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _user(self, scope: Scope) -> User:
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            if name == b"authorization" or name.startswith(b"impersonate-"):
                headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        user = self._tokens.authenticate(headers.pop("authorization", [""])[0])
        if user is None:
            raise unauthorized()
        return self._impersonated(user, headers) if headers else user

    def _impersonated(self, user: User, headers: Mapping[str, list[str]]) -> User:
        """Whom the headers ask to be, when the user may be that: for `kubectl --as`."""
        name = headers.get("impersonate-user", [""])[0]
        if not name:
            raise bad_request("requested impersonation without impersonating a user")
        groups, uid = headers.get("impersonate-group", []), headers.get("impersonate-uid", [""])[0]
        for wish in _wishes(name, groups, uid):
            self._authorizer.require(user, wish)
        found = list(groups or account_groups(name))
        if name != ANONYMOUS.name and AUTHENTICATED not in found:
            found.append(AUTHENTICATED)
        return User(name, tuple(found) if name != ANONYMOUS.name else ANONYMOUS.groups, uid)


def _wishes(name: str, groups: Iterable[str], uid: str) -> Iterable[Attributes]:
    """What it takes to be somebody else."""
    account = account_of(name)
    if account is not None:
        yield Attributes("impersonate", "", "", "v1", "serviceaccounts", "", *account)
    else:
        yield Attributes("impersonate", version="v1", resource="users", name=name)
    for group in groups:
        yield Attributes("impersonate", version="v1", resource="groups", name=group)
    if uid:
        yield Attributes("impersonate", group="authentication.k8s.io", version="v1", resource="uids", name=uid)
