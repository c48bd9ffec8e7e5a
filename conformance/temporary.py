"""Directories of this process among the machine's temporary files: named so that anyone can tell whose they are.

Each is locked as long as the process lives. What one that was killed has left is removed by the next that makes one, or
opens a cluster; a directory whose owner lives is never touched.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

PREFIX: Final = "mesh-conformance-"
_LOCK: Final = ".owner"
"""The file that is locked. Not the sandbox's `.lock`, which is of another kind and swept by the sandbox."""


@contextmanager
def directory(what: str) -> Iterator[Path]:
    """Give a directory for `what`, a word for its name, and remove it at the end. Raises OSError."""
    made, lock = _make(what)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


@cache
def credentials() -> Path:
    """Return the directory for certificates and keys that TLS wants in files; it goes with this process.

    Raises OSError.
    """
    made, lock = _make("credentials")
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(made, ignore_errors=True)
            os.close(lock)

    atexit.register(remove)
    return made


def sweep(parent: Path | None = None) -> None:
    """Remove the directories of processes that are gone. Raises nothing: what cannot be removed stays."""
    for lock in (parent or Path(tempfile.gettempdir())).glob(f"{PREFIX}*/{_LOCK}"):
        with suppress(OSError):
            descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_uid == os.getuid():
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(descriptor)


def _make(what: str) -> tuple[Path, int]:
    sweep()
    made = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{what}-"))
    unnamed = made / f"{_LOCK}.new"
    descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    unnamed.rename(made / _LOCK)  # only now can a sweep see it
    return made, descriptor
