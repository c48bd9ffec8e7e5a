"""Expectations: what a sample must look like, and how large it has to be to tell.

An expectation judges one sample once. `plausible` is its coarse form, for waiting only: a configuration that is
not in effect yet fails it, and passing it proves nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from conformance import statistics
from conformance.outcome import Nonconformance
from conformance.service import Service

LEAK: Final = 0.01
"""The smallest share of misdirected traffic that a sample must catch …"""
MISSED: Final = 1e-4
"""… but for this probability."""
EFFECT: Final = 0.2
"""The smallest shift of a share to be caught, in standard deviations: 90/10 served as 84/16, 50/50 as 60/40."""
ROUGH: Final = 0.4
"""The effect where precision is judged elsewhere and only the division itself is in question: 50/50 as 70/30."""
CAUGHT: Final = 0.9999
"""Probability with which such a shift is caught."""
DENIED: Final = 40
"""Requests of a sample that must all be denied, or all be allowed: policy is no matter of chance."""
REPEATED: Final = 0.05
"""The largest share of requests that servers may see again, because they were retried: a copy of each is none."""
COARSE: Final = 0.01
"""False-alarm rate of the coarse form of a weight check, which only waits."""

Endpoint = tuple[str, int]


@dataclass(frozen=True)
class Tally:
    """What one sample showed, on both sides.

    `answers` counts responses by the workload and port that gave them, `received` the requests that each
    workload's servers saw, `failures` requests without a proper answer by kind (`reset`, `HTTP 503`, …).
    """

    port: int
    answers: Mapping[Endpoint, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    received: Mapping[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of requests sent."""
        return sum(self.answers.values()) + sum(self.failures.values())

    def __str__(self) -> str:
        parts = [f"{count} from {workload}:{port}" for (workload, port), count in sorted(self.answers.items())]
        parts += [f"{count} failed ({kind})" for kind, count in sorted(self.failures.items())]
        return f"of {self.size} requests " + (", ".join(parts) or "nothing")


@dataclass(frozen=True)
class Finding:
    """How a sample was judged by its counts: the acceptance interval of each count, and the test's figures."""

    expected: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    alpha: float | None = None
    p_value: float | None = None


class Refusal(Nonconformance):
    """A sample that is not as expected, with the figures of the test that refused it."""

    def __init__(self, wanted: str, got: str, details: str, finding: Finding) -> None:
        super().__init__(wanted, got, details)
        self.finding = finding


class Expectation(ABC):
    """What a sample must look like.

    Unless a kind of expectation says otherwise, its samples are as large as it takes to miss a leak of 1 % with
    probability 1e-4 at most, and looks while waiting are held to the same as the sample.
    """

    @property
    def size(self) -> int:
        """Number of requests that a sample needs for the stated error rates."""
        return statistics.sample_size_for_absence(LEAK, MISSED)

    @property
    def probe(self) -> int:
        """Number of requests of one look while waiting."""
        return 20

    @abstractmethod
    def wanted(self, port: int) -> str:
        """Say what is expected, for messages."""

    def plausible(self, seen: Tally) -> None:
        """Raise AssertionError when a sample taken while waiting shows that it is not so yet."""
        self.judge(seen)

    @abstractmethod
    def judge(self, seen: Tally) -> Finding:
        """Judge the one sample. Raises Refusal, a Nonconformance."""

    def _refuse(self, seen: Tally, why: str, finding: Finding | None = None) -> Refusal:
        return Refusal(self.wanted(seen.port), str(seen), why, finding or Finding())

    def _check_who_answered(self, seen: Tally, allowed: frozenset[Endpoint]) -> None:
        """Every request is answered by an allowed endpoint, and no other workload saw any of them."""
        if not seen.size:
            raise ValueError(f"an empty sample was to be judged: {self.wanted(seen.port)}")
        if seen.failures:
            raise self._refuse(seen, f"{sum(seen.failures.values())} requests failed")
        strangers = sorted(set(seen.answers) - allowed)
        if strangers:
            raise self._refuse(seen, f"not expected: {_names(strangers)}")
        workloads = {workload for workload, _ in allowed}
        silent = {name: count for name, count in seen.received.items() if count and name not in workloads}
        if silent:
            counts = ", ".join(f"{name} {count}" for name, count in sorted(silent.items()))
            raise self._refuse(seen, f"servers that must see nothing of it received requests: {counts}")

    def _check_no_server_saw(self, seen: Tally, what: str) -> None:
        """No server saw any of the requests, nor answered one; `what` names them in the message."""
        if not seen.size:
            raise ValueError(f"an empty sample was to be judged: {self.wanted(seen.port)}")
        reached = {name: count for name, count in seen.received.items() if count}
        if reached or seen.answers:
            servers = ", ".join(f"{name} {count}" for name, count in sorted(reached.items()))
            raise self._refuse(seen, f"{what} reached servers: {servers or 'answered'}")

    def _check_nothing_copied(self, seen: Tally) -> None:
        """No server saw requests that it did not answer: where they are divided, a copy changes the shares.

        A look, which asks no server, shows nothing of it. A few may have been tried again.
        """
        answered: Counter[str] = Counter()
        for (workload, _), count in seen.answers.items():
            answered[workload] += count
        spare = max(3, int(REPEATED * seen.size))
        copied = {name: count for name, count in seen.received.items() if count > answered[name] + spare}
        if copied:
            counts = ", ".join(f"{name} received {count} and answered {answered[name]}"
                               for name, count in sorted(copied.items()))
            raise self._refuse(seen, f"servers received requests that others answered, or more than once: {counts}")


