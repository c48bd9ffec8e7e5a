"""The arithmetic of roll-outs, simulated to their end."""

import pytest

from conformance.sandbox.controllers.rollout import Counts, conditions, limits, next_sizes


def spec(replicas, **rolling):
    return {"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (spec(10), (3, 2)),
        (spec(1), (1, 0)),
        (spec(4, maxSurge=0, maxUnavailable=0), (0, 1)),
        (spec(4, maxSurge="50%", maxUnavailable="10%"), (2, 0)),
    ],
)
def test_limits(given, expected):
    assert limits(given) == expected


@pytest.mark.parametrize("replicas", [1, 2, 3, 10])
@pytest.mark.parametrize("rolling", [{}, {"maxSurge": 0, "maxUnavailable": 1}, {"maxSurge": 1, "maxUnavailable": 0}])
def test_a_rolling_update_ends_and_keeps_its_limits(replicas, rolling):
    given = spec(replicas, **rolling)
    surge, unavailable = limits(given)
    new, old = Counts(0, 0, 0, 0), Counts(replicas, replicas, replicas, replicas)
    for _ in range(4 * replicas + 4):
        size, rest = next_sizes(given, new, [old])
        assert size + rest <= replicas + surge
        # Pods of the old set go at once, those of the new come up one a step.
        old = Counts(rest, rest, rest, rest)
        up = min(size, new.available + 1)
        assert new.available + old.available >= replicas - unavailable
        new = Counts(size, size, up, up)
    assert (new.wanted, old.wanted) == (replicas, 0)


def test_broken_old_pods_go_first():
    stuck = Counts(3, 3, 0, 0)
    good = Counts(3, 3, 3, 3)
    assert next_sizes(spec(3, maxSurge=1, maxUnavailable=0), Counts(1, 1, 0, 0), [stuck, good])[1:] == [0, 3]


def test_recreate_waits_until_the_old_ones_are_gone():
    given = {"replicas": 2, "strategy": {"type": "Recreate"}}
    assert next_sizes(given, Counts(0, 0, 0, 0), [Counts(2, 2, 2, 2)]) == [0, 0]
    assert next_sizes(given, Counts(0, 0, 0, 0), [Counts(0, 1, 0, 0)]) == [0, 0]
    assert next_sizes(given, Counts(0, 0, 0, 0), [Counts(0, 0, 0, 0)]) == [2, 0]


def reasons(**state):
    made = conditions([], spec(2), moved=True, replica_set="rs", **state)
    return {found["type"]: (found["status"], found["reason"]) for found in made}


def test_conditions_say_how_a_rollout_fares():
    assert reasons(available=2, complete=True, late=False) == {
        "Available": ("True", "MinimumReplicasAvailable"), "Progressing": ("True", "NewReplicaSetAvailable"),
    }  # fmt: skip
    assert reasons(available=0, complete=False, late=False) == {
        "Available": ("False", "MinimumReplicasUnavailable"), "Progressing": ("True", "ReplicaSetUpdated"),
    }  # fmt: skip
    assert reasons(available=0, complete=False, late=True)["Progressing"] == ("False", "ProgressDeadlineExceeded")
