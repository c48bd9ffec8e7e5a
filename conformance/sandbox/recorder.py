"""Kubernetes Events, written as the components of a real cluster write them: equal ones are counted, not repeated."""

from __future__ import annotations

import logging
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Literal

from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.objects import JSON, name_of, namespace_of, now, uid_of
from conformance.sandbox.apiserver.resources import EVENTS

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.store import Store

_LOG = logging.getLogger(__name__)
_REMEMBERED: Final = 2048


class Recorder:
    """Writes the events of one component, such as `kubelet`."""

    def __init__(self, store: Store, component: str, host: str = "") -> None:
        self._store = store
        self._component = component
        self._source = {"component": component, **({"host": host} if host else {})}
        self._known: OrderedDict[tuple[str, str, str], str] = OrderedDict()

    def record(
        self, about: JSON, reason: str, message: str, *, type_: Literal["Normal", "Warning"] = "Normal"
    ) -> None:
        """Write one event about an object. Never fails: what cannot be written is lost."""
        key = (uid_of(about), reason, message)
        namespace = namespace_of(about) or "default"
        try:
            if key in self._known:
                try:
                    self._store.modify(EVENTS, self._known[key], namespace, _again)
                except ApiError as error:
                    if error.code != 404:
                        raise
                else:
                    return
            self._known[key] = f"{name_of(about)[:200]}.{uuid.uuid4().hex[:16]}"
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            self._store.create(EVENTS, self._event(self._known[key], namespace, about, reason, message, type_))
        except ApiError as error:
            _LOG.debug("event %s about %s/%s not written: %s", reason, namespace, name_of(about), error)

    def _event(
        self, name: str, namespace: str, about: JSON, reason: str, message: str, type_: str
    ) -> JSON:
        moment = now()
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": about.get("apiVersion"),
                "kind": about.get("kind"),
                "name": name_of(about),
                "namespace": namespace_of(about),
                "uid": uid_of(about),
                "resourceVersion": about["metadata"].get("resourceVersion"),
            },
            "reason": reason,
            "message": message,
            "type": type_,
            "source": self._source,
            "reportingComponent": self._component,
            "reportingInstance": self._source.get("host", ""),
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }


def _again(event: JSON) -> None:
    event["count"] = int(event.get("count") or 1) + 1
    event["lastTimestamp"] = now()
