"""mTLS between sidecars: both sides show a SPIFFE certificate of the mesh's authority, over TLS 1.3.

The certificates themselves are named secrets of the bootstrap, so that listeners and clusters are the same for all
proxies. ALPN tells the mesh's own TLS from that of an application, which passes untouched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from conformance.sandbox.reference.model import TRUST_DOMAIN

Resource = dict[str, Any]

ALPN: Final = "reference-mesh"
IDENTITY: Final = "identity"
TRUST: Final = "trust"
"""The names of the bootstrap's secrets."""

_TLS: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"


def downstream(identities: Iterable[str] = ()) -> Resource:
    """Return the transport socket that asks clients for a certificate of the mesh, with one of these ids or any."""
    names = [{"exact": identity} for identity in identities] or [{"prefix": f"spiffe://{TRUST_DOMAIN}/"}]
    # No ALPN of its own: the client's offer tells the mesh's TLS, and an answer would be taken for the name of the HTTP
    # version, which Envoy otherwise sees by the first bytes.
    return _socket("DownstreamTlsContext", {
        "require_client_certificate": True, "common_tls_context": _context(names),
    })


def upstream(identities: Iterable[str]) -> Resource:
    """Return the transport socket that accepts servers with one of these SPIFFE ids."""
    return _socket("UpstreamTlsContext", {
        "common_tls_context": _context([{"exact": identity} for identity in identities]) | {"alpn_protocols": [ALPN]},
    })


def _socket(context: str, config: Resource) -> Resource:
    return {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": f"{_TLS}.{context}"} | config}


def _context(names: list[dict[str, str]]) -> Resource:
    return {
        # A minimum alone does not do: without a maximum as well, Envoy's client side stays at TLS 1.2.
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificate_sds_secret_configs": [{"name": IDENTITY}],
        "combined_validation_context": {
            "default_validation_context": {
                "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": name} for name in names],
            },
            "validation_context_sds_secret_config": {"name": TRUST},
        },
    }
