"""Reading line by line: the quick way agrees with the schema, and what is hostile is refused in little memory."""

import copy
import io
import json
import random
import tracemalloc

import msgspec
import pytest

from conformance.outcome import Outcome
from conformance.report import cases as cases_module
from conformance.report import codec, hygiene
from conformance.report import lines as quick_lines
from conformance.report.cases import Cases, TooManyError
from conformance.report.codec import MAX_LINE, RecordError, decode, encode
from conformance.report.documents import document_of
from conformance.report.record import MissingFooter, load
from conformance.report.stream import RecordStream

ODD = (
    None,
    True,
    False,
    0,
    1,
    -1,
    0.5,
    1.0,
    1e300,
    10**25,
    "",
    "a",
    "A",
    "passed",
    "observed",
    "B",
    "O",
    "v1",
    "v1beta1\n",
    "x" * 300,
    "x" * 20_000,
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\u202e",
    "\ud800",
    "é…",
    "token: abcdefghijklmnopqrst",
    "Bearer abcdefghijklmnop",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.abc",
    "-----BEGIN PRIVATE KEY-----\nabc",
    "\\x1b",
    "\\",
    '"',
    "password=hunter2",
    [],
    {},
    [1],
    {"a": 1},
    {"apiVersion": "v1", "kind": "Secret", "data": {"a": "b"}},
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"uid": "1"}, "status": {}},
    {"token": "abc"},
    [[1, 2]],
    [[1, 2, 3]],
    "https://example.org/1",
    "\r\n",
    "\b",
)


def documents(report):
    return [msgspec.json.decode(encode(result)) for result in report.results]


