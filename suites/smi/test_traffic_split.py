"""TrafficSplit: traffic to a root Service is divided over backend Services by weight.

Source: SMI v0.6.0, `apis/traffic-split/v1alpha4/traffic-split.md` and its earlier versions.

The workloads `v1`, `v2` and `v3` answer with their own name. Unless a test says otherwise the root Service
selects `v1`, so that traffic without a split is told from traffic with one.
"""

from __future__ import annotations

from conformance import behaviours
from conformance.cluster import Rejected
from conformance.expect import ROUGH, Only, Spread, Weights
from conformance.requirement import requirement
from conformance.smi import SPLIT, HTTPMatch

EVERY = ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4")
WITH_MATCHES = ("v1alpha3", "v1alpha4")

BETA = HTTPMatch("beta", headers={"x-user": "beta-.*", "x-region": "eu"})
BETA_USER = {"x-user": "beta-7", "x-region": "eu"}


@requirement("SPLIT-001", level="B", versions=EVERY, api=SPLIT, spec="Specification: service")
def test_root_service_is_the_name_that_clients_use(service, split, client, neighbour):
    """Traffic to the root Service is split, under every name by which clients know that Service."""
    root, left, right = service("root", "v1"), service("left", "v2"), service("right", "v3")
    known = [(client, host, 300) for host in root.hosts]
    known += [(neighbour, host, 100) for host in root.hosts if "." in host]
    for each, host, _ in known:
        each.control(root, host=host)
    split(root, {left: 1, right: 1})
    for each, host, requests in known:
        each.sees(root, Only(left, right), host=host, requests=requests)


@requirement("SPLIT-002", level="B", versions=EVERY, api=SPLIT, spec="Specification: standard Service behaviour")
def test_client_without_a_proxy_keeps_the_service(service, split, client, outsider):
    """A client that is not part of the mesh gets the root Service's own endpoints, as if there were no split."""
    root, other = service("root", selector={"app": "echo"}), service("other", "v3")
    outsider.control(root)
    split(root, {other: 1})
    client.sees(root, Only(other), requests=100)
    outsider.sees(root, Spread(root))


@requirement("SPLIT-003", level="B", versions=EVERY, api=SPLIT, spec="Specification: weight")
def test_traffic_is_divided_by_weight(service, split, client):
    """Weights 90 and 10 send 90 % of the outgoing traffic to the first backend and 10 % to the second."""
    behaviours.traffic_is_divided_by_weight(service, split, client)


@requirement("SPLIT-004", level="B", versions=EVERY, api=SPLIT, spec="Specification: relative weights")
def test_weights_are_relative(service, split, client):
    """Weights are shares of their sum, not percentages: 1000 and 500 divide two to one, 100 and 900 one to nine."""
    behaviours.weights_are_relative(service, split, client)


@requirement("SPLIT-005", level="M", versions=EVERY, api=SPLIT, spec="Specification: whole numbers")
def test_weights_are_whole_numbers(service, split, client):
    """Whole numbers of any size are weights: 5, 2 and 1 divide over three backends, and 1 of 201 is not nothing."""
    root, weights = service("root", "v1"), {service("a", "v1"): 5, service("b", "v2"): 2, service("c", "v3"): 1}
    client.control(root)
    split(root, weights)
    client.sees(root, Weights(weights))
    little, (one, least, other) = service("little", "v1"), weights
    split(little, {one: 100, least: 1, other: 100})
    client.sees(little, Spread(one, least, other, rarest=1 / 201))


@requirement("SPLIT-006", level="B", versions=EVERY, api=SPLIT, spec="Workflow: weight 0")
def test_weight_zero_gets_nothing(service, split, client):
    """A backend of weight 0 gets no traffic."""
    behaviours.weight_zero_gets_nothing(service, split, client)


@requirement("SPLIT-007", level="B", versions=EVERY, api=SPLIT, spec="Workflow: single backend")
def test_single_backend_gets_everything(service, split, client):
    """A split with one backend of weight 1 sends all traffic to it."""
    behaviours.single_backend_gets_everything(service, split, client)


@requirement("SPLIT-008", level="B", versions=EVERY, api=SPLIT, spec="Workflow: before the new version")
def test_backend_may_not_exist_yet(service, split, client):
    """A split may name, with weight 0, a Service that does not exist yet; the other backends get all traffic."""
    root, stable, coming = service("root", "v1"), service("stable", "v2"), service.later("coming", "next")
    client.control(root)
    split(root, {stable: 1, coming: 0})
    client.sees(root, Only(stable))


