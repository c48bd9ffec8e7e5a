"""Two verdicts side by side: what counts as agreement, and what never does."""

import pytest

from conformance import selection
from conformance.official import OfficialError, Pair, Pairs, Relation, Scope, compare, pairs, profile
from conformance.official.table import read

TABLE = Pairs("v1.6.0", (
    Pair("ROUTE-001", "MeshHTTPRouteWeight", Scope.SAME, note="ten draws"),
    Pair("ROUTE-010", "MeshTrafficSplit", Scope.PART, note="asks for less"),
    Pair("ROUTE-011", "MeshHTTPRouteMatching", Scope.SAME, ("3_v2", "4_v2/x"), "the same paths"),
))


@pytest.fixture
def relation(report, official):
    """Compares one outcome of ours with one of theirs, and says how they stand."""
    def of(ours, theirs, requirement="ROUTE-001", test="MeshHTTPRouteWeight"):
        found = compare(report({requirement: ours} if ours else {}), official({test: theirs}), TABLE)
        (row,) = (row for row in found.rows if row.pair.requirement == requirement)
        return row.relation

    return of


@pytest.mark.parametrize(("ours", "theirs", "expected"), [
    ("passed", "passed", "agree"), ("failed", "failed", "agree"), ("known-failure", "failed", "agree"),
    ("passed", "failed", "disagree"), ("failed", "passed", "disagree"), ("known-failure", "passed", "disagree"),
    ("passed", "skipped", "only ours"), ("failed", "skipped", "only ours"),
    ("error", "passed", "only theirs"), ("unsupported", "passed", "only theirs"), ("skipped", "failed", "only theirs"),
    ("not-applicable", "passed", "only theirs"), (None, "passed", "only theirs"),
    ("error", "skipped", "neither"), ("unsupported", "skipped", "neither"), (None, "skipped", "neither"),
])  # fmt: skip
def test_only_what_both_judged_agrees_or_disagrees(relation, ours, theirs, expected):
    assert relation(ours, theirs) == expected


def test_who_asks_for_less_may_pass_what_we_fail(relation):
    less = {"requirement": "ROUTE-010", "test": "MeshTrafficSplit"}
    assert relation("failed", "passed", **less) is Relation.COMPATIBLE
    assert relation("passed", "failed", **less) is Relation.DISAGREE
    assert relation("failed", "failed", **less) is Relation.AGREE


@pytest.mark.parametrize(("parts", "theirs", "expected"), [
    ({"3_v2": "passed", "4_v2/x": "passed", "9_other": "passed"}, "passed", "agree"),
    ({"3_v2": "passed", "4_v2/x": "passed", "9_other": "failed"}, "passed", "agree"),
    ({"3_v2": "passed", "4_v2/x": "failed"}, "failed", "disagree"),
    ({"3_v2": "passed"}, None, "only ours"), ({}, None, "only ours"),
    ({"3_v2": "passed", "4_v2/x": "skipped"}, None, "only ours"),
])  # fmt: skip
def test_of_a_test_with_many_parts_those_count_that_judge_the_same(report, official, parts, theirs, expected):
    whole = "failed" if "failed" in parts.values() else "passed"
    tests = {"MeshHTTPRouteMatching": whole} | {f"MeshHTTPRouteMatching/{name}": told for name, told in parts.items()}
    row = compare(report({"ROUTE-011": "passed"}), official(tests), TABLE).rows[2]
    assert (row.theirs, row.relation) == (theirs, expected)
    assert bool(row.why) == (theirs is None)


def test_a_test_that_broke_before_its_parts_judged_nothing(report, official):
    row = compare(report({"ROUTE-011": "passed"}), official({"MeshHTTPRouteMatching": "failed"}), TABLE).rows[2]
    assert (row.theirs, row.relation) == (None, Relation.ONLY_OURS)
    assert row.why == "MeshHTTPRouteMatching failed without its 3_v2, 4_v2/x"


def test_why_there_is_no_verdict_of_theirs_is_said(report, official):
    told = {"MeshHTTPRouteWeight": ("skipped", "Skipping MeshHTTPRouteWeight: test explicitly skipped")}
    rows = compare(report({"ROUTE-001": "passed"}), official(told), TABLE).rows
    assert rows[0].why == "test explicitly skipped"
    assert rows[1].why == "MeshTrafficSplit is not among the tests that were run"


def test_every_version_of_the_api_is_compared(report, official):
    found = compare(report({"ROUTE-001": "passed"}, versions=("v1", "v1beta1")),
                    official({"MeshHTTPRouteWeight": "passed"}), TABLE)
    assert [row.version for row in found.rows if row.ours] == ["v1", "v1beta1"]
    assert found.count(Relation.AGREE) == 2


def test_results_of_other_apis_do_not_count(report, official):
    found = compare(report({"ROUTE-001": "passed"}, api="split.smi-spec.io"),
                    official({"MeshHTTPRouteWeight": "passed"}), TABLE)
    assert found.rows[0].relation is Relation.ONLY_THEIRS


