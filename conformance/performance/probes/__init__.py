"""What the probes of `suites/performance/` measure, one module each."""
