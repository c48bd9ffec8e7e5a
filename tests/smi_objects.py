"""Objects of every SMI kind, in every version, for tests."""

from __future__ import annotations

from conformance import smi
from conformance.smi import ACCESS, SPECS, SPLIT, Account, HTTPMatch, Rule, ServedApis
from conformance.smi.reading import ASPECTS

EVERY = [
    (kind, version["name"]) for kind, definition in smi.project_definitions().items()
    for version in definition["spec"]["versions"]
]


def apis(version, shape="list"):
    """A cluster that serves one version of everything."""
    return ServedApis({SPLIT: (version,), SPECS: (version,), ACCESS: (version,)}, shape)


def rendered(kind, version):
    """An object that says all that a version can say."""
    served, can = apis(version), ASPECTS[kind].get(version, ())
    match kind:
        case "TrafficSplit":
            return smi.traffic_split(served, "o", "demo", "root", {"a": 1, "b": 9}, ["g"] if "matches" in can else [])
        case "HTTPRouteGroup":
            headers = {"x-user": "b.*"} if "headers" in can else {}
            return smi.http_route_group(served, "o", "demo", [HTTPMatch("beta", headers, "/api", ["GET"])])
        case "TrafficTarget":
            rules = [Rule("HTTPRouteGroup", "g", ["beta"])]
            return smi.traffic_target(served, "o", "demo", Account("api", "demo"), rules, [Account("client", "demo")],
                                      port=8080 if "port" in can else None)
        case "TCPRoute":
            return smi.tcp_route(served, "o", "demo", [8080] if "ports" in can else None)
        case _:
            return smi.udp_route(served, "o", "demo", [53])
