"""Who owns which fields: `metadata.managedFields`, and server-side apply on top of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from conformance.sandbox.apiserver import fieldsets
from conformance.sandbox.apiserver.errors import ApiError, Cause, bad_request
from conformance.sandbox.apiserver.fieldsets import PRESENT, Path
from conformance.sandbox.apiserver.objects import JSON, clone, now
from conformance.sandbox.apiserver.shapes import Shape, identity

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: a field manager, how (`Apply` or `Update`), in which version, to which subresource.

    Who applies is the same writer in every version, who updates is another one in each.
    """

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        part = f' with subresource "{self.subresource}"' if self.subresource else ""
        version = f" using {self.api_version}" if self.operation == "Update" else ""
        return f'"{self.name}"{part}{version}'

    def same(self, other: Writer) -> bool:
        """Whether both have one entry in managedFields."""
        one, another = self, other
        if self.operation == "Apply":
            one, another = replace(self, api_version=""), replace(other, api_version="")
        return one == another


@dataclass(frozen=True, slots=True)
class _Entry:
    writer: Writer
    fields: frozenset[Path]
    time: str


def _read(obj: JSON) -> list[_Entry]:
    found: list[_Entry] = []
    for item in obj["metadata"].get("managedFields") or []:
        if not isinstance(item, dict) or not item.get("fieldsV1"):
            continue
        writer = Writer(
            str(item.get("manager") or ""),
            str(item.get("operation") or ""),
            str(item.get("apiVersion") or ""),
            str(item.get("subresource") or ""),
        )
        try:
            fields = frozenset(fieldsets.decode(item["fieldsV1"]))
        except ValueError as error:
            raise bad_request(f"metadata.managedFields of {writer.name!r} cannot be read: {error}") from error
        found.append(_Entry(writer, fields, str(item.get("time") or now())))
    return found


def _order(entry: _Entry) -> tuple[str, str, str, str, str]:
    """Where an entry stands in managedFields: who applies before who updates, then the oldest first."""
    writer = entry.writer
    return (writer.operation, entry.time, writer.name, writer.api_version, writer.subresource)


def _write(entries: Iterable[_Entry]) -> list[JSON]:
    written: list[JSON] = []
    for entry in sorted(entries, key=_order):
        if not entry.fields:
            continue
        item: JSON = {
            "manager": entry.writer.name,
            "operation": entry.writer.operation,
            "apiVersion": entry.writer.api_version,
            "time": entry.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fieldsets.encode(entry.fields),
        }
        if entry.writer.subresource:
            item["subresource"] = entry.writer.subresource
        written.append(item)
    return written


def _ignored(writer: Writer, *, status: bool) -> frozenset[str]:
    return frozenset({"status"}) if status and not writer.subresource else frozenset()


def note_update(old: JSON | None, new: JSON, writer: Writer, shape: Shape, *, status: bool) -> None:
    """Note in `new`, in place, that `writer` owns what differs from `old`, and nobody what is gone.

    `status` says whether the kind has a status subresource.
    """
    ignore = _ignored(writer, status=status)
    after = fieldsets.leaves(new, shape, ignore=ignore)
    before = fieldsets.leaves(old, shape, ignore=ignore) if old is not None else {}
    changed = frozenset(path for path, value in after.items() if path not in before or before[path] != value)
    gone = frozenset(path for path in before if path not in after)
    own: _Entry | None = None
    others: list[_Entry] = []
    for entry in _read(new):
        if entry.writer.same(writer):
            own = entry
        else:
            others.append(replace(entry, fields=entry.fields - changed - gone))
    fields = ((own.fields if own else frozenset()) - gone) | changed
    if own is None or fields != own.fields or changed:
        own = _Entry(writer, fields, now() if changed or own is None else own.time)
    new["metadata"]["managedFields"] = _write([*others, own])


