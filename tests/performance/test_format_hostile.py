"""Whatever a file holds, it is read or refused with the place of the fault: no crash, no figure out of nothing."""

import json
import random
from pathlib import Path

import pytest

from conformance.performance import formats
from conformance.performance.formats import FormatError, reading
from conformance.performance.formats.fields import LARGEST

DATA = Path(__file__).parent / "data"
TEXTS = {".txt", ".csv", ".tsv"}
WRONG = ("x", -1, True, [], {}, 1e300, 10**30, None)


def faults(data, path=()):
    """Give each place in JSON, the deeper ones of long lists left out."""
    if isinstance(data, dict):
        for key in data:
            yield (*path, key)
            yield from faults(data[key], (*path, key))
    elif isinstance(data, list) and data:
        yield (*path, 0)
        yield from faults(data[0], (*path, 0))


def replaced(data, path, value):
    """Return JSON with one value replaced."""
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = replaced(data[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("name", ["fortio-errors.json", "nighthawk-fortio.json", "k6-export-stall.json",
                                  "k6-machine.json", "k6-handled-errors.json", "vegeta-buckets.json",
                                  "oha-errors.json", "autocannon-errors.json"])
def test_a_wrong_value_anywhere_is_refused_or_does_not_matter(name):
    data = json.loads((DATA / name).read_text())
    refused = 0
    for path in faults(data):
        for value in WRONG:
            try:
                result = formats.read(json.dumps(replaced(data, path, value)))
            except FormatError:
                refused += 1
            else:
                assert all(0 <= figure < 1e9 for figure in result.percentiles.values())
                assert result.to_table()
    assert refused > 20


@pytest.mark.parametrize(("text", "place", "expected"), [
    ('{"metrics": {"iterations": 1, "iterations": 2}}', "the key 'iterations'", "each key once"),
    ('{"metrics": NaN}', "a number", "finite numbers"),
    ('{"metrics": -Infinity}', "a number", "finite numbers"),
    ('{"metrics": ' + "9" * 5000 + "}", "a number", "at most 19 digits"),
    ('{"a":' * 200_000, "its nesting", "a few levels"),
    ("[" * 200_000, "its nesting", "a few levels"),
    ('{"metrics": {', "line 1, column 14", "complete JSON"),
    ('{"metric": "http_reqs"}\n{"metric": "vus"}\n', "line 2, column 1", "complete JSON"),
    ("{" + " " * LARGEST + "}", "its size", "16 MiB"),
])
def test_json_is_read_within_bounds(text, place, expected):
    with pytest.raises(FormatError) as caught:
        formats.read(text)
    assert caught.value.place == place
    assert expected in caught.value.expected


def test_a_number_that_overflows_is_refused():
    text = (DATA / "vegeta-normal.json").read_text()
    start = text.index('"max":') + 6
    with pytest.raises(FormatError, match=r"\$\.latencies\.max"):
        formats.read(text[:start] + "1e999" + text[text.index(",", start):])


def test_a_file_that_is_too_large_is_refused_unread(tmp_path):
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(FormatError, match="at most 64 MiB, found more"):
        formats.read(big)
    assert reading.LARGEST < 100 * 2**20


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(FormatError, match="expected a file, found nothing"):
        formats.read(tmp_path / "absent")
    with pytest.raises(FormatError, match="expected a file, found something else"):
        formats.read(str(tmp_path))
    with pytest.raises(FormatError, match="expected a file"):
        formats.read("a\0b")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\x89PNG\r\n\xff")
    with pytest.raises(FormatError, match="text in UTF-8"):
        formats.read(binary)


def test_a_byte_order_mark_does_not_matter(tmp_path):
    path = tmp_path / "bom.json"
    path.write_bytes(b"\xef\xbb\xbf" + (DATA / "k6-export.json").read_bytes())
    assert formats.read(path).requests == 601


@pytest.mark.parametrize(("name", "old", "new", "place"), [
    ("hey-normal.csv", "response-time,DNS+dialup,DNS,", "response-time,DNS+dialup,", "line 1"),
    ("hey-normal.csv", ",200,", ",abc,", "line 2"),
    ("hey-normal.csv", "\n0.", "\n-0.", "line 2"),
    ("hey-normal.csv", "\n0.", "\nnan", "line 2"),
    ("h2load-normal.tsv", "\t200\t", "\t20\t", "line 1"),
    ("ab-normal.csv", "\n1,", "\n2,", "line 3"),
    ("wrk2-latency.txt", "Total count    =         1000", "Total count    =         1001", "line "),
    ("wrk2-latency.txt", "       0.815 ", "       9.815 ", "line "),
    ("wrk-latency.txt", "1104 requests in", "many requests in", "line "),
    ("h2load-normal.txt", "240 succeeded", "succeeded", "line "),
    ("ab-normal.txt", "Complete requests:      1000", "Complete requests:      -5", "line "),
])
def test_a_fault_in_text_is_named_with_its_line(name, old, new, place):
    text = (DATA / name).read_text()
    assert old in text
    with pytest.raises(FormatError) as caught:
        formats.read(text.replace(old, new, 1))
    assert caught.value.place.startswith(place)


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.iterdir() if path.suffix in TEXTS))
def test_changed_letters_do_no_worse_than_a_refusal(name):
    text = (DATA / name).read_text()
    rng = random.Random(3)
    for _ in range(60):
        place = rng.randrange(len(text))
        letter = rng.choice("09.-,% \t\nnx\0\u0661")
        try:
            result = formats.read(text[:place] + letter + text[place + 1:])
        except FormatError:
            continue
        assert all(0 <= value < 1e9 for value in result.percentiles.values())


def test_a_line_without_end_is_refused():
    with pytest.raises(FormatError, match="at most 10000 characters"):
        formats.read("Running 3s test @ http://127.0.0.1/\n" + "x" * 200_000)


def test_a_summary_of_too_many_lines_is_refused():
    with pytest.raises(FormatError, match="at most 10000 lines"):
        formats.read("Running 3s test @ http://127.0.0.1/\n" + "  1 threads\n" * 20_000)


def test_a_hundred_thousand_lines_are_read():
    text = "".join(f"{1795257050000000 + index * 100}\t200\t300\n" for index in range(100_000))
    result = formats.read(text)
    assert result.requests == result.histogram.count == 100_000
