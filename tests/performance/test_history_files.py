"""A history of figures: without loss in both forms, appended to whole or not at all."""

import fcntl
import math
import multiprocessing
import os
import threading

import pytest
from sample_runs import figure, full_run, run_of

from conformance.performance.comparing import history
from conformance.performance.comparing.history import HistoryError

FORMS = pytest.mark.parametrize("name", ["history.jsonl", "history.csv"])


@FORMS
def test_figures_come_back_as_they_were(tmp_path, name):
    path = tmp_path / name
    runs = [full_run(f"run-{number}", number) for number in range(3)]
    for run in runs:
        assert history.append(path, run) == len(run.figures)
    assert history.read(path) == tuple(entry for run in runs for entry in history.entries(run))
    assert path.read_text().count("\n") == 1 + sum(len(run.figures) for run in runs)


@FORMS
@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "'quoted", 'a"b,c', "line\nbreak", "", "µ\u202e"])
def test_hostile_texts_stay_texts(tmp_path, name, text):
    path = tmp_path / name
    history.append(path, run_of("run", figure("f", [1, 2], path=text), mesh=text or "x", mesh_version=text))
    entry, = history.read(path)
    clean = text.replace("\u202e", "\\x202e")
    assert (entry.mesh_version, entry.figure.labels) == (clean, {"path": clean})
    if name.endswith("csv") and text[:1] in ("=", "+", "-", "@"):
        assert f",'{text[0]}" in path.read_text() or f"\"'{text[0]}" in path.read_text()


@FORMS
def test_a_run_is_appended_once(tmp_path, name):
    path = tmp_path / name
    history.append(path, run_of("run", figure("f", [1, 2])))
    before = path.read_bytes()
    with pytest.raises(HistoryError, match="already has the run run"):
        history.append(path, run_of("run", figure("f", [1, 2])))
    assert path.read_bytes() == before


@FORMS
@pytest.mark.parametrize(("content", "said"), [
    ("name,age\nx,1\n", "is no history of this kind, it begins with 'name,age'"),
    ('{"format": "other"}\n', "is no history of this kind"),
    ("text without end", "is cut off"),
])
def test_another_file_is_not_touched(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(HistoryError, match=said):
        history.append(path, run_of("run", figure("f", [1, 2])))
    assert path.read_text() == content
    with pytest.raises(HistoryError, match=said):
        history.read(path)


@FORMS
@pytest.mark.parametrize("damage", [
    lambda line: line.replace("1.5", "null"), lambda line: line.replace("1.5", "NaN"),
    lambda line: line[: len(line) // 2], lambda line: line.replace('"s"', '"ms"').replace(",s,", ",ms,"),
    lambda _: "x", lambda line: line.replace("1800000000.0", "true"),
], ids=["null", "nan", "cut", "unit", "junk", "started"])
def test_a_damaged_line_is_named(tmp_path, name, damage):
    path = tmp_path / name
    history.append(path, run_of("run", figure("f", [1.5])))
    head, line = path.read_text().splitlines()
    assert damage(line) != line
    path.write_text(f"{head}\n{damage(line)}\n")
    with pytest.raises(HistoryError, match="line 2 of the history"):
        history.read(path)


@FORMS
def test_a_figure_twice_is_refused(tmp_path, name):
    path = tmp_path / name
    history.append(path, run_of("run", figure("f", [1.5])))
    head, line = path.read_text().splitlines()
    path.write_text(f"{head}\n{line}\n{line}\n")
    with pytest.raises(HistoryError, match=r"line 3 .* has f of the run run a second time"):
        history.read(path)


@FORMS
def test_a_full_disk_leaves_the_history_as_it_was(tmp_path, name, monkeypatch):
    path = tmp_path / name
    history.append(path, run_of("one", figure("f", [1, 2])))
    before = path.read_bytes()

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HistoryError, match="No space left"):
        history.append(path, run_of("two", figure("f", [1, 2])))
    assert path.read_bytes() == before


def _append(path, number):
    history.append(path, run_of(f"run-{number}", figure("f", [1, 2]), figure("g", [1, 2])))


@FORMS
def test_runs_that_end_at_once_do_not_mix(tmp_path, name):
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        pool.starmap(_append, [(tmp_path / name, number) for number in range(8)])
    entries = history.read(tmp_path / name)
    assert sorted(entry.run for entry in entries) == sorted(f"run-{number}" for number in range(8) for _ in "fg")
    assert [entry.figure.name for entry in entries] == ["f", "g"] * 8


@FORMS
def test_an_append_waits_for_the_one_before(tmp_path, name):
    path = tmp_path / name
    with path.open("a+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        thread = threading.Thread(target=_append, args=(path, 1))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        assert path.read_bytes() == b""
    thread.join(10)
    assert len(history.read(path)) == 2


def test_absent_and_odd_files_are_named(tmp_path):
    with pytest.raises(HistoryError, match="cannot be read: No such file"):
        history.read(tmp_path / "absent.jsonl")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(HistoryError, match="is no file"):
        history.read(tmp_path / "pipe.csv")
    with pytest.raises(HistoryError, match="cannot be appended to"):
        history.append(tmp_path / "nowhere" / "history.csv", run_of("run"))
    assert history.append(tmp_path / "empty.csv", run_of("run")) == 0
    assert history.read(tmp_path / "empty.csv") == ()


def test_a_series_is_in_order_and_a_wrong_name_is_an_error(tmp_path):
    runs = [run_of(f"r{day}", figure("f", [day]), started=day) for day in (3, 1, 2)]
    entries = [entry for run in runs for entry in history.entries(run)]
    assert [entry.run for entry in history.series(entries, "f")] == ["r1", "r2", "r3"]
    with pytest.raises(HistoryError, match="no figure 'g'; it has f"):
        history.series(entries, "g")


def test_what_is_not_finite_is_not_appended(tmp_path):
    with pytest.raises(HistoryError, match="not finite"):
        history.append(tmp_path / "h.jsonl", run_of("run", figure("f", [math.nan])))
    assert not (tmp_path / "h.jsonl").exists() or not (tmp_path / "h.jsonl").read_text()
