"""A record in another form of JSON than ours reads the same and is refused in the same places, nearly as fast."""

import io
import json
import random

import pytest

from conformance.report import codec, stream
from conformance.report.codec import RecordError, encode
from conformance.report.lines import quick
from conformance.report.record import load
from conformance.report.stream import RecordStream


def ours(report):
    return [encode(item) for item in (report.header, *report.results, report.footer)]


def spaced(document):
    return json.dumps(document)


def sorted_tabs(document):
    return json.dumps(document, sort_keys=True, separators=("\t,\t", " :\r "), ensure_ascii=False)


def backwards(document):
    def turned(value):
        if isinstance(value, dict):
            return {key: turned(item) for key, item in reversed(value.items())}
        return [turned(item) for item in value] if isinstance(value, list) else value

    return json.dumps(turned(document), separators=(",", ":"))


def windows(document):
    return f" {json.dumps(document)}\t\r"


def escaped(document):
    """Every letter `e` and each `>` as an escape, in names as well, as no writer needs to."""
    text = json.dumps(document).replace("e", r"\u0065").replace(">", r"\u003E")
    for word in ("true", "false", "1e-", "3.5e-"):
        text = text.replace(word.replace("e", r"\u0065"), word)
    return text


def numbers(document):
    """Times without a point, or with an exponent, as other languages write them."""
    text = json.dumps(document)
    return text.replace('"duration": 0.5', '"duration": 5E-1').replace('"seconds": 0.12', '"seconds": 0.0012e+2')


FORMS = (spaced, sorted_tabs, backwards, windows, escaped, numbers)


def respaced(lines, form):
    return [form(json.loads(line)).encode() + b"\n" for line in lines]


def read(lines):
    """All that reading a record gives."""
    record = RecordStream(io.BytesIO(b"".join(lines)))
    given = [(line, json.loads(record.raw), record.cleaned, record.line) for line in record]
    rest = list(record.cases.rest())
    return record.header, given, record.footer, record.tallies, rest


@pytest.mark.parametrize("form", FORMS)
def test_a_record_in_another_form_reads_the_same_and_is_written_in_ours(report, form):
    lines = ours(report)
    other = respaced(lines, form)
    assert other != lines
    assert read(other) == read(lines)
    record = RecordStream(io.BytesIO(b"".join(other)))
    written = [record.raw for _ in record]
    # The order within counts and objects is the writer's own, and kept.
    assert written == lines[1:-1] or form in {sorted_tabs, backwards}
    assert [quick(raw)[1] for raw in written] == written


@pytest.mark.parametrize("form", FORMS)
def test_its_results_need_no_schema(report, form, monkeypatch):
    """What makes it fast, told without a clock."""
    asked = []

    def asking(line):
        asked.append(json.loads(line)["type"])
        return codec.decode(line)

    monkeypatch.setattr(stream, "decode", asking)
    read(respaced(ours(report), form))
    assert asked == ["header", "footer"]


@pytest.mark.parametrize("form", FORMS)
def test_results_that_have_to_be_cleaned_need_no_schema_either(result, report_of, form, monkeypatch):
    lines = ours(report_of([result(1, "failed", message="the key of the token is odd"), result(2, "passed")]))
    monkeypatch.setattr(codec, "_validator", Refusing)
    whole = load(io.BytesIO(b"".join(respaced(lines, form))))
    assert [found.message for found in whole.results] == ["the key of the token is odd", ""]


class Refusing:
    """A schema that is not to be asked about results."""

    def __init__(self, kind):
        assert kind != "result"

    def iter_errors(self, document):
        return iter(())


