"""TrafficSplits and route groups of one check, and the wait until the mesh has taken a change in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from conformance import smi
from conformance.cluster import Object
from conformance.objects import Objects
from conformance.outcome import Nonconformance
from conformance.service import Service
from conformance.smi import HTTPMatch, ServedApis
from conformance.waiting import NotConverged, NotYet, eventually

Settle = Callable[[], None]
"""Waits until every client's proxy has taken in what was applied before."""
Shares = Mapping[Service, float]


class TrafficSplit:
    """A TrafficSplit that has been applied."""

    def __init__(self, splits: Splits, obj: Object) -> None:
        self._splits = splits
        self._object = obj

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self._object["metadata"]["name"])

    def change(self, weights: Shares) -> None:
        """Replace the backends and wait until the mesh has taken that in."""
        rendered = [{"service": service.name, "weight": weight} for service, weight in weights.items()]
        self._splits.objects.change(self._object, {"backends": rendered})
        self._splits.settle()

    def delete(self) -> None:
        """Delete the split and wait until the mesh has taken that in."""
        self._splits.objects.delete(self._object)
        self._splits.settle()

    def warning(self, *, right: TrafficSplit) -> str:
        """Return the first warning about this split that there is not, but for names, about one that is right.

        Raises Nonconformance when none appears in time.
        """

        def look() -> str:
            ours = self._warnings()
            usual = right._warnings()
            for nameless, told in ours.items():
                if nameless not in usual:
                    return told
            raise NotYet(f"{self.events()}; on a split that is right: {right.events()}" if ours else self.events())

        try:
            return eventually(look, what=f"a warning on TrafficSplit {self.name}", within=self._splits.within,
                              consecutive=1).last
        except NotConverged as error:
            wanted = (f"an event of type Warning on the TrafficSplit within {self._splits.within:g} s, "
                      "and not on every other")
            raise Nonconformance(wanted, error.reason) from None

    def events(self) -> str:
        """Say which events there are about this split."""
        events = [f"{event.get('type')} {event.get('reason')}: {event.get('message')}" for event in self._events()]
        return "events: " + "; ".join(events) if events else "no event"

    def _warnings(self) -> dict[str, str]:
        """Return what the warnings about this split say, by the same text without the names of the check's objects."""
        names = re.compile(rf"\b{re.escape(self._splits.objects.prefix)}-[a-z0-9-]+")
        told = [f"{event.get('reason')}: {event.get('message')}" for event in self._events()
                if event.get("type") == "Warning"]
        return {names.sub("...", each): each for each in told}

    def _events(self) -> list[Object]:
        events, _ = self._splits.objects.cluster.list(
            "v1", "events", self._object["metadata"]["namespace"], fields=f"involvedObject.name={self.name}",
        )
        return [event for event in events if event.get("involvedObject", {}).get("kind") == "TrafficSplit"]


@dataclass(frozen=True)
class Splits:
    """Makes the TrafficSplits of one check; `within` is the mesh's limit for a change to take effect, in seconds."""

    objects: Objects
    apis: ServedApis
    namespace: str
    settle: Settle
    within: float

    def __call__(
        self, root: Service, weights: Shares, *, matches: Sequence[str] = (), settle: bool = True,
    ) -> TrafficSplit:
        """Create a TrafficSplit and wait until the mesh has taken it in. Raises Rejected when it is refused."""
        obj = self._render(root, weights, matches)
        self.objects.create(obj)
        if settle:
            self.settle()
        return TrafficSplit(self, obj)

    def dry_run(self, root: Service, weights: Shares) -> str:
        """Say whether the server would take such a split."""
        return self.objects.try_out(self._render(root, weights, ()))

    def _render(self, root: Service, weights: Shares, matches: Sequence[str]) -> Object:
        named = {service.name: weight for service, weight in weights.items()}
        return smi.traffic_split(self.apis, self.objects.name("split"), self.namespace, root.name, named, matches)


@dataclass(frozen=True)
class Routes:
    """Makes the HTTPRouteGroups of one check."""

    objects: Objects
    apis: ServedApis
    namespace: str

    def __call__(self, hint: str, *matches: HTTPMatch) -> str:
        """Create a route group and return its name."""
        name = self.objects.name(hint)
        self.objects.create(smi.http_route_group(self.apis, name, self.namespace, matches))
        return name

