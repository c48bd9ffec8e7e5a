"""The writer of image archives: what it writes is what the OCI image layout says, and always the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace

import pytest

from testbed import archive
from testbed.errors import TestbedError
from testbed.image import Copy, Directory, Image, Link, Text, join


def _sample(directory):
    program = directory / "program"
    program.write_bytes(b"\x7fELF and so on")
    program.chmod(0o700)
    plain = directory / "plain"
    plain.write_text("words")
    plain.chmod(0o600)
    lower = {"/usr/bin/program": Copy(program), "/bin/sh": Link("../usr/bin/program"), "/tmp": Directory(0o1777)}
    upper = {"/etc/words": Copy(plain), "/etc/names": Text("a\n"), "/etc/run": Text("#!/bin/sh\n", runs=True)}
    return Image("docker.io/example/sample:1.2", (lower, upper), entrypoint=("/usr/bin/program",), command=("serve",),
                 environment={"PATH": "/usr/bin", "LANG": "C"}, user="7:8", labels={"of": "test"})


def _read(path):
    """The index and all blobs, each held to the digest that names it."""
    with tarfile.open(path) as tar:
        files = {entry.name: tar.extractfile(entry).read() for entry in tar.getmembers()}
    assert json.loads(files.pop("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads(files.pop("index.json"))
    blobs = {name.removeprefix("blobs/sha256/"): data for name, data in files.items()}
    for digest, data in blobs.items():
        assert hashlib.sha256(data).hexdigest() == digest
    return index, blobs


def _blob(blobs, descriptor):
    data = blobs[descriptor["digest"].removeprefix("sha256:")]
    assert len(data) == descriptor["size"]
    return data


def _layers(path):
    index, blobs = _read(path)
    manifest = json.loads(_blob(blobs, index["manifests"][0]))
    return [tarfile.open(fileobj=io.BytesIO(_blob(blobs, layer))) for layer in manifest["layers"]]


def test_archive_is_an_image_layout_whose_digests_hold(tmp_path):
    archive.write(_sample(tmp_path), tmp_path / "out" / "sample.tar")
    index, blobs = _read(tmp_path / "out" / "sample.tar")
    (described,) = index["manifests"]
    assert described["annotations"]["io.containerd.image.name"] == "docker.io/example/sample:1.2"
    assert described["annotations"]["org.opencontainers.image.ref.name"] == "1.2"
    manifest = json.loads(_blob(blobs, described))
    assert manifest["mediaType"] == described["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    configuration = json.loads(_blob(blobs, manifest["config"]))
    # The layers are not compressed, so the digest of each is also that of its contents.
    assert configuration["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    assert len(blobs) == 2 + len(manifest["layers"]) == 4
    assert configuration["config"] == {
        "Entrypoint": ["/usr/bin/program"], "Cmd": ["serve"], "User": "7:8", "WorkingDir": "/",
        "Env": ["LANG=C", "PATH=/usr/bin"], "Labels": {"of": "test"},
    }


def test_layers_hold_files_links_and_directories_that_belong_to_root(tmp_path):
    archive.write(_sample(tmp_path), tmp_path / "sample.tar")
    lower, upper = _layers(tmp_path / "sample.tar")
    entries = {entry.name: entry for layer in (lower, upper) for entry in layer.getmembers()}
    assert {name: f"{entry.mode:o}" for name, entry in entries.items()} == {
        "bin": "755", "bin/sh": "777", "etc": "755", "etc/names": "644", "etc/run": "755", "etc/words": "644",
        "tmp": "1777", "usr": "755", "usr/bin": "755", "usr/bin/program": "755",
    }
    assert {(entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime) for entry in entries.values()} == {
        (0, 0, "", "", 0)}
    assert entries["bin/sh"].issym()
    assert entries["bin/sh"].linkname == "../usr/bin/program"
    assert lower.extractfile("usr/bin/program").read() == b"\x7fELF and so on"
    assert upper.extractfile("etc/words").read() == b"words"
    for layer in (lower, upper):
        names = layer.getnames()
        assert names == sorted(names)  # a directory comes before what is in it
        assert not [name for name in names if ".wh." in name]


def test_same_contents_give_the_same_bytes_wherever_and_whenever_they_come_from(tmp_path):
    there = tmp_path / "elsewhere"
    there.mkdir()
    first, second = _sample(tmp_path), _sample(there)
    turned = replace(second, layers=tuple(dict(reversed(layer.items())) for layer in second.layers),
                     environment=dict(reversed(second.environment.items())))
    archive.write(first, tmp_path / "first.tar")
    archive.write(turned, tmp_path / "second.tar")
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()
    assert first.digest() == turned.digest()


def _with(image, path, content):
    return replace(image, layers=(image.layers[0], join(image.layers[1], {path: content})))


@pytest.mark.parametrize("changed", [
    lambda image: replace(image, reference="docker.io/example/sample:1.3"),
    lambda image: replace(image, environment={"PATH": "/bin"}),
    lambda image: replace(image, layers=image.layers[:1]),
    lambda image: replace(image, layers=image.layers[::-1]),
    lambda image: replace(image, layers=(join(*image.layers),)),
    lambda image: _with(image, "/etc/names", Text("b\n")),
    lambda image: _with(image, "/etc/names", Text("a\n", runs=True)),
    lambda image: _with(image, "/etc/more", Link("names")),
    lambda image: _with(image, "/etc/more", Directory()),
], ids=["name", "setting", "fewer layers", "order of layers", "one layer", "text", "mode", "link", "directory"])
def test_digest_changes_with_what_the_image_is(tmp_path, changed):
    image = _sample(tmp_path)
    assert changed(image).digest() != image.digest()


def test_digest_changes_with_a_file_that_is_copied(tmp_path):
    image = _sample(tmp_path)
    before = image.digest()
    (tmp_path / "plain").write_text("other")
    after = image.digest()
    (tmp_path / "plain").chmod(0o755)
    assert len({before, after, image.digest()}) == 3


@pytest.mark.parametrize("make", [lambda image, _: image.digest(), archive.write], ids=["digest", "archive"])
def test_missing_file_is_named_with_the_image_and_nothing_is_left(tmp_path, make):
    image = Image("docker.io/example/sample:1.2", ({"/gone": Copy(tmp_path / "missing")},))
    with pytest.raises(TestbedError, match=r"docker\.io/example/sample:1\.2.*/missing for its /gone: No such file"):
        make(image, tmp_path / "sample.tar")
    assert list(tmp_path.iterdir()) == []


def test_archive_of_before_stays_until_the_new_one_is_complete(tmp_path):
    place = tmp_path / "sample.tar"
    place.write_text("of before")
    with pytest.raises(TestbedError):
        archive.write(Image("x:1", ({"/gone": Copy(tmp_path / "missing")},)), place)
    assert place.read_text() == "of before"
    archive.write(Image("x:1", ({"/a": Text("a")},)), place)
    assert tarfile.is_tarfile(place)
    assert [path.name for path in tmp_path.iterdir()] == ["sample.tar"]


def test_later_layer_holds_where_two_are_joined():
    assert join({"/a": Text("1"), "/b": Text("2")}, {"/b/": Text("3")}) == {"/a": Text("1"), "/b": Text("3")}
