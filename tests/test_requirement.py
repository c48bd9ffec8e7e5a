"""The marker, the catalogue and the selection."""

import json
import sys

import pytest

from conformance.requirement import (
    CatalogueError,
    Level,
    Requirement,
    UnknownLevel,
    UnknownRequirement,
    catalogue,
    requirement,
    select,
    to_json,
    to_markdown,
    to_table,
)

SUITE = '''
from __future__ import annotations
from dataclasses import dataclass
from conformance.requirement import requirement

@dataclass
class Weights:
    left: int

def helper(): ...

@requirement("SPLIT-003", level="B", versions=("v1alpha1", "v1alpha4"), api="split.smi-spec.io", spec="weight")
def test_weights(split):
    """Traffic follows
    the weights | exactly.

    Not part of the statement.
    """
    raise RuntimeError("a catalogue runs no test")

@requirement("SPLIT-001", level="N", versions=("v1alpha4",), api="split.smi-spec.io")
def test_root(split):
    """The root is split."""
'''


def suite(directory, name, text):
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def row(name="SPLIT-001", level=Level.BEHAVIOUR, **changes):
    values = {"api": "split.smi-spec.io", "versions": ("v1alpha4",), "statement": "It is so."} | changes
    return Requirement(name, level, **values)


def declare(**changes):
    values = {"level": "B", "versions": ("v1alpha4",), "api": "split.smi-spec.io"} | changes
    return requirement(values.pop("id", "SPLIT-001"), **values)


def test_marker_attaches_the_requirement_and_the_mark():
    @declare(level="M", spec="traffic-split.md#ports")
    def check():
        """Ports match."""

    assert check.requirement == row(level=Level.MUST, statement="Ports match.", section="traffic-split.md#ports",
                                    title="check")
    (mark,) = check.pytestmark
    assert mark.name == "requirement"
    assert mark.args == (check.requirement,)
    assert check.requirement.judged
    assert check.requirement.group == "SPLIT"
    assert check.requirement.applies_to("v1alpha4")
    assert not check.requirement.applies_to("v1alpha1")


@pytest.mark.parametrize(("level", "unjudged", "judged"), [
    ("M", "", True), ("S", "", True), ("B", "", True), ("O", "", False), ("N", "", False),
    ("B", "binds no mesh", False),
])  # fmt: skip
def test_which_levels_are_judged(level, unjudged, judged):
    @declare(level=level, unjudged=unjudged)
    def check():
        """It is so."""

    assert check.requirement.judged is judged


@pytest.mark.parametrize(("changes", "says"), [
    ({"id": "split-1"}, "an id is capitals"),
    ({"level": "X"}, "no requirement level is called 'X'"),
    ({"versions": "v1alpha4"}, "versions must be a sequence"),
    ({"versions": ()}, "versions must be a sequence"),
    ({"versions": ("v1alpha4", "latest")}, "versions must be a sequence"),
    ({"versions": ("v1", "v1")}, "named twice"),
    ({"api": ""}, "name the API group"),
    ({"level": "N", "unjudged": "why"}, "never judged"),
])  # fmt: skip
def test_wrong_declarations(changes, says):
    def check():
        """It is so."""

    with pytest.raises(CatalogueError, match=says):
        declare(**changes)(check)


def test_a_docstring_is_needed():
    def check(): ...

    with pytest.raises(CatalogueError, match=r"SPLIT-001 \(check\): has no docstring"):
        declare()(check)


def test_catalogue_is_sorted_and_complete(tmp_path):
    suite(tmp_path, "smi/test_split.py", SUITE)
    suite(tmp_path, "smi/helper.py", "raise RuntimeError('is no suite')")
    before = set(sys.modules)
    rows = catalogue(tmp_path)
    assert [r.id for r in rows] == ["SPLIT-001", "SPLIT-003"]
    assert rows[1].statement == "Traffic follows the weights | exactly."
    assert {name for name in set(sys.modules) - before if "split" in name} == set()


