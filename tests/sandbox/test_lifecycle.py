"""The start and the end of sandboxes: what is said when one cannot start, and that none leaves anything."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
import remains
from node_tools import Api

from conformance.sandbox import Sandbox, SandboxError, network

SCRIPT = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from node_tools import WEB, Api, is_ready, shell, web
from conformance.sandbox import Sandbox

with Sandbox(directory=Path({parent!r})) as sandbox:
    api = Api(sandbox)
    api("POST", "/api/v1/namespaces/default/configmaps", {{"metadata": {{"name": "web"}}, "data": {{"web.py": WEB}}}})
    envoy = "echo 'admin: {{address: {{socket_address: {{address: 127.%s.200.1, port_value: 15000}}}}}}' > e.yaml"
    run = " && exec envoy -c e.yaml --disable-hot-restart --concurrency 1 -l error"
    specs = {{
        "web": web(),
        "deaf": shell("trap '' TERM INT; sleep 60 & sleep 60 & wait; wait"),
        "envoy": shell(envoy % sandbox.network + run),
    }}
    for name, spec in specs.items():
        api("POST", "/api/v1/namespaces/default/pods", {{"metadata": {{"name": name}}, "spec": spec}})
        api.until(f"/api/v1/namespaces/default/pods/{{name}}", is_ready)
    listening = f"127.{{sandbox.network}}.200.1"
    while listening not in str(__import__("psutil").net_connections("inet4")):
        time.sleep(0.01)
    print(json.dumps([str(sandbox.directory), sandbox.network, sandbox.runtime_pid]), flush=True)
    {ending}
"""


def run(parent, ending):
    """A process that holds a sandbox with pods: (process, directory, network, pid of the runtime)."""
    script = SCRIPT.format(tests=str(Path(__file__).parent), parent=str(parent), ending=ending)
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    line = process.stdout.readline()
    assert line, process.stderr.read()
    directory, number, runtime = json.loads(line)
    return process, Path(directory), number, runtime


@pytest.mark.parametrize(
    ("ending", "number", "code"),
    [
        ("pass", None, 0),
        ("raise RuntimeError('set-up failed')", None, 1),
        ("__import__('os')._exit(9)", None, 9),
        ("time.sleep(60)", signal.SIGINT, -signal.SIGINT),
        ("time.sleep(60)", signal.SIGTERM, -signal.SIGTERM),
        ("time.sleep(60)", signal.SIGHUP, -signal.SIGHUP),
        ("time.sleep(60)", signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_nothing_is_left_however_the_owner_ends(tmp_path, ending, number, code):
    process, directory, n, runtime = run(tmp_path, ending)
    if number is not None:
        assert len(remains.processes(directory)) >= 5
        assert remains.sockets(n)
        os.killpg(process.pid, number)  # as a terminal does
    _, said = process.communicate(timeout=15)
    assert process.returncode == code, said
    remains.gone(directory, n, (process.pid, runtime))
    assert list(tmp_path.iterdir()) == []


def test_a_killed_runtime_ends_the_pods_and_is_told_of(tmp_path):
    ending = "print(api.until('/api/v1/nodes/sandbox', lambda found: not is_ready(found))['status']['conditions'])"
    process, directory, n, runtime = run(tmp_path, ending)
    os.kill(runtime, signal.SIGKILL)
    out, said = process.communicate(timeout=15)
    assert process.returncode == 0, said
    assert "the container runtime has ended, and all pods with it" in out
    remains.gone(directory, n, (process.pid,))
    assert list(tmp_path.iterdir()) == []


def test_a_sandbox_can_be_started_and_stopped_again_and_twice(tmp_path):
    sandbox = Sandbox(directory=tmp_path)
    for _ in range(2):
        sandbox.start()
        sandbox.start()
        directory, n = sandbox.directory, sandbox.network
        assert directory.stat().st_mode & 0o777 == 0o700
        assert sandbox.kubeconfig.stat().st_mode & 0o077 == 0
        sandbox.stop()
        sandbox.stop()
        remains.gone(directory, n)
    with pytest.raises(SandboxError, match="not running"):
        _ = sandbox.url


def test_two_sandboxes_do_not_meet(tmp_path):
    with Sandbox(directory=tmp_path) as one, Sandbox(directory=tmp_path) as two:
        assert one.network != two.network
        assert one.url != two.url
        assert one.directory != two.directory


def test_custom_resources_are_served_from_the_start_and_bad_ones_refused(tmp_path):
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    with Sandbox(crds=[crd], directory=tmp_path) as sandbox:
        assert Api(sandbox)("GET", "/apis/example.com/v1/things")["items"] == []
    with pytest.raises(SandboxError, match="does not take a CustomResourceDefinition"):
        Sandbox(crds=[{**crd, "spec": {}}], directory=tmp_path).start()
    assert list(tmp_path.iterdir()) == []


# --- cannot start


def left_by(attempt, message, parent):
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(SandboxError, match=message):
        attempt()
    remains.eventually(lambda: {child.pid for child in psutil.Process().children()} <= before)
    assert list(parent.iterdir()) == []


def test_a_port_that_is_taken(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        left_by(lambda: Sandbox(port=port, directory=tmp_path).start(), f"{port}", tmp_path)


def test_a_directory_that_is_not_there(tmp_path):
    left_by(Sandbox(directory=tmp_path / "no").start, "No such file or directory. Set TMPDIR", tmp_path)


def test_a_temporary_directory_that_cannot_be_written(tmp_path, monkeypatch):
    def nowhere():
        raise FileNotFoundError("No usable temporary directory found in ['/x']")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    left_by(Sandbox().start, r"No usable temporary directory.*set TMPDIR", tmp_path)


def test_no_free_network(tmp_path, monkeypatch):
    claimed = network.Network.claim()
    claim = network.Network.claim
    monkeypatch.setattr("conformance.sandbox.assembly.Network.claim", lambda: claim([claimed.number]))
    left_by(Sandbox(directory=tmp_path).start, "all 1 sandbox networks of this machine are taken", tmp_path)
    claimed.release()


def test_an_interpreter_that_cannot_run_the_runtime(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/python")
    left_by(Sandbox(directory=tmp_path).start, "cannot start the sandbox's container runtime", tmp_path)
