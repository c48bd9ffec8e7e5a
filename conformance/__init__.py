"""A conformance and performance harness for service meshes: pytest plugin, suites, sandbox and reports."""

__version__ = "0.1.0"