def spots(value, path=()):
    """Every place within a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from spots(item, (*path, key))


def mutated(document, source):
    """The document with something changed, left out or added at one place."""
    changed = copy.deepcopy(document)
    path = source.choice([spot for spot in spots(changed) if spot])
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    what = source.randrange(4)
    if what == 0:
        del holder[path[-1]]
    elif what == 1 and isinstance(holder, dict):
        holder[source.choice(["more", "token", "status", "x" * 600, "\x1b", "uid"])] = source.choice(ODD)
    elif what == 2:
        holder[path[-1]] = {"deep": holder[path[-1]]}
    else:
        holder[path[-1]] = source.choice(ODD)
    return changed


def written(document, source):
    """As this project writes it, or in another form of JSON."""
    form = source.randrange(4)
    if form == 0:
        return json.dumps(document).encode() + b"\n"
    if form == 1:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
    try:
        return msgspec.json.encode(document) + b"\n"
    except (TypeError, ValueError, OverflowError):
        return json.dumps(document, separators=(",", ":")).encode() + b"\n"


@pytest.fixture
def slowly(monkeypatch):
    """Take every short cut away: the schema alone decides, and every text is cleaned."""

    class Suspicious:
        def isinstance_python(self, text):
            return True

    monkeypatch.setattr(codec, "_is_result", lambda document: False)
    monkeypatch.setattr(hygiene, "_suspect", Suspicious())


@pytest.mark.usefixtures("slowly")
def test_what_the_quick_way_takes_the_schema_takes_with_the_same_meaning(report):
    source = random.Random(11)
    originals = documents(report)
    taken = 0
    for _ in range(6_000):
        document = mutated(source.choice(originals), source)
        if source.randrange(3) == 0:
            document = mutated(document, source) if len(document) > 3 else document
        line = written(document, source)
        quick = quick_lines.quick(line)
        if quick is None:
            continue
        taken += 1
        slow = document_of(decode(line))  # the schema and full cleaning: must not raise
        assert slow == json.loads(line), line
        found = quick_lines.of(slow)
        assert quick == (found, quick_lines.write(found)), line
    assert taken > 200


def test_what_is_written_is_read_the_quick_way(report):
    for result in report.results:
        line = encode(result)
        found, as_written = quick_lines.quick(line)
        assert as_written == quick_lines.write(found) == line
        assert found.result() == decode(line)
        assert found.case == result.case


@pytest.mark.parametrize("text", ["naïve … 90 %", "a\\nb", "line\nfeed and\ttab", 'a "quote"', r"\x1b is spelt out"])
def test_harmless_text_is_read_the_quick_way(result, text):
    assert quick_lines.quick(encode(result(1, "failed", message=text))) is not None


@pytest.mark.parametrize(
    "bad",
    [
        "Bearer abcdefghijklmnop",
        "\x85",
        "\u202e",
        "-----BEGIN RSA PRIVATE KEY-----",
        "password=x",
        "ghp_" + "a" * 30,
    ],
)
def test_what_has_to_be_cleaned_goes_the_slow_way_and_is_cleaned(result, report, bad):
    document = msgspec.json.decode(encode(result(1, "failed", message="m"))) | {"message": bad}
    line = msgspec.json.encode(document) + b"\n"
    assert quick_lines.quick(line) is None
    stream = RecordStream(io.BytesIO(encode(report.header) + line))
    found = next(iter(stream))
    assert stream.cleaned
    assert found.message != bad
    assert bad.encode() not in stream.raw


def test_a_name_twice_in_an_object_is_refused_wherever_it_is(report):
    line = encode(report.results[1])
    for before, after in (
        (b'"level":"B"', b'"level":"B","level":"B"'),
        (b'"v1":1680', b'"v1":1680,"v1":1680'),
        (b'"service":"root"', b'"service":"root","service":"root"'),
    ):
        double = line.replace(before, after, 1)
        assert double != line
        assert quick_lines.quick(double) is None
        with pytest.raises(RecordError, match="stands twice"):
            decode(double)


def test_mutated_records_are_refused_with_their_line_or_read(report):
    lines = [encode(item) for item in (report.header, *report.results, report.footer)]
    source = random.Random(12)
    refused = []
    for _ in range(300):
        at = source.randrange(len(lines))
        changed = [*lines]
        changed[at] = written(mutated(json.loads(lines[at]), source), source)
        try:
            load(io.BytesIO(b"".join(changed)))
        except MissingFooter:
            raise AssertionError("a whole record is told to be none") from None
        except RecordError as error:
            refused.append((error, at))
    assert len(refused) > 150
    for error, at in refused:
        assert error.line >= at + 1
        assert len(str(error)) < 2_500
        assert "\x1b" not in str(error)


def test_a_long_line_is_refused_without_reading_it_whole(report):
    class Endless(io.RawIOBase):
        """A header, and then a line without an end."""

        def __init__(self):
            self.rest = encode(report.header)
            self.given = 0

        def readline(self, size=-1):
            line, self.rest = self.rest, b""
            self.given += 0 if line else size
            return line or b"x" * size

    endless = Endless()
    tracemalloc.start()
    with pytest.raises(RecordError, match="line 2: is longer than a line may be"):
        load(endless)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert endless.given <= MAX_LINE + 1
    assert peak < 8 * MAX_LINE


def with_applied(result, report, value):
    line = json.dumps(json.loads(encode(result(1, "passed"))) | {"applied": [{"spec": value}]}).encode() + b"\n"
    return RecordStream(io.BytesIO(encode(report.header) + line))


@pytest.mark.parametrize("value", ["\ud800", "\u202e", 1e300, 2**63, 10**25])
def test_values_that_other_readers_stumble_over_are_kept_or_spelt_out(result, report, value):
    first = with_applied(result, report, value)
    found = next(iter(first))
    second = RecordStream(io.BytesIO(encode(report.header) + first.raw))
    assert next(iter(second)) == found
    assert second.raw == first.raw
    assert not second.cleaned
    assert encode(found.result()) == first.raw


def test_errors_name_the_file_among_several(report):
    with pytest.raises(RecordError, match=r"^old\.jsonl, line 2: "):
        list(RecordStream(io.BytesIO(encode(report.header) + b"{}\n"), "old.jsonl"))


def test_the_footer_is_there_when_all_was_read(report):
    whole = b"".join(encode(item) for item in (report.header, *report.results, report.footer))
    stream = RecordStream(io.BytesIO(whole))
    with pytest.raises(ValueError, match="before the results were read"):
        _ = stream.footer
    assert sum(1 for _ in stream) == len(report.results) == stream.cases.size
    assert stream.footer == report.footer


def test_cases_keep_outcomes_and_know_duplicates():
    source = random.Random(13)
    kinds = [("api", "v1", f"A-{number:03}") for number in range(200)]
    expected, found = {}, Cases()
    for _ in range(3_000):
        mesh, kind, outcome = f"m{source.randrange(20)}", source.choice(kinds), source.choice(list(Outcome))
        assert found.put(mesh, kind, outcome) is ((mesh, kind) not in expected)
        expected.setdefault((mesh, kind), outcome)
    assert found.size == len(expected)
    assert all(found.get(*key) is outcome for key, outcome in expected.items())
    assert found.get("m0", ("api", "v2", "A-000")) is None
    assert found.get("stranger", kinds[0]) is None
    some = sorted(expected)[:50]
    assert all(found.take(*key) is expected[key] for key in some)
    assert all(found.take(*key) is None for key in some)
    rest = {(case.mesh, (case.api, case.version, case.requirement)): outcome for case, outcome in found.rest()}
    assert rest == {key: outcome for key, outcome in expected.items() if key not in set(some)}
    assert found.groups() == {(mesh, "api", "v1") for mesh, _ in expected}


def test_strewn_cases_are_refused_before_they_fill_the_memory(monkeypatch):
    monkeypatch.setattr(cases_module, "MAX_BLOCKS", 10)
    found = Cases()
    for number in range(10):
        found.put(f"m{number}", ("api", "v1", "A-001"), Outcome.PASSED)
    with pytest.raises(TooManyError, match="strewn"):
        found.put("m10", ("api", "v1", "A-001"), Outcome.PASSED)
    monkeypatch.setattr(cases_module, "MAX_KINDS", 10)
    for number in range(2, 11):
        found.put("m0", ("api", "v1", f"A-{number:03}"), Outcome.PASSED)
    with pytest.raises(TooManyError, match="more than 10 requirements"):
        found.put("m0", ("api", "v1", "A-011"), Outcome.PASSED)
    assert len(found.kinds) == 10
