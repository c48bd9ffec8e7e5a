"""The loads of a file in the format of SMP (Service Mesh Performance)."""

from conformance.performance.probe import probe
from conformance.performance.probes import requested


@probe("smp-config")
def test_configured(bench, config):
    """Response times and rates of the loads that a PerformanceTestConfig asks for."""
    requested.measure(bench, config)
