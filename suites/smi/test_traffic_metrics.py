"""TrafficMetrics: what a mesh tells of its traffic, compared with the traffic that the suite itself sent.

Source: SMI v0.6.0, `apis/traffic-metrics/v1alpha1/traffic-metrics.md`.

Where numbers count, a check has a workload of its own, so that nobody else's traffic is in its window.
"""

from __future__ import annotations

import datetime as dt
from functools import partial

from conformance.meter import FAILING, OK, SLOW, check_latencies
from conformance.metrics import DIRECTIONS, KINDS, UNCLEAR, busiest, check_object, check_values, shorten
from conformance.outcome import Nonconformance
from conformance.requirement import requirement
from conformance.smi import METRICS

V1 = ("v1alpha1",)


@requirement("METRIC-001", level="M", versions=V1, api=METRICS, spec="Kubernetes API: APIService")
def test_api_service_is_available(metrics):
    """The APIService `v1alpha1.metrics.smi-spec.io` is Available: the API server reaches the mesh behind it."""
    metrics.availability.require()


@requirement("METRIC-002", level="B", versions=V1, api=METRICS, spec="Kubernetes API: APIResourceList")
def test_discovery_describes_traffic_metrics(metrics):
    """The API's own path lists its resources; each is of kind TrafficMetrics and can be got and listed."""
    found = metrics.ask()
    resources = [entry for entry in found.get("resources") or () if "/" not in entry.get("name", "/")]
    wrong = [entry for entry in resources
             if entry.get("kind") != "TrafficMetrics" or not {"get", "list"} <= set(entry.get("verbs") or ())]
    if found.get("kind") != "APIResourceList" or not resources or wrong:
        raise Nonconformance("an APIResourceList of TrafficMetrics with get and list", shorten(wrong or found))


@requirement("METRIC-003", level="B", versions=V1, api=METRICS, spec="Kubernetes API: resources")
def test_every_kind_has_metrics(metrics):
    """There are metrics of each of the eleven kinds that the specification lists."""
    found = metrics.kinds()
    wrong = [f"{name} is missing" for name in KINDS if name not in found]
    wrong += [f"{name}: namespaced is {found[name]}" for name, namespaced in KINDS.items()
              if name in found and name not in UNCLEAR and found[name] is not namespaced]
    if wrong:
        raise Nonconformance("metrics of " + ", ".join(KINDS), ", ".join(sorted(found)), "; ".join(wrong))


@requirement("METRIC-004", level="B", versions=V1, api=METRICS, spec="Specification: TrafficMetrics")
def test_object_has_all_its_fields(metrics, meter, service):
    """An object says which resource it is about, over which edge, at which time, over which window, and its metrics."""
    meter.send("client", service("root", "v1"), 20)
    meter.reports(lambda: metrics.get(meter.pod("v1")), lambda item: check_object(item, now=dt.datetime.now(dt.UTC)),
                  of=lambda item: item, what="the pod's metrics")


@requirement("METRIC-005", level="B", versions=V1, api=METRICS, spec="Specification: metrics")
def test_metrics_have_their_names_and_units(metrics, meter, service):
    """The metrics are the 99th, 90th and 50th percentile of latency in seconds, and counts of success and failure."""
    meter.send("client", service("root", "v1"), 20)
    meter.reports(lambda: metrics.get(meter.pod("v1")), check_values, of=lambda item: item, what="the pod's metrics")


@requirement("METRIC-006", level="B", versions=V1, api=METRICS, spec="Edge: direction and side")
def test_edges_have_a_direction(metrics, meter, service):
    """What a client sent is an edge `to` the server at the side `client`, for the server one `from` it at `server`."""
    client, server = meter.pod("client"), meter.pod("v1")
    meter.send("client", service("root", "v1"), 20)
    for pod, other, pair in zip((client, server), (server, client), DIRECTIONS, strict=True):

        def judge(items, pair=pair):
            found = {(item.direction, item.side) for item in items if item.total}
            if found != {pair}:
                raise Nonconformance("only edges with direction {} and side {}".format(*pair),
                                     "; ".join(item.shown() for item in items))

        meter.reports(lambda pod=pod, other=other: metrics.edges(pod).with_peer(other.name), judge,
                      of=busiest, what=f"traffic between {pod.name} and {other.name}")


