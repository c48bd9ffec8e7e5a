"""What configuration costs: how precise it is under load, how long it takes, and how both grow with its amount."""

from conformance.performance.probe import probe
from conformance.performance.probes import growth, overhead, policies, weights

SERVICES = (10, 100, 1000)
POLICIES = (1, 10, 100, 1000)
DRAWS = 30


@probe("weight-accuracy")
def test_weight_accuracy(bench, effects):
    """The share of requests that a backend with a tenth of the weight gets, at a steady rate."""
    root, rare = effects.split({"v2": 90, "v3": 10})
    weights.measure(bench, root, rare, expected=0.1)


@probe("time-to-effect")
def test_time_to_effect(effects, findings):
    """Seconds from applying a change of a TrafficSplit to the first answer that shows it."""
    taken = effects.draws(DRAWS)
    findings.median("effect.time", "s", taken, {})
    findings.value("effect.time.longest", "s", max(taken), {})


@probe("effect-growth")
def test_effect_growth(effects, findings, crowd):
    """How the time to effect grows with the number of other Services in the mesh."""
    taken = {}
    for count in SERVICES:
        crowd.grow_to(count)
        taken[count] = effects.draws(DRAWS // 3)
        findings.median("effect.time", "s", taken[count], {"services": str(count)})
    growth.record(findings, "effect.growth", "s", taken, per="service")


@probe("policy-growth")
def test_policy_growth(bench, findings, policy):
    """How the response time of a guarded Service grows with the number of TrafficTargets that protect it."""
    taken = {}
    for count in POLICIES:
        policy.grow_to(count)
        series = bench.rounds(policy.ways(), rounds=max(5, bench.effort.rounds // 2),
                              labels={"policies": str(count)})
        overhead.latencies(findings, series, {"p50": 0.5}, policies=str(count))
        taken[count] = policies.added(series)
    growth.record(findings, "policy.growth", "s", taken, per="policy")
