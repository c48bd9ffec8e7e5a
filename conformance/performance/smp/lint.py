"""A linter for SMP files: what is wrong in them, and what Meshery, mesheryctl and strict readers will misread.

The defects are those found in published files and in the sources of the tools that write and read them. Where a reader
of protojson and one of plain Go structs differ, a file has to please both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from conformance.performance import durations
from conformance.performance.smp import config, document, kinds, options, results_lint, shape
from conformance.performance.smp.contradictions import DEFAULT_DURATION
from conformance.performance.smp.document import DocumentError, Item
from conformance.performance.smp.fields import DOCUMENTS, LATEST, MESSAGES, VERSION, Field
from conformance.performance.smp.results_lint import Requested
from conformance.performance.smp.shape import Finding, member

_PLACEHOLDERS: Final = frozenset({
    "test_smp_version", "test_id", "test_label", "test_value", "test_details", "test_test_id", "test_meshconfigID",
    "test_envID",
})
_VERSION: Final = re.compile(r"v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})", re.ASCII)
_READ_RIGHT: Final = re.compile(r"[0-9]{1,9}[smh]", re.ASCII)
_DIGITS: Final = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?", re.ASCII)


def lint(path: Path) -> tuple[Finding, ...]:
    """Return what is wrong in one file, in the order of its lines."""
    return lint_files([path])[path]


def lint_files(paths: Sequence[Path]) -> dict[Path, tuple[Finding, ...]]:
    """Return what is wrong in each of several files that belong together: links between them are followed."""
    found: dict[Path, list[Finding]] = {path: [] for path in paths}
    trees: dict[Path, Item] = {}
    for path, findings in found.items():
        try:
            trees[path] = document.load(path)
        except DocumentError as error:
            findings.append(Finding("unreadable", str(path), str(error), "Was it cut off?"))
    known = _Known(trees)
    for path, tree in trees.items():
        for one in kinds.documents(tree):
            found[path] += _document(one, known)
    return {path: tuple(shape.in_order(findings)) for path, findings in found.items()}


def failed(findings: Mapping[Path, Sequence[Finding]]) -> bool:
    """Tell whether there are errors among the findings; warnings are no failure."""
    return any(one.level == "error" for ones in findings.values() for one in ones)


def render(findings: Mapping[Path, Sequence[Finding]]) -> str:
    """Return findings as text for people, with a last line that counts them."""
    lines = []
    for path, ones in findings.items():
        lines += [f"{path}: {'warning: ' if one.level == 'warning' else ''}{one}" for one in ones]
    errors = sum(one.level == "error" for ones in findings.values() for one in ones)
    warnings = sum(one.level == "warning" for ones in findings.values() for one in ones)
    return "\n".join([*lines, f"files: {len(findings)}, errors: {errors}, warnings: {warnings}"])


class _Known:
    """The documents of all files that were given together, by kind and id."""

    def __init__(self, trees: Mapping[Path, Item]) -> None:
        self._by_id: dict[str, dict[str, Item]] = {name: {} for name in (kinds.CONFIG, kinds.MESH, kinds.ENVIRONMENT)}
        for tree in trees.values():
            for one in kinds.documents(tree):
                test = config.test_of(one)
                name = kinds.CONFIG if kinds.kind(one) == kinds.WRAPPED else kinds.kind(one)
                identity = member(test, "id").value
                if name in self._by_id and isinstance(identity, str):
                    self._by_id[name][identity] = test

    def dangles(self, name: str, identity: str) -> bool:
        """Tell whether there are documents of that kind, and none with that id."""
        return bool(self._by_id[name]) and identity not in self._by_id[name]

    def requested(self, test_id: str) -> Requested:
        """Return what the configuration of that id asks for; nothing is known without it."""
        values = shape.read(self._by_id[kinds.CONFIG].get(test_id, Item({}, "")), kinds.CONFIG, [])
        clients = values.get("clients", ())
        try:
            seconds = durations.parse(values["duration"]) if "duration" in values else None
        except durations.DurationError:
            seconds = None
        if not clients:
            return Requested(seconds=seconds)
        rates = [client.get("rps", 0) for client in clients]
        return Requested(float(sum(rates)) if all(rates) else 0.0,
                         sum(client.get("connections", 1) for client in clients), seconds)


def _document(item: Item, known: _Known) -> list[Finding]:
    name = kinds.kind(item)
    placeholders = list(_placeholders(item))
    match name:
        case kinds.CONFIG | kinds.WRAPPED:
            return [*placeholders, *_config(item, wrapped=name == kinds.WRAPPED)]
        case kinds.RESULT | kinds.MESH | kinds.ENVIRONMENT:
            return [*placeholders, *_result(item, name, known, by_meshery=bool(placeholders))]
        case kinds.OLDER:
            return [*placeholders, *results_lint.older(item)]
        case kinds.MESHERY:
            return [Finding("meshery-record", item.place, "this is Meshery's own record of a run, not SMP",
                            "Its runner_results are fortio's JSON: convert that.")]
    return [Finding("unknown-document", item.place, "none of SMP's messages has such fields",
                    f"Known are {', '.join(DOCUMENTS)}.")]


def _result(item: Item, name: str, known: _Known, *, by_meshery: bool) -> Iterator[Finding]:
    values, findings = _read(item, name)
    yield from findings
    yield from _header(item, values)
    if name == kinds.RESULT:
        yield from results_lint.result(item, values, known.requested(values.get("test_id", "")), by_meshery=by_meshery)
        for field, target in results_lint.LINKS.items():
            if values.get(field) and known.dangles(target, values[field]):
                yield Finding("dangling-link", member(item, field).place,
                              f"{values[field][:80]!r} is the id of no {target} among these files")
    elif name == kinds.MESH:
        yield from results_lint.mesh(item, values)
    else:
        yield from results_lint.environment(item, values)


def _config(item: Item, *, wrapped: bool) -> Iterator[Finding]:
    values, mesh, findings = config.examine(item)
    test = config.test_of(item)
    spelled = list(_spelling(test, kinds.CONFIG))
    if wrapped and "mesh" in item.members:
        spelled += _spelling(item.members["mesh"], "ServiceMesh")
    yield from _without_doubles(findings, spelled)
    yield from _header(test, values)
    if not wrapped or not {"test", "mesh"} <= set(item.members):
        yield Finding("mesh-missing", item.place, "mesheryctl wants both test: and mesh:", "Add what is missing.",
                      "warning")
    if mesh is not None and not mesh.get("type"):
        yield results_lint.invalid_mesh(item.members["mesh"])
    yield from _for_mesheryctl(test, values)


def _for_mesheryctl(test: Item, values: Mapping[str, Any]) -> Iterator[Finding]:
    duration = values.get("duration", DEFAULT_DURATION)
    if not _READ_RIGHT.fullmatch(duration):
        try:
            seconds = durations.parse(duration)
        except durations.DurationError:
            pass  # reported by the rule duration-invalid
        else:
            yield Finding("duration-misread", member(test, "duration").place, f"mesheryctl reads {duration!r} as "
                          f"{duration[:-1]!r} of the unit {duration[-1:]!r}", f"Write '{seconds:.0f}s'.")
    clients = values.get("clients", ())
    if len(clients) > 1 or any(len(client.get("endpoint_urls", ())) > 1 for client in clients):
        yield Finding("first-endpoint-only", member(test, "clients").place,
                      "mesheryctl sends load to the first endpoint of the first client only",
                      "Make a file of each if mesheryctl shall run them.", "warning")
    for place, client in zip(member(test, "clients").elements, clients, strict=False):
        generator = client.get("load_generator")
        if generator and generator not in options.GENERATORS:
            close = shape.near(generator, options.GENERATORS)
            yield Finding("unknown-generator", member(place, "load_generator").place,
                          f"Meshery knows no load generator {generator[:60]!r}",
                          f"Did you mean {close}?" if close else f"Known are {', '.join(options.GENERATORS)}.",
                          "warning")


def _read(item: Item, name: str) -> tuple[dict[str, Any], list[Finding]]:
    findings: list[Finding] = []
    values = shape.read(item, name, findings)
    return values, _without_doubles(findings, list(_spelling(item, name)))


def _without_doubles(findings: Sequence[Finding], spelled: Sequence[Finding]) -> list[Finding]:
    """A number as text is one finding, not two."""
    texts = {one.place for one in spelled if one.rule == "number-as-string"}
    return [*(one for one in findings if one.rule != "wrong-type" or one.place not in texts), *spelled]


def _spelling(item: Item, name: str) -> Iterator[Finding]:
    """What protojson understands, and plain Go structs do not."""
    for key, one in item.members.items():
        field = MESSAGES[name].field(key)
        if field is None:
            continue
        if key != field.name:
            yield Finding("camel-case", one.place, f"Meshery ignores {key}", f"Write {field.name}.")
        for value in one.elements if field.repeated else (one,):
            yield from _spelled(value, field)


def _spelled(item: Item, field: Field) -> Iterator[Finding]:
    if field.kind == "message":
        yield from _spelling(item, field.of)
    elif field.kind == "enum" and isinstance(item.value, str):
        number = shape.enum(item, field.of, [])
        if number is not None:
            yield Finding("enum-as-name", item.place, f"mesheryctl reads numbers only, found {item.value!r}",
                          f"Write {number}.")
    elif field.kind in {"int32", "int64", "double"} and isinstance(item.value, str) and _DIGITS.fullmatch(item.value):
        yield Finding("number-as-string", item.place, f"{field.name} is text", f"Write {item.value} without quotes.")


def _placeholders(item: Item) -> Iterator[Finding]:
    for one in document.every(item):
        if isinstance(one.value, str) and one.value in _PLACEHOLDERS:
            yield Finding("placeholder", one.place, f"{one.value!r} is what Meshery writes where it has no value",
                          "Put the value there, or leave the field out.")


def _header(item: Item, values: Mapping[str, Any]) -> Iterator[Finding]:
    version = values.get("smp_version", "")
    match = _VERSION.fullmatch(version)
    if not version:
        if member(item, "smp_version") is item:
            yield Finding("missing-version", item.place, "there is no smp_version", f"Write {VERSION}.", "warning")
    elif not version.startswith("v") or match is None or tuple(map(int, match.groups())) > LATEST:
        yield Finding("unknown-version", member(item, "smp_version").place, f"SMP has no version {version[:40]!r}",
                      f"Write {VERSION}, as its own documents do.")
    if not values.get("id") and member(item, "id").value in (None, "", item.value):
        yield Finding("missing-id", item.place, "there is no id", "Give one, such as a UUID.", "warning")
