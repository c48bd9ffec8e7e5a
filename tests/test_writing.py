"""Files are there whole or as they were, and JSON is read in one way only."""

from __future__ import annotations

import json
import os

import pytest

from conformance import strictjson
from conformance.writing import UNPRINTABLE, write_whole


@pytest.mark.parametrize("content", ["an ä", "an ä".encode()])
def test_text_and_bytes_take_the_place_of_what_was_there(tmp_path, content):
    path = tmp_path / "page"
    path.write_text("before")
    write_whole(path, content)
    assert path.read_text(encoding="utf-8") == "an ä"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_file_that_cannot_be_written_is_as_it_was(tmp_path, monkeypatch, error):
    path = tmp_path / "page"
    path.write_text("before")

    def full(_handle):
        raise error

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(type(error)):
        write_whole(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_misleads_is_known_and_line_feeds_and_tabs_are_not_among_it():
    assert UNPRINTABLE.findall("a\tb\nc\x1b\x85\u202e\ud800ä🙂") == ["\x1b", "\x85", "\u202e", "\ud800"]


@pytest.mark.parametrize(("text", "error", "said"), [
    ('{"a": 1, "b": {"c": 1, "c": 2}}', strictjson.RepeatedName, "the name 'c' stands twice in one object"),
    ('{"a": NaN}', strictjson.NoNumber, "NaN is no number of JSON"),
    ("[-Infinity]", strictjson.NoNumber, "-Infinity is no number of JSON"),
    ('{"a": ', json.JSONDecodeError, "Expecting value"),
    ("9" * 5000, ValueError, "digits"),
])
def test_json_with_two_meanings_is_refused(text, error, said):
    with pytest.raises(error, match=said):
        strictjson.loads(text)


def test_numbers_are_read_as_asked():
    assert strictjson.loads('{"a": [1, 1.5], "b": {"a": null}}') == {"a": [1, 1.5], "b": {"a": None}}
    assert strictjson.loads("[1, 1.5]", number=str) == [1, "1.5"]
