"""Objects that are tried on the API server: what it takes, what it refuses, and what it keeps of them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from conformance import smi
from conformance.cluster import ClusterError, Object, Rejected
from conformance.definitions import Definition, Definitions
from conformance.objects import Objects
from conformance.outcome import Nonconformance
from conformance.smi import Account, HTTPMatch, Rule
from conformance.smi.reading import aspects, meaning

Path = tuple[str | int, ...]
_FORBIDDEN: Final = re.compile(r"cannot (create|get) resource ")


@dataclass(frozen=True)
class Trials:
    """Tries objects in one namespace. Those that are only tried are not stored.

    A refusal for want of permission is an error: it says nothing about the definition.
    """

    objects: Objects
    definitions: Definitions
    namespace: str

    def whole(self, kind: str, version: str = "") -> Object:
        """Return an object that says everything that a version of its kind can say. Raises NotServed.

        Without a version it is the one that the harness speaks. It names nothing that exists.
        """
        version = version or self.definitions.spoken(kind)
        apis = self.definitions.speaking(kind, version)
        name, other = self.objects.name(kind.lower()), self.objects.name("nothing")
        can = aspects(kind, version)
        match kind:
            case "TrafficSplit":
                groups = [other] if "matches" in can else []
                return smi.traffic_split(apis, name, self.namespace, other, {f"{other}-a": 1, f"{other}-b": 9}, groups)
            case "HTTPRouteGroup":
                headers = {"x-user": "beta-.*", "x-region": "eu"} if "headers" in can else {}
                matches = [HTTPMatch("first", headers, "/api", ["GET", "POST"]), HTTPMatch("rest", {}, ".*", ["*"])]
                return smi.http_route_group(apis, name, self.namespace, matches)
            case "TrafficTarget":
                rules = [Rule("HTTPRouteGroup", other, ["first"]), Rule("TCPRoute", other)]
                sources = [Account(f"{other}-a", self.namespace), Account(f"{other}-b", "elsewhere")]
                return smi.traffic_target(apis, name, self.namespace, Account(other, self.namespace), rules, sources,
                                          port=8080 if "port" in can else None)
            case _:
                render = smi.udp_route if kind == "UDPRoute" else smi.tcp_route
                return render(apis, name, self.namespace, [8080, 9090] if "ports" in can else None)

    def accepts(self, obj: Object, what: str) -> None:
        """Expect that the API server takes an object. Raises Nonconformance, and ClusterError without permission."""
        refusal = self._refusal(obj)
        if refusal:
            raise Nonconformance(f"{what} to be accepted", f"refused: {refusal}", _sent(obj))

    def refuses(self, obj: Object, what: str) -> None:
        """Expect that the API server refuses an object. Raises Nonconformance."""
        if not self._refusal(obj):
            raise Nonconformance(f"{what} to be refused", "it was accepted", _sent(obj))

    def says(self, obj: Object) -> str:
        """Say whether the API server would take an object, for the record."""
        return self.objects.try_out(obj)

    def stored(self, obj: Object) -> Object | None:
        """Create an object and return it as it is read back; None when it is refused."""
        try:
            self.objects.create(obj)
        except Rejected as refusal:
            _require_permission(refusal)
            return None
        return self._read(obj, obj["apiVersion"])

    def conversions(self, obj: Object, definition: Definition, versions: tuple[str, ...]) -> Iterator[Loss]:
        """Write an object and yield what is lost of it in each version in which it is read. Raises ClusterError."""
        version = obj["apiVersion"].rpartition("/")[2]
        try:
            self.objects.create(obj)
        except ClusterError as error:
            _require_permission(error)
            _require_webhook(error)
            yield Loss(version, version, f"refused when written: {error.found}", judged=True)
            return
        can_be_stored = aspects(definition.kind, definition.storage)
        for other in versions:
            try:
                found = meaning(self._read(obj, f"{definition.group}/{other}"))
            except ClusterError as error:
                _require_permission(error)
                _require_webhook(error)
                yield Loss(version, other, f"cannot be read: {error.found}", judged=True)
                continue
            for aspect, wanted in sorted(meaning(obj).items()):
                if aspect not in found:
                    yield Loss(version, other, f"it cannot say {aspect}", judged=False)
                elif found[aspect] != wanted:
                    became = f"{aspect} {_short(wanted)} became {_short(found[aspect])}"
                    yield Loss(version, other, became, judged=aspect in can_be_stored)

    def _refusal(self, obj: Object) -> str:
        try:
            self.objects.dry_run(obj)
        except Rejected as refusal:
            _require_permission(refusal)
            return refusal.found
        return ""

    def _read(self, obj: Object, api_version: str) -> Object:
        metadata = obj["metadata"]
        return self.objects.cluster.get(api_version, obj["kind"], metadata["name"], metadata["namespace"])


@dataclass(frozen=True)
class Loss:
    """Something that was written in one version and is not there when read in another.

    It is not judged where a version, or the one that is stored, cannot say it.
    """

    written: str
    read: str
    what: str
    judged: bool

    def __str__(self) -> str:
        return f"written in {self.written}, read in {self.read}: {self.what}"


def changed(obj: Object, path: Path, value: Any) -> Object:
    """Return a copy of an object in which one field has another value. A path's numbers are places in lists."""
    copied = copy.deepcopy(obj)
    holder: Any = copied
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return copied


def without(obj: Object, path: Path) -> Object:
    """Return a copy of an object that lacks one field."""
    copied = copy.deepcopy(obj)
    holder: Any = copied
    for step in path[:-1]:
        holder = holder[step]
    del holder[path[-1]]
    return copied


def body(obj: Object) -> Path:
    """Return where an object says what it says: under `spec`, or at its top in the older versions."""
    return ("spec",) if "spec" in obj else ()


def at(obj: Any, path: Path) -> Any:
    """Return what stands in an object at a path; an empty mapping where nothing does."""
    for step in path:
        try:
            obj = obj[step]
        except (KeyError, IndexError, TypeError):
            return {}
    return obj


def lacking(written: Any, read: Any, where: str = "") -> Iterator[str]:
    """Yield what was written and is not read back equal; what was added, such as defaults, is fine."""
    if isinstance(written, dict) and isinstance(read, dict):
        for name, value in written.items():
            here = f"{where}.{name}" if where else name
            if name not in read:
                yield f"{here} is gone"
            else:
                yield from lacking(value, read[name], here)
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for index, (one, other) in enumerate(zip(written, read, strict=True)):
            yield from lacking(one, other, f"{where}[{index}]")
    elif written != read:
        yield f"{where}: {_short(written)} became {_short(read)}"


def _require_permission(refusal: ClusterError) -> None:
    # Admission answers with 403 as well, and is an answer; RBAC's words are those of every API server.
    if refusal.code == 403 and _FORBIDDEN.search(refusal.found):
        raise refusal


def _require_webhook(error: ClusterError) -> None:
    """A server that breaks is the cluster's trouble, unless it is the mesh's own webhook that it asked in vain."""
    if not isinstance(error, Rejected) and "conversion webhook" not in error.found:
        raise error


def _sent(obj: Object) -> str:
    said = {key: value for key, value in obj.items() if key != "metadata"}
    return f"sent: {_short(said, 600)}"


def _short(value: Any, most: int = 160) -> str:
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}…"
