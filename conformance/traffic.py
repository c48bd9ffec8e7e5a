"""What to send, and what was seen of it on both sides."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

WireProtocol = Literal["http", "h2c", "tcp", "udp"]  # h2c: HTTP/2 with prior knowledge, without TLS
FailureKind = Literal[
    "refused", "reset", "timeout", "name-not-found", "closed", "garbage", "unreachable", "unsent"
]
FAILURE_KINDS: frozenset[str] = frozenset(get_args(FailureKind))

SAMPLE_ID = re.compile(r"[!-+\--~]{1,200}")  # printable ASCII but the comma, which separates ids in a query


@dataclass(frozen=True)
class Request:
    """One request. The URL's host is a name as a client would write it, or an IP (IPv6 in brackets)."""

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    protocol: WireProtocol = "http"


@dataclass(frozen=True)
class Batch:
    """Requests sent in turn until `count` are sent: request i is `requests[i % len(requests)]`.

    timeout: seconds for one request, from the connection to the last byte. deadline: seconds for all; what could not be
    sent by then fails as `unsent`. connections: a new connection for each request, or kept per thread and server.
    """

    sample: str
    requests: tuple[Request, ...]
    count: int
    concurrency: int = 8
    connections: Literal["new", "keep"] = "new"
    timeout: float = 5.0
    deadline: float = 60.0

    def __post_init__(self) -> None:
        if not SAMPLE_ID.fullmatch(self.sample):
            raise ValueError(
                f"sample id {self.sample!r}: need 1 to 200 printable ASCII characters without , and space"
            )
        if not self.requests or self.count < 1 or self.concurrency < 1:
            raise ValueError(
                f"batch {self.sample}: need at least one request, a count and a concurrency of 1 or more"
            )
        if self.timeout <= 0 or self.deadline <= 0:
            raise ValueError(f"batch {self.sample}: timeout and deadline are seconds above 0")


@dataclass(frozen=True)
class Answer:
    """Who answered; `pod` and what follows are None when it was not an agent. `status` is None but for HTTP."""

    status: int | None
    pod: str | None = None
    namespace: str | None = None
    service_account: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        who = f"{self.pod}:{self.port}" if self.pod else "not an agent"
        return who if self.status is None else f"{self.status} from {who}"


@dataclass(frozen=True)
class Failure:
    """Why there was no answer."""

    kind: FailureKind
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} ({self.detail})" if self.detail else self.kind


Outcome = Answer | Failure


@dataclass(frozen=True)
class Exchange:
    """One exchange in full (long texts are cut), the first with its outcome."""

    index: int
    outcome: Outcome
    url: str
    seconds: float
    request: str
    response: str


@dataclass(frozen=True)
class Latency:
    """Seconds from the start of a request (connection included) to its outcome; None when nothing was sent."""

    p50: float | None
    p99: float | None
    max: float | None


@dataclass(frozen=True)
class Seen:
    """Requests of one kind that a server received. `peer` is the address the connection came from."""

    protocol: str
    port: int
    method: str
    path: str
    host: str
    peer: str
    version: str
    count: int = 1
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Received:
    """What one pod received of a sample: `total` requests, by kind, `other` of kinds beyond the record's bound."""

    pod: str
    sample: str
    total: int
    other: int = 0
    requests: tuple[Seen, ...] = ()
    first: tuple[Seen, ...] = ()  # the first few, each with all its headers


@dataclass(frozen=True)
class Identity:
    """Which pod an agent is, and what it speaks."""

    pod: str
    namespace: str
    service_account: str
    python: str
    protocol: int


@dataclass(frozen=True)
class Sample:
    """Requests sent once, and everything that was seen of them."""

    batch: Batch
    outcomes: tuple[Outcome, ...]  # one for each request, in the order of the requests
    elapsed: float = 0.0
    latency: Latency = Latency(None, None, None)
    exchanges: tuple[Exchange, ...] = ()
    received: Mapping[str, Received] = field(default_factory=lambda: MappingProxyType({}))

    def __len__(self) -> int:
        return len(self.outcomes)

    def __iter__(self) -> Iterator[tuple[Request, Outcome]]:
        """Each request with its outcome."""
        requests = self.batch.requests
        return ((requests[i % len(requests)], outcome) for i, outcome in enumerate(self.outcomes))

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The answers, in the order of the requests."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Answer))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The failures, in the order of the requests."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Failure))

    @property
    def counts(self) -> Counter[Outcome]:
        """How often there was each outcome."""
        return Counter(self.outcomes)

    def counts_by(self, key: str | Callable[[Answer], Any] = "pod") -> Counter[Any]:
        """How many answers there were of each value of a field (its name) or of a function of the answer."""
        value = key if callable(key) else (lambda answer: getattr(answer, key))
        counts: Counter[Any] = Counter()
        for outcome, count in self.counts.items():
            if isinstance(outcome, Answer):
                counts[value(outcome)] += count
        return counts

    def of(self, index: int) -> Sample:
        """The part of this sample that `batch.requests[index]` is; what servers received is not divided."""
        requests = self.batch.requests
        outcomes = self.outcomes[range(len(requests))[index] :: len(requests)]
        batch = replace(self.batch, requests=(requests[index],), count=max(1, len(outcomes)))
        kept = tuple(exchange for exchange in self.exchanges if exchange.index % len(requests) == index)
        return replace(self, batch=batch, outcomes=outcomes, exchanges=kept)

    def with_received(self, received: Iterable[Received]) -> Sample:
        """Return this sample with the servers' side of it."""
        return replace(self, received=MappingProxyType({seen.pod: seen for seen in received}))
