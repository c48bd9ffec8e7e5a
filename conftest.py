"""Plain `pytest suites/smi` runs as `mesh-conformance run` does."""

pytest_plugins = ["conformance.plugin"]