def test_what_has_no_counterpart_is_listed(report, official):
    theirs = official({"MeshHTTPRouteWeight": "passed", "MeshFrontend": "failed", "MeshOther": "skipped"})
    found = compare(report({"ROUTE-001": "passed", "ROUTE-003": "failed"}), theirs, TABLE)
    assert [test.name for test in found.unpaired] == ["MeshFrontend"]
    assert [result.requirement for result in found.alone] == ["ROUTE-003"]


def test_a_record_of_several_meshes_has_to_say_which(report, official):
    theirs = official({"MeshHTTPRouteWeight": "passed"})
    several = report({"ROUTE-001": "passed"}, meshes=("istio", "linkerd"))
    with pytest.raises(OfficialError, match=r"of 2 meshes \(istio, linkerd\).* name it with --mesh"):
        compare(several, theirs, TABLE)
    assert compare(several, theirs, TABLE, mesh="linkerd").mesh.name == "linkerd"
    with pytest.raises(OfficialError, match="has no mesh 'kuma'; it has istio, linkerd"):
        compare(several, theirs, TABLE, mesh="kuma")


# --- what their report claims ---


def test_what_was_skipped_is_not_supported_whatever_their_report_claims(report, official, claimed):
    relies = "Running MeshPorts, relying on the following features: Mesh-standard, HTTPRouteParentRefPort-standard"
    theirs = official({"MeshPorts": ("passed", relies),
                       "MeshConsumerRoute": ("skipped", "Skipping MeshConsumerRoute: suite does not support X")})
    told = profile.claims(claimed(supported=["MeshConsumerRoute", "HTTPRouteParentRefPort"]), "report.yaml")
    assert compare(report({}), theirs, TABLE, claims=told).unproved == {
        "MeshConsumerRoute": "no test of it was run"}


def test_a_test_that_failed_proves_nothing(report, official, claimed):
    relies = "Running MeshX, relying on the following features: MeshConsumerRoute-standard"
    told = profile.claims(claimed(failed=["MeshX"]), "report.yaml")
    found = compare(report({}), official({"MeshX": ("failed", relies)}), TABLE, claims=told)
    assert found.unproved == {"MeshConsumerRoute": "MeshX failed"}
    assert found.uncounted == ()


def test_what_failed_and_is_left_out_of_their_report_is_said(report, official, claimed):
    relies = "Running MeshX, relying on the following features: MeshClusterIPMatching-standard, Other-experimental"
    told = profile.claims(claimed(supported=["MeshClusterIPMatching"]), "report.yaml")
    found = compare(report({}), official({"MeshX": ("failed", relies)}), TABLE, claims=told)
    assert found.unproved == {"MeshClusterIPMatching": "MeshX failed"}
    assert found.uncounted == ("MeshX",)


@pytest.mark.parametrize(("tests", "change"), [
    ({"MeshPorts": "passed"}, {"failed": ["MeshPorts"]}), ({"MeshBasic": "passed"}, {"failed": ["MeshPorts"]}),
    ({"MeshPorts": "passed"}, {"skipped": ["MeshPorts"]}),
])  # fmt: skip
def test_a_report_of_another_run_is_refused(report, official, claimed, tests, change):
    told = profile.claims(claimed(**change), "report.yaml")
    with pytest.raises(OfficialError, match="they are not of the same run"):
        compare(report({}), official(tests), TABLE, claims=told)


def test_other_versions_are_warned_of(report, official, claimed):
    document = claimed(gatewayAPIVersion="v1.5.0")
    document["implementation"]["version"] = "1.30.0"
    found = compare(report({}), official({"MeshBasic": "passed"}), TABLE, claims=profile.claims(document, "r.yaml"))
    assert found.warnings == ("the record is of istio 1.31-dev, the official report of istio 1.30.0",
                              "the pairs are of the Gateway API v1.6.0, the official report is of v1.5.0")


# --- the table ---


def test_the_table_names_requirements_that_there_are():
    known = {row.id for row in selection.rows(("gateway",))}
    assert {pair.requirement for pair in pairs().pairs} <= known


def test_a_table_that_is_none_is_refused(tmp_path):
    entry = "  - {requirement: ROUTE-001, test: MeshBasic, scope: same, note: n}\n"
    for text, problem in (("api: v1.6.0\npairs:\n" + 2 * entry, "are a pair 2 times"),
                          ("api: v1.6.0\npairs:\n" + entry.replace("same", "some"), r"pairs\.0\.scope"),
                          ("api: v1.6.0\npairs: []\n", "pairs"), ("pairs:\n" + entry, "'api' is a required")):
        file = tmp_path / "pairs.yaml"
        file.write_text(text)
        with pytest.raises(OfficialError, match=problem):
            read(file)
