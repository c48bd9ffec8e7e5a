"""A copy of one resource of the cluster, kept current by list and watch, each object parsed once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from conformance.cluster import Cluster, ClusterError, Gone, NotFound
from conformance.sandbox.reference.fields import Json, Malformed
from conformance.sandbox.reference.model import Key, Problem, Subject
from conformance.sandbox.reference.parse import key_of

T = TypeVar("T")

ABSENT_PAUSE: Final = 1.0  # seconds between two looks for an API that is not served
FAILED_PAUSE: Final = 0.5
WATCH_SECONDS: Final = 300.0
_BETWEEN_WATCHES: Final = 0.05  # lest a server that ends watches at once is asked without end

log = logging.getLogger(__name__)


class Mirror(Generic[T]):
    """The objects of one resource as parsed values.

    `api_version` is asked before each list and may answer None while the API is not served, which is the same as
    no objects.
    """

    def __init__(
        self, cluster: Cluster, plural: str, api_version: Callable[[], str | None],
        parse: Callable[[Json], T | None], changed: Callable[[], None],
    ) -> None:
        self.plural = plural
        self.synced = threading.Event()
        self._cluster = cluster
        self._api_version = api_version
        self._parse = parse
        self._changed = changed
        self._lock = threading.Lock()
        self._values: dict[Key, T | Problem | None] = {}
        self._served = False

    @property
    def served(self) -> bool:
        """Whether the API server has the resource at all."""
        return self._served

    def values(self) -> list[T]:
        """Return the values of all objects that could be read."""
        with self._lock:
            return [value for value in self._values.values() if value is not None and not isinstance(value, Problem)]

    def malformed(self) -> list[Problem]:
        """Return what is wrong with the objects that could not be read."""
        with self._lock:
            return [value for value in self._values.values() if isinstance(value, Problem)]

    def run(self, stop: threading.Event) -> None:
        """Keep the copy current until `stop`. Failures of the API server are waited out, with the last copy kept."""
        while not stop.is_set():
            try:
                self._follow(stop)
                stop.wait(_BETWEEN_WATCHES)
            except Gone:
                log.info("watch of %s is too old: listing again", self.plural)
            except NotFound:
                self._replace({}, served=False)
                stop.wait(ABSENT_PAUSE)
            except ClusterError as error:
                log.warning("%s; trying again", error)
                stop.wait(FAILED_PAUSE)

    def _follow(self, stop: threading.Event) -> None:
        api_version = self._api_version()
        if api_version is None:
            self._replace({}, served=False)
            stop.wait(ABSENT_PAUSE)
            return
        items, revision = self._cluster.list(api_version, self.plural)
        # Items of a list do not always say what they are.
        self._replace({key_of(item): self._read({"apiVersion": api_version} | item) for item in items})
        log.info("watching %s of %s: %d objects", self.plural, api_version, len(items))
        for kind, obj in self._cluster.watch(api_version, self.plural, revision, timeout=WATCH_SECONDS):
            if stop.is_set():
                return
            if kind != "BOOKMARK":
                self._apply(kind, obj)

    def _replace(self, values: dict[Key, T | Problem | None], *, served: bool = True) -> None:
        with self._lock:
            same = self.synced.is_set() and (values, served) == (self._values, self._served)
            self._values, self._served = values, served
        self.synced.set()
        if not same:
            self._changed()

    def _apply(self, kind: str, obj: Json) -> None:
        key = key_of(obj)
        value = None if kind == "DELETED" else self._read(obj)
        with self._lock:
            same = self._values.get(key) == value
            if kind == "DELETED":
                self._values.pop(key, None)
            else:
                self._values[key] = value
        if not same:
            self._changed()

    def _read(self, obj: Json) -> T | Problem | None:
        try:
            return self._parse(obj)
        except Malformed as error:
            reason = str(error)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = f"it has an unexpected shape ({type(error).__name__}: {error})"
        subject = _subject(obj)
        log.warning("ignored one of the %s: %s/%s: %s", self.plural, subject.namespace, subject.name, reason)
        return Problem(subject, "Malformed", f"ignored: {reason}")


def _subject(obj: dict[str, Any] | Json) -> Subject:
    metadata = obj["metadata"]
    return Subject(str(obj.get("apiVersion", "")), str(obj.get("kind", "")), metadata.get("namespace", ""),
                   metadata["name"], metadata.get("uid", ""), metadata.get("generation", 1))
