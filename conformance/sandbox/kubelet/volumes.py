"""The volumes of a pod, as directories of the run."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.objects import JSON, namespace_of
from conformance.sandbox.apiserver.resources import CONFIG_MAPS, SECRETS
from conformance.sandbox.kubelet.environment import expand, field_value, references
from conformance.sandbox.kubelet.values import ConfigurationError, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.sandbox.apiserver.store import Store

SERVICE_ACCOUNT_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_SERVICE_ACCOUNT_VOLUME: Final = "kube-api-access"
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Credentials:
    """What a service account needs to reach the API server; `token` is made for (namespace, account)."""

    host: str
    port: int
    ca: str
    token: Callable[[str, str], str]


@dataclass(frozen=True)
class _File:
    path: str
    content: bytes
    mode: int = 0o644


class Volumes:
    """Makes the directories of one pod's volumes and says where each is."""

    def __init__(self, store: Store, pod: JSON, *, directory: Path, host: Path, credentials: Credentials) -> None:
        self._store = store
        self._pod = pod
        self._directory = directory
        self._host = host
        self._credentials = credentials
        self._places: dict[str, Path] = {}

    def prepare(self) -> None:
        """Make every volume. Raises ConfigurationError when something that it refers to does not exist (yet)."""
        for volume in self._pod["spec"].get("volumes") or []:
            self._places[volume["name"]] = self._make(volume)
        account = {"serviceAccountToken": {"path": "token"}}
        sources = [account, {"configMap": {"name": "kube-root-ca.crt"}}, _NAMESPACE]
        self._places[_SERVICE_ACCOUNT_VOLUME] = self._make(
            {"name": _SERVICE_ACCOUNT_VOLUME, "projected": {"sources": sources}}
        )

    def refresh(self) -> None:
        """Bring config maps, secrets and the like up to date; what has vanished meanwhile keeps its last content."""
        for volume in self._pod["spec"].get("volumes") or []:
            if not {"configMap", "secret", "projected"}.isdisjoint(volume):
                try:
                    self._make(volume)
                except ConfigurationError:
                    continue

    def mounts(self, container: JSON, variables: Mapping[str, str] = _NOTHING) -> dict[str, Path]:
        """Mount path → directory, for one container, whose variables a `subPathExpr` may name.

        Raises ConfigurationError for a volume that is not there, or a variable.
        """
        found: dict[str, Path] = {}
        if self._pod["spec"].get("automountServiceAccountToken", True):
            found[SERVICE_ACCOUNT_PATH] = self._places[_SERVICE_ACCOUNT_VOLUME]
        for mount in container.get("volumeMounts") or []:
            place = self._places.get(mount["name"])
            if place is None:
                raise ConfigurationError(f"volumeMount {mount['name']!r} names no volume of the pod")
            path = mount["mountPath"].rstrip("/") or "/"
            found[path] = place / _below(_sub_path(mount, variables))
            if not found[path].exists():
                found[path].mkdir(parents=True)
        return found

    def _make(self, volume: JSON) -> Path:
        if "hostPath" in volume:
            place: Path = self._host / _below(volume["hostPath"].get("path", ""))
            place.mkdir(parents=True, exist_ok=True)
            return place
        place = self._directory / volume["name"]
        place.mkdir(parents=True, exist_ok=True)
        for file in self._files(volume):
            target = place / _below(file.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, file)
        return place

    def _files(self, volume: JSON) -> list[_File]:
        for kind, source in volume.items():
            if kind == "configMap":
                return self._keys(CONFIG_MAPS, source.get("name", ""), source)
            if kind == "secret":
                return self._keys(SECRETS, source.get("secretName", ""), source)
            if kind == "downwardAPI":
                return self._fields(source)
            if kind == "projected":
                return [file for part in source.get("sources") or [] for file in self._projected(part)]
            if kind not in ("name", "emptyDir"):
                raise ConfigurationError(
                    f"volume {volume['name']!r}: {kind} is not supported by the sandbox; use configMap, secret, "
                    "emptyDir, hostPath, downwardAPI or projected"
                )
        return []

    def _projected(self, source: JSON) -> list[_File]:
        if "serviceAccountToken" in source:
            account = self._pod["spec"].get("serviceAccountName") or "default"
            token = self._credentials.token(namespace_of(self._pod), account)
            return [_File(source["serviceAccountToken"].get("path", "token"), token.encode(), 0o600)]
        if "configMap" in source:
            return self._keys(CONFIG_MAPS, source["configMap"].get("name", ""), source["configMap"])
        if "secret" in source:
            return self._keys(SECRETS, source["secret"].get("name", ""), source["secret"])
        return self._fields(source.get("downwardAPI") or {})

    def _fields(self, source: JSON) -> list[_File]:
        return [
            _File(item["path"], field_value(self._pod, item["fieldRef"]["fieldPath"]).encode())
            for item in source.get("items") or []
        ]

    def _keys(self, resource: object, name: str, source: JSON) -> list[_File]:
        assert resource in (CONFIG_MAPS, SECRETS)
        chosen = CONFIG_MAPS if resource == CONFIG_MAPS else SECRETS
        try:
            contents = decoded(self._store.read(chosen, name, namespace_of(self._pod)))
        except ApiError as error:
            if source.get("optional") or name == "kube-root-ca.crt":
                return [_File("ca.crt", self._credentials.ca.encode())] if name == "kube-root-ca.crt" else []
            raise ConfigurationError(error.message) from error
        mode = int(source.get("defaultMode") or 0o644)
        items = source.get("items")
        if items is None:
            return [_File(key, content, mode) for key, content in contents.items()]
        files = []
        for item in items:
            if item["key"] in contents:
                files.append(_File(item["path"], contents[item["key"]], int(item.get("mode") or mode)))
            elif not source.get("optional"):
                raise ConfigurationError(f"references non-existent config key: {item['key']} of {name}")
        return files


_NAMESPACE: Final[JSON] = {
    "downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}
}


def _sub_path(mount: JSON, variables: Mapping[str, str]) -> str:
    """The part of a volume that is mounted; empty for all of it."""
    expression = mount.get("subPathExpr") or ""
    missing = [name for name in references(expression) if name not in variables]
    if missing:
        raise ConfigurationError(f"subPathExpr {expression!r} names {', '.join(missing)}, which the container's "
                                 "environment does not have")
    return expand(expression, variables) if expression else mount.get("subPath") or ""


def _below(path: str) -> str:
    """A path made relative, without a way out of the directory that it is put into."""
    return posixpath.normpath("/" + path).lstrip("/")


def _replace(target: Path, file: _File) -> None:
    """Write by rename, so that a reader never sees half a file; an equal file is left alone."""
    try:
        if target.read_bytes() == file.content:
            return
    except OSError:
        pass
    new = target.with_name(f".{target.name}.new")
    # Never more than the owner may do: all pods of a run belong to one user.
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, (file.mode & 0o700) | 0o400)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(file.content)
    new.rename(target)
