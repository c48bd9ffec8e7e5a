"""A mesh.yaml is hostile until it was read: each defect is refused with the file and the field."""

from __future__ import annotations

import pytest
import yaml

from conformance import mesh
from conformance.mesh import CommandStep, Evidence, HelmStep, Leftover, ManifestStep

VALID = {
    "name": "demo", "title": "Demo", "homepage": "https://example.invalid", "status": "maintained", "inject": {},
    "detect": [{"kind": "Deployment", "name": "control", "namespaces": ["demo-system"]}], "apis": {},
}
HELM = {"release": "demo", "chart": "demo", "repository": "https://example.invalid", "version": "1.2.3",
        "namespace": "demo"}


@pytest.fixture
def parse(tmp_path):
    """Give a function that reads a mesh.yaml with some changes; there are a manifest beside it and one above it."""
    home = tmp_path / "demo"
    home.mkdir()
    manifest = "{apiVersion: v1, kind: Namespace, metadata: {name: demo-system}}"
    (home / "install.yaml").write_text(manifest)
    (tmp_path / "above.yaml").write_text(manifest)
    (home / "link.yaml").symlink_to(tmp_path / "above.yaml")

    def parse(text=None, **changes):
        (home / "mesh.yaml").write_text(text or yaml.safe_dump({**VALID, **changes}))
        return mesh.parse(home / "mesh.yaml")

    return parse


def test_the_three_kinds_of_steps(parse, tmp_path):
    found = parse(install=[
        {"manifests": ["install.yaml"]}, {"helm": {**HELM, "values": {"a": {"b": 1}}}},
        {"command": ["democtl", "install"], "applies_output": True},
    ], remove=[{"command": ["democtl", "remove", "; rm -rf /"]}])
    assert found.install == (
        ManifestStep((tmp_path / "demo" / "install.yaml",)),
        HelmStep("demo", "demo", "https://example.invalid", "1.2.3", "demo", {"a": {"b": 1}}),
        CommandStep("democtl", ("install",), applies_output=True),
    )
    assert found.remove == (CommandStep("democtl", ("remove", "; rm -rf /"), applies_output=False),)
    assert found.tools == ("helm", "democtl")
    assert [obj["metadata"]["name"] for obj in found.install_objects()] == ["demo-system"]


def test_what_is_left_out_has_an_honest_default(parse):
    found = parse()
    assert found.convergence == 30.0
    assert found.known("install") == Evidence("unverified", "")
    assert (found.install, found.images, found.tools, found.bypass.labels) == ((), (), (), {})


def test_other_facts_are_read(parse):
    found = parse(
        leftovers=[{"apiVersion": "v1", "kind": "ConfigMap", "labels": {"a": "b"}}],
        metrics={"service": "prometheus", "namespace": "demo", "port": 9090},
        adapter={"name": "meshery-demo", "port": 10000, "status": "stable"},
        evidence={"detect": {"basis": "documentation", "source": "https://example.invalid/docs"}},
        access={"setting": "deny", "exempt": {"labels": {"open": "yes"}}},
        inject={"pod": {"annotations": {"inject": "yes"}}},
    )
    assert found.leftovers == (Leftover("v1", "ConfigMap", "", {"a": "b"}),)
    assert found.metrics == mesh.MetricsPlace("prometheus", "demo", 9090)
    assert found.adapter == mesh.Adapter("meshery-demo", 10000, "stable")
    assert found.known("detect").basis == "documentation"
    assert found.access.exempt
    assert not found.access.ignorant
    assert found.inject({"spec": {}})["metadata"] == {"annotations": {"inject": "yes"}}


