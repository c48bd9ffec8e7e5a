"""The page itself: what the parts give, set by the template, with a policy that lets nothing else run or load."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

import jinja2
import yaml
from markupsafe import Markup

from conformance.outcome import Outcome
from conformance.performance.model import Run
from conformance.report import markup, rows
from conformance.report.codec import RecordError
from conformance.report.html import charts, evidence, matrix
from conformance.report.html.marks import CAPABILITY, COMPLIANCE, OUTCOMES, Mark
from conformance.report.html.matrix import Entry, Matrix
from conformance.report.hygiene import clean_footer, clean_header, clean_result, clean_text
from conformance.report.model import Header, Report
from conformance.requirement import Level
from conformance.verdict import Verdict

MAX_RESULTS: Final = 20_000
"""The most results that one page shows: a browser takes no more."""

MAX_ACCOUNTS: Final = 400_000
"""The most that accounts of failures which need no JavaScript may take together, in characters of their data."""

MAX_SNAPSHOTS: Final = 300_000
"""The most that what was in the clusters may take together, in characters; what is beyond it is left out."""

_NOT_RUN: Final = (Outcome.UNSUPPORTED, Outcome.NOT_APPLICABLE, Outcome.SKIPPED)


def page(report: Report, performance: Sequence[Run] = ()) -> str:
    """Return the page of a report, with the figures of performance runs that belong to it.

    Whatever the report holds is text to the page: it is cleaned and escaped, also if it was never written or read.
    Raises `RecordError` for a report that is too large for a page.
    """
    if len(report.results) > MAX_RESULTS:
        raise RecordError(f"the record has {len(report.results)} results, and a page shows at most {MAX_RESULTS}; "
                          "combine fewer records")
    report = _clean(report)
    shaped = matrix.build(report)
    accounts = [evidence.account(entry) for entry in shaped.entries]
    style, script = _asset("page.css"), _asset("page.js")
    text: str = _template().render(
        style=Markup(style), script=Markup(script), policy=_policy(style, script),  # noqa: S704 - our own files
        header=report.header, footer=report.footer, tally=rows.tally(report.footer), matrix=shaped,
        broken=rows.broken(report.header),
        verdicts=_verdicts(report), levels=_levels(shaped), troubles=_troubles(shaped, accounts),
        observed=_with(shaped, Outcome.OBSERVED), not_run=_with(shaped, *_NOT_RUN), snapshots=_snapshots(report.header),
        performance=charts.parts(performance), evidence=evidence.packed(accounts, _about(shaped)),
    )
    return text


def _clean(report: Report) -> Report:
    """The report made harmless; ids as well, which only the record's schema holds to their form."""
    header = clean_header(report.header)
    return Report(
        replace(header, selected=tuple(clean_text(one, 256) for one in header.selected)),
        tuple(replace(clean_result(one), requirement=clean_text(one.requirement, 256)) for one in report.results),
        clean_footer(report.footer),
    )


def _policy(style: str, script: str) -> str:
    """What the page may do: run its one script and use its one style sheet; no requests, forms or frames."""
    return (f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
            "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _asset(name: str) -> str:
    return (files("conformance.report.html") / "templates" / name).read_text(encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    environment = markup.environment("conformance.report.html")
    environment.filters.update(address=_address, weblink=_weblink)
    return environment.get_template("page.html")


def _address(key: str) -> str:
    """The part of an address after the hash sign that leads to an element with this id."""
    return quote(key, safe="/")


def _weblink(text: str) -> bool:
    """Whether a text may become a link: nothing but a web address, which has no scheme that runs anything."""
    return text.startswith(("https://", "http://")) and not any(character.isspace() for character in text)


def _verdicts(report: Report) -> dict[str, Any]:
    """The verdicts as a table: for each mesh, for each API group, those on its versions with their marks."""
    apis = sorted({verdict.api for verdict in report.footer.verdicts})
    table: dict[tuple[str, str], list[tuple[Verdict, Mark, Mark]]] = {}
    for verdict in report.footer.verdicts:
        marks = COMPLIANCE[verdict.compliance], CAPABILITY[verdict.capability]
        table.setdefault((verdict.mesh, verdict.api), []).append((verdict, *marks))
    return {"apis": apis, "table": table}


def _levels(shaped: Matrix) -> list[Level]:
    present = {row.level for group in shaped.groups for row in group.rows}
    return [level for level in Level if level in present]


def _troubles(shaped: Matrix, accounts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The accounts of what went wrong, as many as there is room for: violations, then known ones, then errors."""
    order = list(dict.fromkeys((Outcome.FAILED, Outcome.ERROR, *OUTCOMES)))
    chosen = [(entry, account) for entry, account in zip(shaped.entries, accounts, strict=True) if entry.trouble]
    chosen.sort(key=lambda pair: order.index(pair[0].result.outcome))
    kept, room = [], MAX_ACCOUNTS
    for entry, account in chosen:
        room -= len(json.dumps(account))
        if room < 0:
            break
        kept.append((entry, account))
    return {"kept": kept, "omitted": len(chosen) - len(kept), "keys": {entry.key for entry, _ in kept}}


def _with(shaped: Matrix, *outcomes: Outcome) -> list[Entry]:
    return [entry for entry in shaped.entries if entry.result.outcome in outcomes]


def _snapshots(header: Header) -> list[tuple[str, str]]:
    """What was in each cluster, as YAML, by what was run there."""
    found, room = [], MAX_SNAPSHOTS
    for run in header.parts or (header,):
        if not run.snapshot:
            continue
        text = yaml.dump(dict(run.snapshot), Dumper=evidence.DUMPER, sort_keys=False, allow_unicode=True, width=100)
        room -= len(text)
        if room < 0:
            text = "Left out, to keep the page small: it stands in the record, report.jsonl."
        found.append((f"{', '.join(mesh.name for mesh in run.meshes)}, {run.started}", text))
    return found


def _about(shaped: Matrix) -> dict[str, list[str]]:
    return {
        row.requirement: [row.title, row.statement, row.spec, row.level.value if row.level else "",
                          row.level.meaning if row.level else ""]
        for group in shaped.groups for row in group.rows
    }
