"""TrafficTarget: which clients may use what of a workload; all that no target allows is denied.

Source: SMI v0.6.0, `apis/traffic-access/v1alpha3/traffic-access.md` and its earlier versions.

`guarded` is the Service of a workload whose service account has the same name. `client` and `second_client` have the
same labels and different accounts, `neighbour` lives in another namespace than they, the one of `guarded`. A denial is
judged at the servers: they saw nothing of the sample.
"""

from __future__ import annotations

from conformance.cluster import Rejected
from conformance.requirement import requirement
from conformance.smi import ACCESS, Account, HTTPMatch, Rule

EVERY = ("v1alpha1", "v1alpha2", "v1alpha3")
API = HTTPMatch("api", path_regex="/api", methods=["*"])
METRICS = HTTPMatch("metrics", path_regex="/metrics", methods=["GET"])
HEALTH = HTTPMatch("health", path_regex="/health", methods=["GET"])


@requirement("TARGET-001", level="M", versions=EVERY, api=ACCESS, spec="Introduction: additive")
def test_all_is_denied_by_default(service, target, rules, client, second_client):
    """Without a target that names its service account, a workload cannot be used by anybody."""
    alone = service("alone", "neighbour", role="guarded")
    for each in (client, second_client):
        each.is_denied(alone)
    target(client, rules=[rules.everything()], to="neighbour")
    client.is_allowed(alone)


@requirement("TARGET-002", level="B", versions=EVERY, api=ACCESS, spec="Specification: sources and rules")
def test_source_may_use_a_defined_route(guarded, target, rules, client):
    """A pod whose service account is a source may use the routes that the target's rules define."""
    client.is_denied(guarded, path="/api")
    target(client, rules=[rules.http(METRICS), rules.http(API)])
    for path in ("/metrics", "/api", "/api/orders"):
        client.is_allowed(guarded, path=path)


@requirement("TARGET-003", level="M", versions=EVERY, api=ACCESS, spec="Specification: sources")
def test_others_are_denied(guarded, target, rules, client, second_client, neighbour):
    """A pod whose service account is not among the sources is denied, whichever namespace it is in."""
    target(client, rules=[rules.http(API)])
    client.is_allowed(guarded, path="/api")
    second_client.is_denied(guarded, path="/api")
    neighbour.is_denied(guarded, path="/api")


@requirement("TARGET-004", level="M", versions=EVERY, api=ACCESS, spec="Specification: rules")
def test_other_routes_are_denied(guarded, target, rules, client):
    """A source pod is denied on routes that the target's rules do not define."""
    target(client, rules=[rules.http(API)])
    client.is_allowed(guarded, path="/api")
    client.is_denied(guarded, path="/admin")


@requirement("TARGET-005", level="B", versions=EVERY, api=ACCESS, spec="Specification: ServiceAccount")
def test_identity_is_the_service_account(guarded, target, rules, deploy, caller, client, second_client):
    """Pods of one service account are alike whatever their labels, pods of another are not, though labelled alike."""
    deploy("twin", labels={"role": "other"}, account="client")
    target(client, rules=[rules.everything()])
    for each in (client, caller("twin")):
        each.is_allowed(guarded)
    second_client.is_denied(guarded)


@requirement("TARGET-006", level="B", versions=EVERY, api=ACCESS, spec="Specification: destination")
def test_destination_is_every_pod_of_the_account(guarded, service, target, rules, deploy, client, second_client):
    """A target's destination is every pod of the service account, not only those of one workload or Service."""
    deploy("guarded-too", labels={"app": "other"}, account="guarded", role="guarded")
    too = service("too", "guarded-too", role="guarded")
    client.is_denied(too)
    target(client, rules=[rules.everything()])
    for each in (guarded, too):
        client.is_allowed(each)
        second_client.is_denied(each)


@requirement("TARGET-007", level="M", versions=("v1alpha3",), api=ACCESS, spec="Specification: required parts")
def test_incomplete_target_allows_nothing(guarded, target, rules, client, second_client, observe):
    """A target needs a rule and a source: without one of them it is refused, or allows nothing to anybody."""
    everything = rules.everything()
    for sources, rules_given in (([client], []), ([], [everything])):
        try:
            incomplete = target(*sources, rules=rules_given)
        except Rejected as refusal:
            observe(f"refused: {refusal.found}")
            continue
        for each in (client, second_client):
            each.is_denied(guarded)
        incomplete.change(sources=[client], rules=[everything])
        client.is_allowed(guarded)
        incomplete.delete()


@requirement("TARGET-008", level="B", versions=EVERY, api=ACCESS, spec="Specification: matches")
def test_matches_restrict_a_rule(guarded, target, rules, client):
    """A rule that names matches of a route group allows those matches only."""
    rule = rules.http(METRICS, API, HEALTH, only=["metrics"])
    limited = target(client, rules=[rule])
    client.is_allowed(guarded, path="/metrics")
    client.is_denied(guarded, path="/api")
    limited.change(rules=[Rule(rule.kind, rule.name, ["api", "health"])])
    for path in ("/api", "/health"):
        client.is_allowed(guarded, path=path)
    client.is_denied(guarded, path="/metrics")


