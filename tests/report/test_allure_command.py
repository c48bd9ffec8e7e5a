"""`report allure`: which generator is taken, what it is given and not given, and what becomes of its report.

The generator here is a stand-in that does what it is told to; the real ones are in tests/generators.
"""

import json
import os
import select
import sys
import textwrap

import pytest

from conformance.cli import main
from conformance.options import OptionError
from conformance.report import allure_config, allure_generator, allure_report
from conformance.report.allure import Allure
from conformance.report.record import encode
from conformance.report.writing import ReportError

MEASURING = """<p>kept</p>
<script async src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>
<script>
    window.dataLayer = window.dataLayer || [];
    function gtag(){dataLayer.push(arguments);}
</script><script>window.kept = 1</script>"""

STAND_IN = """\
    #!{python}
    import json, os, pathlib, sys
    words = sys.argv[1:]
    if words == ["--version"]:
        print({version!r})
        sys.exit()
    report = pathlib.Path(words[words.index("--output") + 1])
    report.mkdir()
    results = pathlib.Path(words[-1])
    seen = {{"words": words, "environment": dict(os.environ), "directory": os.getcwd(),
             "results": sorted(path.name for path in results.iterdir()),
             "executor": json.loads((results / "executor.json").read_text())}}
    (report / "seen.json").write_text(json.dumps(seen))
    (report / "index.html").write_text({page!r})
    if {version!r}.startswith("3"):
        (report / "config.mjs").write_text(pathlib.Path(words[words.index("--config") + 1]).read_text())
        with open("history.jsonl", "a") as history:
            history.write("one\\n")
    else:
        past = results / "history" / "n"
        (report / "history").mkdir()
        (report / "history" / "n").write_text(past.read_text() + "i" if past.exists() else "i")
    {more}
"""


@pytest.fixture
def stand_in(tmp_path):
    """A maker of generators: what it says its version is, its page, and more of its program."""

    def make(version="3.18.0", page=MEASURING, more=""):
        program = tmp_path / "programs" / "allure"
        program.parent.mkdir(exist_ok=True)
        text = textwrap.dedent(STAND_IN).format(python=sys.executable, version=version, page=page, more=more)
        program.write_text(text)
        program.chmod(0o755)
        return str(program)

    return make


@pytest.fixture
def directory(report, run, tmp_path):
    path = tmp_path / "allure-results"
    run(Allure(path), report)
    return path


def make(program, results, output, **options):
    generator = allure_generator.find(program)
    return allure_report.make(generator, results, output, **{"single_file": False, "seconds": 60.0} | options)