def test_a_function_imported_from_another_suite_is_not_a_duplicate(tmp_path, monkeypatch):
    suite(tmp_path, "test_first.py", SUITE)
    suite(tmp_path, "test_second.py", "from test_first import test_weights\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert len(catalogue(tmp_path)) == 2
    sys.modules.pop("test_first")


def test_duplicates_name_both_files(tmp_path):
    suite(tmp_path, "test_a.py", SUITE)
    suite(tmp_path, "test_b.py", SUITE)
    with pytest.raises(CatalogueError, match=r"SPLIT-003 is declared twice: in test_a.py and in test_b.py"):
        catalogue(tmp_path)


@pytest.mark.parametrize(("text", "says"), [
    (SUITE.replace('"""The root is split."""', "pass"), r"test_x.py: SPLIT-001 \(test_root\): has no docstring"),
    ("import nothing_of_this_name", "test_x.py does not load: ModuleNotFoundError"),
    ("def broken(:", "test_x.py does not load: SyntaxError"),
    ("x = 1", "no requirement is declared"),
])  # fmt: skip
def test_files_that_cannot_be_a_catalogue(tmp_path, text, says):
    suite(tmp_path, "test_x.py", text)
    with pytest.raises(CatalogueError, match=says):
        catalogue(tmp_path)


ROWS = (row("ACCESS-001"), row("SPLIT-001"), row("SPLIT-009", Level.MUST), row("SPLIT-010", Level.AMBIGUOUS))


@pytest.mark.parametrize(("patterns", "levels", "ids"), [
    ([], [], "ACCESS-001 SPLIT-001 SPLIT-009 SPLIT-010"),
    (["split-00*"], [], "SPLIT-001 SPLIT-009"),
    (["SPLIT-010, access-*"], [], "ACCESS-001 SPLIT-010"),
    (["SPLIT-010", "SPLIT-010"], [], "SPLIT-010"),
    ([], ["m,n"], "SPLIT-009 SPLIT-010"),
    ([], ["must"], "SPLIT-009"),
    (["split-*"], ["behaviour"], "SPLIT-001"),
    (["access-*"], [Level.MUST], ""),
])  # fmt: skip
def test_selection(patterns, levels, ids):
    assert [r.id for r in select(ROWS, patterns, levels)] == ids.split()


def test_unknown_patterns_and_levels_say_what_there_is():
    with pytest.raises(UnknownRequirement, match=r"'SPLIT-01'; did you mean .*SPLIT-010.*lists all\.$"):
        select(ROWS, ["SPLIT-01"])
    with pytest.raises(UnknownRequirement, match=r"its groups are ACCESS, SPLIT\. `"):
        select(ROWS, ["ZZZ*"])
    with pytest.raises(UnknownRequirement):
        select(ROWS, ["SPLIT-*,METRICS-001"])
    with pytest.raises(UnknownLevel, match=r"'Q'; use one of M \(must\)"):
        select(ROWS, [], ["M,Q"])


def test_markdown_and_table_show_every_row_on_one_line():
    rows = (
        row(statement="Either | or."),
        row("SPLIT-002", unjudged="binds no mesh", versions=("v1alpha1", "v1alpha2")),
    )
    page = to_markdown(rows)
    assert r"| SPLIT-001 | B | v1alpha4 | Either \| or. |  |" in page
    assert "(Observed, not judged: binds no mesh)" in page
    assert page.endswith("|\n")
    table = to_table(rows)
    assert "v1alpha1,2" in table
    assert len(table.splitlines()) == 2 + len(rows)
    listed = json.loads(to_json(rows))
    assert [row["id"] for row in listed] == [row.id for row in rows]
    assert (listed[0]["level"], listed[0]["judged"], listed[0]["requirement"]) == ("B", True, "Either | or.")
    assert "binds no mesh" in {row["unjudged"] for row in listed}