@pytest.mark.parametrize(("change", "field"), [
    ({"detect": [{"kind": "Pod", "name": "a", "namespaces": ["b"]}]}, "detect.0.kind"),
    ({"detect": [{"kind": "Deployment", "namespaces": ["b"]}]}, "detect.0"),
    ({"detect": [{"kind": "Deployment", "name": "a"}]}, "control_plane"),
    ({"detect": [{"kind": "Deployment", "name": "a", "namespaces": ["b", "c"]}]}, "control_plane"),
    ({"status": "retired"}, "status_source"),
    ({"homepage": "file:///etc/passwd"}, "homepage"),
    ({"host": "{service}.{namespace.__class__}"}, "host"),
    ({"host": "{service}.{0}"}, "host"),
    ({"host": "{service!r}"}, "host"),
    ({"host": "{service:9999999}"}, "host"),
    ({"host": "{service}.{"}, "host"),
    ({"bypass": {"annotations": {"ports": "19000"}}}, "bypass.annotations.ports"),
    ({"evidence": {"detect": {"basis": "documentation"}}}, "evidence.detect"),
    ({"evidence": {"detect": {"basis": "hearsay"}}}, "evidence.detect.basis"),
    ({"images": ["docker.io/demo/control"]}, "images.0"),
    ({"images": ["--privileged"]}, "images.0"),
    ({"leftovers": [{"apiVersion": "v1", "kind": "ConfigMap"}]}, "leftovers.0"),
    ({"apis": {"split.smi-spec.io": ["latest"]}}, "apis.split.smi-spec.io.0"),
    ({"install": ["install.yaml"]}, "install.0"),
    ({"install": [{"manifests": ["install.yaml"], "helm": HELM}]}, "install.0"),
    ({"install": [{"manifests": ["install.yaml"], "applies_output": True}]}, "install.0"),
    ({"install": [{"helm": {**HELM, "version": "latest"}}]}, "install.0.helm.version"),
    ({"install": [{"helm": {**HELM, "release": "--post-renderer=x"}}]}, "install.0.helm.release"),
    ({"install": [{"helm": {**HELM, "repository": "http://example.invalid"}}]}, "install.0.helm.repository"),
    ({"install": [{"command": "democtl install | sh"}]}, "install.0.command"),
    ({"install": [{"command": ["/usr/bin/democtl"]}]}, "install.0.command.0"),
    ({"install": [{"command": ["../democtl"]}]}, "install.0.command.0"),
    ({"install": [{"command": ["democtl", "a\0b"]}]}, "install.0.command.1"),
    ({"install": [{"command": ["bash", "-c", "true"]}]}, "install.0.command"),
    ({"remove": [{"command": ["sh", "-c", "true"]}]}, "remove.0.command"),
    ({"install": [{"manifests": ["../above.yaml"]}]}, "install.0.manifests.0"),
    ({"install": [{"manifests": ["link.yaml"]}]}, "install.0.manifests.0"),
    ({"install": [{"manifests": ["/etc/passwd"]}]}, "install.0.manifests.0"),
    ({"install": [{"manifests": ["install.yaml", "missing.yaml"]}]}, "install.0.manifests.1"),
    ({"install": [{"manifests": ["."]}]}, "install.0.manifests.0"),
    ({"inject": {"pod_template": "../above.yaml"}}, "inject.pod_template"),
    ({"inject": {"pod_template": "missing.yaml"}}, "inject.pod_template"),
    ({"inject": {"namespace": {"labels": {"a": True}}}}, "inject.namespace.labels.a"),
    ({"instance": {"means": "colour"}}, "instance.means"),
    ({"instance": {"means": "name", "apis": {}}}, "instance"),
])
def test_a_defect_is_named_with_its_file_and_field(parse, change, field):
    with pytest.raises(mesh.MeshError) as caught:
        parse(**change)
    assert "mesh.yaml: " in str(caught.value)
    assert field in str(caught.value)


@pytest.mark.parametrize(("text", "complaint"), [
    ("", "top level"), ("- 1", "top level"), ("a: [", "cannot be read"),
    ("a: &x [1]\nb: [*x, *x]", "an alias .* is not read here"), ("[" * 3000, "nested too deeply"),
    ("yes: 1", "the key True is not text"),
    ("inject: {namespace: {labels: {1: a}}}", "inject.namespace.labels: the key 1 is not text"),
])
def test_what_is_no_description_at_all_is_refused(parse, text, complaint):
    with pytest.raises(mesh.MeshError, match=complaint):
        parse(text or "# nothing\n")


def test_a_patch_of_a_pod_template_is_a_map(parse, tmp_path):
    (tmp_path / "demo" / "patch.yaml").write_text("- 1")
    with pytest.raises(mesh.MeshError, match=r"patch\.yaml: a patch of a pod template is a map, not list"):
        parse(inject={"pod_template": "patch.yaml"})


FAILURE = {"requirement": "SPLIT-003", "reason": "weights are ignored", "link": "https://example.invalid/1",
           "since": "1.0"}


def test_known_failures_are_read(parse, tmp_path):
    (tmp_path / "demo" / "known-failing.yaml").write_text(yaml.safe_dump([FAILURE]))
    assert parse().known_failing == (mesh.KnownFailure(**FAILURE),)


@pytest.mark.parametrize(("failures", "complaint"), [
    ([{**FAILURE, "requirement": "SPLIT-*"}], "0.requirement"),
    ([{**FAILURE, "link": "none"}], "0.link"),
    ([{key: value for key, value in FAILURE.items() if key != "since"}], "'since' is a required property"),
    ([FAILURE, {**FAILURE}], "SPLIT-003 is there 2 times"),
    ({}, "top level"),
])
def test_a_wrong_list_of_known_failures_is_refused(parse, tmp_path, failures, complaint):
    (tmp_path / "demo" / "known-failing.yaml").write_text(yaml.safe_dump(failures))
    with pytest.raises(mesh.MeshError, match=r"known-failing\.yaml") as caught:
        parse()
    assert complaint in str(caught.value)


def test_each_kind_of_step_says_which_program_it_needs(parse):
    assert parse(install=[{"manifests": ["install.yaml"]}]).tools == ()
    assert parse(install=[{"command": ["democtl"]}, {"command": ["democtl", "again"]}]).tools == ("democtl",)
