"""Plain `pytest suites/smi` runs as `mesh-conformance run` does, `pytest suites/performance` as `perf run`."""

pytest_plugins = ["conformance.plugin", "conformance.probing"]
