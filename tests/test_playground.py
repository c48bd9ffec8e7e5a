"""`mesh-conformance sandbox` prints what to type, and what it prints works with the real kubectl."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.fixture
def guide(tmp_path):
    """The text that a sandbox prints, while it is up."""
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "conformance.cli", "sandbox"], stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + 60
    while "Ctrl-C" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield log.read_text()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    assert "Traceback" not in log.read_text()


def test_what_it_says_works(guide, tmp_path):
    commands = [line.removeprefix("  ") for line in guide.splitlines() if line.startswith("  ")]
    script = "set -e\n" + "\n".join(commands)
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path),
                   "KUBECACHEDIR": str(tmp_path)}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=environment,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    assert "trafficsplit.split.smi-spec.io/rollout" in done.stdout
    batch = json.loads(done.stdout.splitlines()[-1])
    assert batch["done"]
    pods = {answer["pod"].split("-")[0] for answer in batch["answers"]}
    assert pods <= {"v1", "v2", "v3"}
    directory = Path(guide.split("KUBECONFIG=")[1].split()[0]).parent
    assert directory.exists()