@requirement("TARGET-009", level="B", versions=EVERY, api=ACCESS, spec="Specification: matches omitted")
def test_without_matches_a_rule_is_the_whole_group(guarded, target, rules, client):
    """A rule that names no matches allows what any match of the route group selects."""
    target(client, rules=[rules.http(METRICS, API)])
    for path in ("/metrics", "/api"):
        client.is_allowed(guarded, path=path)
    client.is_denied(guarded, path="/other")


@requirement("TARGET-010", level="B", versions=EVERY, api=ACCESS, spec="Specification: ports")
def test_ports_restrict_a_target(guarded, target, client):
    """A target for one port allows no other; the ports stand in the route from v1alpha3, in the target before."""
    target.at(8300, client)
    client.is_allowed(guarded, port=8300, protocol="tcp")
    client.is_denied(guarded, port=8301, protocol="tcp")
    target.at(8301, client)
    client.is_allowed(guarded, port=8301, protocol="tcp")


@requirement("TARGET-011", level="B", versions=EVERY, api=ACCESS, spec="Specification: no ports")
def test_without_ports_all_are_allowed(guarded, target, rules, client, second_client):
    """A target that specifies no ports allows all ports of the destination."""
    client.is_denied(guarded, port=8300, protocol="tcp")
    target(client, rules=[rules.tcp()], every_port=True)
    for port in (8300, 8301, 8302):
        client.is_allowed(guarded, port=port, protocol="tcp")
    second_client.is_denied(guarded, port=8300, protocol="tcp")


@requirement(
    "TARGET-012", level="B", versions=("v1alpha3",), api=ACCESS, spec="Example: TCPRoute and HTTPRouteGroup",
    unjudged="the text gives examples, and no rule for how routes of two kinds combine",
)
def test_both_kinds_of_route_in_one_target(guarded, target, rules, client, observe):
    """A TCPRoute and an HTTPRouteGroup in one target constrain ports and requests together."""
    target(client, rules=[rules.tcp(8080), rules.http(METRICS)])
    cases = {"its port and path": (8080, "/metrics"), "its port, another path": (8080, "/other"),
             "its path, another port": (8081, "/metrics")}
    for name, (port, path) in cases.items():
        observe(f"{name}: {client.observes(guarded, port=port, path=path, requests=20)}")


@requirement("TARGET-013", level="M", versions=EVERY, api=ACCESS, spec="Specification: enforcement")
def test_policy_is_enforced_at_the_server(guarded, target, rules, mesh, deploy, caller, client, stranger, observe):
    """Policy is always enforced on the server's side: whoever has no proxy, or one that ignores policy, is denied."""
    target(client, rules=[rules.everything()])
    client.is_allowed(guarded)
    stranger.is_denied(guarded)
    stranger.is_denied(guarded, port=8300, protocol="tcp")
    if not mesh.access.ignorant:
        observe("not tried with a proxy that ignores policy: the mesh has no such setting")
        return
    deploy("ignorant", labels={"role": "client"}, ignorant=True)
    caller("ignorant").is_denied(guarded)


@requirement("TARGET-014", level="O", versions=EVERY, api=ACCESS, spec="Specification: enforcement at the client")
def test_policy_may_be_enforced_at_the_client(guarded, target, rules, client, second_client, observe):
    """Policy may be enforced on the client's side as well; what a denied client is told is up to the mesh."""
    target(client, rules=[rules.http(API)])
    client.is_allowed(guarded, path="/api")
    for each, call in ((client, {"path": "/other"}), (second_client, {"path": "/api"}),
                       (second_client, {"port": 8300, "protocol": "tcp"})):
        observe(f"{each.workload} {call}: {each.observes(guarded, requests=20, timeout=2.0, **call)}")


@requirement("TARGET-015", level="B", versions=EVERY, api=ACCESS, spec="Introduction: additive")
def test_targets_add_up(guarded, target, rules, client, second_client):
    """What several targets of one destination allow is allowed: the union, for each source its own."""
    target(client, rules=[rules.http(API)])
    target(client, second_client, rules=[rules.http(METRICS)])
    for path in ("/api", "/metrics"):
        client.is_allowed(guarded, path=path)
    second_client.is_allowed(guarded, path="/metrics")
    second_client.is_denied(guarded, path="/api")