@requirement("METRIC-007", level="B", versions=V1, api=METRICS, spec="Edge: empty resource")
def test_unnamed_edge_is_all_traffic(metrics, meter, service, deploy):
    """A resource's own metrics have an edge that names no other resource, and are of all traffic that it received."""
    deploy("metric-all", labels={})
    root = service("root", "metric-all")
    for client, count in (("client", 40), ("second-client", 60)):
        meter.send(client, root, count)

    def judge(item):
        if item.direction != "from" or item.peer.name:
            raise Nonconformance("metrics of all traffic from wherever", item.shown())
        meter.seen_by("metric-all").check(item)

    meter.reports(lambda: metrics.get(meter.pod("metric-all")), judge, of=lambda item: item, what="the pod's metrics")


@requirement("METRIC-008", level="B", versions=V1, api=METRICS, spec="Specification: aggregates")
def test_resources_aggregate_their_pods(metrics, meter, service, deploy, subject):
    """The metrics of a resource that contains pods are those of its pods together."""
    deploy("metric-many", labels={})
    meter.scale("metric-many", 2)
    root = service("root", "metric-many")
    meter.send("client", root, 120)
    names = {"deployments": "metric-many", "services": root.name}
    offered = names.keys() & metrics.kinds().keys()  # where one is missing METRIC-003 judges that
    if not offered:
        raise Nonconformance("metrics of resources that contain pods: of deployments or services", "neither")
    for kind in sorted(offered):
        meter.reports(lambda kind=kind: metrics.get(subject(kind, names[kind])), meter.seen_by("metric-many").check,
                      of=lambda item: item, what=f"the metrics of {kind}/{names[kind]}")


@requirement("METRIC-009", level="B", versions=V1, api=METRICS, spec="TrafficMetricsList: by kind")
def test_list_by_kind(metrics, meter, service, topology):
    """A list by kind has the kind, the namespace and the API version as its resource, and items of that kind alone."""
    namespace = topology.namespace("app")
    meter.send("client", service("root", "v1"), 20)

    def judge(found, kind):
        said = dict(found.resource)
        if said.get("kind") != kind or said.get("namespace", namespace) != namespace \
                or not set(said) <= {"kind", "namespace", "apiVersion"}:
            raise Nonconformance(f"a list whose resource is kind {kind}, namespace and API version", shorten(said))
        strangers = {str(item.resource) for item in found.items
                     if (item.resource.kind, item.resource.namespace) != (kind, namespace)}
        if strangers:
            raise Nonconformance(f"items of kind {kind} in {namespace} alone", ", ".join(strangers))

    for plural, kind, name in (("pods", "Pod", meter.pod("v1").name), ("deployments", "Deployment", "v1")):
        meter.reports(lambda plural=plural: metrics.list(plural, namespace), partial(judge, kind=kind),
                      of=lambda found, name=name: busiest(found.of(name)), what=f"{kind} {name} in a list by kind")


@requirement("METRIC-010", level="B", versions=V1, api=METRICS, spec="TrafficMetricsList: label selector")
def test_label_selector_filters_items(metrics, meter, service, deploy, topology):
    """A label selector is shown in the list and chooses the items in it; their metrics stay those of all traffic."""
    deploy("metric-labels", labels={"metered": "yes"})
    meter.send("client", service("root", "metric-labels"), 60)
    pod = meter.pod("metric-labels")

    def judge(found):
        others = [str(item.resource) for item in found.items if item.resource.name != pod.name]
        if others or found.selector is None or found.selector.get("matchLabels") != {"metered": "yes"}:
            raise Nonconformance(f"matchLabels metered: yes as selector, and {pod.name} alone",
                                 f"selector {dict(found.selector or {})}, and {', '.join(others) or 'nothing else'}")
        meter.seen_by("metric-labels").check(found.of(pod.name)[0])

    meter.reports(lambda: metrics.list("pods", topology.namespace("app"), "metered=yes"), judge,
                  of=lambda found: busiest(found.of(pod.name)), what="the pod among those with the label")


@requirement("METRIC-011", level="B", versions=V1, api=METRICS, spec="TrafficMetricsList: edges")
def test_edges_of_one_resource(metrics, meter, service):
    """The sub-resource `edges` of a resource lists its traffic by the resource at the other end."""
    client, server = meter.pod("client"), meter.pod("v1")
    meter.send("client", service("root", "v1"), 20)

    def judge(found):
        strangers = [str(item.resource) for item in found.items if item.resource.name != server.name]
        unnamed = [item.shown() for item in found.items if not item.peer.name]
        if found.resource.get("name") != server.name or strangers or unnamed:
            raise Nonconformance(f"edges of {server.name}, each with a named resource at the other end",
                                 f"edges of {shorten(dict(found.resource))}", "; ".join(strangers + unnamed))

    meter.reports(lambda: metrics.edges(server), judge, what=f"an edge from {client.name} to {server.name}",
                  of=lambda found: busiest(found.with_peer(client.name)))


