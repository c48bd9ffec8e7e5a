"""Each tool's outputs are read as what they are, whatever unit the tool writes them in."""

from pathlib import Path

import pytest

from conformance.performance import formats
from conformance.performance.formats import FormatError

DATA = Path(__file__).parent / "data"
UNREADABLE = {"README.md", "hey-summary.txt"}
FILES = sorted(path.name for path in DATA.iterdir() if path.name not in UNREADABLE)

#      file                          tool          requests  seconds    p50         errors
CASES = {
    "ab-normal.txt":                ("ab",         1000,     4.376,     0.013,      {}),
    "ab-errors.txt":                ("ab",         1000,     0.5,       0.0,        {"status": 50}),
    "ab-reset.txt":                 ("ab",         400,      0.091,     0.0,        {"length": 20}),
    "ab-normal.csv":                ("ab",         None,     None,      0.013137,   {}),
    "autocannon-normal.json":       ("autocannon", 650,      3.08,      0.001,      {}),
    "autocannon-errors.json":       ("autocannon", 560,      3.29,      0.023,      {"status": 28}),
    "autocannon-refused.json":      ("autocannon", 5156,     2.19,      None,       {"connection": 5156}),
    "fortio-10us.json":             ("fortio",     2000,     4.0,       0.00020126, {}),
    "fortio-errors.json":           ("fortio",     1000,     4.0,       0.00020591, {"socket": 20, "status": 40}),
    "h2load-normal.tsv":            ("h2load",     240,      2.975675,  0.00029,    {}),
    "h2load-errors.tsv":            ("h2load",     100,      0.981341,  0.000417,   {"status": 5}),
    "h2load-errors.txt":            ("h2load",     100,      0.98227,   None,       {"status": 5}),
    "h2load-reset.txt":             ("h2load",     400,      0.81106,   None,       {"errored": 324}),
    "h2load-refused.txt":           ("h2load",     40,       0.000936,  None,       {"errored": 40}),
    "hey-normal.csv":               ("hey",        240,      3.0174,    0.0005,     {}),
    "hey-errors.csv":               ("hey",        100,      1.2515,    0.0005,     {"status": 5}),
    "hey-refused.csv":              ("hey",        0,        None,      None,       {}),
    "k6-export.json":               ("k6",         601,      3.0016034, 0.00053152, {}),
    "k6-handled-errors.json":       ("k6",         601,      3.0019261, 0.00040648, {"failed": 30}),
    "k6-machine.json":              ("k6",         1050,     3.0070645, 0.01128622, {}),
    "k6-machine-refused.json":      ("k6",         601,      3.0012822, None,       {"failed": 601}),
    "nighthawk-fortio.json":        ("nighthawk",  500,      5.0,       0.00030327, {}),
    "nighthawk-pedantic.json":      ("nighthawk",  500,      5.0,       0.00030434, {}),
    "oha-normal.json":              ("oha",        600,      3.0019947, 0.00023245, {}),
    "oha-errors.json":              ("oha",        601,      3.0023055, 0.00016783, {"status": 30}),
    "oha-reset.json":               ("oha",        400,      1.9987179, 0.00023214,
                                     {"connection closed before message completed": 20}),
    "oha-refused.json":             ("oha",        51,       1.0016789, None,
                                     {"Connection refused (os error 111)": 51}),
    "vegeta-errors.json":           ("vegeta",     800,      3.9953901, 0.00039007, {"connection": 8, "status": 40}),
    "wrk-latency.txt":              ("wrk",        1104,     3.02,      0.01052,    {}),
    "wrk-errors.txt":               ("wrk",        114133,   3.0,       0.000066,   {"status": 5706}),
    "wrk-reset.txt":                ("wrk",        52620,    2.08,      0.000071,   {"read": 2631}),
    "wrk-silent.txt":               ("wrk",        0,        3.02,      None,       {}),
    "wrk2-latency.txt":             ("wrk2",       2001,     20.01,     0.0012,     {}),
}


@pytest.mark.parametrize("name", FILES)
def test_every_output_is_read_and_its_tool_told_by_the_content(name, tmp_path):
    copy = tmp_path / "a.bin"  # the name must not matter
    copy.write_bytes((DATA / name).read_bytes())
    result = formats.read(copy)
    assert result.tool == name.split("-", maxsplit=1)[0]
    assert result.to_table() == formats.read(DATA / name, result.tool).to_table()
    assert result.corrects_why
    rows = dict(result.to_table())
    assert rows["tool"].startswith(result.tool)
    assert result.tool in result.describe()


@pytest.mark.parametrize("name", sorted(CASES))
def test_figures_are_in_seconds(name):
    tool, requests, seconds, median, errors = CASES[name]
    result = formats.read(DATA / name)
    assert (result.tool, result.requests, dict(result.errors)) == (tool, requests, errors)
    assert result.seconds == (None if seconds is None else pytest.approx(seconds, rel=1e-4))
    assert result.percentiles.get(0.5) == (None if median is None else pytest.approx(median, rel=1e-3))