@requirement("TARGET-016", level="B", versions=EVERY, api=ACCESS, spec="Introduction: additive")
def test_changes_take_effect(guarded, target, rules, client, second_client):
    """A changed target allows what it says now, and a deleted one nothing more."""
    api, metrics = rules.http(API), rules.http(METRICS)
    changing = target(client, rules=[api])
    client.is_allowed(guarded, path="/api")
    changing.change(sources=[second_client])
    second_client.is_allowed(guarded, path="/api")
    client.is_denied(guarded, path="/api")
    changing.change(rules=[metrics])
    second_client.is_allowed(guarded, path="/metrics")
    second_client.is_denied(guarded, path="/api")
    changing.delete()
    second_client.is_denied(guarded, path="/metrics")


@requirement("TARGET-017", level="B", versions=EVERY, api=ACCESS, spec="Example implementation: L7")
def test_table_of_the_specification_for_http(guarded, target, rules, client, second_client, neighbour):
    """Website and payments may use /api with any method, Prometheus may GET /metrics; all else is denied."""
    website, payments, prometheus = client, second_client, neighbour
    target(website, payments, rules=[rules.http(API)])
    target(prometheus, rules=[rules.http(METRICS)])
    for each in (website, payments):
        for method in ("GET", "POST", "DELETE"):
            each.is_allowed(guarded, path="/api", method=method)
        each.is_denied(guarded, path="/metrics")
    prometheus.is_allowed(guarded, path="/metrics")
    prometheus.is_denied(guarded, path="/metrics", method="POST")
    prometheus.is_denied(guarded, path="/api")


@requirement("TARGET-018", level="B", versions=("v1alpha3",), api=ACCESS, spec="Example implementation: L4")
def test_table_of_the_specification_for_ports(guarded, target, rules, client):
    """TCP 8300 to 8302 and UDP 8301 and 8302 are allowed; UDP 8300 is blocked."""
    target(client, rules=[rules.tcp(8300, 8301, 8302), rules.udp(8301, 8302)])
    for port in (8300, 8301, 8302):
        client.is_allowed(guarded, port=port, protocol="tcp")
    for port in (8301, 8302):
        client.is_allowed(guarded, port=port, protocol="udp")
    client.is_denied(guarded, port=8300, protocol="udp")


@requirement("TARGET-019", level="B", versions=EVERY, api=ACCESS, spec="Specification: several sources")
def test_several_sources_and_namespaces(guarded, target, rules, client, second_client, neighbour):
    """Each of several sources is allowed, in the namespace that it names; the same name elsewhere is another."""
    elsewhere = Account(second_client.account.name, neighbour.account.namespace)
    target(client, neighbour, elsewhere, rules=[rules.everything()])
    for each in (client, neighbour):
        each.is_allowed(guarded)
    second_client.is_denied(guarded)


@requirement(
    "TARGET-020", level="S", versions=EVERY, api=ACCESS, spec="Tradeoffs: ingress",
    unjudged="no ingress is part of the sample workloads",
)
def test_ingress_with_an_identity(observe):
    """Traffic through an ingress that has an identity should be judged by that identity."""
    observe("not tried: no ingress is part of the sample workloads")


@requirement(
    "TARGET-021", level="S", versions=EVERY, api=ACCESS, spec="Tradeoffs: RBAC",
    unjudged="it advises operators on who may assign service accounts, and asks nothing of a mesh",
)
def test_service_accounts_are_protected(observe):
    """RBAC should control who may run pods under the service account of a destination."""
    observe("not tried: it asks something of who runs the cluster, and nothing of a mesh")


@requirement("TARGET-022", level="O", versions=EVERY, api=ACCESS, spec="Out of scope")
def test_out_of_scope(observe):
    """Egress, retries, timeouts and rate limits are out of scope."""
    observe("not tried: the specification leaves these out of its scope, so there is nothing to look for")


@requirement("TARGET-023", level="N", versions=EVERY, api=ACCESS, spec="Unspecified")
def test_unspecified_references(guarded, target, rules, client, observe):
    """What a target allows that names a route group or a match that is not there, or no namespace, is not said."""
    present = rules.http(API)
    cases = {
        "route group missing": ([client], Rule("HTTPRouteGroup", "no-such-group")),
        "match missing": ([client], Rule("HTTPRouteGroup", present.name, ["no-such-match"])),
        "namespace of the source omitted": ([Account(client.account.name)], present),
    }
    for name, (sources, rule) in cases.items():
        made = target(*sources, rules=[rule])
        observe(f"{name}: {client.observes(guarded, path='/api', requests=20, timeout=2.0)}")
        made.delete()


@requirement(
    "TARGET-024", level="B", versions=EVERY, api=ACCESS, spec="Introduction: identity",
    unjudged="authentication is left to the implementation; what it comes to is judged by TARGET-003, 005 and 013",
)
def test_authentication_is_the_implementations(guarded, target, rules, client, observe):
    """How a client proves who it is, is the implementation's business."""
    target(client, rules=[rules.everything()])
    observe(f"a listed source: {client.observes(guarded, requests=20)}")
