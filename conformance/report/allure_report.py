"""A report made by Allure that can be published: with the history of those before it, and calling nobody.

Allure's pages load a script of an analytics service, which Allure 2 can be told to leave out and Allure 3 cannot. It is
cut out of the finished pages, and a page in which any of it is left is not kept.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from conformance.report import allure_config, allure_generator
from conformance.report.allure_directory import EXECUTOR
from conformance.report.allure_generator import Generator
from conformance.report.writing import ReportError
from conformance.strictjson import loads
from conformance.writing import write_whole

MARK: Final = "mesh-conformance.json"
"""Stands in every report that was made here; a directory with it may be replaced by the next one."""

_MAX_HISTORY: Final = 256 * 2**20
_FOREIGN_SCRIPT: Final = re.compile(
    r"""<script\b[^>]{0,200}\bsrc\s{0,8}=\s{0,8}["']?(?:https?:)?//[^>]{1,500}>\s{0,200}</script>""", re.IGNORECASE)
_MEASURING_SCRIPT: Final = re.compile(
    r"<script>\s{0,200}window\.dataLayer\b(?:(?!</script>)[\s\S]){0,4000}</script>", re.IGNORECASE)
_MEASURING: Final = re.compile(r"googletagmanager|google-analytics|\bgtag\(", re.IGNORECASE)


def make(generator: Generator, results: Path, output: Path, *, single_file: bool, seconds: float) -> int:
    """Make the report of a directory of results in `output`, and return how many reports its trends know of.

    An earlier report there gives its history and is replaced, once the new one is whole; anything else there is
    refused. The results are left as they are. Raises ReportError.
    """
    check(output)
    if not any(results.glob("*-result.json")):
        raise ReportError(f"there are no Allure results in {results}: `mesh-conformance run` writes them to "
                          "allure-results in its report directory")
    try:
        with _beside(output) as work:
            taken = work / "results"
            _take(results, taken)
            past = _history(output, work)
            _number(taken, past + 1)
            report = allure_generator.generate(generator, taken, work, single_file=single_file, seconds=seconds)
            strip(report)
            write_whole(report / MARK, json.dumps({"generator": f"Allure {generator.version}", "reports": past + 1}))
            _put(report, output, work)
    except OSError as error:
        raise ReportError.of(f"the report cannot be made in {output}", error) from error
    return past + 1


def check(output: Path) -> None:
    """Refuse a directory that is in use for something else. Raises ReportError."""
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise ReportError(f"{output} is no directory; choose another with -o")
    if output.is_dir() and any(output.iterdir()) and not (output / MARK).is_file():
        raise ReportError(f"{output} is not empty and holds no report that was made here (it has no {MARK}): it is "
                          "left as it is; choose another directory with -o")


def strip(report: Path) -> None:
    """Cut the scripts that other hosts would be asked for out of all pages. Raises ReportError where one stays."""
    for path in sorted(report.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        cut = _MEASURING_SCRIPT.sub("", _FOREIGN_SCRIPT.sub("", text))
        if left := _MEASURING.search(cut):
            raise ReportError(f"{path.name} still measures its readers after its scripts were cut out ({left[0]!r}): "
                              "this Allure does it in a way that is not known here, and its report is not kept")
        if cut != text:
            write_whole(path, cut)


@contextmanager
def _beside(output: Path) -> Iterator[Path]:
    """A directory to work in on the same file system, so that the finished report is put in place in one step."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.absolute().parent) as work:
        yield Path(work)


def _take(results: Path, taken: Path) -> None:
    """Copy what is a plain file: a link in the results could lead anywhere."""
    taken.mkdir()
    for path in results.iterdir():
        if path.is_file() and not path.is_symlink():
            shutil.copyfile(path, taken / path.name)


def _history(output: Path, work: Path) -> int:
    """Lay the history of the report in `output` where the generator is to find it; return how many reports it has."""
    if not (output / MARK).is_file():
        return 0
    for name in ("history", allure_config.HISTORY):
        old = output / name
        size = sum(path.stat().st_size for path in (old.rglob("*") if old.is_dir() else [old]) if path.is_file())
        if size > _MAX_HISTORY:
            raise ReportError(f"{old} has {size >> 20} MiB, more than a history has: remove it to begin a new one")
        if old.is_dir():
            shutil.copytree(old, work / name)
        elif old.is_file():
            shutil.copyfile(old, work / name)
    try:
        return max(0, int(loads((output / MARK).read_text(encoding="utf-8"))["reports"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ReportError(f"{output / MARK} is damaged ({error}): remove {output} to begin a new history") from error


def _number(results: Path, number: int) -> None:
    """Say in the results the how manieth report this is: Allure 2 writes it below each point of a trend."""
    path = results / EXECUTOR
    try:
        made_by = loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        made_by = None
    if not isinstance(made_by, dict):
        made_by = {"name": "mesh-conformance", "type": "mesh-conformance"}
    write_whole(path, json.dumps({**made_by, "buildOrder": number}))


def _put(report: Path, output: Path, work: Path) -> None:
    old = work / "old"
    if output.exists():
        output.rename(old)
    try:
        report.rename(output)
    except OSError:
        if old.exists():
            old.rename(output)
        raise