@pytest.mark.parametrize(("name", "corrects", "low", "high"), [
    ("h2load-stall.tsv", "no", 0.0, 0.01),
    ("k6-export-stall.json", "no", 0.9, 1.0),  # 193 of 600 were never sent
    ("oha-stall.json", "partly", 0.0, 0.01),
    ("oha-stall-corrected.json", "partly", 0.9, 1.01),
    ("autocannon-stall.json", "partly", 0.9, 1.01),
    ("wrk-stall.txt", "partly", 0.9, 1.01),
    ("wrk2-latency.txt", "yes", 0.0, 0.01),
    ("fortio-10us.json", "no", 0.0, 0.01),
])
def test_the_p99_of_a_stall_stands_beside_whether_it_is_corrected(name, corrects, low, high):
    result = formats.read(DATA / name)
    assert result.corrects == corrects
    assert low <= result.percentiles[0.99] <= high


@pytest.mark.parametrize(("name", "resolution"), [
    ("ab-normal.txt", 1e-3), ("ab-normal.csv", 1e-6), ("autocannon-normal.json", 1e-3), ("hey-normal.csv", 1e-4),
    ("h2load-normal.tsv", 1e-6), ("wrk-latency.txt", 1e-5), ("wrk-errors.txt", 1e-6), ("wrk2-latency.txt", 1e-3),
    ("fortio-10us.json", 5e-5), ("fortio-1ms.json", 6.25e-4), ("nighthawk-fortio.json", None),
])
def test_the_resolution_is_what_the_tool_can_show(name, resolution):
    result = formats.read(DATA / name)
    assert result.resolution == (None if resolution is None else pytest.approx(resolution, rel=1e-3))


@pytest.mark.parametrize(("name", "warning"), [
    ("hey-normal.csv", "hides what a sidecar adds"),
    ("fortio-1ms.json", "interpolated within wide buckets"),
    ("wrk-normal.txt", "a mean without percentiles"),
    ("h2load-normal.txt", "a mean without percentiles"),
    ("h2load-reset.txt", "320 of 400 requests were never started"),
    ("h2load-stall.tsv", "no request began for 1.001 s"),
    ("autocannon-stall.json", "4363 of its 4971 latencies were added"),
    ("k6-export-stall.json", "193 iterations were dropped"),
    ("oha-normal.json", "2 unanswered when the time was up"),
    ("wrk2-plain.txt", "leaves out the first 10 s"),
    ("hey-refused.csv", "no request ended"),
    ("wrk-silent.txt", "no request ended"),
    ("k6-handled-errors.json", "30 of 601 requests failed"),
])
def test_what_a_reader_has_to_know_is_said(name, warning):
    assert any(warning in line for line in formats.read(DATA / name).warnings)


def test_fine_results_carry_no_warning():
    assert formats.read(DATA / "k6-export.json").warnings == ()
    assert formats.read(DATA / "fortio-10us.json").warnings == ()


@pytest.mark.parametrize("name", ["hey-normal.csv", "h2load-normal.tsv", "fortio-10us.json", "wrk2-latency.txt",
                                  "nighthawk-fortio.json", "vegeta-buckets.json"])
def test_samples_and_buckets_become_a_histogram(name):
    result = formats.read(DATA / name)
    histogram = result.histogram
    assert histogram.max / 1e9 == pytest.approx(result.max, rel=0.01)
    wide = 0.1 if name.startswith(("fortio", "vegeta")) else 0.02  # as wide as their buckets
    assert histogram.percentile(0.5) / 1e9 == pytest.approx(result.percentiles[0.5], rel=wide)


def test_a_log_that_was_appended_to_is_noticed(tmp_path):
    log = tmp_path / "log"
    log.write_text("".join(f"{1795257050000000 + start * 1000}\t200\t300\n" for start in [*range(0, 900, 9),
                                                                                       *range(60_000, 60_900, 9)]))
    assert any("may be two runs" in warning for warning in formats.read(log).warnings)


def test_the_tool_can_be_insisted_on():
    assert formats.read(DATA / "wrk2-plain.txt", "wrk2").tool == "wrk2"
    with pytest.raises(FormatError, match=r"a result of wrk2, found one of wrk; write it with wrk"):
        formats.read(DATA / "wrk-latency.txt", "wrk2")
    with pytest.raises(FormatError, match="a result of hey, found one of fortio; write it with hey -o csv"):
        formats.read(DATA / "fortio-10us.json", "hey")
    with pytest.raises(FormatError, match="one of nighthawk, fortio"):
        formats.read(DATA / "fortio-10us.json", "jmeter")


@pytest.mark.parametrize(("text", "found"), [
    ((DATA / "hey-summary.txt").read_text(), "write it with hey -o csv"),
    ('{"options": {}, "results": []}', "--output-format fortio"),
    ("Requests      [total, rate, throughput]  1, 1, 1\n", "vegeta report -type=json"),
    ("[1]", "a JSON list"),
    ('{"a": 1}', "JSON with 'a'"),
    ("hello\nworld\n", "text that begins 'hello'"),
    ("\n", "nothing"),
])
def test_other_forms_are_refused_with_the_form_that_is_read(text, found):
    with pytest.raises(FormatError) as caught:
        formats.read(text)
    assert found in str(caught.value)