class Only(Expectation):
    """All requests are answered, each by one of these Services' endpoints, and nobody else sees any.

    Which of them answers how often is not judged. A leak of 1 % is missed with probability 1e-4 at most.
    """

    def __init__(self, *services: Service) -> None:
        self.services = services

    def wanted(self, port: int) -> str:
        """Say what is expected, for messages."""
        return f"answers only from {_names(sorted(self._allowed(port)))}"

    def judge(self, seen: Tally) -> Finding:
        """Judge the one sample. Raises Refusal, a Nonconformance."""
        self._check_who_answered(seen, self._allowed(seen.port))
        return Finding()

    def _allowed(self, port: int) -> frozenset[Endpoint]:
        return frozenset[Endpoint]().union(*(service.endpoints(port) for service in self.services))


class ByPolicy(Expectation):
    """What is expected of requests that policy decides about: they are all alike, so that few of them tell."""

    @property
    def size(self) -> int:
        """Number of requests that a sample needs for the stated error rates."""
        return DENIED

    @property
    def probe(self) -> int:
        """Number of requests of one look while waiting."""
        return 4


class Allowed(ByPolicy, Only):
    """As Only, for requests that policy decides about."""


class Denied(ByPolicy):
    """No server sees any of the requests. What the client gets instead is recorded and not judged (TARGET-023)."""

    def wanted(self, port: int) -> str:
        """Say what is expected, for messages."""
        return f"that no server sees any of the requests to port {port}"

    def judge(self, seen: Tally) -> Finding:
        """Judge the one sample. Raises Refusal, a Nonconformance."""
        self._check_no_server_saw(seen, "requests that must be denied")
        return Finding()


class Spread(Only):
    """As Only, and each of the endpoints answers at least once.

    `rarest` is the smallest share that one of them gets. By chance it is left out of a sample with a probability of
    1e-6 at most, and of the usual sample, for up to five endpoints of equal shares, below 1e-18.
    """

    def __init__(self, *services: Service, rarest: float = 0.2) -> None:
        super().__init__(*services)
        self.rarest = rarest

    @property
    def size(self) -> int:
        """Number of requests that a sample needs for the stated error rates."""
        return max(200, statistics.sample_size_for_absence(self.rarest, statistics.ALPHA))

    def wanted(self, port: int) -> str:
        """Say what is expected, for messages."""
        return f"answers from each of {_names(sorted(self._allowed(port)))}, and from nobody else"

    @property
    def probe(self) -> int:
        """Number of requests of one look while waiting."""
        return 60

    def plausible(self, seen: Tally) -> None:
        """Raise AssertionError when a sample taken while waiting shows that it is not so yet."""
        if self.rarest < 0.2:
            super().judge(seen)  # a look is too small to show the rarest
        else:
            self.judge(seen)

    def judge(self, seen: Tally) -> Finding:
        """Judge the one sample. Raises Refusal, a Nonconformance."""
        finding = super().judge(seen)
        absent = sorted(self._allowed(seen.port) - set(seen.answers))
        if absent:
            raise self._refuse(seen, f"no answer from {_names(absent)}")
        return finding


