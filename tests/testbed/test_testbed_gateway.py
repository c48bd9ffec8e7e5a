"""What is built for the Gateway API's own suite: its programs, its pods' image, the API's definitions.

A script plays Go.
"""

from __future__ import annotations

import pytest
import yaml
from made_up_definitions import GROUP, definition

from testbed import __main__ as command
from testbed import build, gateway
from testbed.errors import RefusedError, TestbedError
from testbed.image import Copy, join


def quiet(_line):
    pass


@pytest.fixture
def modules(tmp_path):
    """Modules with the files that are taken from them."""
    api = tmp_path / "modules" / "sigs.k8s.io" / "gateway-api" / "config" / "crd" / "standard"
    certificates = tmp_path / "modules" / "istio.io" / "istio" / "tests" / "testdata" / "certs" / "dns"
    for place in (api, certificates):
        place.mkdir(parents=True)
    for name, kind in (("as", "A"), ("bs", "B")):
        (api / f"{name}.yaml").write_text(yaml.safe_dump(definition(name, kind)))
    (api / "guard.yaml").write_text("kind: ValidatingAdmissionPolicy\n")
    for name in ("cert-chain.pem", "key.pem"):
        (certificates / name).write_text(name)
    return tmp_path / "modules"


@pytest.fixture
def go(building_go, modules):
    return building_go


def test_the_suite_is_the_test_program_of_the_module_that_is_pinned(sources, go, tmp_path):
    made = gateway.gateway(quiet, sources=sources)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0].startswith("gateway test -c -mod=readonly -trimpath -buildvcs=false ")
    assert calls[0].endswith(" sigs.k8s.io/gateway-api/conformance")
    assert [line.split()[:2] for line in calls[1:4]] == [["gateway", "build"], ["istio", "build"], ["istio", "build"]]
    assert calls[2].endswith(" istio.io/istio/pkg/test/echo/cmd/server")
    assert made.events.read_text() == "cmd/test2json\n"
    assert gateway.gateway(quiet, sources=sources) == made
    assert len((tmp_path / "calls").read_text().splitlines()) == len(calls), "built, and looked for, once"


def test_the_echo_image_has_what_the_suite_calls(sources, go):
    made = gateway.gateway(quiet, sources=sources)
    image = gateway._echo(made.suite, made.events, sources)
    inside = join(*image.layers)
    assert image.reference == "registry.k8s.io/gateway-api/echo-advanced:v1.5.1"
    assert inside[image.entrypoint[0]] == Copy(made.suite)
    assert inside["/usr/local/bin/client"] == Copy(made.events)
    assert {inside["/cert.crt"].data(), inside["/cert.key"].data()} == {b"cert-chain.pem", b"key.pem"}
    assert made.echo.is_file()


def test_only_definitions_are_taken_from_the_module(sources, go, capsys, monkeypatch):
    found = gateway.definitions(sources)
    assert [obj["metadata"]["name"] for obj in gateway.objects(found)] == [f"as.{GROUP}", f"bs.{GROUP}"]
    monkeypatch.setattr(gateway, "definitions", lambda: found)
    assert command.main(["gateway", "--definitions"]) == 0
    assert capsys.readouterr().out == f"{found}\n"


def test_a_module_that_is_refused_is_said(sources, go, capsys):
    go("echo 'go: x.example/y@v1.0.0: reading https://proxy.example/y.zip: 403 Forbidden' >&2; exit 1")
    with pytest.raises(RefusedError, match=r"building gateway-conformance .* refuses the module x\.example/y@v1\.0\.0"):
        gateway.gateway(quiet, sources=sources)
    with pytest.raises(RefusedError, match=r"finding the module sigs\.k8s\.io/gateway-api: the registry refuses it"):
        gateway.definitions(sources)
    assert command.main(["gateway"]) == command.REFUSED
    assert "refuses the module" in capsys.readouterr().err


def test_a_module_that_lacks_what_is_looked_for_is_said(sources, go, modules):
    for file in modules.rglob("*s.yaml"):
        file.unlink()
    with pytest.raises(TestbedError, match=r"there are none in .*/config/crd/standard"):
        gateway.definitions(sources)
    next(modules.rglob("key.pem")).unlink()
    with pytest.raises(TestbedError, match=r"making the image .*echo-advanced.* cannot read .*key\.pem"):
        gateway.gateway(quiet, sources=sources)


def test_a_module_that_does_not_come_is_said(sources, go, monkeypatch):
    go("exec sleep 600")
    monkeypatch.setattr(build, "_READ", 0.2)
    with pytest.raises(TestbedError, match=r"finding the module sigs\.k8s\.io/gateway-api: not there after 0 minutes"):
        gateway.definitions(sources)
