"""A pod that is lost under a check costs that check, and no other."""

from __future__ import annotations

from conformance.exit_code import ExitCode
from conformance.objects import Objects
from conformance.outcome import Outcome
from conformance.service import WORKLOAD_LABEL


def test_a_pod_that_is_deleted_under_a_check_is_replaced_for_the_next(run, monkeypatch):
    create, lost = Objects.create, []

    def lose(objects, *arguments, **named):
        if not lost:
            [pod] = objects.cluster.list("v1", "pods", labels=f"{WORKLOAD_LABEL}=v2")[0]
            lost.append(pod["metadata"]["name"])
            objects.cluster.delete({"apiVersion": "v1", "kind": "Pod", **pod})
        return create(objects, *arguments, **named)

    monkeypatch.setattr(Objects, "create", lose)
    code, report = run("--requirement", "SPLIT-002,SPLIT-003,SPLIT-006")
    assert code == ExitCode.ERROR
    assert [result.outcome for result in report.results] == [Outcome.ERROR, Outcome.PASSED, Outcome.PASSED]
    assert lost[0] in report.results[0].message
