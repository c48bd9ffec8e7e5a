"""The commands of performance other than `run`, as a user types them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from sample_runs import figure, header, load, run_of

from conformance import cli
from conformance.exit_code import ExitCode
from conformance.performance import record
from conformance.performance.model import ProbeResult, Run

DATA = Path(__file__).parent / "data"


@pytest.fixture
def keep(tmp_path):
    """Write runs of one figure each and return their files."""

    def write(name, middle, count=1, **changes):
        files = []
        for number in range(count):
            draw = random.Random(f"{name}{number}")
            samples = [draw.gauss(middle, middle / 50) for _ in range(10)]
            files.append(tmp_path / f"{name}-{number}.json")
            found = figure("latency.overhead", samples, path="both")
            record.write(files[-1], run_of(f"{name}-{number}", found, **changes))
        return [str(file) for file in files]

    return write


def test_a_regression_is_named_and_fails_if_asked(keep, capsys):
    old, new = keep("old", 250e-6, 5), keep("new", 400e-6, 5)
    assert cli.main(["perf", "compare", *old, "--with", *new]) == ExitCode.CONFORMANT
    assert "worse" in capsys.readouterr().out
    assert cli.main(["perf", "compare", *old, "--with", *new, "--fail"]) == ExitCode.NONCONFORMANT
    assert cli.main(["perf", "compare", *new, "--with", *old, "--fail"]) == ExitCode.CONFORMANT


def test_what_was_not_compared_is_no_good_news(keep, tmp_path):
    old, new = keep("old", 250e-6), keep("new", 250e-6)
    assert cli.main(["perf", "compare", *old, "--with", *new, "--fail", "--alpha", "0.01"]) in (
        ExitCode.CONFORMANT, ExitCode.ERROR)
    gone = tmp_path / "gone.json"
    record.write(gone, Run(header("gone"), (ProbeResult("latency-overhead", "Latency", ()),)))
    assert cli.main(["perf", "compare", *old, "--with", str(gone), "--fail"]) == ExitCode.ERROR


def test_runs_of_other_places_are_refused(keep, capsys):
    old, new = keep("old", 250e-6), keep("new", 250e-6, mesh="istio")
    assert cli.main(["perf", "compare", *old, "--with", *new]) == ExitCode.ERROR
    assert "--force" in capsys.readouterr().err
    assert cli.main(["perf", "compare", *old, "--with", *new, "--across-meshes"]) == ExitCode.CONFORMANT


def test_a_rate_of_false_alarms_is_one(keep):
    old = keep("old", 250e-6)
    with pytest.raises(SystemExit):
        cli.main(["perf", "compare", *old, "--with", *old, "--alpha", "2"])


def test_a_baseline_is_kept_once_in_the_history(keep, tmp_path, capsys):
    file, target = keep("old", 250e-6)[0], tmp_path / "kept"
    for _ in range(2):
        assert cli.main(["perf", "baseline", file, "--to", str(target)]) == ExitCode.CONFORMANT
    assert record.read(target / "reference" / "1.40.0" / "old-0.json") == record.read(Path(file))
    assert len((target / "history.csv").read_text().splitlines()) >= 2
    assert (target / "history.jsonl").read_text().count("old-0") == 1
    assert "kept as" in capsys.readouterr().out


def test_a_baseline_of_one_of_several_instances_is_kept(keep, tmp_path):
    file, target = keep("old", 250e-6, mesh="istio@canary")[0], tmp_path / "kept"
    assert cli.main(["perf", "baseline", file, "--to", str(target)]) == ExitCode.CONFORMANT
    assert record.read(target / "istio_canary" / "1.40.0" / "old-0.json").header.mesh == "istio@canary"


def test_a_record_does_not_say_where_to_write(keep, tmp_path, capsys):
    file = keep("old", 250e-6, mesh="../../elsewhere")[0]
    assert cli.main(["perf", "baseline", file, "--to", str(tmp_path / "kept")]) == ExitCode.USAGE
    assert "no name of a file" in capsys.readouterr().err
    assert not (tmp_path.parent / "elsewhere").exists()


def test_another_tools_result_is_read(capsys):
    file = next(DATA.rglob("wrk*.txt"))
    assert cli.main(["perf", "read", str(file)]) == ExitCode.CONFORMANT
    assert "coordinated omission" in capsys.readouterr().out


@pytest.mark.parametrize("command", [("perf", "read"), ("perf", "baseline"), ("perf", "score")])
def test_what_cannot_be_read_is_a_usage_error(command, tmp_path, capsys):
    broken = tmp_path / "broken.json"
    broken.write_text('{"half": ')
    assert cli.main([*command, str(broken)]) == ExitCode.USAGE
    assert "broken" in capsys.readouterr().err


def test_a_score_is_printed_with_its_definition_or_what_is_missing(tmp_path, capsys):
    file = tmp_path / "run.json"
    draw = random.Random(1)
    record.write(file, Run(header(), (ProbeResult("latency-overhead", "Latency", (), loads=(load(draw),)),)))
    assert cli.main(["perf", "score", str(file)]) == ExitCode.NOTHING
    assert "No score" in capsys.readouterr().out
    assert cli.main(["perf", "score", str(file), "--weight", "proxy.cpu=9"]) == ExitCode.USAGE


def test_defects_of_smp_files_are_listed(tmp_path, capsys):
    file = tmp_path / "test.yaml"
    file.write_text("test:\n  name: x\n  duration: 1m30s\n  clients:\n    - rps: -5\n      endpoint_urls: [http://a:80]\n")
    assert cli.main(["perf", "lint", str(file)]) == ExitCode.NONCONFORMANT
    assert "line 5" in capsys.readouterr().out
