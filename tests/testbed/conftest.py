"""What the tests of the testbed share: the cluster that it has brought up, and a script that plays Go."""

from __future__ import annotations

import os

import pytest

from conformance.cluster import Cluster


@pytest.fixture(scope="module")
def cluster(real_kubeconfig):
    opened = Cluster.from_kubeconfig(real_kubeconfig, "testbed")
    yield opened
    opened.close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The testbed's cache: one of the test's own, empty."""
    monkeypatch.setenv("MESH_CONFORMANCE_CACHE", str(tmp_path / "cache"))
    return tmp_path.resolve() / "cache" / "testbed"


@pytest.fixture
def go(tmp_path, monkeypatch, cache):
    """Puts a script of the given text in Go's place; each call of it adds a line to `calls`."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.defpath}")

    def install(text):
        script = tmp_path / "bin" / "go"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\nPATH=/usr/bin:/bin\necho "$(basename "$PWD") $*" >> {tmp_path}/calls\n{text}')
        script.chmod(0o755)

    return install


@pytest.fixture
def sources(tmp_path):
    """The directories of what pins the modules of Istio and of the Gateway API."""
    for name in ("gateway", "istio"):
        (tmp_path / "sources" / name).mkdir(parents=True)
        (tmp_path / "sources" / name / "go.mod").write_text(f"module testbed/{name}\n")
    return tmp_path / "sources"


@pytest.fixture
def building_go(go, tmp_path):
    """Go builds, programs that hold the name of their package, and finds modules below `modules`; gives `go`."""
    go(f"""
        if [ "$1" = mod ]; then
          echo "{{\\"Dir\\": \\"{tmp_path}/modules/$4\\"}}"
        else
          while [ "$1" != -o ]; do shift; done
          echo "$3" > "$2"
        fi
        """)
    return go
