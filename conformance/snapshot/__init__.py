"""The snapshot: what was in the cluster when a run began, as its record keeps it.

A report that nobody can place is worth little: the same mesh behaves otherwise by its configuration, by what else is
in the cluster and by the nodes' kernel. Nothing here is needed for judging, so nothing here can fail a run: what may
not be read, or takes too long, is a part with a status that says so. Secrets are never read.
"""

from conformance.snapshot.parts import MAX_SIZE, TIME, take

__all__ = ["MAX_SIZE", "TIME", "take"]
