"""Each view of a record has its place in the documentation, with a picture of what the command beside it makes."""

from __future__ import annotations

import importlib.util
import re
import struct
import sys
from pathlib import Path

import pytest

from conformance.cli_report import VIEWS

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
DRAWN_BY_OTHERS = {"junit", "github"}
"""What a CI system makes of these is not ours to picture."""
TOLD_ELSEWHERE = {"official"}
"""Its output is quoted in the page about the Gateway API's own suite."""
PICTURE = re.compile(r"!\[([^]]+)\]\((?:docs/)?([\w-]+\.png)\)")


def pages():
    return {page.name: page.read_text(encoding="utf-8") for page in (*DOCS.glob("*.md"), REPOSITORY / "README.md")}


@pytest.fixture(scope="module")
def table():
    """The table of views in docs/reports.md: each with where it links to."""
    text = (DOCS / "reports.md").read_text(encoding="utf-8")
    return dict(re.findall(r"\[`(\w+)`\]\(([^)]+)\)", text.partition("\n\nA record is a file")[0]))


@pytest.fixture(scope="module")
def pictures():
    """What `tests/browser/picture.py` makes."""
    path = REPOSITORY / "tests" / "browser" / "picture.py"
    specification = importlib.util.spec_from_file_location("picture_of_views", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def section(link):
    """The text that a link of docs/reports.md leads to; empty where it leads nowhere."""
    name, _, anchor = link.partition("#")
    text = (DOCS / (name or "reports.md")).read_text(encoding="utf-8")
    if not anchor:
        return text
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    titles = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in parts[1::2]]
    return dict(zip(titles, parts[2::2], strict=True)).get(anchor, "")


def test_the_table_has_every_view_and_every_view_has_a_section(table):
    assert set(table) == set(VIEWS)
    assert [view for view, link in table.items() if not section(link).strip()] == []


def test_every_view_has_a_picture(table):
    without = {view for view, link in table.items() if not PICTURE.search(section(link))}
    assert without == DRAWN_BY_OTHERS | TOLD_ELSEWHERE


def test_pictures_are_there_small_and_large_enough_to_read():
    shown = {name for text in pages().values() for _, name in PICTURE.findall(text)}
    assert {file.name for file in DOCS.glob("*.png")} == shown, "each file is shown, and each that is shown is there"
    for name in shown:
        data = (DOCS / name).read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n"), name
        width, _ = struct.unpack(">II", data[16:24])
        assert width <= 1280, name
        assert len(data) <= 60 * 1024, name


def test_the_commands_that_made_a_picture_stand_with_it(pictures):
    for picture in pictures.PICTURES:
        telling = [re.sub(r"\s+", " ", text) for text in pages().values() if f"({picture.name}.png)" in text]
        assert telling, picture.name
        for command in picture.commands:
            assert any(command in text for text in telling), (picture.name, command)


def test_a_terminal_shows_what_was_printed_as_text(pictures):
    shown = pictures.terminal([("a < b", "<script>alert(1)</script>\n"), ("c", "")])
    assert "<b>$ a &lt; b</b>\n&lt;script&gt;alert(1)&lt;/script&gt;\n\n<b>$ c</b></pre>" in shown
    assert "<script>" not in shown
