"""What all tests need."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import yaml

from conformance.sandbox import Sandbox


def pytest_configure():
    """Undo what a shell does to jobs in the background: they and their children would not notice Ctrl-C or a hangup."""
    for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)


@pytest.fixture(scope="module")
def sandbox():
    """A sandbox with nothing in it, for the tests of one file."""
    with Sandbox() as started:
        yield started


@pytest.fixture(scope="session")
def real_kubeconfig():
    """The kubeconfig of the testbed, which `python -m testbed run` gives its command; nothing else is ever used."""
    file = Path(os.environ.get("KUBECONFIG") or "/dev/null")
    known = yaml.safe_load(file.read_text()) or {}
    if known.get("current-context") != "testbed":
        pytest.fail("this test needs the testbed: python -m testbed run -- pytest -m testbed", pytrace=False)
    return file
