"""Services that nobody asks, so that a mesh has to configure many."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.objects import Services


@dataclass
class Crowd:
    """Other Services of the mesh, all in front of one workload."""

    services: Services
    workload: str
    count: int = 0

    def grow_to(self, count: int) -> None:
        """Create Services until there are `count`. Raises ClusterError."""
        while self.count < count:
            self.services("crowd", self.workload)
            self.count += 1