class Weights(Expectation):
    """Requests are answered by these Services in proportion to their weights, judged by an exact binomial test.

    A mesh that divides as asked is rejected with probability 1e-6 at most; one that is off by a fifth of a
    standard deviation (`effect`) is caught with probability 0.9999.
    """

    def __init__(self, weights: Mapping[Service, int], *, effect: float = EFFECT) -> None:
        self.weights = dict(weights)
        self.effect = effect

    @property
    def size(self) -> int:
        """Number of requests that a sample needs for the stated error rates."""
        shares = [share for share in self._shares().values() if 0 < share < 1]
        if not shares:
            return super().size
        # As `statistics.judge` divides it: two counts are one test.
        alpha = statistics.ALPHA / (1 if len(shares) == 2 else len(shares))
        # A share and its complement need the same sample: the test is two-sided.
        rarer = {min(share, 1 - share) for share in shares}
        return max(statistics.sample_size(p, self.effect * (p * (1 - p)) ** 0.5, alpha, CAUGHT) for p in rarer)

    @property
    def probe(self) -> int:
        """Number of requests of one look while waiting."""
        return 60

    def wanted(self, port: int) -> str:
        """Say what is expected, for messages."""
        parts = [
            f"{share:.1%} from {_names(sorted(service.endpoints(port)))}" for service, share in self._shares().items()
        ]
        return " and ".join(parts)

    def plausible(self, seen: Tally) -> None:
        """Raise AssertionError when a sample taken while waiting shows that it is not so yet."""
        self._judge(seen, COARSE)

    def judge(self, seen: Tally) -> Finding:
        """Judge the one sample. Raises Refusal, a Nonconformance."""
        return self._judge(seen, statistics.ALPHA)

    def _judge(self, seen: Tally, alpha: float) -> Finding:
        owners = self._owners(seen.port)
        self._check_who_answered(seen, frozenset(owners))
        self._check_nothing_copied(seen)
        counts = Counter({service.name: 0 for service in self.weights})
        for endpoint, count in seen.answers.items():
            counts[owners[endpoint]] += count
        weights = {service.name: weight for service, weight in self.weights.items()}
        judgement = statistics.judge(counts, weights, alpha)
        finding = Finding(self._expected(judgement, seen.port), alpha, judgement.p_value)
        if not judgement.holds:
            raise self._refuse(seen, "; ".join(
                f"{name}: {counts[name]} is outside {judgement.accepted[name]} (p = {judgement.p_value:.1g}, "
                f"false-alarm rate {alpha:.0e})" for name in judgement.outside
            ), finding)
        return finding

    def _expected(self, judgement: statistics.Judgement, port: int) -> dict[str, tuple[int, int]]:
        """The intervals by who answers for a Service, as samples count: readers set the two beside each other."""
        expected: dict[str, tuple[int, int]] = {}
        for service in sorted(self.weights, key=lambda one: not self.weights[one]):
            interval = judgement.accepted[service.name]
            expected.setdefault(_names(sorted(service.endpoints(port))), (interval.low, interval.high))
        return expected

    def _shares(self) -> dict[Service, float]:
        total = sum(self.weights.values())
        return {service: weight / total for service, weight in self.weights.items()}

    def _owners(self, port: int) -> dict[Endpoint, str]:
        owners: dict[Endpoint, str] = {}
        for service, weight in self.weights.items():
            for endpoint in service.endpoints(port) if weight else ():
                if endpoint in owners:
                    raise ValueError(f"{service.name} and {owners[endpoint]} share {endpoint}: indistinguishable")
                owners[endpoint] = service.name
        return owners


def _names(endpoints: list[Endpoint]) -> str:
    return ", ".join(f"{workload}:{port}" for workload, port in endpoints) or "nobody"
