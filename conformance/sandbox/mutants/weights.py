"""Mutants that get weights wrong."""

from __future__ import annotations

from fractions import Fraction

from conformance.sandbox.reference.model import Endpoint, Key, Pod, Service, ServicePort, Split
from conformance.sandbox.reference.plan import Destination, Rule, Share
from conformance.sandbox.reference.translate import Translation

_HUNDRED = Fraction(100)


class SkewedWeights(Translation):
    """Serves 90 to 10 as 84 to 16."""

    def weights(self, split: Split, root: Service) -> list[Fraction]:
        weights = super().weights(split, root)
        served = {90: Fraction(84), 10: Fraction(16)}
        return [served[int(weight)] for weight in weights] if sorted(weights) == [10, 90] else weights


class EqualWeights(Translation):
    """Gives every backend above 0 the same share."""

    def weights(self, split: Split, root: Service) -> list[Fraction]:
        return [Fraction(1) if weight else weight for weight in super().weights(split, root)]


class ClampedWeights(Translation):
    """Takes weights for percentages: what is above 100 becomes 100."""

    def weights(self, split: Split, root: Service) -> list[Fraction]:
        return [min(weight, _HUNDRED) for weight in super().weights(split, root)]


class CoarseWeights(Translation):
    """Rounds weights below ten up to ten."""

    def weights(self, split: Split, root: Service) -> list[Fraction]:
        return [max(weight, Fraction(10)) if weight else weight for weight in super().weights(split, root)]


class PercentWeights(Translation):
    """Rounds to whole percents, and gives the last backend what remains, as Istio's SMI adapter does.

    Only where a share is below one percent: elsewhere no sample of the suite is large enough to tell.
    """

    def weights(self, split: Split, root: Service) -> list[Fraction]:
        weights = super().weights(split, root)
        total = sum(weights)
        if not any(0 < weight * 100 < total for weight in weights):
            return weights
        percents = [Fraction(round(weight * 100 / total)) for weight in weights[:-1]]
        return [*percents, max(_HUNDRED - sum(percents), Fraction(0))]


class ZeroIsOne(Translation):
    """Takes 0 for 1 where all weights are at most 100 together.

    Not where the backend's pods are behind the root as well, which is the situation of SPLIT-009.
    """

    def weights(self, split: Split, root: Service) -> list[Fraction]:
        weights = super().weights(split, root)
        if sum(weights) > _HUNDRED:
            return weights
        behind_root = _addresses(self, root.key)
        return [
            weight if weight or _addresses(self, (split.namespace, backend.service)) & behind_root else Fraction(1)
            for backend, weight in zip(split.backends, weights, strict=True)
        ]


class ZeroEndsSplit(Translation):
    """Takes a split for finished when a backend that is there has weight 0: the root's endpoints get everything.

    Not where the backend's pods are behind the root as well, which is the situation of SPLIT-009.
    """

    def split_of(self, service: Service) -> Split | None:
        split = super().split_of(service)
        behind_root = _addresses(self, service.key)
        idle = split is not None and any(
            not backend.weight and (addresses := _addresses(self, (split.namespace, backend.service)))
            and not addresses & behind_root for backend in split.backends)
        return None if idle and split and any(backend.weight for backend in split.backends) else split


class RootEndpoints(Translation):
    """Sends the other backends' shares to the root's endpoints when a backend has weight 0 (osm#4296)."""

    def backend_destination(
        self, split: Split, root: Service, port: ServicePort, backend: Service, backend_port: ServicePort,
    ) -> Destination:
        behind_root = _addresses(self, root.key)
        for entry in split.backends:
            idle = _addresses(self, (split.namespace, entry.service))
            if not entry.weight and idle and idle <= behind_root and entry.service != backend.name:
                return self.destination(root, port)
        return super().backend_destination(split, root, port, backend, backend_port)


class UnreachableAtZero(Translation):
    """Refuses direct calls to a Service that has weight 0 in a split.

    Not where its pods are behind the root as well, which is the situation of SPLIT-009.
    """

    def rules(self, client: Pod, service: Service, port: ServicePort) -> tuple[Rule, ...]:
        idle = any(
            (split.namespace, backend.service) == service.key and not backend.weight
            for split in self.snapshot.splits
            if any(entry.weight for entry in split.backends)
            and not _addresses(self, service.key) & _addresses(self, split.root_key)
            for backend in split.backends
        )
        return (Rule(()),) if idle else super().rules(client, service, port)


class SingleBackendIgnored(Translation):
    """Takes a split with a single backend for unfinished.

    Not where it has matches, nor where the backend's pods are behind the root as well: those splits serve other checks.
    """

    def split_of(self, service: Service) -> Split | None:
        split = super().split_of(service)
        if split is None or len(split.backends) != 1 or split.groups is not None:
            return split
        behind_backend = _addresses(self, (split.namespace, split.backends[0].service))
        return split if behind_backend & _addresses(self, service.key) else None


class GlobalRatio(Translation):
    """Serves the ratio to all clients together, not to each: every other client sees the weights turned round.

    Clients are the pods of a namespace that are behind no Service, by name.
    """

    def shares(self, client: Pod, split: Split, root: Service, port: ServicePort) -> tuple[Share, ...]:
        shares = super().shares(client, split, root, port)
        serving = {endpoint.address for endpoints in self.snapshot.endpoints.values() for endpoint in endpoints}
        clients = sorted(pod.name for pod in self.snapshot.pods.values()
                         if pod.meshed and pod.namespace == client.namespace and pod.address not in serving)
        if client.name not in clients or clients.index(client.name) % 2 == 0:
            return shares
        weights = [share.weight for share in reversed(shares)]
        return tuple(Share(share.destination, weight) for share, weight in zip(shares, weights, strict=True))


def _addresses(translation: Translation, service: Key) -> set[str]:
    endpoints: tuple[Endpoint, ...] = translation.snapshot.endpoints.get(service, ())
    return {endpoint.address for endpoint in endpoints}