def test_without_a_generator_it_is_said_what_to_install(tmp_path, directory, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["report", "allure", str(directory), "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "no Allure is installed: none is in PATH" in said
    assert "npm install --global allure " in said
    assert "npm install --global allure-commandline" in said
    assert not (tmp_path / "out").exists()
    with pytest.raises(OptionError, match=r"/nowhere/allure is no program that can be run"):
        allure_generator.find("/nowhere/allure")


@pytest.mark.parametrize("version", ["4.0.0", "1.5.4", "hello", ""])
def test_an_allure_of_another_generation_is_refused(stand_in, version):
    with pytest.raises(OptionError, match="Allure 2 or 3 is wanted"):
        allure_generator.find(stand_in(version))


@pytest.mark.parametrize("version", ["2.46.1", "3.18.0"])
def test_which_of_the_two_it_is_is_asked_of_it(stand_in, monkeypatch, version):
    monkeypatch.setenv("PATH", os.pathsep.join([os.path.dirname(stand_in(version)), os.environ["PATH"]]))  # noqa: PTH120
    found = allure_generator.find()
    assert (found.version, found.major) == (version, int(version[0]))


@pytest.mark.parametrize("version", ["2.46.1", "3.18.0"])
def test_the_history_of_the_report_before_is_continued(stand_in, directory, tmp_path, version):
    output, program = tmp_path / "deep" / "report", stand_in(version)
    assert [make(program, directory, output) for _ in range(3)] == [1, 2, 3]
    if version[0] == "3":
        assert (output / "history.jsonl").read_text() == "one\n" * 3
    else:
        assert (output / "history" / "n").read_text() == "iii"
    assert json.loads((output / "seen.json").read_text())["executor"]["buildOrder"] == 3
    assert [path.name for path in output.parent.iterdir()] == ["report"], "nothing is left beside it"
    assert not (directory / "history").exists(), "the results stay as they were"


def test_one_page_of_allure_2_has_a_history_as_well(stand_in, directory, tmp_path):
    program = stand_in("2.46.1")
    assert [make(program, directory, tmp_path / "out", single_file=True) for _ in range(2)] == [1, 2]
    assert (tmp_path / "out" / "history" / "n").read_text() == "ii"
    assert "--single-file" in json.loads((tmp_path / "out" / "seen.json").read_text())["words"]


@pytest.mark.parametrize("version", ["2.46.1", "3.18.0"])
def test_what_measures_readers_is_cut_out(stand_in, directory, tmp_path, version):
    make(stand_in(version), directory, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "google" not in page
    assert "dataLayer" not in page
    assert "<p>kept</p>" in page
    assert "<script>window.kept = 1</script>" in page


@pytest.mark.parametrize("page", [
    "<script>load('https://www.googletagmanager.com/gtag/js')</script>",
    "<img src='https://www.google-analytics.com/collect'>",
])
def test_a_report_that_measures_in_another_way_is_not_kept(stand_in, directory, tmp_path, page):
    with pytest.raises(ReportError, match="still measures its readers after its scripts were cut out"):
        make(stand_in(page=page), directory, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_generator_gets_no_variables_of_a_job_and_no_secrets(stand_in, directory, tmp_path, monkeypatch):
    for name in ("GITHUB_TOKEN", "ALLURE_TOKEN", "CI", "GIT_DIR", "JENKINS_URL"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("NVM_DIR", "/kept")
    make(stand_in(), directory, tmp_path / "out")
    seen = json.loads((tmp_path / "out" / "seen.json").read_text())
    assert "secret" not in seen["environment"].values()
    assert seen["environment"]["NVM_DIR"] == "/kept"
    assert seen["environment"]["ALLURE_NO_ANALYTICS"] == "true"
    assert seen["directory"] != os.getcwd(), "no repository of git for it to name in the report"  # noqa: PTH109


def test_a_generator_that_fails_has_its_output_shown(stand_in, directory, tmp_path):
    more = "print('\\x1b[31mno such plugin'); sys.exit(7)"
    with pytest.raises(ReportError, match=r"ended with exit code 7. It said:\n\\x1b\[31mno such plugin"):
        make(stand_in(more=more), directory, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_generator_that_hangs_is_ended_with_what_it_started(stand_in, directory, tmp_path):
    pipe = tmp_path / "held-open"
    os.mkfifo(pipe)
    # What was started holds the pipe open for as long as it lives.
    more = (f"import subprocess, time; subprocess.Popen(['sleep', '600'], stdout=open({str(pipe)!r}, 'w')); "
            "print('working', flush=True); time.sleep(600)")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(ReportError, match=r"took longer than 5 s. It said:\nworking"):
            make(stand_in(more=more), directory, tmp_path / "out", seconds=5.0)
        assert select.select([reader], [], [], 60)[0], "the last writer is gone"
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)


def test_a_generator_that_leaves_nothing(stand_in, directory, tmp_path):
    with pytest.raises(ReportError, match="ended without an error and left no report"):
        make(stand_in(more="(report / 'index.html').unlink()"), directory, tmp_path / "out")


def test_a_failed_report_leaves_the_one_before(stand_in, directory, tmp_path):
    make(stand_in(), directory, tmp_path / "out")
    before = (tmp_path / "out" / "seen.json").read_text()
    with pytest.raises(ReportError):
        make(stand_in(more="sys.exit(1)"), directory, tmp_path / "out")
    assert (tmp_path / "out" / "seen.json").read_text() == before


def test_a_directory_that_is_used_for_something_else_is_left_alone(stand_in, directory, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    (tmp_path / "link").symlink_to(mine)
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="is not empty and holds no report that was made here"):
        make(stand_in(), directory, mine)
    for name in ("link", "file"):
        with pytest.raises(ReportError, match="is no directory; choose another with -o"):
            make(stand_in(), directory, tmp_path / name)
    assert (mine / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("damage", ["", "[]", '{"reports": "many"}', '{"reports": {}}'])
def test_a_damaged_history_is_said(stand_in, directory, tmp_path, damage):
    make(stand_in(), directory, tmp_path / "out")
    (tmp_path / "out" / allure_report.MARK).write_text(damage)
    with pytest.raises(ReportError, match=r"mesh-conformance.json is damaged .* to begin a new history"):
        make(stand_in(), directory, tmp_path / "out")


def test_links_among_the_results_are_not_followed(stand_in, directory, tmp_path):
    (tmp_path / "private").write_text("private")
    (directory / "0-attachment.txt").symlink_to(tmp_path / "private")
    make(stand_in(), directory, tmp_path / "out")
    assert "0-attachment.txt" not in json.loads((tmp_path / "out" / "seen.json").read_text())["results"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"labels": 7}', "[" * 100_000])
def test_what_is_no_result_is_refused(stand_in, directory, tmp_path, text):
    (directory / "0-result.json").write_text(text)
    with pytest.raises(ReportError, match="is no Allure result"):
        make(stand_in(), directory, tmp_path / "out")


def test_no_results(stand_in, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReportError, match=r"there are no Allure results in .*: `mesh-conformance run` writes them"):
        make(stand_in(), tmp_path / "empty", tmp_path / "out")


def test_a_damaged_executor_is_replaced(stand_in, directory, tmp_path):
    (directory / "executor.json").write_text("{")
    make(stand_in(), directory, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "seen.json").read_text())["executor"]["name"] == "mesh-conformance"


def test_from_a_record_a_report_directory_and_results(stand_in, report, directory, tmp_path, capsys):
    record = tmp_path / "report.jsonl"
    record.write_bytes(b"".join(encode(item) for item in (report.header, *report.results, report.footer)))
    published = tmp_path / "published"
    published.mkdir()
    (published / "report.jsonl").write_bytes(record.read_bytes())
    for source in (record, directory, directory.parent, published):
        arguments = ["report", "allure", str(source), "-o", str(tmp_path / "out"), "--allure", stand_in()]
        assert main(arguments) == 0, capsys.readouterr().err
        seen = json.loads((tmp_path / "out" / "seen.json").read_text())
        assert len([name for name in seen["results"] if name.endswith("-result.json")]) == len(report.results)
    assert "Allure 3.18.0 made" in capsys.readouterr().out


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_limit_is_a_time(directory, limit, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["report", "allure", str(directory), "--time-limit", limit])
    assert "is no number of seconds" in capsys.readouterr().err


def test_no_name_of_a_mesh_leaves_its_place_in_the_configuration(tmp_path, stand_in, report_of, result, run):
    names = ['"}}; process.exit(1); //', "../../etc", "a" * 300, "`${1}`", "</script>", "", "ß\u2028", "..", "-", "_"]
    made = [result(number, "passed", mesh=name) for number, name in enumerate(names, 1) if name]
    run(Allure(tmp_path / "results"), report_of(made))
    make(stand_in(), tmp_path / "results", tmp_path / "out")
    lines = [line for line in (tmp_path / "out" / "config.mjs").read_text().split("\n") if "matcher:" in line]
    shown = [json.loads(line.split("name: ", 1)[1].split(", matcher:", 1)[0]) for line in lines]
    assert len(lines) == len(set(shown)) == len(names) - 1
    assert all(0 < len(name) <= 64 and "/" not in name and ".." not in name for name in shown)
    values = {json.loads(line.rsplit("l.value === ", 1)[1].removesuffix(")},")) for line in lines}
    assert values == set(names) - {""}
    assert all(line.isascii() for line in lines)


def test_categories_of_allure_3_are_told_by_outcome():
    text = allure_config.render(["m"], "h", single_file=True)
    rules = json.loads(text.split("categories: ", 1)[1].split(",\n", 1)[0])
    assert [rule["name"] for rule in rules][:3] == ["Known failures", "Recommendations not followed", "Nonconformance"]
    assert rules[1]["matchers"]["labels"] == {"outcome": "^failed$", "level": "^S$"}
