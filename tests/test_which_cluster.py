"""Which cluster is used, by the harness and by the programs that it starts; and how a closed terminal ends it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kubernetes.client.configuration import Configuration

from conformance import cli, options
from conformance.cluster import Cluster, KubeconfigError
from conformance.lifecycle import steps
from conformance.mesh import CommandStep

ENDED = """
import os, sys
from conformance.cli import _ended_in_order
with open(sys.argv[1], "w") as told, _ended_in_order():
    try:
        print("ready", flush=True)
        while True:
            os.read(0, 100) or sys.exit(3)
    except OSError:  # the terminal may be gone before the signal comes
        import time
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            print("cleaning up", flush=True)
            told.write("in order")
    except KeyboardInterrupt:
        print("cleaning up", flush=True)
        told.write("in order")
"""


def kubeconfig(file, *contexts, current=""):
    file.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": current, "users": [{"name": "u", "user": {}}],
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.invalid"}} for name in contexts],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "u"}} for name in contexts]}))
    return file


@pytest.mark.parametrize("current", ["", "dev", "gone"])
def test_the_only_context_of_a_file_is_meant(tmp_path, current):
    opened = Cluster.from_kubeconfig(kubeconfig(tmp_path / "config", "dev", current=current))
    assert (opened.name, opened.context, opened.server) == ("dev", "dev", "https://dev.invalid")


def test_of_several_contexts_one_has_to_be_named(tmp_path):
    file = kubeconfig(tmp_path / "config", "dev", "prod", current="prod")
    with pytest.raises(KubeconfigError, match=r"choose one of \['dev', 'prod'\] with --context"):
        Cluster.from_kubeconfig(file)
    assert Cluster.from_kubeconfig(file, "dev").server == "https://dev.invalid"
    with pytest.raises(KubeconfigError, match="it has no context"):
        Cluster.from_kubeconfig(kubeconfig(file))


@pytest.mark.parametrize(("named", "found"), [
    ("/a:/b", "/a"), (":/b", "/b"), ("::/b:", "/b"), (":", "~/.kube/config"), ("", "~/.kube/config"),
])
def test_empty_parts_of_kubeconfig_are_skipped(monkeypatch, named, found):
    monkeypatch.setenv("KUBECONFIG", named)
    assert options.default_kubeconfig() == Path(found).expanduser()


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Run a program of a mesh on a cluster; gives the configuration that it is told, its files one after the other."""
    program = tmp_path / "bin" / "meshctl"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nfor file in $(echo $KUBECONFIG | tr : ' '); do echo ---; cat $file; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setenv("KUBECONFIG", "/somebody/elses")
    ran = []
    monkeypatch.setattr(steps, "manifests", lambda printed, _: ran.append(printed) or [])

    def run(cluster):
        steps.objects(CommandStep("meshctl", (), applies_output=True), cluster)
        return list(yaml.safe_load_all(ran[-1]))

    return run


def test_programs_use_the_cluster_that_the_harness_opened(tmp_path, told):
    opened = Cluster.from_kubeconfig(kubeconfig(tmp_path / "config", "dev"))
    kubeconfig(tmp_path / "config", "dev", "prod", current="prod")  # somebody chooses another current context
    assert told(opened)[0]["current-context"] == "dev"


def test_programs_in_a_pod_use_its_cluster_by_its_service_account(tmp_path, told):
    configuration = Configuration()
    configuration.host = "https://10.0.0.1:443"
    (tmp_path / "token").write_text("hush")
    [config] = told(Cluster(configuration, "in-cluster", account=tmp_path))
    assert config["current-context"] == config["contexts"][0]["name"] == "pod"
    assert config["clusters"][0]["cluster"] == {"server": "https://10.0.0.1:443",
                                                "certificate-authority": f"{tmp_path}/ca.crt"}
    assert config["users"][0]["user"] == {"tokenFile": f"{tmp_path}/token"}
    assert "hush" not in str(config)


def test_programs_are_never_told_what_happens_to_be_set(told):
    assert told(Cluster(Configuration(), "by token"))[0]["current-context"] is None


def test_a_terminal_that_is_closed_ends_it_in_order(tmp_path):
    """Also where what cleans up prints: there is no terminal any more that could take it."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ENDED, str(tmp_path / "told")], stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True, env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])})
    os.close(theirs)
    assert os.read(ours, 5) == b"ready"
    os.close(ours)
    process.send_signal(signal.SIGHUP)  # as the shell does
    assert process.wait(60) == 0
    assert (tmp_path / "told").read_text() == "in order"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_what_ends_a_run_is_put_back_and_not_taken_where_it_is_ignored(number):
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with cli._ended_in_order():
            assert callable(signal.getsignal(number))
        assert signal.getsignal(number) == signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN)
        with cli._ended_in_order():
            assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_second_signal_does_not_break_off_the_ending():
    """`timeout` sends two at once, to the process and to its group."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ended = []
    try:
        with cli._ended_in_order():
            try:
                signal.raise_signal(signal.SIGTERM)
            except KeyboardInterrupt:
                signal.raise_signal(signal.SIGTERM)
                ended.append("in order")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended == ["in order"]
