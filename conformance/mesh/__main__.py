"""`python -m conformance.mesh` prints the page `docs/meshes.md`."""

from __future__ import annotations

import sys

from conformance.mesh.registry import load, shipped
from conformance.mesh.table import to_markdown

if __name__ == "__main__":
    sys.stdout.write(to_markdown(load(name) for name in shipped()))
