"""HTTPRoutes with a Service as their parent, written once and rendered for the version that the cluster serves.

Source: the Gateway API v1.6.0, its mesh profile (GEP-1294) and the reference of HTTPRoute.
"""

from conformance.gateway.definition import definition
from conformance.gateway.routes import CONDITIONS, RouteMatch, RouteRule, conditions, http_route, matches_of, rendered
from conformance.smi import GATEWAY

__all__ = [
    "CONDITIONS", "GATEWAY", "RouteMatch", "RouteRule", "conditions", "definition", "http_route", "matches_of",
    "rendered",
]