FAULTS = {
    "level": "X", "judged": None, "mesh": "Stranger", "api": "", "version": "four", "outcome": "perfect", "message": 7,
    "duration": -1, "converged": [{"what": "it", "seconds": "1", "probes": 1}], "samples": [{}], "applied": ["x"],
    "observed": None, "reproduce": [], "worker": "x" * 65, "known": {"reason": "", "link": "x", "since": ""},
    "requirement": "SPLIT-099", "surprise": 1, "type": "results",
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_it_is_refused_in_the_same_places_with_the_same_words(report, form):
    lines = ours(report)
    source = random.Random(21)
    changes = [{name: fault} for name, fault in FAULTS.items()]
    missing = object()
    changes += [{name: missing} for name in json.loads(lines[1]) if name != "known"]
    for change in changes:
        at = source.randrange(1, len(lines) - 1)
        document = {
            name: value for name, value in (json.loads(lines[at]) | change).items() if value is not missing
        }
        bad = [*lines]
        bad[at] = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        told = []
        for record in (bad, respaced(bad, form)):
            with pytest.raises(RecordError) as caught:
                read(record)
            told.append((caught.value.line, sorted(caught.value.problem)))
        assert told[0] == told[1]
        assert told[0][0] == at + 1


# --- what only another form can hide ---


def spoilt(report, before, after):
    line = json.dumps(json.loads(encode(report.results[1]))).encode() + b"\n"
    assert line.count(before) >= 1
    return line.replace(before, after, 1)


TWICE = {
    "a member": (b'"level": "B"', b'"level": "M", "level": "B"'),
    "a member, spelt otherwise": (b'"level": "B"', rb'"lev\u0065l": "M", "level": "B"'),
    "a backend": (b'"v1": 1680', b'"v1": 1, "v1": 1680'),
    "in an object": (b'"service": "root"', b'"service": "other", "service": "root"'),
    "deep in an object": (b'"weight": 90', b'"weight": {"a": [1]}, "weight": 90'),
    "the type": (b'"type": "result"', b'"type": "result", "type": "result"'),
    "with a colon that is hidden": (b'"GET http://root', rb'"a", "request": "GET http\u003A//root'),
    "with a colon that is hidden otherwise": (b'"GET http://root:8080', rb'"a", "request": "GET http\u003a\u002F/root'),
}


@pytest.mark.parametrize("what", TWICE)
def test_a_name_twice_is_refused(report, what):
    bad = spoilt(report, *TWICE[what])
    assert quick(bad) is None
    with pytest.raises(RecordError, match=r"line 2: is not JSON: the name .* stands twice"):
        read([encode(report.header), bad])


def test_a_name_twice_does_not_pass_for_a_type_that_is_not_there(report):
    """The type that is missing and the name that is one too many must not make up for each other."""
    bad = spoilt(report, b'"type": "result", ', b"").replace(b'"level": "B"', b'"level": "M", "level": "B"')
    assert quick(bad) is None
    with pytest.raises(RecordError, match=r"line 2: .*stands twice"):
        read([encode(report.header), bad])
    with pytest.raises(RecordError, match="line 2: has no known type"):
        read([encode(report.header), spoilt(report, b'"type": "result", ', b"")])


DEEP = 100_000
NO_JSON = {
    "byte order mark": (b"{", b"\xef\xbb\xbf{"),
    "NUL": (b'"root"', b'"ro\x00ot"'),
    "NUL after the end": (b"\n", b"\x00\n"),
    "a tab within a text": (b'"root"', b'"ro\tot"'),
    "no UTF-8": (b'"root"', b'"ro\xffot"'),
    "a surrogate in UTF-8": (b'"root"', b'"ro\xed\xa0\x80ot"'),
    "an overlong form": (b'"root"', b'"ro\xc0\xafot"'),
    "NaN": (b"0.5", b"NaN"),
    "Infinity": (b"0.5", b"Infinity"),
    "minus Infinity within an object": (b": 90", b": -Infinity"),
    "a leading zero": (b"0.5", b"00.5"),
    "a plus": (b"0.5", b"+0.5"),
    "hexadecimal": (b": 90", b": 0x5a"),
    "a comma at the end": (b'"weight": 90}', b'"weight": 90,}'),
    "a comment": (b": 90", b": /* 90 */ 90"),
    "single quotes": (b'"root"', b"'root'"),
    "more after the end": (b"\n", b" {}\n"),
    "digits without end": (b": 90", b": " + b"9" * 5_000),
    "nested without end": (b": 90", b": " + b"[" * DEEP + b"]" * DEEP),
    "half an escape": (b'"root"', rb'"ro\u00"'),
    "no space of JSON": (b", ", b",\x0c"),
    "a line separator between": (b", ", b",\xe2\x80\xa8"),
}


@pytest.mark.parametrize("what", NO_JSON)
def test_what_is_no_json_is_refused(report, what):
    bad = spoilt(report, *NO_JSON[what])
    assert quick(bad) is None
    with pytest.raises(RecordError, match=r"line 2: (is not JSON|is nested too deeply)"):
        read([encode(report.header), bad])


@pytest.mark.parametrize("before", [b'"duration": 0.5', b'"seconds": 0.12'])
@pytest.mark.parametrize("number", [b"1e999", b"1" + b"0" * 400])
def test_a_time_that_no_number_holds_is_refused(report, before, number):
    """Written again it would be null."""
    name = before.partition(b" ")[0]
    result = report.results[0 if name == b'"seconds":' else 1]
    bad = json.dumps(json.loads(encode(result))).encode().replace(before, name + b" " + number) + b"\n"
    with pytest.raises(RecordError, match="line 2: is not a valid result: a time in it is larger than any number"):
        read([encode(report.header), bad])


def test_a_footer_with_such_a_time_is_refused(report):
    lines = ours(report)
    lines[-1] = lines[-1].replace(b'"duration":12.5', b'"duration":1e999')
    with pytest.raises(RecordError, match=f"line {len(lines)}: .*larger than any number"):
        read(lines)


NUMBERS = (
    "0", "-0", "-0.0", "1.0", "1E2", "1e-400", "9007199254740993", "18446744073709551616", "-9223372036854775809",
    "0.1000000000000000055511151231257827", "123456789012345678901234567890.5", "2.2250738585072011e-308",
    "5e-324", "1.7976931348623157e308", "1" * 4_000,
)  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_in_objects_are_read_as_python_reads_them(report, number):
    line = spoilt(report, b": 90", b": " + number.encode())
    record = RecordStream(io.BytesIO(encode(report.header) + line))
    found = next(iter(record))
    kept = found.applied[0]["spec"]["backends"][0]["weight"]
    assert (kept, type(kept)) == (json.loads(number), type(json.loads(number)))
    assert json.loads(record.raw) == json.loads(line)


HIDING = (
    r"\ud800", r"\udc00\ud800", r"\u0000", r"\u202e", r"\u0085", r"\u007f", r"\uffff",
    r"\u0074oken: abcdefghijklmnopqrst", r"pa\u017f\u017fword=hunter2",
    r"author\u0131zation: basic abcdefgh", r"AUTHOR\u0130ZATION: basic abcdefgh", r"to\u212aen=abcdefghijklmnopqrst",
)  # fmt: skip


@pytest.mark.parametrize("escape", HIDING)
@pytest.mark.parametrize("place", [b'"reset"', b'"root"', b'"GET http://root:8080/"', b"wanted 90 %"])
def test_what_hides_in_escapes_is_cleaned(report, escape, place):
    quote = b'"' if place.startswith(b'"') else b""
    line = spoilt(report, place, quote + escape.encode() + quote)
    assert quick(line) is None
    record = RecordStream(io.BytesIO(encode(report.header) + line))
    found = next(iter(record))
    assert record.cleaned
    again, written = quick(record.raw) or (found, record.raw)
    assert (again, written) == (found, record.raw)
    assert json.loads(f'"{escape}"') not in json.loads(record.raw).values()


def test_an_object_that_is_too_deep_to_keep_is_cut_and_not_taken(report):
    deep = b"[" * 60 + b"]" * 60
    line = spoilt(report, b": 90", b": " + deep)
    assert quick(line) is None
    record = RecordStream(io.BytesIO(encode(report.header) + line))
    next(iter(record))
    assert record.cleaned
    assert b"nested too deeply" in record.raw
