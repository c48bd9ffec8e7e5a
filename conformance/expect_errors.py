"""Expectations of requests that a mesh has to answer itself, with an error, in place of any server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from conformance.expect import EFFECT, Endpoint, Expectation, Finding, Tally, Weights
from conformance.service import Service


class Answered(Expectation):
    """All requests are answered with this status, and no server sees any. A leak of 1 % is missed with 1e-4 at most."""

    def __init__(self, status: int) -> None:
        self.status = status

    def wanted(self, port: int) -> str:
        """Say what is expected, for messages."""
        return f"HTTP {self.status} for all requests to port {port}, and that no server sees any"

    def judge(self, seen: Tally) -> Finding:
        """Judge the one sample. Raises Refusal, a Nonconformance."""
        self._check_no_server_saw(seen, "requests that no server must see")
        if set(seen.failures) != {_failure(self.status)}:
            raise self._refuse(seen, f"not all requests were answered with {self.status}")
        return Finding()


class WeightsWithout(Weights):
    """As Weights, but the share of one Service, which does not exist, is answered with a status."""

    def __init__(
        self, weights: Mapping[Service, int], missing: Service, status: int, *, effect: float = EFFECT,
    ) -> None:
        super().__init__(weights, effect=effect)
        self.missing = missing
        self.status = status

    def wanted(self, port: int) -> str:
        """Say what is expected, for messages."""
        there = {service: weight for service, weight in self.weights.items() if service != self.missing}
        share = self._shares()[self.missing]
        rest = " and ".join(f"{self._shares()[service]:.1%} from {', '.join(sorted(service.workloads))}:{port}"
                            for service in there)
        return f"{rest} and {share:.1%} answered HTTP {self.status}"

    def _judge(self, seen: Tally, alpha: float) -> Finding:
        failures = dict(seen.failures)
        refused = failures.pop(_failure(self.status), 0)
        answers = dict(seen.answers) | ({self._nobody(seen.port): refused} if refused else {})
        return super()._judge(replace(seen, answers=answers, failures=failures), alpha)

    def _owners(self, port: int) -> dict[Endpoint, str]:
        owners = {endpoint: owner for endpoint, owner in super()._owners(port).items() if owner != self.missing.name}
        return owners | {self._nobody(port): self.missing.name}

    def _nobody(self, port: int) -> Endpoint:
        return _failure(self.status), port


def _failure(status: int) -> str:
    """Return the kind of failure that a client notes for an answer of the mesh's own."""
    return f"HTTP {status}"
