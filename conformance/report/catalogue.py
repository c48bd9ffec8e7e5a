"""The catalogue as a record carries it, so that it explains itself and can be told from another one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from conformance.report.model import Catalogue, Described
from conformance.requirement import Requirement


def describe(rows: Iterable[Requirement], selected: Iterable[Requirement]) -> Catalogue:
    """Return the selected requirements in words, with the digest of all rows of the catalogue, in whatever order."""
    return Catalogue(digest(rows), {
        row.id: Described(row.title, row.statement, row.section, row.level, row.api, row.versions, row.judged)
        for row in selected
    })


def digest(rows: Iterable[Requirement]) -> str:
    """Return the SHA-256 of what meshes are held to, `sha256:` and 64 hexadecimal digits.

    Titles are left out: they come from names of functions, and say nothing that the statements do not.
    """
    facts = sorted((row.id, row.level.value, row.api, row.versions, row.statement, row.section, row.judged)
                   for row in rows)
    text = json.dumps(facts, ensure_ascii=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
