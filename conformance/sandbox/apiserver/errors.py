"""Kubernetes API errors: what a request is refused with, as a `Status` object.

Codes, reasons and wording follow the API conventions and the messages of k8s.io/apimachinery, because clients decide
by reason and people search for the words.
"""

from __future__ import annotations

import json
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
        case dict() | list() | tuple():
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
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
        self.details = None if details is None else dict(details)
        self.retry_after = retry_after

    def status(self) -> dict[str, Any]:
        """The error as a `v1` Status object."""
        details = None if self.details is None and self.retry_after is None else dict(self.details or {})
        if details is not None and self.retry_after is not None:
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
        if details is not None:
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
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


class NoPageError(ApiError):
    """A path that belongs to no group of resources: the one refusal that is plain text instead of a Status."""

    def __init__(self) -> None:
        super().__init__(404, "NotFound", "404 page not found")


def method_not_allowed() -> ApiError:
    why = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", why, details={})


def not_acceptable(offered: Sequence[str]) -> ApiError:
    only = ", ".join(offered)
    return ApiError(406, "NotAcceptable", f"only the following media types are accepted: {only}")


def already_exists(resource: Resource, name: str) -> ApiError:
    message = f'{resource.group_resource} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_about(resource, name))


def conflict(resource: Resource, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {resource.group_resource} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_about(resource, name))


def precondition_failed(resource: Resource, name: str, field: str, wanted: str, found: str) -> ApiError:
    """A deletion is meant for another object, or another state of it; `field` is uid or resourceVersion."""
    title, after = ("UID", "deleted and then recreated") if field == "uid" else ("ResourceVersion", "modified")
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    message = (
        f'Operation cannot be fulfilled on {kind} "{name}": the {title} in the precondition ({wanted}) does not match '
        f"the {title} in record ({found}). The object might have been {after}"
    )
    return ApiError(409, "Conflict", message, details={**_about(resource, name), "kind": resource.kind})


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
    return _invalid(resource.group, resource.kind, name, causes)


def invalid_options(kind: str, causes: Sequence[Cause], *, group: str = "meta.k8s.io", name: str = "") -> ApiError:
    """The query asks for what cannot be; `kind` is ListOptions, PatchOptions and so on."""
    return _invalid(group, kind, name, causes)


def _invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    listed = str(causes[0]) if len(causes) == 1 else "[" + ", ".join(str(cause) for cause in causes) + "]"
    about = {field: value for field, value in (("name", name), ("group", group)) if value}
    details = {**about, "kind": kind, "causes": [cause.to_json() for cause in causes]}
    title = f"{kind}.{group}" if group else kind
    return ApiError(422, "Invalid", f'{title} "{name}" is invalid: {listed}', details=details)


def unavailable(message: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message)