def apply(live: JSON | None, config: JSON, writer: Writer, shape: Shape, *, force: bool, status: bool) -> JSON:
    """What server-side apply of `config` makes of `live`, with managedFields. Raises ApiError 409 with the conflicts.

    Fields that `writer` applied before and no longer does are removed, unless somebody else owns them too.
    """
    ignore = _ignored(writer, status=status)
    wanted = fieldsets.leaves(config, shape, ignore=ignore)
    applied = frozenset(wanted)
    entries = _read(live) if live is not None else []
    own = next((entry for entry in entries if entry.writer.same(writer)), None)
    others = [entry for entry in entries if not entry.writer.same(writer)]
    present = fieldsets.leaves(live, shape, ignore=ignore) if live is not None else {}
    conflicts = [
        (entry.writer, path)
        for entry in others
        for path in sorted(entry.fields & applied)
        if wanted[path] is not PRESENT and path in present and present[path] != wanted[path]
    ]
    if conflicts and not force:
        raise _conflict(conflicts)
    taken = {path for _, path in conflicts}
    others = [replace(entry, fields=entry.fields - taken) for entry in others]
    merged = _merge(live, config, shape) if live is not None else clone(config)
    dropped = (own.fields if own else frozenset()) - applied
    kept = frozenset().union(*(entry.fields for entry in others)) if others else frozenset()
    _remove(merged, dropped, kept | applied)
    if own is None or own.fields != applied or merged != live:
        own = _Entry(writer, applied, now())
    merged["metadata"]["managedFields"] = _write([own, *others])
    return merged


def _remove(obj: JSON, dropped: frozenset[Path], kept: frozenset[Path]) -> None:
    """Take `dropped` out of `obj`, in place, except where something of `kept` lies at or below it."""
    needed = {path[:length] for path in kept for length in range(1, len(path) + 1)}
    gone: set[Path] = set()
    for path in sorted(dropped, key=len):
        inside = any(path[:length] in gone for length in range(1, len(path)))
        if not inside and path not in needed and not fieldsets.is_key(path):
            fieldsets.remove(obj, path)
            gone.add(path)


def _merge(live: Any, config: Any, shape: Shape) -> Any:
    if isinstance(live, dict) and isinstance(config, dict) and not shape.atomic:
        merged = {field: clone(value) for field, value in live.items()}
        for field, value in config.items():
            if value is None:
                merged.pop(field, None)
            else:
                merged[field] = _merge(live.get(field), value, shape.child(field))
        return merged
    if isinstance(live, list) and isinstance(config, list):
        if shape.set:
            return [*live, *(item for item in config if item not in live)]
        if shape.keys:
            return _merge_items(live, config, shape)
    return clone(config)


def _merge_items(live: list[Any], config: list[Any], shape: Shape) -> list[Any]:
    before = [(identity(item, shape.keys), item) for item in live]
    wanted = [(identity(item, shape.keys), item) for item in config]
    if any(key is None for key, _ in (*before, *wanted)):
        return clone(config)

    def merged(key: JSON | None, item: Any) -> Any:
        return next((_merge(old, item, shape) for found, old in before if found == key), clone(item))

    keys = [key for key, _ in wanted]
    if all(key in keys for key, _ in before):
        return [merged(key, item) for key, item in wanted]
    result = [next((merged(key, item) for found, item in wanted if found == key), clone(old)) for key, old in before]
    present = [key for key, _ in before]
    return result + [clone(item) for key, item in wanted if key not in present]


def _conflict(conflicts: list[tuple[Writer, Path]]) -> ApiError:
    causes = [
        Cause("FieldManagerConflict", fieldsets.dotted(path), f"conflict with {writer}") for writer, path in conflicts
    ]
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    else:
        writers = sorted({str(writer) for writer, _ in conflicts})
        parts = [
            f"conflicts with {writer}:\n"
            + "\n".join(f"- {fieldsets.dotted(path)}" for other, path in conflicts if str(other) == writer)
            for writer in writers
        ]
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(parts)
    return ApiError(409, "Conflict", message, details={"causes": [cause.to_json() for cause in causes]})
