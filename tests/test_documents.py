"""What the documents say of the code is true of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance import cli, paths
from conformance.exit_code import ExitCode
from conformance.options import Settings
from conformance.requirement import catalogue, to_markdown
from conformance.sandbox.mutants import MUTANTS

ROOT = Path(__file__).resolve().parents[1]


def test_the_catalogue_is_current():
    written = (ROOT / "docs" / "requirements.md").read_text()
    assert written == to_markdown(catalogue(paths.suites())), (
        "run `mesh-conformance requirements --format markdown > docs/requirements.md`"
    )


ROWS = {"SPLIT": 33, "TARGET": 24, "HRG": 16, "TCP": 3, "UDP": 3, "METRIC": 16, "CRD": 10, "CONV": 1, "GEN": 6,
        "ROUTE": 18}
"""How many rows each section of the specification has."""


def test_every_row_of_the_specification_has_its_function():
    wanted = {f"{group}-{number:03}" for group, rows in ROWS.items() for number in range(1, rows + 1)}
    assert {row.id for row in catalogue(paths.suites())} == wanted


def test_the_kill_matrix_is_that_of_the_mutants_and_requirements_there_are():
    written = (ROOT / "docs" / "kill-matrix.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \|.*\| (.+?) \|$", written, re.MULTILINE))
    again = "run `mesh-conformance selftest --markdown docs/kill-matrix.md`"
    assert rows == dict.fromkeys(MUTANTS, "killed"), again
    judged = [row.id for row in catalogue(paths.suites()) if row.judged]
    assert re.findall(r"^\| ([A-Z]+-\d+) \| `", written, re.MULTILINE) == judged, again


def test_the_page_on_performance_has_every_probe_and_figure():
    page = (ROOT / "docs" / "performance.md").read_text()
    table = page.split("## Probes")[1].split("\nPaths are")[0]
    sources = "".join(file.read_text() for file in (ROOT / "suites" / "performance").glob("test_*.py"))
    named = re.findall(r"^\| ([a-z]+-[a-z-]+) \|", table, re.MULTILINE)
    assert sorted(named) == sorted(re.findall(r'@probe\("([a-z-]+)"\)', sources))
    probes = ROOT / "conformance" / "performance" / "probes"
    for file in [*probes.glob("*.py"), *(ROOT / "suites" / "performance").glob("*.py")]:
        for name in re.findall(r'findings\.(?:median|value|difference|ratio)\(\s*"([a-z._]+)"', file.read_text()):
            assert f"`{name}`" in table, f"{file.name} records {name}"


def test_readme_names_each_exit_code_as_it_is():
    readme = (ROOT / "README.md").read_text()
    told = re.search(r"Exit codes:\n(.*?)\n\n", readme, re.DOTALL).group(1)
    assert set(re.findall(r"\b\d+\b", told)) == {str(int(code)) for code in ExitCode}
    assert set(re.findall(r"^  (\d+)", cli.EXIT_CODES, re.MULTILINE)) == {str(int(code)) for code in ExitCode}


def test_links_between_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *ROOT.glob("*/*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_commands_of_the_readme_exist():
    commands = set(re.findall(r"mesh-conformance ([a-z]+)", (ROOT / "README.md").read_text()))
    for command in commands - {"reference"}:
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "--help"])
        assert ended.value.code == 0, command


def test_the_command_that_repeats_a_run_is_understood():
    settings = Settings(smi="v1alpha2", mutant="zero-is-one", levels=("M",))
    words = settings.command("SPLIT-006").split()
    chosen, rest = cli.parser().parse_known_args(words[1:])
    assert not rest
    assert (chosen.conformance_smi, chosen.conformance_mutant) == ("v1alpha2", "zero-is-one")
