"""Findings of jsonschema in the words of the Kubernetes API server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.sandbox.apiserver.errors import Cause, invalid_value, required, unsupported_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jsonschema.exceptions import ValidationError

_TYPE_NAMES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


@dataclass(frozen=True, slots=True)
class _Finding:
    """`at` is the path of the value, empty for the object itself; `rule` what the schema's keyword demands."""

    at: str
    value: Any
    rule: Any
    message: str
    some_valid: bool

    @property
    def here(self) -> str:
        return self.at or "<nil>"

    @property
    def shown(self) -> Any:
        return "" if isinstance(self.value, (dict, list)) else self.value


def _limit(how: str) -> Callable[[_Finding], Cause]:
    return lambda it: invalid_value(it.here, it.value, f"{it.at} in body should be {how} {it.rule}")


def _least(what: str) -> Callable[[_Finding], Cause]:
    return lambda it: invalid_value(it.here, len(it.value), f"{it.at} in body should have at least {it.rule} {what}")


def _too_many(it: _Finding) -> Cause:
    text = f"Too many: {len(it.value)}: must have at most {it.rule} items"
    return Cause("FieldValueTooMany", it.here, text)


def _missing(it: _Finding) -> Cause:
    missing = [name for name in it.rule if name not in it.value]
    # jsonschema reports each missing field on its own; which one only its message tells
    name = next((name for name in missing if it.message.startswith(repr(name))), missing[0])
    return required(f"{it.at}.{name}" if it.at else name)


def _wrong_type(it: _Finding) -> Cause:
    wanted = "integer or string" if it.rule[:2] == ["integer", "string"] else it.rule[0]
    kind = _TYPE_NAMES.get(type(it.value), "null")
    detail = f'{it.at} in body must be of type {wanted}: "{kind}"'
    return Cause("FieldValueTypeInvalid", it.here, f'Invalid value: "{kind}": {detail}')


def _one_of(it: _Finding) -> Cause:
    how = "Found more than one valid" if it.some_valid else "Found none valid"
    return invalid_value(it.here, it.shown, f'"{it.at}" must validate one and only one schema (oneOf). {how}')


_WORDINGS: Mapping[str, Callable[[_Finding], Cause]] = {
    "required": _missing,
    "type": _wrong_type,
    "enum": lambda it: unsupported_value(it.here, it.value, it.rule),
    "minimum": _limit("greater than or equal to"),
    "exclusiveMinimum": _limit("greater than"),
    "maximum": _limit("less than or equal to"),
    "exclusiveMaximum": _limit("less than"),
    "multipleOf": _limit("a multiple of"),
    "pattern": lambda it: invalid_value(it.here, it.value, f"{it.at} in body should match '{it.rule}'"),
    "minLength": lambda it: invalid_value(
        it.here, it.value, f"{it.at} in body should be at least {it.rule} chars long"
    ),
    "maxLength": lambda it: Cause("FieldValueTooLong", it.here, f"Too long: may not be more than {it.rule} bytes"),
    "minItems": _least("items"),
    "maxItems": _too_many,
    "minProperties": _least("properties"),
    "maxProperties": _too_many,
    "oneOf": _one_of,
    "anyOf": lambda it: invalid_value(it.here, it.shown, f'"{it.at}" must validate at least one schema (anyOf)'),
    "not": lambda it: invalid_value(it.here, it.shown, f'"{it.at}" must not validate the schema (not)'),
}


def _path(parts: Iterable[str | int]) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def cause_of(error: ValidationError) -> Cause:
    """What the API server would say of this finding."""
    it = _Finding(_path(error.absolute_path), error.instance, error.validator_value, error.message, not error.context)
    wording = _WORDINGS.get(str(error.validator))
    return wording(it) if wording else invalid_value(it.here, it.shown, it.message)
