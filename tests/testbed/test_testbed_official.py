"""How the Gateway API's own suite is run on the testbed, and that nothing of it stays.

A script plays the suite; the cluster is the sandbox's.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import yaml
from made_up_definitions import GROUP, definition

from conformance.cluster import Cluster, NotFound
from conformance.lifecycle import availability
from conformance.topology import ProvisionError
from testbed import __main__ as command
from testbed import gateway, holder, images, node, official, ready
from testbed.errors import TestbedError
from testbed.layout import Layout

REPORT = {
    "apiVersion": "gateway.networking.k8s.io/v1", "kind": "ConformanceReport", "date": "2026-11-20T10:00:00Z",
    "gatewayAPIVersion": "v1.6.0", "gatewayAPIChannel": "standard", "implementation": {"project": "p", "version": "1"},
    "profiles": [],
}


def quiet(_line):
    pass


def test_it_is_run_on_a_testbed_that_is_up_alone(monkeypatch, capsys):
    monkeypatch.setattr(gateway, "gateway", lambda _tell: None)
    monkeypatch.setattr(holder, "init", lambda _layout: None)
    assert command.main(["gateway"]) == command.FAILED
    assert "there is no cluster to run the suite on" in capsys.readouterr().err


@pytest.fixture
def cluster(sandbox, monkeypatch):
    """The sandbox's API server in the testbed's place; no pod of an image like `pause` ever runs there."""
    opened = Cluster.from_kubeconfig(sandbox.kubeconfig)
    monkeypatch.setattr(ready, "cluster", lambda _layout: Cluster.from_kubeconfig(sandbox.kubeconfig))
    monkeypatch.setattr(availability, "wait", lambda *_, **__: None)
    yield opened
    opened.close()


@pytest.fixture
def judged():
    """What the testbed needs to know of a mesh; it is installed."""
    return SimpleNamespace(title="Mesh", base="mesh", homepage="https://mesh.example/", version=lambda _: "1.2.3",
                           namespace_labels={"inject": "yes"}, namespace_annotations={"note": "some"})


def event(action, test="", **more):
    return json.dumps({"Action": action, "Test": test} | more)


WHOLE = "\n".join((
    event("run", "TestConformance"), event("run", "TestConformance/MeshBasic"), event("run", "TestConformance/MeshX"),
    event("pass", "TestConformance/MeshBasic"), event("fail", "TestConformance/MeshX"),
    event("fail", "TestConformance"),
))  # fmt: skip
BROKEN = "\n".join((
    event("run", "TestConformance"),
    event("output", "TestConformance", Output="  Error:  Received unexpected error: no such kind\n"),
    event("fail", "TestConformance"),
))  # fmt: skip


@pytest.fixture
def suite(tmp_path, cluster):
    """Makes a script that plays the suite: keeps its arguments, says what it is given, and ends with 1."""
    definitions = tmp_path / "definitions.yaml"
    definitions.write_text("\n---\n".join(yaml.safe_dump(definition(*name)) for name in (("as", "A"), ("bs", "B"))))
    (tmp_path / "said").write_text(WHOLE + "\n")
    (tmp_path / "claimed").write_text(yaml.safe_dump(REPORT))

    def make(also=""):
        script = tmp_path / "test2json"
        script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" "$KUBECONFIG" > {tmp_path}/arguments\n{also}\n'
                          f'for each; do case $each in\n'
                          f'-report-output=*) cp {tmp_path}/claimed "${{each#*=}}" 2>&-;;\nesac; done\n'
                          f"cat {tmp_path}/said\nexit 1\n")
        script.chmod(0o755)
        return gateway.Gateway(tmp_path / "suite", script, tmp_path / "echo.tar", definitions)

    return make


def left(cluster):
    """What of the suite is there: its namespaces, and the definitions."""
    kinds = (("v1", "namespaces"), ("apiextensions.k8s.io/v1", "customresourcedefinitions"))
    found = (obj["metadata"]["name"] for kind in kinds for obj in cluster.list(*kind)[0])
    return {name for name in found if name.startswith("gateway-conformance") or name.endswith(GROUP)}


def test_it_is_told_what_to_judge_and_what_it_says_is_read(suite, judged, cluster, tmp_path):
    told = []
    found = official.run(Layout(), suite(), judged, tmp_path / "out", told.append, without=["MeshConsumerRoute"])
    assert official.summary(found) == "1 passed, 1 failed, 0 skipped; failed: MeshX"
    assert found.claims.api == "v1.6.0"
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert arguments[:4] == ["-t", "-p", "gateway-api-1.6.0", str(tmp_path / "suite")]
    assert {"-test.run=^TestConformance$", "-test.timeout=900s", "-conformance-profiles=MESH-HTTP", "-version=1.2.3",
            "-namespace-labels=inject=yes", "-namespace-annotations=note=some", "-project=mesh"} <= set(arguments)
    (features,) = (line for line in arguments if line.startswith("-supported-features="))
    assert "Mesh,MeshClusterIPMatching,MeshHTTPRoute" in features
    assert arguments[-1] == str(Layout().kubeconfig)
    assert (tmp_path / "out" / official.EVENTS).read_text() == WHOLE + "\n"
    assert any("profile MESH-HTTP, on Mesh 1.2.3" in line for line in told)


def test_what_it_needs_is_there_while_it_runs_and_nothing_afterwards(suite, judged, cluster, tmp_path, monkeypatch):
    seen = []
    end_within = official._end_within

    def look(*given):
        seen.append(left(cluster))
        pods = [cluster.get("apps/v1", "Deployment", "placeholder", name)["spec"]["template"]["spec"]["containers"]
                for name in official.AWAITED]
        seen.append({container["image"] for containers in pods for container in containers})
        end_within(*given)

    monkeypatch.setattr(official, "_end_within", look)
    official.run(Layout(), suite(), judged, tmp_path / "out", quiet)
    assert seen == [{*official.AWAITED, f"as.{GROUP}", f"bs.{GROUP}"}, {images.PAUSE}]
    assert left(cluster) == set()


def test_definitions_that_were_there_stay(suite, judged, cluster, tmp_path):
    cluster.apply(definition("as", "A"))
    try:
        official.run(Layout(), suite(), judged, tmp_path / "out", quiet)
        assert left(cluster) == {f"as.{GROUP}"}
    finally:
        cluster.delete(definition("as", "A"))


def test_what_a_run_that_was_killed_left_is_no_hindrance(suite, judged, cluster, tmp_path):
    for name in (official.OWN[0], official.AWAITED[0]):
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    official.run(Layout(), suite(), judged, tmp_path / "out", quiet)
    assert left(cluster) == set()


def test_a_suite_that_does_not_get_to_a_test_says_why(suite, judged, cluster, tmp_path):
    (tmp_path / "said").write_text(BROKEN + "\n")
    with pytest.raises(TestbedError, match="before its first test; it last complained: Received unexpected error: no"):
        official.run(Layout(), suite(), judged, tmp_path / "out", quiet)
    assert left(cluster) == set()


def test_a_suite_that_does_not_end_is_ended(suite, judged, cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(official, "_MORE", 0.2)
    with pytest.raises(TestbedError, match="not done after 1 s, though it was told to end before"):
        official.run(Layout(), suite(also="exec sleep 600"), judged, tmp_path / "out", quiet, within=0.4)
    assert left(cluster) == set()


def test_no_report_is_no_result(suite, judged, cluster, tmp_path):
    (tmp_path / "claimed").unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / official.REPORT).write_text(yaml.safe_dump(REPORT))  # of an earlier run
    with pytest.raises(TestbedError, match=r"the official suite's report report\.yaml cannot be read: No such file"):
        official.run(Layout(), suite(), judged, tmp_path / "out", quiet)
    (tmp_path / "claimed").write_text("kind: Pod\n")
    with pytest.raises(TestbedError, match=r"report\.yaml is no ConformanceReport"):
        official.run(Layout(), suite(), judged, tmp_path / "out", quiet)


def test_pods_that_do_not_come_up_are_said_and_removed(suite, judged, cluster, tmp_path, monkeypatch):
    def never(*_, **__):
        raise ProvisionError("waited 120.0 s for the pods that the suite waits for")

    monkeypatch.setattr(availability, "wait", never)
    with pytest.raises(TestbedError, match=r"conformance suite: waited 120\.0 s for the pods"):
        official.run(Layout(), suite(), judged, tmp_path / "out", quiet)
    assert left(cluster) == set()


def test_a_mesh_that_is_not_there_is_not_judged(suite, judged, cluster, tmp_path):
    judged.version = lambda _: None
    with pytest.raises(TestbedError, match="Mesh is not installed: mesh-conformance provision --context testbed"):
        official.run(Layout(), suite(), judged, tmp_path / "out", quiet)


def test_a_place_that_cannot_be_written_to_is_said_before_anything_is_done(suite, judged, cluster, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(TestbedError, match=r"writing to .*/out: File exists; name another directory with --output"):
        official.run(Layout(), suite(), judged, tmp_path / "out", quiet)
    assert not (tmp_path / "arguments").exists()


def test_only_features_that_tests_ask_for_can_be_left_out(suite, judged, cluster, tmp_path):
    with pytest.raises(TestbedError, match="leaving out MeshMagic: the tests ask for no such feature; there are Mesh,"):
        official.run(Layout(), suite(), judged, tmp_path / "out", quiet, without=["MeshMagic"])


def test_the_command_says_what_came_of_it(suite, judged, cluster, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gateway, "gateway", lambda _tell: suite())
    monkeypatch.setattr(holder, "init", lambda _layout: object())
    imported = []
    monkeypatch.setattr(node, "load", lambda _layout, archives, _tell: imported.extend(archives))
    monkeypatch.setattr(command.mesh, "load", lambda _name: judged)
    assert command.main(["gateway", "--output", str(tmp_path / "out")]) == command.OK
    assert capsys.readouterr().out == "1 passed, 1 failed, 0 skipped; failed: MeshX\n"
    assert imported == [tmp_path / "echo.tar"]


def test_no_such_mesh_is_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(gateway, "gateway", lambda _tell: SimpleNamespace(echo=None))
    monkeypatch.setattr(holder, "init", lambda _layout: object())
    monkeypatch.setattr(node, "load", lambda *_: None)
    assert command.main(["gateway", "--mesh", "nothing"]) == command.FAILED
    assert "nothing" in capsys.readouterr().err


def test_a_namespace_that_is_gone_already_is_fine(cluster):
    gone = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gateway-conformance-mesh"}}
    official._remove(cluster, [gone], "it")
    with pytest.raises(NotFound):
        cluster.get("v1", "Namespace", "gateway-conformance-mesh")