@requirement("SPLIT-009", level="B", versions=EVERY, api=SPLIT, spec="Workflow: rolling out the new version")
def test_new_version_gets_nothing_until_it_has_weight(service, split, deploy, client):
    """When the Service of weight 0 and its pods appear they get no traffic, although the root selects them too."""
    root = service("root", selector={"family": "stable"})
    stable, coming = service("stable", "v1"), service.later("coming", "next")
    rollout = split(root, {stable: 1, coming: 0})
    client.sees(root, Only(stable), requests=50)
    deploy("next", labels={"family": "stable"})
    service.create(coming)
    client.sees(coming, Only(coming), requests=50)
    client.sees(root, Only(stable))
    rollout.change({stable: 1, coming: 1})
    client.sees(root, Spread(stable, coming))


@requirement("SPLIT-010", level="B", versions=EVERY, api=SPLIT, spec="Workflow: spot checks")
def test_backend_is_reachable_directly(service, split, client):
    """A backend of weight 0 can be called by its own name, for a first look at the new version."""
    root, stable, canary = service("root", "v3"), service("stable", "v1"), service("canary", "v2")
    client.control(canary)
    split(root, {stable: 1, canary: 0})
    client.sees(root, Only(stable, canary), requests=50)
    client.sees(canary, Only(canary), requests=300)


@requirement("SPLIT-011", level="B", versions=EVERY, api=SPLIT, spec="Workflow: shifting traffic")
def test_changed_weights_take_effect(service, split, client):
    """Changing the weights of a split changes how traffic is divided."""
    behaviours.changed_weights_take_effect(service, split, client)


@requirement("SPLIT-012", level="B", versions=EVERY, api=SPLIT, spec="Workflow: cleaning up")
def test_deleting_the_split_restores_the_service(service, split, client):
    """When the split is deleted, traffic goes to the root Service's own endpoints again."""
    behaviours.deletion_restores_the_service(service, split, client)


@requirement("SPLIT-013", level="B", versions=EVERY, api=SPLIT, spec="Specification: backends")
def test_removed_backend_gets_nothing(service, split, client):
    """A backend that is taken out of the list gets no more traffic."""
    root, kept, too, removed = service("root", "v1"), service("kept", "v1"), service("too", "v2"), service("out", "v3")
    rollout = split(root, {kept: 1, too: 1, removed: 1})
    client.sees(root, Spread(kept, too, removed), requests=100)
    rollout.change({kept: 1, too: 1})
    client.sees(root, Only(kept, too))


@requirement("SPLIT-014", level="B", versions=EVERY, api=SPLIT, spec="Specification: per client")
def test_each_client_sees_the_ratio(service, split, client, second_client):
    """The ratio holds for each client by itself, not only over all; calls to a backend by name are not split."""
    root, stable, canary = service("root", "v1"), service("stable", "v1"), service("canary", "v2")
    client.control(root)
    split(root, {stable: 70, canary: 30})
    for each in (client, second_client):
        each.sees(root, Weights({stable: 70, canary: 30}))
        each.sees(stable, Only(stable), requests=300)


@requirement("SPLIT-015", level="B", versions=EVERY, api=SPLIT, spec="Specification: kind of Service")
def test_backends_may_differ_from_the_root(service, split, client):
    """Backends may have another selector and another type than the root Service."""
    root, same, other = service("root", "v1"), service("same", "v2"), service("other", "v3", type="NodePort")
    client.control(other)
    split(root, {same: 1, other: 1})
    client.sees(root, Weights({same: 1, other: 1}, effect=ROUGH))


@requirement("SPLIT-016", level="M", versions=EVERY, api=SPLIT, spec="Ports: match")
def test_ports_match_by_number(service, split, client):
    """A backend belongs to the split of a root port when it has a port of that number, whatever its name."""
    root, same = service("root", "v1"), service("same", "v2")
    other = service("other", "v3", ports={"http-web": (8080, 8080)})
    client.control(other)
    split(root, {same: 1, other: 1})
    client.sees(root, Weights({same: 1, other: 1}, effect=ROUGH))


@requirement("SPLIT-017", level="M", versions=EVERY, api=SPLIT, spec="Ports: birds")
def test_backend_without_the_port_is_left_out(service, split, client):
    """A backend that lacks the root's port is not part of the split: the backend that has it gets everything."""
    birds, green = service("birds", "v1"), service("green", "v2")
    blue = service("blue", "v3", ports={"http": (1024, 8080)})
    client.control(blue, port=1024)
    split(birds, {blue: 1, green: 1})
    client.sees(birds, Only(green))


@requirement("SPLIT-018", level="B", versions=EVERY, api=SPLIT, spec="Ports: targetPort")
def test_each_backend_maps_the_port_itself(service, split, client):
    """Each backend's own targetPort applies: one answers on 8080, the other on 8081."""
    birds, blue = service("birds", "v1"), service("blue", "v2")
    green = service("green", "v3", ports={"http": (8080, 8081)})
    client.control(green)
    split(birds, {blue: 1, green: 1})
    client.sees(birds, Weights({blue: 1, green: 1}, effect=ROUGH))


