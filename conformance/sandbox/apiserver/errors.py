"""Kubernetes API errors: what a request is refused with, as a `Status` object.

Codes, reasons and wording follow the API conventions and the messages of k8s.io/apimachinery, because clients decide
by reason and people search for the words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from conformance.sandbox.apiserver.resources import Resource


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing wrong with a field; `reason` is a CauseType such as FieldValueRequired."""

    reason: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def to_json(self) -> dict[str, str]:
        return {"reason": self.reason, "message": self.message, "field": self.field}


def required(field: str, detail: str = "") -> Cause:
    return Cause("FieldValueRequired", field, "Required value" + (f": {detail}" if detail else ""))


def invalid_value(field: str, value: object, detail: str) -> Cause:
    return Cause("FieldValueInvalid", field, f"Invalid value: {quoted(value)}: {detail}")


def forbidden_value(field: str, detail: str) -> Cause:
    return Cause("FieldValueForbidden", field, f"Forbidden: {detail}")


def unsupported_value(field: str, value: object, allowed: Sequence[object]) -> Cause:
    choices = ", ".join(quoted(choice) for choice in allowed)
    return Cause("FieldValueNotSupported", field, f"Unsupported value: {quoted(value)}: supported values: {choices}")


def quoted(value: object) -> str:
    """A value as Kubernetes writes it in messages: strings quoted, booleans and null in JSON's words."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case _:
            return str(value)


class ApiError(Exception):
    """A request that the API server refuses.

    `reason` is a StatusReason (NotFound, Conflict, Invalid, …; empty when Kubernetes has none for it), `retry_after` is
    in seconds.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = dict(details or {})
        self.retry_after = retry_after

    def status(self) -> dict[str, Any]:
        """The error as a `v1` Status object."""
        details = dict(self.details)
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            **({"reason": self.reason} if self.reason else {}),
            "code": self.code,
        }
        if details:
            status["details"] = details
        return status


def _about(resource: Resource, name: str, **more: object) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name, "group": resource.group, "kind": resource.plural, **more}
    return {key: value for key, value in details.items() if value}


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str, why: str, causes: Iterable[Cause] = ()) -> ApiError:
    message = f'{resource.group_resource} "{name}" is forbidden: {why}'
    details = _about(resource, name, causes=[cause.to_json() for cause in causes])
    return ApiError(403, "Forbidden", message, details=details)


def not_found(resource: Resource, name: str) -> ApiError:
    message = f'{resource.group_resource} "{name}" not found'
    return ApiError(404, "NotFound", message, details=_about(resource, name))


def no_such_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def method_not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def not_acceptable(offered: Sequence[str]) -> ApiError:
    only = ", ".join(offered)
    return ApiError(406, "NotAcceptable", f"only the following media types are accepted: {only}")


def already_exists(resource: Resource, name: str) -> ApiError:
    message = f'{resource.group_resource} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_about(resource, name))


def conflict(resource: Resource, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {resource.group_resource} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_about(resource, name))


def modified(resource: Resource, name: str) -> ApiError:
    """The object's resourceVersion is not the one that the request was based on."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(resource, name, why)


def expired(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def unsupported_media_type(offered: Sequence[str]) -> ApiError:
    only = ", ".join(offered)
    message = f"the body of the request was in an unknown format - accepted media types include: {only}"
    return ApiError(415, "UnsupportedMediaType", message)


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> ApiError:
    """The object breaks its schema or a rule of its kind; every cause names its field."""
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    listed = (
        "; ".join(str(cause) for cause in causes[:1])
        if len(causes) == 1
        else ("[" + ", ".join(str(cause) for cause in causes) + "]")
    )
    details = {**_about(resource, name), "kind": resource.kind, "causes": [cause.to_json() for cause in causes]}
    return ApiError(422, "Invalid", f'{kind} "{name}" is invalid: {listed}', details=details)


def unavailable(message: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message)
