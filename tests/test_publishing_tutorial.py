"""The tutorial on publishing is followed as it stands: its files are written, its commands run in a directory."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from conformance import cli
from conformance.report import record
from conformance.report.publishing import rules
from conformance.snapshot import MAX_SIZE, TIME

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
BLOCKS = re.findall(r"^```(yaml|sh|text)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_tutorial_works_as_it_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    printed = ""
    for language, text in BLOCKS:
        if language == "yaml":
            first, _, rest = text.partition("\n")
            (tmp_path / first.removeprefix("# ")).write_text(rest)
        elif language == "sh":
            command, _, wanted = text.strip().partition("   # exit code ")
            program, *words = shlex.split(command)
            assert program == "mesh-conformance"
            code = cli.main(words)
            shown = capsys.readouterr()
            printed = shown.out + shown.err
            assert code == int(wanted or 0), f"{command}\n{printed}"
        else:
            for line in text.splitlines():
                assert line in printed
    there = tmp_path / "reports" / "reference" / "0.1.0+v1alpha4"
    assert (there / "report.jsonl").read_bytes() == (tmp_path / "conformance-report" / "report.jsonl").read_bytes()
    snapshot = record.read(there / "report.jsonl").header.snapshot
    (workload,) = snapshot["meshes"]["reference"]["workloads"]["items"]
    assert workload["containers"][0]["image"] == "mesh-conformance/reference-mesh:0.1.0"


def test_the_install_command_is_the_one_that_the_readme_has_and_ci_runs():
    (install,) = re.findall(r"^    (python3 -m venv .*)$", PAGE, re.MULTILINE)
    assert f"    {install}\n" in (ROOT / "README.md").read_text()


def test_what_the_page_on_publishing_says_in_numbers_is_so():
    page = (ROOT / "docs" / "publishing.md").read_text()
    assert f"at most {rules.MAX_RECORD // 2**20} MiB large" in page
    assert f"at most about {TIME:.0f} s and {MAX_SIZE // 1024} KiB" in " ".join(page.split())
