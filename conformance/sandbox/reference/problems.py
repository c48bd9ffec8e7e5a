"""Misconfigurations that people are told of, as events on the object: those of TrafficSplits (SPLIT-020)."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.sandbox.reference import headers
from conformance.sandbox.reference.access_problems import of_target
from conformance.sandbox.reference.model import Problem, Service, Split, subject_of
from conformance.sandbox.reference.translate import Translation


def problems(translation: Translation) -> tuple[Problem, ...]:
    """Return what is wrong with the splits and targets of a snapshot, and the objects that could not be read."""
    found = list(translation.snapshot.malformed)
    for split in translation.snapshot.splits:
        found.extend(Problem(subject_of(split), *what) for what in _of_split(translation, split))
    for target in translation.snapshot.targets:
        found.extend(Problem(subject_of(target), *what) for what in of_target(translation, target))
    return tuple(dict.fromkeys(found))


def _of_split(translation: Translation, split: Split) -> Iterator[tuple[str, str]]:
    in_force = translation.splits_on(split.root_key)[0]
    if in_force != split:
        yield "DuplicateSplit", (f"TrafficSplit {in_force.name} is older and splits Service {split.root} already: "
                                 "this one has no effect")
    yield from _of_weights(split)
    yield from _of_matches(translation, split)
    root = translation.snapshot.services.get(split.root_key)
    if root is None:
        yield "RootMissing", f"there is no Service {split.root}: the split has no effect until there is one"
        return
    if not root.cluster_ip:
        yield "RootNotSplittable", (f"Service {split.root} has no cluster IP: its clients connect to its pods "
                                    "directly, and are not split")
    yield from _of_backends(translation, split, root)


def _of_weights(split: Split) -> Iterator[tuple[str, str]]:
    for backend in split.backends:
        if backend.weight.denominator != 1 and not split.api_version.endswith("/v1alpha1"):
            yield "FractionalWeight", (f"backend {backend.service} has weight {float(backend.weight):g}: weights "
                                       "must be whole numbers. It is taken in relation to the others")
    if not any(backend.weight for backend in split.backends):
        yield "NoWeight", f"no backend has a weight above 0: traffic for Service {split.root} is not split"


def _of_matches(translation: Translation, split: Split) -> Iterator[tuple[str, str]]:
    groups = {group.name: group for group in translation.groups_of(split)}
    for name in split.groups or ():
        if name not in groups:
            yield "RouteGroupMissing", f"there is no HTTPRouteGroup {name}: it selects no requests"
    for group in groups.values():
        for match in group.matches:
            for why in filter(None, map(headers.trouble, match.headers)):
                yield "InvalidMatch", (f"match {match.name} of HTTPRouteGroup {group.name} selects no requests: {why}")


def _of_backends(translation: Translation, split: Split, root: Service) -> Iterator[tuple[str, str]]:
    for backend in split.backends:
        if backend.service == split.root:
            yield "SelfReference", (f"the split names its root Service {split.root} as a backend: that share goes to "
                                    "the endpoints of the Service itself")
        service = translation.backend_service(split, backend.service)
        if service is None:
            # A backend that is still to come, with weight 0, is how the specification starts a rollout.
            if backend.weight:
                yield "BackendMissing", (f"there is no Service {backend.service}: its share goes to the other "
                                         "backends")
            continue
        for port in root.ports:
            if service.port(port.number) is None:
                yield "PortMismatch", (f"backend {backend.service} has no port {port.number}, which root Service "
                                       f"{split.root} has: it is not included and gets none of that port's traffic")
