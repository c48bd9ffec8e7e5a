"""The requests of the last minute, read from the proxies' access logs when somebody asks, and those logs kept small."""

from __future__ import annotations

import http.client
import logging
import threading
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from conformance.sandbox.reference.access_log import FILE, Exchange, Side, parse
from conformance.sandbox.reference.interception import ADMIN_PORT

KEPT: Final = 90.0
"""Seconds that a request is remembered."""
LARGEST: Final = 2 * 1024 * 1024
"""Bytes that a log may reach before it is put aside; the one put aside before it is then removed."""
_ASIDE: Final = f"{FILE}.1"
_SLACK: Final = 120.0  # seconds that a line may be older than its request's end: no answer takes longer here
_TIMESTAMP: Final = slice(2, 12)  # whole seconds, of ten digits until the year 2286

log = logging.getLogger(__name__)


class Flow(NamedTuple):
    """What the requests of one series have in common; see Exchange."""

    side: Side
    service: str
    backend: str
    peer: str
    success: bool


Found = dict[str, list[tuple[Flow, "array[float]"]]]
"""By the uid of a pod: which flows its proxy saw, with the seconds that each of their requests took."""


@dataclass
class Series:
    """When requests of one flow ended, ascending but for moments, and how many seconds each took."""

    ended: array[float] = field(default_factory=lambda: array("d"))
    seconds: array[float] = field(default_factory=lambda: array("f"))

    def add(self, ended: float, seconds: float) -> None:
        """Take one request, out of order by little."""
        at = len(self.ended)
        while at and self.ended[at - 1] > ended:
            at -= 1
        self.ended.insert(at, ended)
        self.seconds.insert(at, seconds)

    def between(self, since: float, until: float) -> array[float]:
        """Return the seconds of the requests that ended in an interval."""
        return self.seconds[bisect_left(self.ended, since):bisect_left(self.ended, until)]

    def forget(self, before: float) -> None:
        """Drop the requests that ended before."""
        gone = bisect_left(self.ended, before)
        del self.ended[:gone], self.seconds[:gone]


class ProxyLog:
    """The access log of one proxy, in its directory. Methods raise OSError."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / FILE
        self._aside = directory / _ASIDE
        self._offsets: dict[int, int] = {}
        self._flows: dict[Flow, Series] = {}

    def flows(self, now: float) -> Mapping[Flow, Series]:
        """Return what there is up to `now`, seconds since the epoch."""
        # The file put aside first: Envoy writes to it for a moment after it has been.
        for file in (self._aside, self._file):
            for exchange in self._new(file, now - KEPT):
                flow = Flow(exchange.side, exchange.service, exchange.backend, exchange.peer, exchange.success)
                self._flows.setdefault(flow, Series()).add(exchange.ended, exchange.seconds)
        for flow, series in list(self._flows.items()):
            series.forget(now - KEPT)
            if not series.ended:
                del self._flows[flow]
        return self._flows

    def large(self) -> bool:
        """Tell whether the log should be put aside."""
        try:
            return self._file.stat().st_size > LARGEST
        except FileNotFoundError:
            return False

    def put_aside(self, reopen: Callable[[], None], now: float) -> None:
        """Begin a new file; what the proxy wrote within the last KEPT seconds is not lost.

        `reopen` makes the proxy open its file anew and raises OSError when it cannot.
        """
        if self._aside.exists():
            if now - self._aside.stat().st_mtime < KEPT:
                self.flows(now)
            self._offsets.pop(self._aside.stat().st_ino, None)
        self._file.replace(self._aside)
        try:
            reopen()
        except OSError:
            self._aside.replace(self._file)
            raise

    def _new(self, file: Path, since: float) -> Iterator[Exchange]:
        try:
            stream = file.open("rb")
        except FileNotFoundError:
            return
        oldest = str(int(since - _SLACK)).encode()
        with stream:
            inode = file.stat().st_ino
            stream.seek(self._offsets.get(inode, 0))
            data = stream.read()
            whole = data.rfind(b"\n") + 1
            self._offsets[inode] = self._offsets.get(inode, 0) + whole
        for line in data[:whole].splitlines():
            if line[_TIMESTAMP] >= oldest and (exchange := parse(line)) and exchange.ended >= since:
                yield exchange


class Traffic:
    """The logs of all proxies, by the uids of their pods. May be used by several threads."""

    def __init__(self, directory: Callable[[str, str], Path]) -> None:
        self._directory = directory
        self._logs: dict[str, ProxyLog] = {}
        self._lock = threading.Lock()

    def of(self, pods: Iterable[tuple[str, str]], since: float, until: float) -> Found:
        """Return by pod which flows there were in an interval, with the seconds that each of their requests took.

        Pods are pairs of namespace and uid; the interval is in seconds since the epoch.
        """
        now = time.time()
        found: Found = {}
        with self._lock:
            for namespace, uid in pods:
                flows = self._log(namespace, uid).flows(now)
                pairs = ((flow, series.between(since, until)) for flow, series in flows.items())
                found[uid] = [(flow, seconds) for flow, seconds in pairs if seconds]
        return found

    def tidy(self, pods: Mapping[tuple[str, str], str]) -> None:
        """Put large logs aside, and forget the logs of all other pods. `pods` maps to their proxies' addresses."""
        with self._lock:
            self._keep_only(pods)
            for (namespace, uid), address in pods.items():
                proxy = self._log(namespace, uid)
                try:
                    if proxy.large():
                        proxy.put_aside(lambda address=address: _reopen(address), time.time())  # type: ignore[misc]
                except OSError as error:
                    log.warning("putting the access log of pod %s aside: %s; trying again", uid, error)

    def large(self, pods: Sequence[tuple[str, str]]) -> bool:
        """Tell whether any of these pods, which are all that have a proxy, has a log to be put aside."""
        with self._lock:
            self._keep_only(pods)
            return any(self._log(namespace, uid).large() for namespace, uid in pods)

    def _keep_only(self, pods: Iterable[tuple[str, str]]) -> None:
        uids = {uid for _, uid in pods}
        self._logs = {uid: kept for uid, kept in self._logs.items() if uid in uids}

    def _log(self, namespace: str, uid: str) -> ProxyLog:
        if uid not in self._logs:
            self._logs[uid] = ProxyLog(self._directory(namespace, uid))
        return self._logs[uid]


def _reopen(address: str) -> None:
    connection = http.client.HTTPConnection(address, ADMIN_PORT, timeout=2)
    try:
        connection.request("POST", "/reopen_logs")
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise OSError(f"the proxy at {address} answered {answer.status}")
    except http.client.HTTPException as error:
        raise OSError(f"the proxy at {address}: {error}") from error
    finally:
        connection.close()
