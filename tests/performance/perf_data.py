"""What a load engine says, as tests need it."""

from __future__ import annotations

from typing import Any

from conformance.performance.histogram import Histogram


def histogram(*values: int, times: int = 1) -> Histogram:
    made = Histogram()
    for value in values:
        made.record(value, times)
    return made


def said(requests: int = 2000, **parts: Any) -> dict[str, Any]:
    """The result of an undisturbed load of 1,000/s for 2 s."""
    each = histogram(100_000, times=requests).to_json()
    return {
        "done": True, "id": "a", "started": 1.8e9, "elapsed": 2.0, "wall_elapsed": 2.0, "scheduled": requests,
        "sent": requests, "completed": requests, "unsent": 0, "unfinished": 0, "errors": {},
        "statuses": {"200": requests}, "agents": {"pod-a": requests}, "service": each, "response": each,
        "lag": histogram(50_000, times=requests).to_json(), "connect": Histogram().to_json(),
        "timeline": {"interval": 0.5, "rows": [[500, 0, 100_000, 100_000, 100_000]] * 4},
        "cpu": {"user": 0.1, "system": 0.1}, "node": {"busy": 0.4, "steal": 0.0}, "bytes": {"sent": 1, "received": 1},
        "connections_made": 16, "engine": {"python": "3.12.1"},
    } | parts
