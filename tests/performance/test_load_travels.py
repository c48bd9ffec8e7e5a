"""load.zip: what runs in a pod is what is tested here, on any Python that a stock image has."""

import ast
import io
import json
import re
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import conformance
from conformance.performance.histogram import Histogram
from conformance.workloads.libraries import LIMIT, load_zip

STDLIB_ONLY = Path(conformance.__file__).parent / "performance"


@pytest.fixture
def program(tmp_path):
    archive = tmp_path / "load.zip"
    archive.write_bytes(load_zip())
    return [sys.executable, "-S", "-E", "-I", str(archive)]


@pytest.fixture
def target(program):
    """Starts fast servers; returns the process and its port."""
    started = []

    def start(**options):
        process = subprocess.Popen([*program, "target", "127.0.0.1", json.dumps({"port": 0, **options})],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        return process, json.loads(process.stdout.readline())["port"]

    yield start
    for process in started:
        with process:
            process.stdin.close()
            assert process.wait(5) == 0


def load(program, command, *, status=0):
    text = command if isinstance(command, str) else json.dumps(command)
    done = subprocess.run(program, input=text, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == status, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()] if status == 0 else done.stderr


def test_the_same_files_make_the_same_bytes_and_they_fit_a_config_map_beside_the_others():
    first = load_zip()
    load_zip.cache_clear()
    assert load_zip() == first
    assert len(first) < LIMIT / 3


def test_it_holds_nothing_of_the_harness_but_the_histogram():
    names = zipfile.ZipFile(io.BytesIO(load_zip())).namelist()
    others = {name for name in names if not name.startswith("conformance/performance/load/")}
    assert others == {"__main__.py", "conformance/__init__.py", "conformance/performance/__init__.py",
                      "conformance/performance/histogram.py"}


@pytest.mark.parametrize("path", [STDLIB_ONLY / "histogram.py", *STDLIB_ONLY.glob("load/*.py")], ids=lambda p: p.name)
def test_it_is_python_3_9_and_imports_only_what_travels(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    for name in names:
        travels = name.startswith(("conformance.performance.load.", "conformance.performance.histogram"))
        assert travels or name.partition(".")[0] in sys.stdlib_module_names, name


def test_a_load_on_the_fast_server(program, target):
    process, port = target()
    lines = load(program, {"target": {"url": f"http://127.0.0.1:{port}/bytes/1000"}, "mode": "closed", "connections": 4,
                           "duration": 0.7, "expect": {"body_bytes": 1000, "agents": ["target"]}})
    *progress, result = lines
    assert progress
    assert all(not line["done"] for line in progress)
    assert result["done"]
    assert result["errors"] == {}
    assert result["agents"] == {"target": result["completed"]}
    assert result["completed"] > 100
    assert Histogram.from_json(result["response"]).count == result["completed"]
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline()) == {"served": result["completed"], "connections": 4}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("no JSON", "Expecting value"),
        ("[]", r"load: the command: \[\] is no JSON object"),
        ({"mode": "half"}, "mode: need open or closed, not 'half'"),
        ({"mode": "open"}, "schedule: an open loop needs one"),
        ({"mode": "closed", "schedule": {"rate": 1}}, "schedule: a closed loop has none"),
        ({"mode": "closed"}, "target is missing"),
    ],
)
def test_what_cannot_be_read_is_said(program, command, message):
    assert re.search(message, load(program, command, status=2))


@pytest.mark.parametrize(
    "words", [["target"], ["target", "127.0.0.1", "{}"], ["target", "127.0.0.1", '{"port": 70000}'], ["nonsense"]]
)
def test_wrong_arguments(program, words):
    done = subprocess.run([*program, *words], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert done.stderr


def test_a_port_that_is_taken(program):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = ["target", "127.0.0.1", json.dumps({"port": taken.getsockname()[1]})]
        done = subprocess.run([*program, *words], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert "in use" in done.stderr