@requirement("SPLIT-019", level="B", versions=EVERY, api=SPLIT, spec="Ports: several")
def test_every_port_is_split(service, split, client):
    """All ports that root and backends have in common are split."""
    two = {"http": (8080, 8080), "http-admin": (9090, 9090)}
    root, left, right = (service(name, at, ports=two) for name, at in (("root", "v1"), ("left", "v2"), ("right", "v3")))
    for port in (8080, 9090):
        client.control(root, port=port)
    split(root, {left: 1, right: 1})
    for port in (8080, 9090):
        client.sees(root, Weights({left: 1, right: 1}, effect=ROUGH), port=port)


@requirement("SPLIT-020", level="S", versions=EVERY, api=SPLIT, spec="Ports: misconfiguration")
def test_misconfiguration_is_reported(service, split, client, observe):
    """A backend whose ports do not match is reported by an event on the TrafficSplit, or refused on creation."""
    birds, bees, green = service("birds", "v1"), service("bees", "v1"), service("green", "v2")
    blue, red = service("blue", "v3", ports={"http": (1024, 8080)}), service("red", "v3")
    right = split(bees, {red: 1, green: 1})
    client.sees(bees, Only(red, green), requests=50)
    try:
        faulty = split(birds, {blue: 1, green: 1}, settle=False)
    except Rejected as refusal:
        observe(f"refused on creation: {refusal.found}")
        return
    observe(f"event: {faulty.warning(right=right)}")


@requirement("SPLIT-021", level="O", versions=EVERY, api=SPLIT, spec="Ports: admission")
def test_misconfiguration_may_be_refused(service, split, observe):
    """An admission controller may refuse a misconfigured split."""
    birds, green = service("birds", "v1"), service("green", "v2")
    blue = service("blue", "v3", ports={"http": (1024, 8080)})
    observe(split.dry_run(birds, {blue: 1, green: 1}))


@requirement("SPLIT-022", level="B", versions=EVERY, api=SPLIT, spec="Specification: not hierarchical")
def test_splits_are_not_hierarchical(service, split, client):
    """A backend's own split is not applied to traffic that reaches it through another split.

    Neither is it where the two form a circle.
    """
    root, stable, middle, leaf = (
        service(name, at) for name, at in (("root", "v1"), ("stable", "v1"), ("middle", "v2"), ("leaf", "v3"))
    )
    split(middle, {leaf: 1, stable: 1})
    client.sees(middle, Only(leaf, stable), requests=50)
    split(root, {stable: 1, middle: 1})
    client.sees(root, Only(stable, middle))
    left, right = service("left", "v2"), service("right", "v3")
    split(left, {right: 1, stable: 1})
    split(right, {left: 1, stable: 1})
    for one, other in ((left, right), (right, left)):
        client.sees(one, Only(other, stable), requests=200)


@requirement("SPLIT-023", level="N", versions=EVERY, api=SPLIT, spec="Specification: self-reference")
def test_root_as_its_own_backend(service, split, client, observe):
    """A split must not name its root as a backend; what happens when it does is not said (smi-spec#244)."""
    root, canary = service("root", "v1"), service("canary", "v2")
    try:
        faulty = split(root, {root: 1, canary: 1})
    except Rejected as refusal:
        observe(f"refused: {refusal.found}")
        return
    observe(f"accepted; {client.observes(root)}; {faulty.events()}")


@requirement("SPLIT-024", level="B", versions=WITH_MATCHES, api=SPLIT, spec="Matches")
def test_matching_requests_are_split(service, routes, split, client):
    """With `matches`, requests whose headers all match the route group are split by the weights."""
    def ask(root, weights):
        return split(root, weights, matches=[routes("beta", BETA)])

    behaviours.matching_requests_are_divided(service, ask, client, BETA_USER, {"x-user": "beta-7"}, otherwise=Only)


@requirement("SPLIT-025", level="B", versions=WITH_MATCHES, api=SPLIT, spec="Matches: other requests")
def test_other_requests_go_to_the_root(service, routes, split, client):
    """With `matches`, requests that no route group matches go to the root Service's own endpoints."""
    def ask(root, weights):
        return split(root, weights, matches=[routes("beta", BETA)])

    other = {"x-user": "alpha-7", "x-region": "us"}
    behaviours.other_requests_are_left_over(service, ask, client, BETA_USER, other, otherwise=Only)


