"""HTTPRouteGroup, TCPRoute and UDPRoute: which requests a policy or a split is about.

Source: SMI v0.6.0, `apis/traffic-specs/v1alpha4/traffic-specs.md` and its earlier versions.

Routes have no effect by themselves: a TrafficTarget lets `client` use what a route selects of `guarded`, where all else
is denied.
"""

from __future__ import annotations

from conformance import behaviours
from conformance.cluster import ClusterError
from conformance.requirement import requirement
from conformance.smi import SPECS, HTTPMatch

EVERY = ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4")
WITH_HEADERS = ("v1alpha2", "v1alpha3", "v1alpha4")
WITH_PORTS = ("v1alpha4",)
ANY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

METRICS = HTTPMatch("metrics", path_regex="/metrics", methods=["GET"])
BETA = HTTPMatch("beta", headers={"x-user": "beta-.*", "x-region": "eu"})


@requirement("HRG-001", level="B", versions=EVERY, api=SPECS, spec="HTTPRouteGroup: HTTP/1 and HTTP/2")
def test_http_1_and_2(guarded, target, rules, client):
    """A route group applies to HTTP/1.1 and to HTTP/2 alike."""
    target(client, rules=[rules.http(METRICS)])
    for protocol in ("http", "h2c"):
        client.is_allowed(guarded, path="/metrics", protocol=protocol)
        client.is_denied(guarded, path="/other", protocol=protocol)
        client.is_denied(guarded, path="/metrics", method="POST", protocol=protocol)


@requirement("HRG-002", level="M", versions=EVERY, api=SPECS, spec="HTTPRouteGroup: name")
def test_matches_are_known_by_name(guarded, target, rules, client):
    """A match's name is its key within its group: the same name in another group is another match."""
    rules.http(HTTPMatch("same", path_regex="/one", methods=["*"]))
    second = rules.http(HTTPMatch("same", path_regex="/two", methods=["*"]),
                        HTTPMatch("other", path_regex="/three", methods=["*"]), only=["same"])
    target(client, rules=[second])
    client.is_allowed(guarded, path="/two")
    for path in ("/one", "/three"):
        client.is_denied(guarded, path=path)


@requirement("HRG-003", level="B", versions=EVERY, api=SPECS, spec="HTTPRouteGroup: pathRegex")
def test_path_is_an_expression_anchored_at_its_start(guarded, target, rules, client):
    """`pathRegex` is a regular expression that has to match from the start of the path, not to its end."""
    versioned = HTTPMatch("versioned", path_regex="/v[0-9]+/items", methods=["GET"])
    target(client, rules=[rules.http(METRICS, versioned)])
    for path in ("/metrics", "/metricsx", "/metrics/cpu", "/v12/items", "/v1/items/7"):
        client.is_allowed(guarded, path=path)
    for path in ("/x/metrics", "/METRICS", "/vx/items", "/other"):
        client.is_denied(guarded, path=path)


@requirement("HRG-004", level="B", versions=EVERY, api=SPECS, spec="HTTPRouteGroup: methods")
def test_only_listed_methods(guarded, target, rules, client):
    """Requests match whose method is listed, and no others."""
    behaviours.only_listed_methods(behaviours.allowing(target, rules, client, guarded))


@requirement("HRG-005", level="B", versions=EVERY, api=SPECS, spec="HTTPRouteGroup: methods, star")
def test_star_is_every_method(guarded, target, rules, client):
    """The method `*` stands for all of them."""
    target(client, rules=[rules.http(HTTPMatch("any", path_regex="/items", methods=["*"]))])
    for method in ANY_METHOD:
        client.is_allowed(guarded, path="/items", method=method)
    client.is_denied(guarded, path="/other")


@requirement("HRG-006", level="B", versions=WITH_HEADERS, api=SPECS, spec="HTTPRouteGroup: headers")
def test_header_is_an_expression_on_its_value(guarded, target, rules, client):
    """`headers` gives for a header a regular expression that its value has to match."""
    target(client, rules=[rules.http(HTTPMatch("beta", headers={"x-user": "beta-[0-9]+"}))])
    client.is_allowed(guarded, headers={"x-user": "beta-7"})
    for headers in ({"x-user": "alpha-7"}, {"x-other": "beta-7"}, {}):
        client.is_denied(guarded, headers=headers)


@requirement("HRG-007", level="B", versions=WITH_HEADERS, api=SPECS, spec="HTTPRouteGroup: several headers")
def test_all_headers_of_a_match_must_hold(guarded, target, rules, client):
    """Of several headers in one match all have to be there."""
    target(client, rules=[rules.http(BETA)])
    client.is_allowed(guarded, headers={"x-user": "beta-7", "x-region": "eu"})
    for headers in ({"x-user": "beta-7"}, {"x-region": "eu"}, {"x-user": "beta-7", "x-region": "us"}):
        client.is_denied(guarded, headers=headers)


