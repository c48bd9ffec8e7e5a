"""Where the suites and the fixtures' data are: inside the package once installed, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def suites() -> Path:
    """Return the directory that holds `smi/` and `performance/`."""
    return _beside_or_inside("suites")


def fixtures() -> Path:
    """Return the directory that holds `meshes/`, `workloads/` and `crds/`."""
    return _beside_or_inside("fixtures")


def fixtures_module() -> str:
    """Return the importable name of the package that holds the pytest fixtures."""
    return "conformance.fixtures" if (_PACKAGE / "fixtures").is_dir() else "fixtures"


def agent_program() -> Path:
    """Return the one file that runs in every sample pod."""
    return _PACKAGE / "workloads" / "agent.py"


def _beside_or_inside(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
