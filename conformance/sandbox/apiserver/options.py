"""The options of a request: what its query asks for, and the refusal of what cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.errors import bad_request, forbidden_value, invalid_options, unsupported_value

if TYPE_CHECKING:
    from starlette.requests import Request


def flag(request: Request, name: str) -> bool:
    """A boolean query parameter."""
    return request.query_params.get(name, "").lower() in ("1", "true")


def number(request: Request, name: str) -> int | None:
    """An integer query parameter; None when absent. Raises ApiError 400."""
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'invalid value "{text}" for the query parameter {name}: expected an integer') from None


def dry_run(request: Request, *more: str) -> bool:
    """Whether nothing may be stored; `more` are values from the body. Raises ApiError 422 for any but All."""
    values = [*request.query_params.getlist("dryRun"), *more]
    if any(value != "All" for value in values):
        raise invalid_options(_kind(request), [unsupported_value("dryRun", values, ("All",))])
    return bool(values)


def field_validation(request: Request) -> str:
    """What to do about fields that a schema does not know: Strict, Warn or Ignore. Raises ApiError 422."""
    mode = request.query_params.get("fieldValidation") or "Warn"
    choices = ("", "Ignore", "Strict", "Warn")
    if mode not in choices:
        raise invalid_options(_kind(request), [unsupported_value("fieldValidation", mode, choices)])
    return mode


def _kind(request: Request) -> str:
    verbs = {"POST": "Create", "PUT": "Update", "PATCH": "Patch", "DELETE": "Delete"}
    return f"{verbs[request.method]}Options"


def check_listing(request: Request, *, watch: bool) -> None:
    """Raise ApiError 400 or 422 for options of a list or watch that contradict each other, or are none."""
    query = request.query_params
    number(request, "timeoutSeconds")
    match, version, initial = query.get("resourceVersionMatch"), query.get("resourceVersion"), "sendInitialEvents"
    found = []
    if watch and initial in query and match != "NotOlderThan":
        found.append(f"{initial} requires setting resourceVersionMatch to NotOlderThan")
    if watch and match and initial not in query:
        found.append(f"resourceVersionMatch is forbidden for watch unless {initial} is provided")
    if not watch and match and not version:
        found.append("resourceVersionMatch is forbidden unless resourceVersion is provided")
    causes = [forbidden_value("resourceVersionMatch", why) for why in found]
    if not watch and initial in query:
        causes.append(forbidden_value(initial, f"{initial} is forbidden for list"))
    if causes:
        raise invalid_options("ListOptions", causes)
    if not watch and version and not version.isdigit():
        why = f'strconv.ParseUint: parsing "{version}": invalid syntax'
        raise bad_request(f'invalid resource version: resourceVersion: Invalid value: "{version}": {why}')
