"""Tables of a view, set for a console, for Markdown or as a page of HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tabulate import tabulate

from conformance.report import rows
from conformance.report.summary import escape

FORMATS: Final = ("pretty", "markdown", "html")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under headers; cells are hostile until they are set."""

    title: str
    headers: tuple[str, ...]
    rows: Sequence[Sequence[str]]


def render(tables: Iterable[Table], form: str, note: str = "") -> str:
    """Return the tables that have rows, and a note below them, in one of `FORMATS`, without a line feed at the end."""
    shown = [table for table in tables if table.rows]
    if form == "html":
        return _page(shown, note)
    parts = [_markdown(table) if form == "markdown" else _pretty(table) for table in shown]
    return "\n\n".join([*parts, *([escape(note) if form == "markdown" else note] if note else [])])


def _pretty(table: Table) -> str:
    cells = [[rows.one_line(cell, 200) for cell in row] for row in table.rows]
    return f"{table.title}\n" + tabulate(cells, headers=table.headers, tablefmt="simple", disable_numparse=True)


def _markdown(table: Table) -> str:
    lines = [
        f"## {escape(table.title)}",
        "",
        "| " + " | ".join(escape(cell) for cell in table.headers) + " |",
        "|" + "---|" * len(table.headers),
    ]
    return "\n".join([*lines, *("| " + " | ".join(escape(cell) for cell in row) + " |" for row in table.rows)])


def _page(tables: list[Table], note: str) -> str:
    from conformance.report import markup  # noqa: PLC0415 - only for this format

    return markup.environment().get_template("tables.html").render(tables=tables, note=note).rstrip()
