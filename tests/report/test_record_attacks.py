"""Records that were made to cost time, memory or an answer that is not so: each is refused with its line."""

import io
import json
from itertools import repeat

import pytest
from jsonschema import ValidationError

from conformance.report import codec
from conformance.report.codec import MAX_LINE, RecordError, decode, encode
from conformance.report.lines import quick
from conformance.report.record import load

HUGE = ("9" * 4_300, "1" + "0" * 25, str(2**63))


def refusal(*lines):
    with pytest.raises(RecordError) as caught:
        load(io.BytesIO(b"".join(lines)))
    assert len(str(caught.value)) < 2_500
    return str(caught.value)


def changed(item, **values):
    return json.dumps(json.loads(encode(item)) | values).encode() + b"\n"


def put(item, name, text):
    """The line of an item with a member that is written as it stands."""
    return changed(item, **{name: "here"}).replace(b'"here"', text.encode())


def filled(unit, size=MAX_LINE - 100_000):
    """A list of as many of these as a line has room for, or as so many bytes have."""
    return f"[{','.join([unit] * (size // (len(unit) + 1)))}]"


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize("name", ["missing", "left_out"])
def test_a_verdict_with_a_number_that_nothing_can_be_added_to(report, number, name):
    lines = [encode(item) for item in (report.header, *report.results, report.footer)]
    bad = lines[-1].replace(b'"%s":0' % name.encode(), b'"%s":%s' % (name.encode(), number.encode()), 1)
    assert bad != lines[-1]
    assert refusal(*lines[:-1], bad).startswith(f"line {len(lines)}: is not a valid footer: a count in it is larger")


@pytest.mark.parametrize("number", HUGE)
def test_a_footer_that_counts_so_many(report, number):
    bad = put(report.footer, "counts", f'{{"passed": {number}}}')
    assert refusal(encode(report.header), bad).startswith("line 2: is not a valid footer: a count in it is larger")


@pytest.mark.parametrize("number", HUGE)
def test_a_sample_of_so_many(report, number):
    line = encode(report.results[1])
    bad = line.replace(b'"size":2000', b'"size":' + number.encode())
    assert bad != line
    assert quick(bad) is None
    assert refusal(encode(report.header), bad).startswith("line 2: is not a valid result: ")


def test_objects_at_every_depth_are_read_or_refused(report):
    """Wherever it is that Python, msgspec or the schema gives up."""
    told = set()
    for depth in [*range(40, 60), *range(900, 1_000, 3), 5_000]:
        for begin, inner, end in (("[", "", "]"), ('{"a":', "0", "}")):
            line = put(report.results[0], "applied", '[{"a":' + begin * depth + inner + end * depth + "}]")
            told.add(refusal(encode(report.header), line).partition(":")[2].split(":")[0].strip())
    assert told == {"is not JSON", "the record has no footer"}


def test_a_header_with_one_object_among_its_requirements(report, monkeypatch):
    """Jsonschema compares each with each other then, which takes hours for a line."""

    def compare(items):
        raise AssertionError(f"{len(items)} items are compared with each other")

    monkeypatch.setattr("jsonschema._keywords.uniq", compare)
    names = ",".join(f'"A{number}-001"' for number in range(20_000))
    assert "$.selected[0]: {} is not of type 'string'" in refusal(put(report.header, "selected", f"[{{}},{names}]"))


def test_a_requirement_that_is_selected_twice(report):
    said = refusal(changed(report.header, selected=["SPLIT-001", "SPLIT-002", "SPLIT-001"]))
    assert said == (
        "line 1: is not a valid header: $.selected: ['SPLIT-001', 'SPLIT-002', 'SPLIT-001'] has non-unique elements"
    )


def test_a_line_of_faults_is_not_read_to_its_end(report, monkeypatch):
    class Endless:
        def iter_errors(self, document):
            return repeat(ValidationError("is wrong"))

    header = encode(report.header)
    monkeypatch.setattr(codec, "_validator", lambda kind: Endless())
    assert refusal(header) == "line 1: is not a valid header: $: is wrong"


@pytest.mark.parametrize("unit", ["0", "{}"])
def test_a_line_full_of_faults(report, unit):
    assert "line 2: is not a valid result: $.converged[" in refusal(
        encode(report.header), put(report.results[0], "converged", filled(unit)))


def test_a_line_that_is_longer_when_it_is_written_again(report):
    """Combined with others, it would make a record that cannot be read."""
    line = put(report.results[0], "converged", filled('{"what":"","seconds":1e15,"probes":0}'))
    assert len(line) < MAX_LINE
    assert refusal(encode(report.header), line).startswith("line 2: is longer than a line may be")


@pytest.mark.parametrize("name", ["harness", "kubernetes", "environment", "catalogue", "apis", "meshes", "parts"])
def test_a_header_full_of_faults(report, name):
    assert refusal(put(report.header, name, filled("[]", 100_000))).startswith("line 1: is not a valid header: $.")


@pytest.mark.parametrize("unit", ["-eyJ", "-----BEGIN ", "-----END ", "bearer ", "token=", "password", "LS0tLS1CRUdJTi",
                                  "authorization: basic ", "client-key-data"])  # fmt: skip
def test_a_text_of_beginnings_of_secrets(report, unit):
    text = unit * (16_384 // len(unit))
    line = changed(report.results[0], message=text)
    found = decode(line)
    assert decode(encode(found)) == found
    assert len(found.message) <= 16_384


@pytest.mark.parametrize("change", [
    lambda record: b"\xef\xbb\xbf" + record,
    lambda record: record.decode().encode("utf-16"),
    lambda record: record.decode().encode("utf-16-le"),
    lambda record: b"\0" + record,
    lambda record: b"\n" + record,
    lambda record: b"\x1f\x8b" + record,
    lambda record: record.replace(b"\n", b"\r"),
    lambda record: record.replace(b'"schema":1', b'"schema":1.5', 1),
    lambda record: record.replace(b'"schema":1', b'"schema":true', 1),
], ids=["mark", "utf-16", "utf-16-le", "NUL", "empty line", "gzip", "CR", "schema 1.5", "schema true"])  # fmt: skip
def test_a_file_that_is_not_quite_a_record(report, change):
    record = b"".join(encode(item) for item in (report.header, *report.results, report.footer))
    load(io.BytesIO(record))
    assert refusal(change(record)).startswith("line 1: ")


def test_what_is_between_the_lines(report):
    header, *results = (encode(item) for item in (report.header, *report.results, report.footer))
    for between in (b"\n", b" \n", b"\0\n", b"\r\n", b"null\n", b"{}\n", b"#\n"):
        assert refusal(header, between, *results).startswith("line 2: ")
