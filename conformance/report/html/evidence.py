"""What proves a result, shaped for the page: what was applied, sent and answered, and how it was judged.

The same shape is set by the template, for accounts of failures that are there without JavaScript, and by the script,
for all results: that form travels compressed, and each object that was applied stands in it once.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from conformance.outcome import Result, SampleSummary
from conformance.report import rows
from conformance.report.html.matrix import Entry

DUMPER: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's where it is there: a run of all requirements applies some 300 objects."""


def account(entry: Entry) -> dict[str, Any]:
    """One result with all that is known of it; `applied` are pairs of a title and YAML."""
    result = entry.result
    return {
        "key": entry.key,
        "requirement": result.requirement,
        "mesh": result.mesh,
        "api": f"{result.api} {result.version}".strip(),
        "outcome": [entry.mark.symbol, entry.mark.word, entry.mark.tone],
        "judged": result.judged,
        "message": rows.reason(result) if not result.outcome.judgement and not result.observed else result.message,
        "observed": result.observed,
        "known": _known(result),
        "duration": f"{result.duration:.2f} s",
        "converged": [[c.what, f"{c.seconds:.2f} s", c.probes] for c in result.convergence],
        "samples": [_sample(sample) for sample in result.samples],
        "applied": [(_title(item), _yaml(item)) for item in result.applied],
        "reproduce": result.reproduce,
    }


def _known(result: Result) -> list[str]:
    """Why it is known, where that is reported, and since when; empty for what is not listed."""
    return [result.known.reason, result.known.link, result.known.since] if result.known else []


def _sample(sample: SampleSummary) -> dict[str, Any]:
    owners = {name: name.split(", ") for name in sample.expected}
    # An interval is set beside a count only where all names are of one kind: records of others may name both otherwise.
    comparable = set(sample.counts) <= {part for parts in owners.values() for part in parts}
    answers = []
    for name in sorted({*sample.counts, *sample.expected}):
        interval = sample.expected.get(name)
        got = sum(sample.counts.get(part, 0) for part in owners.get(name, [name]))
        wanted = f"{interval[0]} to {interval[1]}" if interval else ""
        shown = str(got) if comparable or not interval else ""
        within = "" if interval is None or not shown else "within" if interval[0] <= got <= interval[1] else "outside"
        answers.append([name, shown, wanted, within])
    tests = [f"{name} {value:.3g}" for name, value in (("p =", sample.p_value), ("false-alarm rate", sample.alpha))
             if value is not None]
    return {
        "request": sample.request, "client": sample.client, "size": sample.size, "answers": answers,
        "failures": [[kind, number] for kind, number in sorted(sample.failures.items()) if number],
        "judged": any(answer[2] for answer in answers), "test": ", ".join(tests),
    }


def _title(item: Mapping[str, Any]) -> str:
    metadata = item.get("metadata")
    name = metadata.get("name", "") if isinstance(metadata, Mapping) else ""
    return f"{item.get('kind', 'object')} {name}".strip()


def _yaml(item: Mapping[str, Any]) -> str:
    text: str = yaml.dump(dict(item), Dumper=DUMPER, sort_keys=False, allow_unicode=True, width=100)
    return text


def packed(accounts: Sequence[Mapping[str, Any]], about: Mapping[str, Sequence[str]]) -> str:
    """All accounts and what is `about` their requirements as base64 of compressed JSON, safe to stand in an element.

    The accounts should come requirement by requirement: what is alike then stands close together.
    """
    objects: dict[tuple[str, str], int] = {}
    lean = [
        {**one, "applied": [objects.setdefault(tuple(item), len(objects)) for item in one["applied"]]}
        for one in accounts
    ]
    document = {"objects": list(objects), "about": about, "results": lean}
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
    # No time of day in it: the same report gives the same page.
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode()
