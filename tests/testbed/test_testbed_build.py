"""Building the testbed's programs, with a script in place of Go: what is kept, what is built again, what is said."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from testbed import build
from testbed.errors import RefusedError, TestbedError

_WRITES = """
while [ "$1" != -o ]; do shift; done
pwd > "$2"
"""


@pytest.fixture
def sources(tmp_path):
    for program in build.PROGRAMS:
        (tmp_path / "go" / program.name).mkdir(parents=True)
        (tmp_path / "go" / program.name / "main.go").write_text("package main\n")
        (tmp_path / "go" / program.name / "go.sum").write_text("")
    return tmp_path / "go"


def _calls(tmp_path):
    calls = tmp_path / "calls"
    return calls.read_text().splitlines() if calls.exists() else []


def _quiet(_line):
    pass


def test_each_program_is_built_once_from_its_own_sources(tmp_path, sources, go):
    go(_WRITES)
    said = []
    built = build.binaries(said.append, sources=sources)
    assert built.kube.read_text().strip() == str(sources / "kube")
    assert built.pause.read_text().strip() == str(sources / "pause")
    assert built.kube.name.startswith(f"kube-{build.KUBERNETES}-")
    assert os.access(built.etcd, os.X_OK)
    assert sorted(line.split()[0] for line in _calls(tmp_path)) == ["coredns", "etcd", "kube", "pause"]
    assert [line.split()[:2] for line in said][:2] == [["building", "kube"], ["built", "kube"]]
    again = []
    assert build.binaries(again.append, sources=sources) == built
    assert again == []
    assert len(_calls(tmp_path)) == 4


def test_builds_are_pinned_static_and_free_of_paths(tmp_path, sources, go):
    go(f"env > {tmp_path}/environment\n" + _WRITES)
    build.binaries(_quiet, sources=sources)
    for call in _calls(tmp_path):
        assert " build -mod=readonly -trimpath -buildvcs=false -ldflags -s -w" in call
    (kube,) = (call for call in _calls(tmp_path) if call.startswith("kube "))
    assert f"-X k8s.io/component-base/version.gitVersion=v{build.KUBERNETES}" in kube
    assert f"-X k8s.io/client-go/pkg/version.gitMinor={build.KUBERNETES.split('.')[1]}" in kube
    environment = (tmp_path / "environment").read_text().splitlines()
    assert {"CGO_ENABLED=0", "GOWORK=off"} <= set(environment)


@pytest.mark.parametrize("change", ["main.go", "go.sum", "new.go"])
def test_changed_sources_are_another_build_and_of_that_program_only(tmp_path, sources, go, change):
    go(_WRITES)
    before = build.binaries(_quiet, sources=sources)
    (sources / "etcd" / change).write_text("// changed\n")
    after = build.binaries(_quiet, sources=sources)
    assert after.etcd != before.etcd
    assert before.etcd.is_file()  # going back costs nothing
    assert (after.kube, after.coredns, after.pause) == (before.kube, before.coredns, before.pause)
    assert [line.split()[0] for line in _calls(tmp_path)[4:]] == ["etcd"]


def test_failed_build_shows_the_end_of_its_output_and_leaves_nothing(tmp_path, sources, go):
    go('i=0; while [ $i -lt 50 ]; do i=$((i + 1)); echo "main.go:$i: undefined" >&2; done\n'
       'while [ "$1" != -o ]; do shift; done; echo half > "$2"; exit 1')
    with pytest.raises(TestbedError, match=r"building kube 1\.34.*go ended with 1") as caught:
        build.binaries(_quiet, sources=sources)
    assert not isinstance(caught.value, RefusedError)
    assert str(caught.value).endswith("main.go:50: undefined")
    assert "main.go:21: undefined" in str(caught.value)
    assert "main.go:20: undefined" not in str(caught.value)
    assert list((tmp_path / "cache" / "testbed" / "bin").iterdir()) == []


def test_build_that_says_nothing_is_reported_all_the_same(sources, go):
    go("exit 7")
    with pytest.raises(TestbedError, match=r"go ended with 7.*\n\(no output\)"):
        build.binaries(_quiet, sources=sources)


@pytest.mark.parametrize("said", [
    "go: k8s.io/kubernetes@v1.34.4: reading https://proxy.example/k8s.io/kubernetes/@v/v.zip: 403 Forbidden",
    "main.go:9:2: k8s.io/kubernetes@v1.34.4: reading https://proxy.example/x.mod: 404 Not Found\n\tserver response: no",
    "go: k8s.io/kubernetes@v1.34.4: reading https://proxy.example/x.info: 410 Gone",
    "go: downloading a\ngo: k8s.io/kubernetes@v1.34.4: unexpected answer: this module is not available here",
], ids=["403", "404", "410", "words"])
def test_refused_module_is_named(sources, go, said):
    go(f"cat >&2 <<'END'\n{said}\nEND\nexit 1")
    with pytest.raises(RefusedError, match=r"refuses the module k8s\.io/kubernetes@v1\.34\.4; point GOPROXY") as caught:
        build.binaries(_quiet, sources=sources)
    assert said.splitlines()[-1] in str(caught.value)


@pytest.mark.parametrize("said", [
    'go: k8s.io/kubernetes@v1.34.4: Get "https://proxy.example/": dial tcp: lookup proxy.example: no such host',
    "../pkg/mod/k8s.io/kubernetes@v1.34.4/cmd/a.go:404:2: undefined: x",
], ids=["no network", "compiler"])
def test_other_failures_are_no_refusals(sources, go, said):
    go(f"cat >&2 <<'END'\n{said}\nEND\nexit 1")
    with pytest.raises(TestbedError) as caught:
        build.binaries(_quiet, sources=sources)
    assert type(caught.value) is TestbedError


def test_go_that_writes_nothing_is_no_go(sources, go):
    go("exit 0")
    with pytest.raises(TestbedError, match=r"succeeded and left no program .* is it the Go tool\?"):
        build.binaries(_quiet, sources=sources)


@pytest.mark.usefixtures("cache")
def test_missing_go_is_said_with_what_to_install(sources, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(build, "_GO_PLACES", ("/nowhere/bin",))
    with pytest.raises(TestbedError, match=r"there is no Go on PATH, nor in /nowhere/bin; install Go 1\.24 or later"):
        build.binaries(_quiet, sources=sources)


def test_go_is_found_where_its_installer_puts_it(sources, go, tmp_path, monkeypatch):
    go(_WRITES)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(build, "_GO_PLACES", ("/nowhere/bin", str(tmp_path / "bin")))
    build.binaries(_quiet, sources=sources)
    assert len(_calls(tmp_path)) == 4


def test_nothing_is_built_without_sources(tmp_path, go):
    go(_WRITES)
    with pytest.raises(TestbedError, match=r"building kube: no sources in .*/nothing/kube; the testbed runs from a"):
        build.binaries(_quiet, sources=tmp_path / "nothing")


@pytest.mark.parametrize(("home", "kept"), [("", False), ("/somewhere", True)])
def test_without_a_home_go_caches_with_the_testbed(sources, go, tmp_path, monkeypatch, home, kept):
    go(f"env > {tmp_path}/environment\n" + _WRITES)
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("GOPROXY", "https://proxy.example")
    for name in ("GOCACHE", "GOMODCACHE"):
        monkeypatch.delenv(name, raising=False)
    build.binaries(_quiet, sources=sources)
    environment = (tmp_path / "environment").read_text().splitlines()
    assert (f"GOCACHE={tmp_path}/cache/testbed/go-build" in environment) is not kept
    assert (f"GOMODCACHE={tmp_path}/cache/testbed/go-mod" in environment) is not kept
    assert "GOPROXY=https://proxy.example" in environment


def test_long_build_says_that_it_is_still_at_it(sources, go, monkeypatch):
    monkeypatch.setattr(build, "_REPORT_EVERY", 0.05)
    go('[ "$(basename "$PWD")" != kube ] || sleep 0.3\n' + _WRITES)
    said = []
    build.binaries(said.append, sources=sources)
    assert "still building kube, 0 min" in said


def test_build_that_does_not_end_is_ended_with_its_children(sources, go, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "_REPORT_EVERY", 0.05)
    monkeypatch.setattr(build, "_LONGEST", 0.2)
    go(f"sleep 60 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(TestbedError, match="building kube: not done after 0 minutes, given up"):
        build.binaries(_quiet, sources=sources)
    assert _is_gone(int((tmp_path / "child").read_text()))


def test_interrupted_build_ends_with_its_children(sources, go, tmp_path, monkeypatch):
    go(f"sleep 60 & echo $! > {tmp_path}/child.new; mv {tmp_path}/child.new {tmp_path}/child; wait")

    def interrupt():
        for _ in range(200):
            if (tmp_path / "child").exists():
                break
            time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    monkeypatch.setattr(build, "_REPORT_EVERY", 30.0)
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        build.binaries(_quiet, sources=sources)
    thread.join()
    assert _is_gone(int((tmp_path / "child").read_text()))
    assert list((tmp_path / "cache" / "testbed" / "bin").iterdir()) == []


def _is_gone(process):
    for _ in range(100):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_versions_are_those_of_the_modules():
    """What is said to be built is what go.mod pins."""
    go = Path(build.__file__).parent / "go"
    pinned = {"kube": f"k8s.io/kubernetes v{build.KUBERNETES}", "etcd": f"go.etcd.io/etcd/server/v3 v{build.ETCD}",
              "coredns": f"github.com/coredns/coredns v{build.COREDNS}"}
    for name, line in pinned.items():
        assert line in (go / name / "go.mod").read_text()
        assert f"{line} " in (go / name / "go.sum").read_text()


def test_kubernetes_modules_are_all_of_one_release():
    text = (Path(build.__file__).parent / "go" / "kube" / "go.mod").read_text()
    replaced = [line.split()[-1] for line in text.splitlines() if "=>" in line]
    assert set(replaced) == {"v0." + build.KUBERNETES.partition(".")[2]}
    assert len(replaced) > 20
