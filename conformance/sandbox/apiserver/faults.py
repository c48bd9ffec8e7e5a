"""Faults on purpose, for tests of those who must bear them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_REASONS = {
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    500: ("InternalError", "an error on the server has prevented the request from succeeding"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "the server was unable to return a response in the time allotted"),
}
_LONGEST = 600.0


@dataclass(slots=True)
class Fault:
    """Requests whose method and path match (whole, as regular expressions) go wrong, the next `times` of them.

    They wait `hang` seconds; then they are answered with `status`, or as usual when it is None. `seen` lists what has
    been hit, as `METHOD path`.
    """

    path: str
    method: str = ".*"
    status: int | None = None
    hang: float = 0.0
    retry_after: int | None = None
    times: int = 1
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.status is None and not self.hang:
            raise ValueError("a fault needs a status to answer with, or seconds to hang")
        if not 0 <= self.hang <= _LONGEST or self.times < 1:
            raise ValueError(f"a fault hangs between 0 and {_LONGEST:g} seconds, and happens at least once")

    @property
    def reason(self) -> tuple[str, str]:
        """Reason and message of the Status."""
        return _REASONS.get(self.status or 500, ("Unknown", f"the sandbox was told to answer {self.status}"))


class Faults:
    """The faults that are still to happen."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, counted down."""
        for fault in self._faults:
            if len(fault.seen) < fault.times and re.fullmatch(fault.method, method) and re.fullmatch(fault.path, path):
                fault.seen.append(f"{method} {path}")
                return fault
        return None
