"""Whether a tree has the shape of an SMP message: the names, types and ranges of its fields.

As protojson does, it takes names in snake_case and camelCase, enumerations by number and by name, and 64-bit numbers
also as text; an absent field, or one that is null, is not set.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from conformance.performance.smp import document
from conformance.performance.smp.document import Item
from conformance.performance.smp.fields import DOCUMENTS, ENUMS, MESSAGES, UNREFERENCED, Field, Kind, Message

Level = Literal["error", "warning"]

EARLIER: Final[Mapping[str, str]] = {
    "endpoint_url": "endpoint_urls", "client": "clients", "node": "nodes", "smps_version": "smp_version",
    "SMPSVersion": "smp_version", "actual_QPS": "actual_qps", "cpu_mCores": "cpu_mcores", "sidecars": "sidecar",
}
"""Names that fields had in earlier releases of SMP, and what they are called now."""

_RANGES: Final = {"int32": 1 << 31, "int64": 1 << 63}
_WHOLE: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_MOMENT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that others will misread: which rule found it, where, what, and what to do."""

    rule: str
    place: str
    message: str
    advice: str = ""
    level: Level = "error"

    def __str__(self) -> str:
        advice = f" {self.advice}" if self.advice else ""
        return f"{self.place}: {self.message}.{advice} [{self.rule}]"


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by line; those without one stay as they are."""
    def line(finding: Finding) -> int:
        number = finding.place.partition(":")[0].removeprefix("line ")
        return int(number) if number.isdecimal() else 0

    return sorted(findings, key=line)


def read(item: Item, message: str, findings: list[Finding]) -> dict[str, Any]:
    """Return the fields of a message that are set, by their names in snake_case, and add what is wrong to `findings`.

    Enumerations come as numbers, moments as datetime in UTC, messages as such mappings again.
    """
    described = MESSAGES[message]
    if not isinstance(item.value, Mapping):
        findings.append(Finding("wrong-type", item.place, f"a {message} is a mapping, found {item.shown}"))
        return {}
    findings += [Finding("duplicate-key", one.place, "this key was given before", "Keep one of the two.")
                 for one in item.repeated]
    values: dict[str, Any] = {}
    for key, member in item.members.items():
        field = described.field(key)
        if field is None:
            findings.append(unknown(key, member, described))
        elif field.name in values:
            findings.append(Finding("duplicate-key", member.place, f"{field.name} was given before under another name"))
        elif member.value is not None:
            values[field.name] = _value(member, field, findings)
    return {name: value for name, value in values.items() if value is not None}


def unknown(key: str, item: Item, message: Message) -> Finding:
    """Say what is known of a key that a message does not have."""
    if message.name in DOCUMENTS and key.lower() in {one.lower() for one in UNREFERENCED} | {"egress_gateway"}:
        return Finding("unreferenced-message", item.place, f"SMP declares a message {key}, but no field holds it: "
                       "readers drop or refuse it", "Put it behind details_uri.")
    now = EARLIER.get(key)
    if now in message.fields:
        return Finding("earlier-name", item.place, f"{key} is what an earlier release of SMP called {now}",
                       f"Rename it to {now}.")
    close = near(key, message.fields)
    known = ", ".join(message.fields)
    advice = f"Did you mean {close}?" if close else f"Known are: {known}."
    return Finding("unknown-key", item.place, f"{message.name} has no field {key[:60]!r}", advice)


def near(word: str, known: Iterable[str]) -> str:
    """Return the known word that is most like another, or nothing."""
    by_lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(word.lower()[:80], by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else ""


def member(item: Item, name: str) -> Item:
    """Return a member by its name in snake_case or camelCase; where there is none, the mapping itself: its place."""
    camel = Field(name, 0, "string").camel
    return item.members.get(name) or item.members.get(camel) or item


def _value(item: Item, field: Field, findings: list[Finding]) -> Any:
    if not field.repeated:
        return _one(item, field, findings)
    if not isinstance(item.value, tuple):
        findings.append(_wrong(item, f"a list for {field.name}", "Begin each element with '-'." if item.line else ""))
        return None
    return tuple(found for one in item.elements if (found := _one(one, field, findings)) is not None)


def _one(item: Item, field: Field, findings: list[Finding]) -> Any:
    return _READERS[field.kind](item, field, findings)


def _double(item: Item, field: Field, findings: list[Finding]) -> float | None:
    if document.is_finite(item.value):
        return float(item.value)
    findings.append(_wrong(item, f"a finite number for {field.name}"))
    return None


def _bool(item: Item, field: Field, findings: list[Finding]) -> bool | None:
    if isinstance(item.value, bool):
        return item.value
    findings.append(_wrong(item, f"true or false for {field.name}"))
    return None


def _string(item: Item, field: Field, findings: list[Finding]) -> str | None:
    if isinstance(item.value, str):
        return item.value
    findings.append(_wrong(item, f"text for {field.name}", _quoted(item)))
    return None


def _quoted(item: Item) -> str:
    return f"Put quotes around it: '{item.text}'." if item.text else ""


def _wrong(item: Item, wanted: str, advice: str = "") -> Finding:
    return Finding("wrong-type", item.place, f"{wanted} is needed, found {item.shown}", advice)


def _integer(item: Item, field: Field, findings: list[Finding]) -> int | None:
    value = item.value
    if field.kind == "int64" and isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        findings.append(_wrong(item, f"a whole number for {field.name}"))
        return None
    limit = _RANGES[field.kind]
    if not -limit <= value < limit:
        findings.append(Finding("out-of-range", item.place, f"{str(value)[:30]} does not fit {field.name}, an "
                                f"{field.kind}"))
        return None
    return value


def _map(item: Item, field: Field, findings: list[Finding]) -> dict[str, str] | None:
    if not isinstance(item.value, Mapping):
        findings.append(_wrong(item, f"a mapping of text to text for {field.name}"))
        return None
    findings += [Finding("duplicate-key", one.place, "this key was given before") for one in item.repeated]
    found = {}
    for key, one in item.members.items():
        if isinstance(one.value, str):
            found[key] = one.value
        else:
            findings.append(_wrong(one, "text", _quoted(one)))
    return found


def enum(item: Item, name: str, findings: list[Finding]) -> int | None:
    """Return the number of an enumeration's value that is given by number or name, its prefix and case optional."""
    names = ENUMS[name]
    value = item.value
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value < len(names):
            return value
        known = ", ".join(f"{number} {one}" for number, one in enumerate(names))
        findings.append(Finding("unknown-enum", item.place, f"no {name} has the number {str(value)[:30]}",
                                f"Known are: {known}."))
        return None
    if not isinstance(value, str):
        findings.append(_wrong(item, f"the number or name of a {name}"))
        return None
    wanted = _squeezed(value)
    numbers = {_squeezed(one): number for number, one in enumerate(names)} | {
        _squeezed(one.removeprefix("PROTOCOL_").removesuffix("_MESH").removesuffix("_SERVICE")): number
        for number, one in enumerate(names)
    }
    if wanted in numbers:
        return numbers[wanted]
    close = near(wanted, numbers)
    findings.append(Finding("unknown-enum", item.place, f"there is no {name} {value[:60]!r}",
                            f"Did you mean {names[numbers[close]]}?" if close else f"Known are: {', '.join(names)}."))
    return None


def _squeezed(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


def moment(item: Item, findings: list[Finding]) -> dt.datetime | None:
    """Return a moment that is given as RFC 3339 has it, in UTC to the microsecond."""
    match = _MOMENT.fullmatch(item.value) if isinstance(item.value, str) else None
    if match:
        day, time, fraction, zone = match.groups()
        said = f"{day}T{time}.{(fraction or '').ljust(6, '0')[:6]}{'+00:00' if zone in 'Zz' else zone}"
        with contextlib.suppress(ValueError, OverflowError):
            return dt.datetime.fromisoformat(said).astimezone(dt.UTC)
    findings.append(_wrong(item, "a moment as RFC 3339 has it, such as 2026-11-21T10:00:00Z"))
    return None


_READERS: Final[Mapping[Kind, Callable[[Item, Field, list[Finding]], Any]]] = {
    "string": _string, "bool": _bool, "int32": _integer, "int64": _integer, "double": _double, "map": _map,
    "timestamp": lambda item, _field, findings: moment(item, findings),
    "enum": lambda item, field, findings: enum(item, field.of, findings),
    "message": lambda item, field, findings: read(item, field.of, findings),
}
