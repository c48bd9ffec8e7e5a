"""The pytest plugin: options, one test per requirement and mesh, outcomes instead of tracebacks, reports.

Tests without a requirement are left as pytest has them, so that the plugin can be loaded beside any other tests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Final

import pytest

from conformance import known, options, paths
from conformance import mesh as meshes
from conformance.checks import Check, result_of
from conformance.options import OptionError, Settings
from conformance.provisioning import Provisioning
from conformance.report import codec
from conformance.report.model import Header
from conformance.reporting import HEADER_PROPERTY, RESULT_PROPERTY, Reporting
from conformance.requirement import Requirement, SelectionError, catalogue, select
from conformance.run import UNKNOWN, Surroundings, header
from conformance.stage import Stage

SETTINGS: Final = pytest.StashKey[Settings]()
STAGE: Final = pytest.StashKey[Stage]()
"""What a run is lent instead of setting up its own."""
SURROUNDINGS: Final = pytest.StashKey[Surroundings]()
_CHECK: Final = pytest.StashKey[Check]()
_TOLD: Final = pytest.StashKey[bool]()
"""Whether this process has sent its header."""
_RECOVERY: Final = pytest.StashKey[Callable[[], None] | None]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the harness's options."""
    options.add_options(parser.getgroup("mesh-conformance").addoption)


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings and register the fixtures that the suites use."""
    config.addinivalue_line("markers", "requirement(row): the requirement of the catalogue that a test checks")
    # Whoever reads the catalogue of all suites executes those of the probes as well.
    config.addinivalue_line("markers", "probe(probe): a performance probe")
    try:
        config.stash[SETTINGS] = options.settings(vars(config.option))
        if not hasattr(config, "workerinput"):
            known.check(config.stash[SETTINGS], lambda: catalogue(paths.suites()))
    except (OptionError, SelectionError, meshes.MeshError) as error:
        raise pytest.UsageError(str(error)) from None
    for name in ("provision", "check", "definitions", "metrics"):
        config.pluginmanager.import_plugin(f"{paths.fixtures_module()}.{name}")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Reporting(config, config.stash[SETTINGS]), "mesh-conformance-reporting")
        settings, shared = config.stash[SETTINGS], getattr(config.option, "numprocesses", None)
        if settings.provision and shared and not settings.dry_run:
            provisioning = Provisioning(settings, partial(_say, config))
            config.pluginmanager.register(provisioning, "mesh-conformance-provisioning")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every check on every mesh that was asked for."""
    if "mesh" in metafunc.fixturenames:
        names = [meshes.load(name).name for name in metafunc.config.stash[SETTINGS].meshes]
        metafunc.parametrize("mesh", metafunc.config.stash[SETTINGS].meshes, ids=names, indirect=True, scope="session")


@pytest.hookimpl(optionalhook=True)  # xdist's, which may not be there
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each of several meshes on one cluster to one worker; of one mesh, any worker may do any check."""
    asked = config.stash[SETTINGS].meshes
    if len(asked) < 2:
        return None
    from conformance.distribution import MeshScheduling  # noqa: PLC0415 - needs xdist

    return MeshScheduling([meshes.load(name).name for name in asked], config, log)


@pytest.hookimpl(tryfirst=True)  # before pytest's -k
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the checks of the selected requirements, and all tests that are not checks."""
    settings = config.stash[SETTINGS]
    for item in items:
        if row := _row(item):
            item.extra_keyword_matches.add(row.id)  # so that -k finds it
    if not settings.patterns and not settings.levels:
        return
    rows = [row for item in items if (row := _row(item))]
    try:
        selected = set(select(rows or catalogue(paths.suites()), settings.patterns, settings.levels))
    except SelectionError as error:
        raise pytest.UsageError(str(error)) from None
    dropped = [item for item in items if (row := _row(item)) and row not in selected]
    items[:] = [item for item in items if item not in set(dropped)]
    config.hook.pytest_deselected(items=dropped)


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Stop before anything runs when only a preview was asked for."""
    settings = session.config.stash[SETTINGS]
    if not settings.dry_run or hasattr(session.config, "workerinput"):
        return None
    from conformance.preflight import preview  # noqa: PLC0415 - needs a cluster, which other runs open later

    rows = {row: tuple(getattr(item, "fixturenames", ())) for item in session.items if (row := _row(item))}
    _say(session.config, preview(settings, rows))
    return True


# --- one check ---


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, Any, Any]:
    """Recover from an error once its result is on record: that may take a while, and a run may be broken off."""
    done = yield
    recover = item.stash.get(_RECOVERY, None)
    if recover is not None and nextitem is not None:
        recover()
    return done


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Turn what a check raised into an outcome, and send the result with the report of its last phase."""
    report = yield
    row = _row(item)
    if row is None:
        return report
    check = item.stash.setdefault(_CHECK, Check(row, started=time.monotonic()))
    check.phase(call.when, call.excinfo.value if call.excinfo else None, _funcargs(item))
    _hold_to_list(item, check)
    directory = item.config.stash[SETTINGS].report_dir
    if call.when == "call" and directory is not None:
        check.dump(directory, _funcargs(item))
    check.dress(report)
    if call.when == "teardown":
        item.stash[_RECOVERY] = check.recovery(_funcargs(item))
        settings = item.config.stash[SETTINGS]
        surroundings = item.config.stash.get(SURROUNDINGS, Surroundings())
        result = result_of(check, _mesh_name(item), surroundings.version(row), settings.command(row.id),
                           getattr(item.config, "workerinput", {}).get("workerid", ""))
        if _TOLD not in item.config.stash:  # it is large, and the first one counts
            item.config.stash[_TOLD] = True
            found = codec.encode(_header(item.session, surroundings)).decode()
            report.user_properties.append((HEADER_PROPERTY, found))
        report.user_properties.append((RESULT_PROPERTY, codec.encode(result).decode()))
    return report


def _hold_to_list(item: pytest.Item, check: Check) -> None:
    settings, name = item.config.stash[SETTINGS], item.callspec.params["mesh"]  # type: ignore[attr-defined]
    found = item.config.stash.get(SURROUNDINGS, Surroundings()).meshes
    version = next((mesh.version for mesh in found if mesh.name == meshes.load(name).name), UNKNOWN)
    check.hold_to(known.find(settings, name, check.row.id, version), known.place(settings, name))


def _header(session: pytest.Session, surroundings: Surroundings) -> Header:
    rows = dict.fromkeys(row for item in session.items if (row := _row(item)))
    return header(session.config.stash[SETTINGS], surroundings, sorted(rows, key=lambda row: row.id))


def _say(config: pytest.Config, text: str) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(text)


def _row(item: pytest.Item) -> Requirement | None:
    marker = item.get_closest_marker("requirement")
    return marker.args[0] if marker else None


def _funcargs(item: pytest.Item) -> dict[str, Any]:
    return getattr(item, "funcargs", {})


def _mesh_name(item: pytest.Item) -> str:
    return meshes.load(item.callspec.params["mesh"]).name  # type: ignore[attr-defined]