@requirement("METRIC-012", level="B", versions=V1, api=METRICS, spec="Specification: edges")
def test_edges_only_where_traffic_was(metrics, meter, service, deploy):
    """There are edges only between resources that have exchanged traffic, with the traffic between the two alone."""
    deploy("metric-edges", labels={})
    root = service("root", "metric-edges")
    sent = {meter.pod(client).name: count for client, count in (("client", 40), ("second-client", 60))}
    for client, count in (("client", 40), ("second-client", 60)):
        meter.send(client, root, count)
    server = meter.pod("metric-edges")

    def judge(found):
        peers = {item.peer.name for item in found.items}
        if peers != set(sent):
            raise Nonconformance(f"edges with {' and '.join(sorted(sent))}", ", ".join(sorted(peers)) or "no edge")
        for client in ("client", "second-client"):
            for item in found.with_peer(meter.pod(client).name):
                meter.answers(client, server.name).check(item)

    meter.reports(lambda: metrics.edges(server), judge, what=f"the edges of {server.name}",
                  of=lambda found: busiest(found.items))


@requirement("METRIC-013", level="B", versions=V1, api=METRICS, spec="Traffic Splits")
def test_split_has_metrics_by_backend(metrics, meter, service, split, topology):
    """A TrafficSplit has an item for each backend, with apex, name and weight, of the apex's requests sent there."""
    root, left, right = service("root", "v1"), service("left", "v2"), service("right", "v3")
    weights = {left: 3, right: 1}
    made = split(root, weights)
    meter.send("client", root, 160)

    def judge(items):
        wanted = {(root.name, backend.name, str(weight)) for backend, weight in weights.items()}
        found = {(item.backend.apex, item.backend.name, item.backend.weight) for item in items if item.backend}
        if found != wanted or len(items) != len(wanted):
            raise Nonconformance(f"an item for each of (apex, name, weight) {sorted(wanted)}",
                                 "; ".join(shorten(item.raw.get("backend")) for item in items))
        for item in items:
            workload = "v2" if item.backend.name == left.name else "v3"
            meter.answers("client", topology.pod(workload).name).check(item)

    meter.reports(lambda: metrics.list("trafficsplits", topology.namespace("app")).of(made.name), judge,
                  of=busiest, what="the split's metrics")


@requirement("METRIC-014", level="B", versions=V1, api=METRICS, spec="RBAC")
def test_roles_decide_who_sees_what(metrics, meter, reader, topology):
    """A role for `*` of the API sees everything, one for `pods/edges` the edges of pods and nothing else."""
    pod, every = meter.pod("v1"), f"namespaces/{topology.namespace('app')}/pods"
    all_seeing, edges_only = reader("all", ["*"]), reader("edges", ["pods/edges"])
    metrics.ask(every)
    all_seeing.waits_for(every)
    all_seeing.waits_for(f"{pod.path}/edges")
    edges_only.waits_for(f"{pod.path}/edges")
    for path in (every, pod.path):
        edges_only.refuses(path)


@requirement("METRIC-015", level="B", versions=V1, api=METRICS, spec="Tradeoffs: counts")
def test_figures_are_those_of_the_traffic(metrics, meter, service, deploy, subject):
    """Counts are of the requests in the window, failed ones too; percentiles are of their latency, and ascend."""
    deploy("metric-mix", labels={})
    mix = [OK, OK, OK, FAILING, SLOW, OK, FAILING, OK, SLOW, OK, OK, FAILING, OK, OK, SLOW, FAILING, OK, OK, SLOW,
           FAILING]
    sample = meter.send("client", service("root", "metric-mix"), 160, mix)

    def judge(item):
        meter.seen_by("metric-mix").check(item)
        check_latencies(item, sample.latency)

    meter.reports(lambda: metrics.get(subject("deployments", "metric-mix")), judge, of=lambda item: item,
                  what="the deployment's metrics")


@requirement("METRIC-016", level="N", versions=V1, api=METRICS, spec="Go SDK: v1alpha1, v1alpha2")
def test_differences_of_the_sdk(metrics, meter, observe, metrics_versions):
    """The Go SDK differs from the text: latency in `ms`, an edge without `side`, trafficsplits only in v1alpha2."""
    item = metrics.get(meter.pod("v1"))
    units = sorted({value.unit for value in item.values.values() if value.unit})
    versions = ", ".join(metrics_versions())
    observe(f"unit {', '.join(units) or 'none'}; side {item.side or 'missing'}; serves {versions}; trafficsplits "
            f"{'among its kinds' if 'trafficsplits' in metrics.kinds() else 'missing'}")
