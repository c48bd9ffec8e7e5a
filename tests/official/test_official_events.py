"""The official suite's events: what is taken from them, and that what is not whole is refused."""

import json

import pytest

from conformance.official import OfficialError, TestOutcome, events, read_events

NAMES = {"MeshBasic": "passed", "MeshPorts": "failed", "MeshPorts/No_port_set": "failed",
         "MeshMatching/1_request_to_'/v2/x'": "passed", "MeshMatching": "passed"}


def test_tests_and_their_parts_are_read_by_name(official):
    found = official(NAMES)
    assert {name: test.outcome.value for name, test in found.tests.items()} == NAMES
    assert {test.name for test in found.whole} == {"MeshBasic", "MeshPorts", "MeshMatching"}
    assert found.tests["MeshBasic"].seconds == 0.25


def test_why_a_test_was_skipped_is_said(official):
    found = official({"MeshConsumerRoute": ("skipped", "Skipping MeshConsumerRoute: suite does not support X\x1b[2J")})
    test = found.tests["MeshConsumerRoute"]
    assert (test.outcome, test.why) == (TestOutcome.SKIPPED, "suite does not support X\\x1b[2J")


def test_what_a_test_relies_on_is_what_it_says(official):
    printed = "2026-11-20T10:00:00Z: Running MeshPorts, relying on the following features: Mesh-standard, HTTPRoute-x"
    found = official({"MeshPorts": ("passed", printed), "MeshBasic": "passed"})
    assert found.tests["MeshPorts"].features == {"Mesh", "HTTPRoute"}
    assert found.tests["MeshBasic"].features == frozenset()


def test_a_file_is_read(tmp_path, lines):
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(lines(NAMES)) + "\n")
    assert len(read_events(file).tests) == len(NAMES)
    with pytest.raises(OfficialError, match=r"events in missing\.jsonl cannot be read: No such file"):
        read_events(tmp_path / "missing.jsonl")


def test_a_run_that_broke_off_is_none(load, lines):
    with pytest.raises(OfficialError, match=r"broke off while TestConformance/MeshPorts ran\. Run it again"):
        load(lines({"MeshBasic": "passed", "MeshPorts": "passed"}, ended=False))


def test_a_panic_is_told(load, lines):
    cut = [*lines({"MeshPorts": "passed"}, ended=False),
           json.dumps({"Action": "output", "Output": "panic: test timed out after 15m0s\n"}),
           json.dumps({"Action": "fail", "Elapsed": 900})]
    with pytest.raises(OfficialError, match="MeshPorts ran; it last complained: test timed out after 15m0s"):
        load(cut)


def test_a_suite_that_ended_before_its_first_test_says_why(load):
    root = "TestConformance"
    told = [{"Action": "run", "Test": root},
            {"Action": "output", "Test": root, "Output": "        Error:  the installed CRDs version is different\n"},
            {"Action": "fail", "Test": root, "Elapsed": 1}]
    with pytest.raises(OfficialError, match="before its first test; it last complained: the installed CRDs version is"):
        load([json.dumps(event) for event in told])


def test_a_file_that_was_cut_is_refused(load, lines):
    whole = ("\n".join(lines(NAMES)) + "\n").encode()
    with pytest.raises(OfficialError, match=r"line .*: breaks off: the events were cut"):
        load(whole[:-10])


def test_events_of_another_package_are_none(load, lines):
    with pytest.raises(OfficialError, match="not the events of the official suite: there is no TestConformance"):
        load(lines({"MeshBasic": "passed"}, root="TestSomething"))


def test_nothing_at_all_is_no_run(load):
    with pytest.raises(OfficialError, match="there is no TestConformance in them"):
        load([])


@pytest.mark.parametrize(("line", "problem"), [
    ("{", "is no event"), ("[]", "has no Action"), ('{"Action": 1}', "has no Action"), ("\x00", "is no event"),
    ('{"Action": "output", "Output": 1}', "its Output is not text"),
    ('{"Action": "run", "Test": ["TestConformance"]}', "its Test is not text"),
    ('{"Action": "pass", "Elapsed": "1"}', "its Elapsed is no number of seconds"),
    ('{"Action": "pass", "Elapsed": -1}', "its Elapsed is no number of seconds"),
    ('{"Action": "pass", "Elapsed": NaN}', "is no event"), ('{"Action": "pass", "Elapsed": true}', "no number"),
    ('{"Action": "pass", "Action": "fail"}', "stands twice"), ('{"Action": "explode"}', "there is no Action 'explode'"),
    ('{"Action": "run", "Test": "Test Conformance"}', "names a test as none is called"),
    ('{"Action": "run", "Test": "TestConformance/\u202eevil"}', "names a test as none is called"),
    ('{"Action": "pass", "Test": "TestConformance/X"}', "has not begun or has ended before"),
    ("[" * 100_000, "is no event"), ('{"Action": "pass", "Elapsed": ' + "9" * 5000 + "}", "is no event"),
])  # fmt: skip
def test_what_is_no_event_is_refused_with_its_line(load, line, problem):
    with pytest.raises(OfficialError, match=f"^line 2: .*{problem}"):
        load(['{"Action": "run", "Test": "TestConformance"}', line])


def test_bytes_that_are_no_text_are_refused(load):
    with pytest.raises(OfficialError, match="line 1: is no event"):
        load(b'{"Action": "\xff"}\n')


def test_two_runs_in_one_file_are_refused(load, lines):
    run = lines({"MeshBasic": "passed"})
    with pytest.raises(OfficialError, match="begins TestConformance a second time"):
        load([*run, *run])


def test_a_part_that_failed_cannot_be_of_a_test_that_passed(official):
    for part in ("No_port_set", "1_request_to_'/v2/x'"):
        with pytest.raises(OfficialError, match="failed, and MeshPorts, of which it is a part, passed"):
            official({"MeshPorts": "passed", f"MeshPorts/{part}": "failed"})


def test_what_is_too_long_or_too_much_is_refused(load, lines, monkeypatch):
    monkeypatch.setattr(events, "MAX_LINE", 200)
    with pytest.raises(OfficialError, match="line 1: is longer than 200 bytes"):
        load([json.dumps({"Action": "output", "Output": "x" * 300})])
    monkeypatch.setattr(events, "MAX_BYTES", 300)
    with pytest.raises(OfficialError, match="more than 300 bytes of events"):
        load(lines({"MeshBasic": "passed"}))


def test_too_many_tests_are_refused(official, monkeypatch):
    monkeypatch.setattr(events, "_MAX_TESTS", 3)
    with pytest.raises(OfficialError, match="is one test too many: there are at most 3"):
        official(NAMES)
