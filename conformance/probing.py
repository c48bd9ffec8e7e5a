"""The pytest plugin of the performance probes: one test per probe and mesh, figures instead of verdicts.

A probe that was measured passes, whatever it found. It fails when a figure violates a threshold that the user gave, and
is an error when what was measured is invalid: then nothing can be said.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import pytest

from conformance import paths
from conformance.exit_code import ExitCode
from conformance.performance import options
from conformance.performance.comparing import thresholds
from conformance.performance.findings import Findings
from conformance.performance.model import ProbeResult, Run, RunHeader
from conformance.performance.options import Probing, ProbingError
from conformance.performance.probe import Probe
from conformance.plugin import SETTINGS
from conformance.report import performance
from conformance.smi import NotExpressible, NotServed

PROBING: Final = pytest.StashKey[Probing]()
HEADER: Final = pytest.StashKey[RunHeader]()


class ThresholdViolated(AssertionError):  # noqa: N818 - what the user asked to be told
    """A figure is beyond what the user allows."""


class InvalidMeasurement(Exception):  # noqa: N818 - as above
    """What was measured did not pass the validity gates: it says nothing about the mesh."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of performance runs."""
    options.add_options(parser.getgroup("mesh-conformance performance").addoption)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the options and register the fixtures that the probes use; after the plugin that it builds on."""
    try:
        chosen = options.probing(vars(config.option))
    except ProbingError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[PROBING] = chosen
    config.pluginmanager.import_plugin(f"{paths.fixtures_module()}.performance")
    config.pluginmanager.register(Measuring(config, chosen), "mesh-conformance-measuring")


class Measuring:
    """Collects the results of the probes and closes the run."""

    def __init__(self, config: pytest.Config, chosen: Probing) -> None:
        self._config = config
        self._chosen = chosen
        self._results: list[ProbeResult] = []
        self._failed = self._broken = self._interrupted = False
        self._text = ""

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the selected probes; measurements side by side would disturb each other."""
        names = {item: probe.name for item in items if (probe := _probe(item))}
        if names and hasattr(config, "workerinput"):
            raise pytest.UsageError("performance probes run one at a time: leave -n out")
        unknown = [wanted for wanted in self._chosen.probes if not any(map(Probing((wanted,)).wants, names.values()))]
        if names and unknown:
            known = ", ".join(sorted(set(names.values())))
            raise pytest.UsageError(f"--probe {unknown[0]}: there is none; known are {known}")
        dropped = [item for item, name in names.items() if not self._chosen.wants(name)]
        items[:] = [item for item in items if item not in dropped]
        config.hook.pytest_deselected(items=dropped)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Take what a probe found, and hold it to the thresholds."""
        if _probe(item) is None:
            return (yield)
        try:
            returned = yield
        except (NotExpressible, NotServed) as error:
            pytest.skip(f"unsupported: {error}")
        findings: Findings = item.funcargs["findings"]  # type: ignore[attr-defined]
        found = findings.result()
        self._results.append(found)
        ours = [one for one in self._chosen.thresholds if any(one.matches(figure) for figure in found.figures)]
        violated = thresholds.violations(Run(self._config.stash[HEADER], (found,)), ours)
        if violated:
            raise ThresholdViolated("; ".join(str(judged) for judged in violated))
        if found.invalid:
            more = f" (and {len(found.invalid) - 1} more)" if len(found.invalid) > 1 else ""
            raise InvalidMeasurement(f"{found.invalid[0]}{more}")
        return returned

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """Say in words what went wrong where it was foreseen."""
        report = yield
        probe = _probe(item)
        if probe is None or not report.failed:
            return report
        error = call.excinfo.value if call.excinfo else None
        self._failed |= isinstance(error, ThresholdViolated)
        self._broken |= not isinstance(error, ThresholdViolated)
        if type(error).__module__.split(".")[0] == "conformance":
            report.longrepr = f"{probe.name}: {type(error).__name__}: {error}"
        return report

    def pytest_keyboard_interrupt(self) -> None:
        """Remember that the run was broken off."""
        self._interrupted = True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write what was found; the exit code says whether it may be used."""
        if session.exitstatus == pytest.ExitCode.USAGE_ERROR or not any(_probe(item) for item in session.items):
            return
        header = self._config.stash.get(HEADER, None)
        regressed = False
        if header is not None and self._results:
            run = Run(header, tuple(self._results))
            directory = self._config.stash[SETTINGS].report_dir
            self._text, regressed, broken = performance.finish(run, directory, self._chosen)
            self._broken |= broken
        session.exitstatus = self._exit_code(regressed=regressed)

    def _exit_code(self, *, regressed: bool) -> ExitCode:
        if self._interrupted:
            return ExitCode.INTERRUPTED
        if self._failed or regressed:
            return ExitCode.NONCONFORMANT
        if self._broken:
            return ExitCode.ERROR
        return ExitCode.CONFORMANT if self._results else ExitCode.NOTHING

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the figures."""
        if self._text:
            terminalreporter.ensure_newline()
            terminalreporter.write_line(self._text)


def _probe(item: pytest.Item) -> Probe | None:
    marker = item.get_closest_marker("probe")
    return marker.args[0] if marker else None
