"""Envoy's bootstrap: the only part of its configuration that is read once."""

from __future__ import annotations

from typing import Any, Final

from conformance.sandbox.reference import clusters, tls
from conformance.sandbox.reference.interception import ADMIN_PORT, Interception
from conformance.sandbox.reference.model import Pod

Resource = dict[str, Any]

BOOTSTRAP: Final = "bootstrap.json"
LISTENERS: Final = "lds.json"
CLUSTERS: Final = "cds.json"
CERTIFICATE: Final = "certificate.pem"
KEY: Final = "key.pem"
TRUST: Final = "trust.pem"
MAX_CONNECTIONS: Final = 50_000

_MONITORS: Final = "type.googleapis.com/envoy.extensions.resource_monitors"


def bootstrap(interception: Interception, pod: Pod) -> Resource:
    """Return the bootstrap of a pod's Envoy, which is started in the directory that its other files are in.

    Two files are watched, no more: each costs Envoy an inotify instance, of which a user usually has 128.
    Certificates are therefore read at the start only, and outlive the pod.
    """
    return {
        "node": {"id": f"{pod.namespace}/{pod.name}", "cluster": pod.namespace},
        "admin": {"address": {"socket_address": {
            "address": interception.admin(pod.address), "port_value": ADMIN_PORT,
        }}},
        # On loopback every connection would come from 127.0.0.1; on a cluster a sidecar's come from its pod anyway.
        "cluster_manager": {"upstream_bind_config": {"source_address": {
            "address": interception.wire(pod.address), "port_value": 0,
        }}} if interception.loopback else {},
        "dynamic_resources": {
            "lds_config": _watched(LISTENERS), "cds_config": _watched(CLUSTERS),
        },
        # Most of a thousand Services are never called: their counters wait until they are.
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        # Envoy's own limit of 100 instructions refuses ordinary expressions; ours is checked before (headers.py).
        "layered_runtime": {"layers": [{"name": "reference-mesh", "static_layer": {
            "re2": {"max_program_size": {"error_level": 2**32 - 1}},
        }}]},
        # Envoy warns at each start while it has no limit of its own.
        "overload_manager": {"resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": {
                "@type": f"{_MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig",
                "max_active_downstream_connections": MAX_CONNECTIONS,
            },
        }]},
        "static_resources": {
            "clusters": clusters.passthrough(interception),
            "secrets": [
                {"name": tls.IDENTITY, "tls_certificate": {
                    "certificate_chain": {"filename": _beside(CERTIFICATE)},
                    "private_key": {"filename": _beside(KEY)},
                }},
                {"name": tls.TRUST, "validation_context": {
                    "trusted_ca": {"filename": _beside(TRUST)},
                }},
            ],
        },
    }


def _watched(file: str) -> Resource:
    return {"resource_api_version": "V3", "path_config_source": {"path": _beside(file)}}


def _beside(file: str) -> str:
    return f"./{file}"  # Envoy watches no file without a directory
