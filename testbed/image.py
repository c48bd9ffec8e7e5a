"""What a container image is: a name, layers of files taken from this machine, and what a container of it runs.

Nothing is written here (see `testbed.archive`); the digest of an image says whether it has to be written at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from testbed.errors import TestbedError

EPOCH: Final = "1970-01-01T00:00:00Z"
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_FORMAT: Final = b"1"  # of the archives; raised when the same contents have to be written anew


class File(Protocol):
    """A regular file of an image."""

    def data(self) -> bytes:
        """What the file holds. Raises OSError."""

    def identity(self) -> bytes:
        """What tells this content from any other, found without making it where that takes long. Raises OSError."""

    def executable(self) -> bool:
        """Whether it can be run; every file can be read by everyone, as containers run as any user."""


@dataclass(frozen=True)
class Copy:
    """A file of this machine. It can be run when it can be run here, or when `runs` says so."""

    source: Path
    runs: bool = False

    def data(self) -> bytes:
        """Read the file."""
        return self.source.read_bytes()

    def identity(self) -> bytes:
        """Digest what the file holds; where it comes from does not count."""
        with self.source.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()

    def executable(self) -> bool:
        """Whether its owner can run it here."""
        return self.runs or bool(self.source.stat().st_mode & 0o100)


@dataclass(frozen=True)
class Text:
    """A small file whose text is given."""

    text: str
    runs: bool = False

    def data(self) -> bytes:
        """Encode the text."""
        return self.text.encode()

    def identity(self) -> bytes:
        """Return the text, which is all there is."""
        return self.data()

    def executable(self) -> bool:
        """Whether it is a script that is run by its name."""
        return self.runs


@dataclass(frozen=True)
class Link:
    """A symbolic link; what it leads to is read in the container."""

    target: str


@dataclass(frozen=True)
class Directory:
    """A directory. Those that lead to a file need not be named."""

    mode: int = 0o755


Layer = Mapping[str, "File | Link | Directory"]
"""What stands at which absolute path."""


@dataclass(frozen=True)
class Image:
    """An image: its full reference, its layers from the bottom up, and the defaults of its containers."""

    reference: str
    layers: tuple[Layer, ...]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def configuration(self, layers: list[str]) -> dict[str, Any]:
        """The OCI image configuration, given the digests of the layers."""
        settings = {
            "Cmd": list(self.command), "Entrypoint": list(self.entrypoint), "Labels": dict(self.labels),
            "Env": [f"{name}={value}" for name, value in sorted(self.environment.items())],
            "User": self.user, "WorkingDir": "/",
        }
        return {
            "created": EPOCH, "os": "linux", "architecture": architecture(),
            "config": {name: value for name, value in settings.items() if value},
            "rootfs": {"type": "layers", "diff_ids": layers},
            "history": [{"created": EPOCH, "created_by": "mesh-conformance testbed"} for _ in layers],
        }

    def digest(self) -> str:
        """Tell this image from any other, in hexadecimal. Raises TestbedError for a file that cannot be read."""
        found = hashlib.sha256(_FORMAT + self.reference.encode() + as_json(self.configuration([])))
        for layer in self.layers:
            found.update(b"\0\0")
            for path, content in sorted(layer.items()):
                with reading(self, path):
                    found.update(f"{path}\0{_described(content)}\0".encode())
        return found.hexdigest()


def architecture() -> str:
    """Name this machine's architecture as images do."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def as_json(value: object) -> bytes:
    """Serialise so that equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@contextmanager
def reading(image: Image, path: str) -> Iterator[None]:
    """Say which file of which image could not be read: raises TestbedError in place of OSError."""
    try:
        yield
    except OSError as error:
        raise TestbedError(f"making the image {image.reference}: cannot read {error.filename} for its {path}: "
                           f"{error.strerror or error}") from error


def _described(content: File | Link | Directory) -> str:
    if isinstance(content, Link | Directory):
        return repr(content)
    return f"{content.executable()} {hashlib.sha256(content.identity()).hexdigest()}"


def join(*layers: Layer) -> dict[str, File | Link | Directory]:
    """One layer of several; where two name the same path, the later holds."""
    return {os.path.normpath(path): content for layer in layers for path, content in layer.items()}
