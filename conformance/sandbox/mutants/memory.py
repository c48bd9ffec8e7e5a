"""Mutants that keep believing what was true before."""

from __future__ import annotations

from dataclasses import replace

from conformance.sandbox.reference.behaviour import View
from conformance.sandbox.reference.model import Backend, Key, Snapshot, Split


def first_weights() -> View:
    """Keep the weight that each backend of a split had at first."""
    first: dict[tuple[str, str], Backend] = {}

    def view(snapshot: Snapshot) -> Snapshot:
        return replace(snapshot, splits=tuple(
            replace(split, backends=tuple(
                first.setdefault((_identity(split), backend.service), backend) for backend in split.backends
            )) for split in snapshot.splits
        ))
    return view


def deleted_splits() -> View:
    """Keep splits that have been deleted, while their root Service exists and no other split names it."""
    known: dict[Key, Split] = {}

    def view(snapshot: Snapshot) -> Snapshot:
        present = {split.root_key for split in snapshot.splits}
        for root in [root for root in known if root not in snapshot.services]:
            del known[root]
        known.update((split.root_key, split) for split in snapshot.splits if split.root_key in snapshot.services)
        kept = (split for root, split in known.items() if root not in present)
        return replace(snapshot, splits=(*snapshot.splits, *kept))
    return view


def removed_backends() -> View:
    """Keep backends that a split no longer names, with the weight that they had last."""
    known: dict[str, dict[str, Backend]] = {}

    def view(snapshot: Snapshot) -> Snapshot:
        for split in snapshot.splits:
            known.setdefault(_identity(split), {}).update((backend.service, backend) for backend in split.backends)
        return replace(snapshot, splits=tuple(
            replace(split, backends=tuple(known[_identity(split)].values())) for split in snapshot.splits
        ))
    return view


def added_backends() -> View:
    """Ignore backends that a split did not name at first."""
    first: dict[str, frozenset[str]] = {}

    def view(snapshot: Snapshot) -> Snapshot:
        for split in snapshot.splits:
            first.setdefault(_identity(split), frozenset(backend.service for backend in split.backends))
        return replace(snapshot, splits=tuple(
            replace(split, backends=tuple(
                backend for backend in split.backends if backend.service in first[_identity(split)]
            )) for split in snapshot.splits
        ))
    return view


def late_backends() -> View:
    """Ignore backends that had weight 0 and no Service when they were first named, whatever weight they get."""
    late: dict[tuple[str, str], bool] = {}

    def view(snapshot: Snapshot) -> Snapshot:
        def is_late(split: Split, backend: Backend) -> bool:
            absent = not backend.weight and (split.namespace, backend.service) not in snapshot.services
            return late.setdefault((_identity(split), backend.service), absent)

        return replace(snapshot, splits=tuple(
            replace(split, backends=tuple(backend for backend in split.backends if not is_late(split, backend)))
            for split in snapshot.splits
        ))
    return view


def _identity(split: Split) -> str:
    return split.uid or "/".join(split.key)