@requirement("HRG-008", level="B", versions=EVERY, api=SPECS, spec="HTTPRouteGroup: several matches")
def test_any_match_is_enough(guarded, target, rules, client):
    """A route group selects what any of its matches does."""
    items = HTTPMatch("items", path_regex="/items", methods=["POST"])
    health = HTTPMatch("health", path_regex="/health", methods=["GET"])
    rule = rules.http(METRICS, items, health)
    target(client, rules=[rule])
    for path, method in (("/metrics", "GET"), ("/items", "POST"), ("/health", "GET")):
        client.is_allowed(guarded, path=path, method=method)
    for path, method in (("/items", "GET"), ("/metrics", "POST")):
        client.is_denied(guarded, path=path, method=method)
    rules.change(rule, items, HTTPMatch("orders", path_regex="/orders", methods=["GET"]))
    target.settle()
    client.is_allowed(guarded, path="/orders")
    client.is_denied(guarded, path="/metrics")


@requirement("HRG-009", level="B", versions=WITH_HEADERS, api=SPECS, spec="HTTPRouteGroup: path, methods and headers")
def test_all_parts_of_a_match_must_hold(guarded, target, rules, client):
    """Path, methods and headers of one match have to hold together."""
    behaviours.all_parts_must_hold(behaviours.allowing(target, rules, client, guarded), user="beta-.*")


@requirement("HRG-010", level="B", versions=EVERY, api=SPECS, spec="HTTPRouteGroup: parts left out")
def test_what_is_left_out_does_not_restrict(guarded, target, rules, client):
    """A match without methods is for any method, one without a path for any path."""
    by_path = target(client, rules=[rules.http(HTTPMatch("path", path_regex="/open"))])
    for method in ANY_METHOD:
        client.is_allowed(guarded, path="/open", method=method)
    client.is_denied(guarded, path="/other")
    by_path.change(rules=[rules.http(HTTPMatch("method", methods=["POST"]))])
    for path in ("/", "/open", "/other/x"):
        client.is_allowed(guarded, path=path, method="POST")
    client.is_denied(guarded, path="/open")


@requirement("HRG-011", level="N", versions=EVERY, api=SPECS, spec="HTTPRouteGroup: required fields")
def test_match_with_nothing_but_a_name(guarded, target, rules, client, observe):
    """Whether a match may have nothing but a name is said in two ways."""
    try:
        target(client, rules=[rules.http(HTTPMatch("bare"))])
    except ClusterError as error:
        observe(f"refused: {error.found}")
        return
    observe(f"accepted: {client.observes(guarded, requests=20, timeout=2.0)}")


@requirement("HRG-012", level="B", versions=EVERY, api=SPECS, spec="HTTPRouteGroup: everything")
def test_everything(guarded, target, rules, client):
    """The path `.*` with the method `*` matches any request."""
    client.is_denied(guarded)
    target(client, rules=[rules.everything()])
    for path, method in (("/", "GET"), ("/any/where?x=1", "DELETE"), ("/a.b~c", "POST"), ("/%20", "PUT")):
        client.is_allowed(guarded, path=path, method=method)


@requirement("HRG-013", level="B", versions=EVERY, api=SPECS, spec="HTTPRouteGroup: binding")
def test_unbound_group_has_no_effect(guarded, target, rules, client):
    """A route group that nothing refers to allows nothing, and takes nothing away."""
    target(client, rules=[rules.http(METRICS)])
    unbound = rules.http(HTTPMatch("unbound", path_regex="/unbound", methods=["*"]))
    target.settle()
    client.is_allowed(guarded, path="/metrics")
    client.is_denied(guarded, path="/unbound")
    target(client, rules=[unbound])
    client.is_allowed(guarded, path="/unbound")


@requirement("HRG-014", level="B", versions=EVERY, api=SPECS, spec="HTTPRouteGroup: URIs and headers")
def test_only_uri_and_headers_count(guarded, target, rules, client):
    """Matches look at URIs and headers only: neither the name by which a client calls nor a body makes a difference."""
    target(client, rules=[rules.http(HTTPMatch("items", path_regex="/items", methods=["POST"]))])
    for host in (host for host in guarded.hosts if "." in host):
        client.is_allowed(guarded, host=host, path="/items", method="POST")
    client.is_allowed(guarded, path="/items", method="POST", body="/other")
    client.is_denied(guarded, path="/other", method="POST", body="/items")