@requirement("SPLIT-026", level="B", versions=WITH_MATCHES, api=SPLIT, spec="Matches: several groups")
def test_several_route_groups_are_merged(service, routes, split, client):
    """Several route groups count as one: a request that any of them matches is split."""
    def ask(root, weights):
        testers = routes("testers", HTTPMatch("testers", headers={"x-tester": "yes"}),
                         HTTPMatch("friends", headers={"x-friend": "yes"}))
        return split(root, weights, matches=[routes("beta", BETA), testers])

    behaviours.any_match_is_enough(service, ask, client, BETA_USER, {"x-tester": "yes"}, {"x-friend": "yes"})


@requirement("SPLIT-027", level="N", versions=WITH_MATCHES, api=SPLIT, spec="Matches: paths and methods")
def test_paths_and_methods_of_a_matched_group(service, routes, split, client, observe):
    """Whether the paths and methods of a route group count in a split is not said; only headers are described."""
    root, canary = service("root", "v1"), service("canary", "v2")
    posts = HTTPMatch("posts", headers={"x-user": "beta-.*"}, path_regex="/api", methods=["POST"])
    split(root, {canary: 1}, matches=[routes("posts", posts)])
    other = client.observes(root, headers=BETA_USER, path="/other")
    same = client.observes(root, headers=BETA_USER, path="/api", method="POST")
    observe(f"GET /other with the header: {other}; POST /api with the header: {same}")


@requirement("SPLIT-028", level="O", versions=EVERY, api=SPLIT, spec="Open questions: namespaces")
def test_backend_in_another_namespace(service, split, client, observe):
    """Splitting across namespaces is an open question (smi-spec#4)."""
    root, stable = service("root", "v1"), service("stable", "v2")
    away = service.elsewhere("away", "outside-echo")
    outcome = "refused"
    try:
        split(root, {stable: 1, away: 1})
        outcome = str(client.observes(root))
    except Rejected as refusal:
        outcome = f"refused: {refusal.found}"
    observe(f"backend named {away.name}: {outcome}")


@requirement("SPLIT-029", level="O", versions=EVERY, api=SPLIT, spec="Validation")
def test_validation_beyond_the_schema(service, split, observe):
    """Validation beyond the schema is left to the implementation (smi-spec#236)."""
    root, stable, canary = service("root", "v1"), service("stable", "v1"), service("canary", "v2")
    cases = {"negative": {stable: 1, canary: -1}, "fraction": {stable: 1, canary: 0.5}, "no backends": {}}
    observe("; ".join(f"{name}: {split.dry_run(root, weights)}" for name, weights in cases.items()))


@requirement("SPLIT-030", level="N", versions=EVERY, api=SPLIT, spec="Specification: healthy endpoints")
def test_backend_without_endpoints(service, split, client, observe):
    """What happens to the share of a backend that has no healthy endpoints is not said."""
    root, stable, empty = service("root", "v1"), service("stable", "v2"), service("empty", "nobody")
    split(root, {stable: 1, empty: 1})
    observe(f"weights 1 to v2 and 1 to nobody: {client.observes(root)}")


@requirement("SPLIT-031", level="N", versions=EVERY, api=SPLIT, spec="Undefined combinations")
def test_undefined_combinations(service, split, client, observe):
    """Several splits on one root, and weights that are all 0, are undefined (smi-spec#171)."""
    twice, none = service("twice", "v1"), service("none", "v1")
    left, right = service("left", "v2"), service("right", "v3")
    split(twice, {left: 1})
    split(twice, {right: 1})
    split(none, {left: 0, right: 0})
    observe(f"two splits on one root: {client.observes(twice)}; all weights 0: {client.observes(none)}")


@requirement("SPLIT-032", level="N", versions=EVERY, api=SPLIT, spec="Specification: protocols")
def test_tcp_traffic(service, split, client, observe):
    """The text is not restricted to HTTP; whether TCP connections are split is not said."""
    echo = {"tcp-echo": (7070, 7070)}
    root, left, right = (
        service(name, at, ports=echo) for name, at in (("root", "v1"), ("left", "v2"), ("right", "v3"))
    )
    split(root, {left: 3, right: 1})
    observe(f"weights 3 to v2 and 1 to v3: {client.observes(root, protocol='tcp', port=7070)}")


@requirement(
    "SPLIT-033", level="B", versions=EVERY, api=SPLIT, spec="Example implementation",
    unjudged="it binds the authors of tests, not a mesh",
)
def test_example_implementation_is_not_prescriptive(service, split, client, observe):
    """The example implementation prescribes nothing: a mesh is judged by where traffic goes, never by its objects."""
    root, left, right = service("root", "v1"), service("left", "v2"), service("right", "v3")
    split(root, {left: 1, right: 1})
    observe(f"weights 1 to v2 and 1 to v3: {client.observes(root)}")
