"""SMI objects, written once and rendered for the version that the cluster serves.

Source: the Service Mesh Interface specification v0.6.0.
"""

from conformance.smi.access import Account, Rule, traffic_target, usual_port
from conformance.smi.apis import (
    ACCESS,
    DEFINITIONS,
    GATEWAY,
    METRICS,
    RELEASED,
    RESOURCES,
    SPECS,
    SPLIT,
    HeaderShape,
    NotExpressible,
    NotServed,
    ServedApis,
    compatibility,
    declared_shape,
    served_apis,
)
from conformance.smi.definitions import (
    GENERATIONS,
    Serving,
    custom_resource_definition,
    custom_resource_definitions,
    project_definitions,
)
from conformance.smi.specs import EVERYTHING, HTTPMatch, has_ports, http_route_group, tcp_route, udp_route
from conformance.smi.splits import traffic_split

__all__ = [
    "ACCESS", "DEFINITIONS", "EVERYTHING", "GATEWAY", "GENERATIONS", "METRICS", "RELEASED", "RESOURCES", "SPECS",
    "SPLIT", "Account", "HTTPMatch", "HeaderShape", "NotExpressible", "NotServed", "Rule", "ServedApis", "Serving",
    "compatibility", "custom_resource_definition", "custom_resource_definitions", "declared_shape", "has_ports",
    "http_route_group", "project_definitions", "served_apis", "tcp_route", "traffic_split", "traffic_target",
    "udp_route", "usual_port",
]
