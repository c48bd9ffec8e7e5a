"""Undoing at the end what was done, also after errors, without hiding them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from conformance.cluster import ClusterError
from conformance.mesh import MeshError
from conformance.topology import ProvisionError


@contextmanager
def undone(undo: Callable[[], object], *, keep: bool = False) -> Iterator[None]:
    """Undo something when the context ends, however it does. `keep`: do not.

    Raises what the context and `undo` raise; where both do, a ProvisionError that tells both: what went wrong first is
    often why it cannot be undone.
    """
    before: Exception | None = None
    try:
        yield
    except (ClusterError, MeshError, ProvisionError) as error:
        before = error
        raise
    finally:
        if not keep:
            _undo(undo, before)


def _undo(undo: Callable[[], object], before: Exception | None) -> None:
    try:
        undo()
    except (ClusterError, MeshError, ProvisionError) as error:
        if before is None:
            raise
        raise ProvisionError(f"{before}\nCleaning up failed as well: {error}") from error
