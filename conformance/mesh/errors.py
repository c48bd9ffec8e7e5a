"""What can be wrong with a mesh."""

from __future__ import annotations


class MeshError(Exception):
    """A mesh is unknown, its description is wrong, or it could not be installed."""
