"""What a sidecar writes down of every HTTP request: one line, on both sides of a connection, in its own directory.

Envoy's counters cannot tell who called whom, nor which root Service a request was for; its access log can.

A line is a JSON array: when the request arrived (seconds since the epoch), who saw it (`client` or `server`), the
Service that the client asked for, the Envoy cluster that took it, the other side's address, the status (0 without
an answer), and the microseconds until the answer was complete. Nothing in it is under a client's control.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal, NamedTuple

Resource = dict[str, Any]
Side = Literal["client", "server"]

FILE: Final = "access.log"
DIRECTORY: Final = "log"
"""Where the file is, in the directory of the proxy: the only place that the proxy itself may write to."""
FIRST_FAILURE: Final = 500
"""A request failed when its status is this or above, or when it was not answered (0)."""

_FILE_LOG: Final = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
_PEERS: Final = {"client": "%UPSTREAM_HOST%", "server": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}
_FIELDS: Final = 7


class Exchange(NamedTuple):
    """One request as one side saw it.

    `service` and `backend` are `namespace/name` of the Services that the client asked for and that took the request,
    empty at the server. `peer` is the other side's address on the wire, empty when there was none. `ended` is in
    seconds since the epoch.
    """

    ended: float
    side: Side
    service: str
    backend: str
    peer: str
    success: bool
    seconds: float


def logged(side: Side, service: str = "") -> Resource:
    """Return the part of an HTTP filter that has its requests written down."""
    line = (f'["%START_TIME(%s.%3f)%","{side}","{service}","%UPSTREAM_CLUSTER%","{_PEERS[side]}",%RESPONSE_CODE%,'
            '"%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%"]\n')
    return {"access_log": [{"name": "file", "typed_config": {
        "@type": _FILE_LOG, "path": f"./{DIRECTORY}/{FILE}",
        "log_format": {"text_format_source": {"inline_string": line}},
    }}]}


def parse(line: bytes) -> Exchange | None:
    """Read a line; None for one that is not as Envoy writes them."""
    try:
        fields = json.loads(line)
        if not isinstance(fields, list) or len(fields) != _FIELDS:
            return None
        began, side, service, cluster, peer, status, micros = fields
        seconds = 0.0 if micros == "-" else int(micros) / 1e6
        return Exchange(float(began) + seconds, side, service, _service_of(cluster) if side == "client" else "",
                        "" if peer == "-" else peer.rpartition(":")[0] or peer, 0 < status < FIRST_FAILURE, seconds)
    except (ValueError, TypeError, AttributeError):
        return None


def _service_of(cluster: str) -> str:
    # `outbound|namespace/name|port`, see Translation.destination.
    parts = cluster.split("|")
    return parts[1] if len(parts) > 1 else ""
