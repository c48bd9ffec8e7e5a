"""Server-side printing: objects as `meta.k8s.io/v1` Tables, which is what kubectl shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from conformance.sandbox.apiserver import columns
from conformance.sandbox.apiserver.columns import age
from conformance.sandbox.apiserver.customresources import CustomStrategy
from conformance.sandbox.apiserver.jsonpath import evaluate
from conformance.sandbox.apiserver.objects import JSON, name_of, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.sandbox.apiserver.resources import Resource
    from conformance.sandbox.apiserver.store import Store


@dataclass(frozen=True, slots=True)
class Column:
    """A column and how a cell comes about. Priority above 0 shows only with `-o wide`."""

    name: str
    cell: Callable[[JSON], Any]
    type: str = "string"
    priority: int = 0
    description: str = ""
    format: str = ""

    def definition(self) -> JSON:
        return {
            "name": self.name,
            "type": self.type,
            "format": "name" if self.name == "Name" else self.format,
            "description": self.description,
            "priority": self.priority,
        }


class Tabulator:
    """Makes tables of one resource. `include` is None, Metadata or Object: what each row carries of its object."""

    def __init__(self, store: Store, resource: Resource, include: str = "Metadata") -> None:
        self._columns = columns_of(store, resource)
        self._include = include

    def table(self, objects: list[JSON], meta: JSON) -> JSON:
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": meta,
            "columnDefinitions": [column.definition() for column in self._columns],
            "rows": [self._row(obj) for obj in objects],
        }

    def _row(self, obj: JSON) -> JSON:
        row: JSON = {"cells": [column.cell(obj) for column in self._columns]}
        if self._include == "Object":
            row["object"] = obj
        elif self._include != "None":
            row["object"] = {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": obj["metadata"],
            }
        return row


def columns_of(store: Store, resource: Resource) -> list[Column]:
    """The columns of a resource: of its kind, of its definition, or name and age."""
    strategy = store.registry.strategy(resource)
    if isinstance(strategy, CustomStrategy):
        declared = strategy.version(resource).columns
        if declared:
            return [Column("Name", name_of), *(_declared(column) for column in declared)]
        return [Column("Name", name_of), Column("Age", age)]
    return [Column(name, cell, kind, priority) for name, kind, priority, cell in columns.of(resource)]


def _declared(column: JSON) -> Column:
    path, kind = column["jsonPath"], column.get("type", "string")

    def cell(obj: JSON) -> Any:
        found = evaluate(path, obj)
        if not found:
            return None
        value = found[0] if len(found) == 1 else found
        if kind == "date":
            moment = parse_time(value) if isinstance(value, str) else None
            return columns.duration(datetime.now(UTC) - moment) if moment else "<invalid>"
        if kind == "string" and not isinstance(value, str):
            return ",".join(str(part) for part in value) if isinstance(value, list) else columns.plain(value)
        return value

    return Column(
        column["name"],
        cell,
        kind,
        int(column.get("priority") or 0),
        column.get("description", ""),
        column.get("format", ""),
    )
