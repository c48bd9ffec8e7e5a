"""What can go wrong between the harness and an API server, in words that say what was done and what to do next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import urllib3

CONNECT_TIMEOUT: Final = 5.0


class ClusterError(Exception):
    """The cluster could not be reached, or refused or failed a call. Never the fault of the mesh."""

    def __init__(self, doing: str, found: str, *, code: int = 0, reason: str = "") -> None:
        super().__init__(f"{doing}: {found}")
        self.doing = doing
        self.found = found
        self.code = code
        self.reason = reason


class Away(ClusterError):  # noqa: N818 - what the API server is
    """Nobody took the connection, or it broke before the answer. `sent`: the call may have been carried out."""

    def __init__(self, doing: str, found: str, *, sent: bool) -> None:
        super().__init__(doing, found)
        self.sent = sent


class KubeconfigError(ClusterError):
    """The kubeconfig is missing, unreadable or has no such context: nothing was asked of any cluster."""


class NotFound(ClusterError):  # noqa: N818 - the field's word for it
    """The object, resource or version does not exist (HTTP 404)."""


class Conflict(ClusterError):  # noqa: N818
    """The object exists already, or was changed meanwhile (HTTP 409)."""


class Rejected(ClusterError):  # noqa: N818
    """Validation or an admission controller refused the object (HTTP 400, 403, 422)."""


class Gone(ClusterError):  # noqa: N818
    """The watch asked for a revision that the server no longer has (HTTP 410)."""


_ERRORS: Final[Mapping[int, type[ClusterError]]] = {
    400: Rejected, 403: Rejected, 404: NotFound, 409: Conflict, 410: Gone, 422: Rejected,
}


def refusal(doing: str, code: int, data: bytes) -> ClusterError:
    """Return the error that an answer with such a code is, by the Status object in it, if there is one."""
    message, reason = data.decode("utf-8", "replace").strip()[:500], ""
    try:
        status = json.loads(data)
        message, reason = str(status.get("message", message)), str(status.get("reason", ""))
    except (ValueError, AttributeError):
        pass
    if code == 401:
        message = f"{message or 'Unauthorized'}. The credential is missing, wrong or expired"
    return _ERRORS.get(code, ClusterError)(doing, f"{message or 'no reason given'} (HTTP {code})", code=code,
                                           reason=reason)


def unanswered(doing: str, error: Exception, timeout: float) -> ClusterError:
    """Return the error that a request without an answer is."""
    found = trouble(error, timeout)
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return Away(doing, found, sent=False)
    return Away(doing, found, sent=True) if isinstance(error, urllib3.exceptions.ProtocolError) else ClusterError(
        doing, found)


def trouble(error: Exception, timeout: float) -> str:
    """Say why a request had no answer; `timeout` is how many seconds were waited for one."""
    if isinstance(error, urllib3.exceptions.ProxyError):
        return (f"the proxy of the environment (HTTPS_PROXY) or of the kubeconfig (proxy-url) does not reach it: "
                f"{error.original_error}. Add the API server's host to NO_PROXY if it needs no proxy")
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return f"the connection was refused ({error.__cause__ or error}). Is the API server running?"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return f"no connection within {CONNECT_TIMEOUT:g} s. Is the API server running?"
    return f"{type(error).__name__}: {error}"
