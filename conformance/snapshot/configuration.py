"""The ConfigMaps of a mesh as a snapshot has them: keys, sizes, digests, and small values that are harmless."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from conformance.cluster import Object
from conformance.snapshot.listing import Part, Reader
from conformance.snapshot.masking import setting

_CLUSTERS: Final = "kube-root-ca.crt"
"""What Kubernetes itself puts into each namespace."""
_MAX_KEYS: Final = 64


def configuration(reader: Reader, namespace: str, names: frozenset[str] | None = None) -> Part:
    """Read the ConfigMaps of a namespace, or those of these names. One can have a megabyte: few are read at once."""
    if names is not None and not names:
        return {"status": "read", "items": []}
    listed = reader.read("v1", "configmaps", namespace, page=20)
    wanted = [found for found in listed.objects if found["metadata"]["name"] != _CLUSTERS
              and (names is None or found["metadata"]["name"] in names)]
    return listed.part([_config_map(found) for found in wanted])


def _config_map(found: Object) -> dict[str, Any]:
    keys = {key: setting(key, str(value)) for key, value in list((found.get("data") or {}).items())[:_MAX_KEYS]}
    for key, value in list((found.get("binaryData") or {}).items())[:_MAX_KEYS]:
        data = str(value).encode()
        keys[key] = {"size": len(data), "digest": "sha256:" + hashlib.sha256(data).hexdigest()}
    return {"name": found["metadata"]["name"], "keys": keys}
