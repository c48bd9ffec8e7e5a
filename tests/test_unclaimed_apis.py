"""A mesh that has nothing to do with an API is said to have nothing to do with it, whatever a cluster serves."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from conformance import mesh, paths, requirement, smi
from conformance.cluster_errors import ClusterError
from conformance.outcome import Outcome
from conformance.preflight import obstacle
from conformance.smi import ServedApis

EVERYTHING = ServedApis(dict(smi.RELEASED))
NOTHING = ServedApis({smi.DEFINITIONS: ("v1",)})
ROWS = {row.id: row for row in requirement.catalogue(paths.suites())}
SAID = {
    "SPLIT-001": "Istio claims no version of split.smi-spec.io",
    "TARGET-001": "Istio claims no version of access.smi-spec.io",
    "HRG-001": "Istio claims no version of specs.smi-spec.io",
    "METRIC-001": "Istio claims no version of metrics.smi-spec.io",
    "CRD-001": "Istio claims none of SMI's kinds, so that their definitions are not its own",
}


@pytest.mark.parametrize("served", [EVERYTHING, NOTHING], ids=["all of SMI is served", "nothing of SMI is served"])
@pytest.mark.parametrize("row", SAID)
def test_smi_is_unsupported_by_a_mesh_without_it(row, served):
    found = obstacle(ROWS[row], (), mesh.load("istio"), served)
    assert found == (Outcome.UNSUPPORTED, SAID[row])


def test_what_a_mesh_claims_is_asked_of_the_cluster():
    row = ROWS["SPLIT-001"]
    outcome, reason = obstacle(row, (), mesh.load("reference"), NOTHING)
    assert (outcome, reason) == (Outcome.UNSUPPORTED, "split.smi-spec.io: the cluster does not serve it")


def test_an_api_of_which_the_cluster_does_not_tell_is_not_taken_for_absent():
    def get(*_):
        raise ClusterError("reading APIService v1alpha1.metrics.smi-spec.io", "forbidden", code=403)

    with pytest.raises(ClusterError, match="forbidden"):
        smi.served_apis(SimpleNamespace(groups=dict, get=get, kinds=lambda *_: frozenset()))