@requirement("HRG-015", level="N", versions=EVERY, api=SPECS, spec="HTTPRouteGroup: unspecified")
def test_unspecified_details(guarded, target, rules, apis, client, observe):
    """Case of header names, query strings, absent headers against `.*`, anchors of header values: nothing is said."""
    target(client, rules=[rules.http(HTTPMatch("query", path_regex="/q[?]x=1", methods=["GET"]))])
    observe(f"pathRegex /q[?]x=1 for /q?x=1: {client.observes(guarded, path='/q?x=1', requests=20, timeout=2.0)}")
    if apis.version(SPECS) not in WITH_HEADERS:
        return
    target(client, rules=[rules.http(HTTPMatch("header", headers={"X-User": "beta"}, path_regex="/h"))])
    target(client, rules=[rules.http(HTTPMatch("absent", headers={"x-none": ".*"}, path_regex="/a"))])
    for name, call in {
        "X-User written x-user": {"path": "/h", "headers": {"x-user": "beta"}},
        "value beta-7 for beta": {"path": "/h", "headers": {"X-User": "beta-7"}},
        "absent header for .*": {"path": "/a"},
    }.items():
        observe(f"{name}: {client.observes(guarded, requests=20, timeout=2.0, **call)}")


@requirement("HRG-016", level="O", versions=EVERY, api=SPECS, spec="HTTPRouteGroup: gRPC")
def test_grpc(guarded, target, rules, client, observe):
    """An HTTPRouteGroup can stand in for gRPC, which is out of scope: a call is a POST of /package.Service/Method."""
    target(client, rules=[rules.http(HTTPMatch("grpc", path_regex="/shop.Orders/Get", methods=["POST"]))])
    call = {"method": "POST", "protocol": "h2c", "headers": {"content-type": "application/grpc"}}
    for path in ("/shop.Orders/Get", "/shop.Orders/Delete"):
        observe(f"{path}: {client.observes(guarded, path=path, requests=20, timeout=2.0, **call)}")


@requirement("TCP-001", level="B", versions=WITH_PORTS, api=SPECS, spec="TCPRoute: ports")
def test_tcp_route_selects_ports(guarded, target, rules, client):
    """A TCPRoute selects the ports that it lists."""
    target(client, rules=[rules.tcp(8300, 8302)])
    for port in (8300, 8302):
        client.is_allowed(guarded, port=port, protocol="tcp")
    client.is_denied(guarded, port=8301, protocol="tcp")


@requirement("TCP-002", level="B", versions=EVERY, api=SPECS, spec="TCPRoute: no ports")
def test_tcp_route_without_ports_selects_all(guarded, target, rules, client):
    """A TCPRoute that lists no ports selects all ports of the Service."""
    client.is_denied(guarded, port=8300, protocol="tcp")
    target(client, rules=[rules.tcp()], every_port=True)
    for port in (8300, 8301, 8302):
        client.is_allowed(guarded, port=port, protocol="tcp")


@requirement("TCP-003", level="N", versions=WITH_PORTS, api=SPECS, spec="TCPRoute: required fields")
def test_tcp_route_that_says_nothing(rules, observe):
    """Whether a TCPRoute may leave `matches` out is said in two ways: the text says yes, the schema no."""
    observe(rules.try_without_matches("TCPRoute"))


@requirement("UDP-001", level="B", versions=WITH_PORTS, api=SPECS, spec="UDPRoute: ports")
def test_udp_route_selects_ports(guarded, target, rules, client):
    """A UDPRoute selects the ports that it lists."""
    target(client, rules=[rules.udp(8300, 8302)])
    for port in (8300, 8302):
        client.is_allowed(guarded, port=port, protocol="udp")
    client.is_denied(guarded, port=8301, protocol="udp")


@requirement("UDP-002", level="B", versions=WITH_PORTS, api=SPECS, spec="UDPRoute: no ports")
def test_udp_route_without_ports_selects_all(guarded, target, rules, client):
    """A UDPRoute that lists no ports selects all ports of the Service."""
    client.is_denied(guarded, port=8300, protocol="udp")
    target(client, rules=[rules.udp()], every_port=True)
    for port in (8300, 8301, 8302):
        client.is_allowed(guarded, port=port, protocol="udp")


@requirement("UDP-003", level="N", versions=WITH_PORTS, api=SPECS, spec="UDPRoute: required fields")
def test_udp_route_that_says_nothing(rules, observe):
    """Whether a UDPRoute may leave `matches` out is said in two ways: the text says yes, the schema no."""
    observe(rules.try_without_matches("UDPRoute"))
