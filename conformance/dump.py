"""What a failed check leaves for whoever looks into it, collected before anything is cleaned up."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import yaml

from conformance.cluster import ClusterError
from conformance.evidence import Evidence
from conformance.report.hygiene import clean_text, clean_value
from conformance.topology import Topology

FAILURES: Final = "failures"
"""The folder of a report directory that holds the dumps, one folder each."""
MAX_PART: Final = 8 * 1024 * 1024
"""The longest file, in characters."""


def dump(directory: Path, topology: Topology, evidence: Evidence) -> list[str]:
    """Write objects, events, exchanges and the clients' proxy configuration to `directory`, which others may not read.

    Secrets are taken out as far as they can be told, and control characters are spelt out, as in reports.
    A part that cannot be had is replaced by the reason: a dump must not hide the failure that it explains. Returns
    the names of the files. Raises OSError when the directory cannot be written to.
    """
    parts: Mapping[str, Callable[[], str]] = {
        "applied.yaml": lambda: yaml.safe_dump_all(map(clean_value, evidence.applied), sort_keys=False),
        "exchanges.txt": lambda: "\n\n".join(evidence.exchanges),
        "events.txt": lambda: _events(topology),
        "pods.txt": lambda: "\n".join(topology.states()),
        "proxy-client.json": lambda: _proxy(topology, "client"),
    }
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    for name, part in parts.items():
        try:
            text = part()
        except (ClusterError, KeyError, ValueError) as error:
            text = f"could not be collected: {error}"
        (directory / name).write_text(f"{clean_text(text, MAX_PART)}\n", encoding="utf-8")
    return list(parts)


def _events(topology: Topology) -> str:
    events, _ = topology.cluster.list("v1", "events", topology.namespace("app"))
    return "\n".join(
        f"{event.get('lastTimestamp')} {event.get('type')} {event.get('reason')} "
        f"{event.get('involvedObject', {}).get('kind')}/{event.get('involvedObject', {}).get('name')}: "
        f"{event.get('message')}" for event in events
    )


def _proxy(topology: Topology, workload: str) -> str:
    """Return the configuration of a workload's sidecar; Envoy's admin interface leaves private keys out."""
    proxy, pod = topology.mesh.proxy, topology.pod(workload)
    if proxy is None or proxy.admin_port is None:
        return "the mesh has no proxy that could be asked"
    answer = topology.cluster.pod_proxy(pod.namespace, pod.name, proxy.admin_port, "GET", "/config_dump")
    return json.dumps(clean_value(json.loads(answer)), indent=1)
