"""TokenRequest: tokens of service accounts, for a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from conformance.sandbox.apiserver import wire
from conformance.sandbox.apiserver.errors import ApiError, bad_request, method_not_allowed
from conformance.sandbox.apiserver.objects import now, uid_of
from conformance.sandbox.apiserver.resources import SERVICE_ACCOUNTS
from conformance.sandbox.apiserver.wire import respond

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from conformance.sandbox.apiserver.access import Tokens
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.targets import Target

_LEAST: Final = 600
_USUAL: Final = 3600
_AUDIENCE: Final = "https://kubernetes.default.svc.cluster.local"


class TokenHandler:
    """Serves `serviceaccounts/token`."""

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens

    async def serve(self, request: Request, target: Target) -> Response:
        """POST of a TokenRequest: a token for the API server, whatever audiences it is asked for."""
        if request.method != "POST":
            raise method_not_allowed()
        account = self._store.read(SERVICE_ACCOUNTS, target.name, target.namespace)
        spec: Any = (await wire.body(request)).get("spec") or {}
        seconds = _seconds(spec.get("expirationSeconds"), target.name)
        end = datetime.now(UTC) + timedelta(seconds=seconds)
        token = self._tokens.issue(target.namespace, target.name, uid_of(account), seconds)
        meta = {"name": target.name, "namespace": target.namespace, "creationTimestamp": now()}
        return respond(
            {
                "kind": "TokenRequest",
                "apiVersion": "authentication.k8s.io/v1",
                "metadata": meta,
                "spec": {
                    **spec,
                    "audiences": spec.get("audiences") or [_AUDIENCE],
                    "boundObjectRef": spec.get("boundObjectRef"),
                    "expirationSeconds": seconds,
                },
                "status": {"token": token, "expirationTimestamp": end.strftime("%Y-%m-%dT%H:%M:%SZ")},
            },
            status=201,
        )


def _seconds(wanted: Any, name: str) -> int:
    if wanted is None:
        return _USUAL
    if isinstance(wanted, bool) or not isinstance(wanted, int):
        raise bad_request(f"spec.expirationSeconds of a TokenRequest must be an integer, found {wanted!r}")
    if wanted < _LEAST:
        field, why = "spec.expirationSeconds", "may not specify a duration less than 10 minutes"
        cause = {"reason": "FieldValueInvalid", "field": field, "message": f"Invalid value: {wanted}: {why}"}
        message = f'TokenRequest.authentication.k8s.io "{name}" is invalid: {field}: Invalid value: {wanted}: {why}'
        raise ApiError(422, "Invalid", message, details={"name": name, "causes": [cause]})
    return wanted
