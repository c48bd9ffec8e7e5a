"""Control planes, each in a thread of the test."""

from __future__ import annotations

import contextlib
import threading

from conformance.sandbox.reference.behaviour import Behaviour
from conformance.sandbox.reference.control_plane import ControlPlane
from conformance.sandbox.reference.interception import SANDBOX


@contextlib.contextmanager
def planes(state):
    """Give what starts a control plane that writes below this directory; all end with the context, and none before."""
    stop, running, errors = threading.Event(), [], []

    def run(plane):
        try:
            plane.run(stop)
        except Exception as error:  # noqa: BLE001 - whatever ends it is a failure of the test
            errors.append(error)

    def start(cluster, behaviour=None, **options):
        plane = ControlPlane(cluster, state, SANDBOX, behaviour or Behaviour(), **options)
        thread = threading.Thread(target=run, args=(plane,), daemon=True)
        thread.start()
        running.append((plane, thread))

    yield start
    stop.set()
    for plane, thread in running:
        plane.wake()
        thread.join(5)
        assert not thread.is_alive()
    assert not errors
