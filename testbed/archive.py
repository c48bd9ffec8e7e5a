"""Writing an image as an OCI archive, which `ctr images import`, `kind load image-archive` and podman read.

The standard library does it all. The same image gives the same bytes: names are sorted, times are zero, everything
belongs to root, nothing is compressed (an archive is read once, by the same machine).
"""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from testbed.image import Directory, File, Image, Layer, Link, architecture, as_json, reading

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_CONFIGURATION: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"


def write(image: Image, archive: Path) -> None:
    """Write an image's archive; it appears whole or not at all. Raises TestbedError for a file that cannot be read."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".image-", dir=archive.parent) as directory:
        layers = [_layer(image, layer, Path(directory) / str(number)) for number, layer in enumerate(image.layers)]
        blobs: dict[str, Path | bytes] = {}

        def descriptor(kind: str, blob: Path | bytes) -> dict[str, Any]:
            digest, size = _measured(blob)
            blobs[digest] = blob
            return {"mediaType": kind, "digest": digest, "size": size}

        described = [descriptor(_LAYER, layer) for layer in layers]
        configuration = as_json(image.configuration([layer["digest"] for layer in described]))
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "layers": described,
                    "config": descriptor(_CONFIGURATION, configuration)}
        named = descriptor(_MANIFEST, as_json(manifest)) | {
            "platform": {"os": "linux", "architecture": architecture()},
            # containerd reads the first, which is the whole name; other tools read the second.
            "annotations": {"io.containerd.image.name": image.reference,
                            "org.opencontainers.image.ref.name": image.reference.rpartition(":")[2]},
        }
        complete = Path(directory) / "archive"
        with tarfile.open(complete, "w", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, "oci-layout", as_json({"imageLayoutVersion": "1.0.0"}))
            _add(tar, "index.json", as_json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [named]}))
            for digest, blob in sorted(blobs.items()):
                _add(tar, "blobs/" + digest.replace(":", "/"), blob)
        complete.replace(archive)


def _layer(image: Image, layer: Layer, place: Path) -> Path:
    with tarfile.open(place, "w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in _with_parents(layer):
            with reading(image, path):
                _add_content(tar, path.lstrip("/"), content)
    return place


def _with_parents(layer: Layer) -> Iterator[tuple[str, File | Link | Directory]]:
    """Every entry in order of its path, so that a directory comes before what is in it."""
    parents: dict[str, File | Link | Directory] = {}
    for path in layer:
        parent = posixpath.dirname(path)
        while parent.strip("/"):
            parents[parent] = Directory()
            parent = posixpath.dirname(parent)
    yield from sorted((parents | dict(layer)).items())


def _add_content(tar: tarfile.TarFile, name: str, content: File | Link | Directory) -> None:
    entry = tarfile.TarInfo(name)  # no owner but root, no time but zero
    match content:
        case Directory():
            entry.type, entry.mode = tarfile.DIRTYPE, content.mode
            tar.addfile(entry)
        case Link():
            entry.type, entry.mode, entry.linkname = tarfile.SYMTYPE, 0o777, content.target
            tar.addfile(entry)
        case _:
            data = content.data()
            entry.size, entry.mode = len(data), 0o755 if content.executable() else 0o644
            tar.addfile(entry, io.BytesIO(data))


def _add(tar: tarfile.TarFile, name: str, blob: Path | bytes) -> None:
    entry = tarfile.TarInfo(name)
    if isinstance(blob, bytes):
        entry.size = len(blob)
        tar.addfile(entry, io.BytesIO(blob))
        return
    entry.size = blob.stat().st_size
    with blob.open("rb") as stream:
        tar.addfile(entry, stream)


def _measured(blob: Path | bytes) -> tuple[str, int]:
    if isinstance(blob, bytes):
        return f"sha256:{hashlib.sha256(blob).hexdigest()}", len(blob)
    with blob.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}", os.fstat(stream.fileno()).st_size
