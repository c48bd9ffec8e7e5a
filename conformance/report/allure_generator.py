"""Has an installed Allure, 2 or 3, make a report of a directory of results."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from conformance import temporary
from conformance.options import OptionError
from conformance.report import allure_config
from conformance.report.hygiene import clean_text
from conformance.report.writing import ReportError
from conformance.writing import write_whole

INSTALL: Final = """Install one of
  Allure 3:  npm install --global allure                (needs Node.js)
  Allure 2:  npm install --global allure-commandline    (needs Node.js and Java)
or name it with --allure PATH; npm puts it in node_modules/.bin when it is installed without --global"""

_VERSION: Final = re.compile(r"\b([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})\b")
_ASKING: Final = 60.0
"""How long (seconds) a generator may take to tell its version: one starts Java, on a machine that may be busy."""
_SHOWN: Final = 4000
"""How much is shown of what a generator said that failed, in characters."""
_KEPT: Final = frozenset({"PATH", "HOME", "LANG", "TMPDIR", "TZ", "JAVA_HOME", "JAVA_OPTS", "NODE_OPTIONS"})
_KEPT_BEGINNINGS: Final = ("LC_", "NVM_", "VOLTA_", "ASDF_", "FNM_", "MISE_", "NODENV_", "SDKMAN_")


@dataclass(frozen=True, slots=True)
class Generator:
    """An Allure that is installed; `version` as it tells it."""

    program: str
    version: str

    @property
    def major(self) -> int:
        """2 or 3."""
        return int(self.version.partition(".")[0])


def find(program: str = "") -> Generator:
    """Return the Allure at a path, or the one in PATH. Raises OptionError where there is none, or an unknown one."""
    found = shutil.which(program or "allure")
    if found is None:
        missing = f"{program} is no program that can be run" if program else "no Allure is installed: none is in PATH"
        raise OptionError(f"{missing}. {INSTALL}")
    # A path of one's own stays true in the directory that the generator is started in.
    found = str(Path(found).absolute())
    with temporary.directory("allure") as work:
        said = _run([found, "--version"], work, _ASKING, f"asking {found} for its version")
    version = _VERSION.search(said)
    if version is None or version[1] not in ("2", "3"):
        told = clean_text(said.strip(), 200) or "nothing"
        raise OptionError(f"{found} is asked for its version and says {told!r}; Allure 2 or 3 is wanted. {INSTALL}")
    return Generator(found, version[0])


def generate(generator: Generator, results: Path, work: Path, *, single_file: bool, seconds: float) -> Path:
    """Make a report of results within `work`, and return its directory.

    What `work/history` or `work/history.jsonl` holds of earlier reports is continued and left in the report.
    Raises ReportError when the generator fails, takes longer than `seconds`, or leaves no report.
    """
    report = work / "report"
    if generator.major == 3:
        _third(generator, results, work, report, single_file=single_file, seconds=seconds)
    else:
        _second(generator, results, work, report, single_file=single_file, seconds=seconds)
    if not (report / "index.html").is_file():
        raise ReportError(f"{generator.program} (Allure {generator.version}) ended without an error and left no report")
    return report


def _third(
    generator: Generator, results: Path, work: Path, report: Path, *, single_file: bool, seconds: float,
) -> None:
    history = work / allure_config.HISTORY
    config = work / allure_config.FILE
    write_whole(config, allure_config.render(allure_config.meshes(results), str(history), single_file=single_file))
    command = [generator.program, "generate", "--config", str(config), "--cwd", str(work), "--output", str(report),
               str(results)]
    _run(command, work, seconds, "making the report")
    if history.is_file() and report.is_dir():
        shutil.move(history, report / allure_config.HISTORY)


def _second(
    generator: Generator, results: Path, work: Path, report: Path, *, single_file: bool, seconds: float,
) -> None:
    if (work / "history").is_dir():
        shutil.copytree(work / "history", results / "history", dirs_exist_ok=True)
    command = [generator.program, "generate", "--clean", "--output", str(report), str(results)]
    _run(command, work, seconds, "making the report")
    if single_file:
        # The page alone has no history for the next report, so that it is taken from a report that has.
        whole = work / "whole"
        report.rename(whole)
        _run([*command[:-1], "--single-file", str(results)], work, seconds, "making the report as one file")
        shutil.copytree(whole / "history", report / "history", dirs_exist_ok=True)


def surroundings(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a generator: what it takes to start, and nothing that it would put into a report.

    Both read the variables of CI systems, and Allure 3 sends reports to a service whose token it finds.
    """
    kept = {name: value for name, value in variables.items()
            if name in _KEPT or name.startswith(_KEPT_BEGINNINGS)}
    return {**kept, "ALLURE_NO_ANALYTICS": "true", "NO_COLOR": "1", "GIT_CEILING_DIRECTORIES": "/"}


def _run(command: Sequence[str], directory: Path, seconds: float, doing: str) -> str:
    """Run a command in time and return what it says. Raises ReportError with the end of that when it fails."""
    with tempfile.TemporaryFile(dir=directory) as said:
        with _started(command, directory, said.fileno(), doing) as process:
            try:
                code: int | None = process.wait(seconds)
            except subprocess.TimeoutExpired:
                code = None
        size = said.seek(0, os.SEEK_END)
        said.seek(max(0, size - _SHOWN))
        text = said.read(_SHOWN).decode(errors="replace")
    if code == 0:
        return text
    ended = f"took longer than {seconds:.0f} s" if code is None else f"ended with exit code {code}"
    raise ReportError(f"{doing}: {command[0]} {ended}. It said:\n{clean_text(text.strip(), _SHOWN) or '(nothing)'}")


@contextlib.contextmanager
def _started(command: Sequence[str], directory: Path, output: int, doing: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command as a group of processes; at the end none of them is left."""
    try:
        process = subprocess.Popen(
            command, cwd=directory, env=surroundings(os.environ), stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )
    except OSError as error:
        raise ReportError(f"{doing}: {command[0]} cannot be started: {error.strerror}") from error
    try:
        yield process
    finally:
        if process.poll() is None:
            # A generator is a script that starts Node.js or Java: they are ended with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
