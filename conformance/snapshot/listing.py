"""Listing objects for a snapshot: by pages, within a deadline, and never with an error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from conformance.cluster import Cluster, ClusterError, Kind, NotFound, Object

MAX_OBJECTS: Final = 500
"""The most objects of a kind that are looked at."""
_CALL: Final = 5.0  # seconds for one call, where the deadline is farther away

Part = dict[str, Any]
"""`status` says whether `items` are all (`read`, `cut`, `forbidden`, `not-served` or `failed`), `why` what kept it."""


@dataclass(frozen=True)
class Reader:
    """Lists objects of a cluster until a moment, in seconds of the monotonic clock."""

    cluster: Cluster
    until: float

    def read(self, api_version: str, plural: str, namespace: str | None = None, *, page: int = 100) -> Listing:
        """Return the objects of a resource, as far as they may be read and time allows, `page` of them at once."""
        found: list[Object] = []
        try:
            for items in self._pages(Kind(api_version, "", plural, namespaced=True).path(namespace), page):
                found += items
                if len(found) >= MAX_OBJECTS:
                    return Listing(found[:MAX_OBJECTS], "cut", f"only the first {MAX_OBJECTS} were looked at")
        except NotFound:
            return Listing(found, "not-served")
        except ClusterError as error:
            if error.code in (401, 403):
                return Listing(found, "forbidden", f"takes the right to list {plural}")
            # Its own words have addresses of the cluster in them, and a report is published.
            return Listing(found, "failed", f"HTTP {error.code}" if error.code else "no answer in time, or no JSON")
        return Listing(found)

    def _pages(self, path: str, page: int) -> Iterator[list[Object]]:
        query = {"limit": str(page)}
        while True:
            left = self.until - time.monotonic()
            if left <= 0:
                raise ClusterError(f"reading {path}", "time is up")
            answer = self.cluster.json("GET", path, query=query, timeout=min(left, _CALL), patience=min(left, _CALL))
            items = answer.get("items") or []
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise ClusterError(f"reading {path}", "the answer is no list of objects")
            yield items
            metadata = answer.get("metadata")
            following = metadata.get("continue") if isinstance(metadata, dict) else None
            if not following or not items:
                return
            query = {"limit": str(page), "continue": str(following)}


@dataclass(frozen=True)
class Listing:
    """The objects that were found, and whether they are all."""

    objects: list[Object]
    status: str = "read"
    why: str = ""

    def part(self, items: list[Any]) -> Part:
        """Return the part of a snapshot that says `items` of these objects."""
        return {"status": self.status, **({"why": self.why} if self.why else {}), "items": items}
