"""What all tests need."""

from __future__ import annotations

import signal


def pytest_configure():
    """Undo what a shell does to jobs in the background: they and their children would not notice Ctrl-C or a hangup."""
    for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)
