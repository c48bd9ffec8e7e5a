"""Which worker does which check, where a run judges several meshes on one cluster.

Each mesh is one worker's: two would need two sets of sample workloads in it. The marker `xdist_group` of pytest-xdist
3.8 has no effect under pytest 9.1, hence this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling


class MeshScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps the checks of a mesh together; `names` are those of the meshes, as in the ids of the checks."""

    def __init__(self, names: Sequence[str], config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._names = names

    def _split_scope(self, nodeid: str) -> str:
        parameters = nodeid.rpartition("[")[2].removesuffix("]")
        return next((name for name in self._names if parameters == name), nodeid)
