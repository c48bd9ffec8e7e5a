"""A container's environment and arguments: sources of values, `$(VAR)` references, and paths of mounted volumes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.objects import JSON, dig, namespace_of
from conformance.sandbox.apiserver.resources import CONFIG_MAPS, SECRETS
from conformance.sandbox.kubelet.values import ConfigurationError, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conformance.sandbox.apiserver.store import Store

_REFERENCE: Final = re.compile(r"\$\$|\$\(([^()\s]+)\)")
_SUBSCRIPT: Final = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; `$$` is a dollar, and what is not known stays as it is, as in Kubernetes."""

    def replacement(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        return values.get(found[1], found[0])

    return _REFERENCE.sub(replacement, text)


def references(text: str) -> list[str]:
    """The names that a text refers to as `$(NAME)`."""
    return [found[1] for found in _REFERENCE.finditer(text) if found[1]]


def mounted(mounts: Mapping[str, Path]) -> Callable[[str], str]:
    """A function that puts the directory of a volume in place of its mount path, wherever a text names a path.

    There is no chroot, so this is what a mount is in the sandbox. Only whole path components count: with a mount at
    `/etc/app`, `--config=/etc/app/a.json` is rewritten, `/etc/apple` and `/srv/etc/app` are not.
    """
    if not mounts:
        return lambda text: text
    paths = "|".join(re.escape(path) for path in sorted(mounts, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.\-/])(?:{paths})(?![\w.\-])")
    return lambda text: pattern.sub(lambda found: str(mounts[found[0]]), text)


def field_value(pod: JSON, path: str) -> str:
    """The value of a downward API `fieldRef`. Raises ConfigurationError for an unknown field."""
    subscript = _SUBSCRIPT.fullmatch(path)
    if subscript:
        return str((pod["metadata"].get(subscript[1]) or {}).get(subscript[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        entries = dig(pod, path) or {}
        return "\n".join(f'{key}="{value}"' for key, value in sorted(entries.items()))
    if path not in _FIELDS:
        raise ConfigurationError(f"fieldRef {path!r} is not supported; supported are {', '.join(_FIELDS)}")
    value = dig(pod, path)
    if path == "status.podIPs":
        return ",".join(entry["ip"] for entry in value or [])
    return "" if value is None else str(value)


_FIELDS: Final = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.podIP", "status.podIPs",
)  # fmt: skip


class Values:
    """Reads what `env` and `envFrom` of a container name. All methods raise ConfigurationError."""

    def __init__(self, store: Store, pod: JSON) -> None:
        self._store = store
        self._pod = pod

    def environment(self, container: JSON, base: Mapping[str, str]) -> dict[str, str]:
        """The variables of a container, later ones referring to earlier ones, on top of `base`."""
        values = dict(base)
        for source in container.get("envFrom") or []:
            for kind in ("configMapRef", "secretRef"):
                if kind in source:
                    found = self._data(kind.removesuffix("Ref"), source[kind]) or {}
                    prefix = source.get("prefix", "")
                    values.update({prefix + key: value for key, value in found.items()})
        for entry in container.get("env") or []:
            if "valueFrom" in entry:
                value = self._value(entry["valueFrom"])
                if value is not None:
                    values[entry["name"]] = value
            else:
                values[entry["name"]] = expand(str(entry.get("value") or ""), values)
        return values

    def _value(self, source: JSON) -> str | None:
        if "fieldRef" in source:
            return field_value(self._pod, source["fieldRef"]["fieldPath"])
        for kind in ("configMapKeyRef", "secretKeyRef"):
            if kind in source:
                return self._key(kind.removesuffix("KeyRef"), source[kind])
        if "resourceFieldRef" in source:
            return "0"  # nothing is limited in the sandbox
        raise ConfigurationError(f"valueFrom {', '.join(source)} is not supported")

    def _key(self, kind: str, reference: JSON) -> str | None:
        data = self._data(kind, reference)
        if data is None:
            return None
        if reference["key"] in data:
            return data[reference["key"]]
        if reference.get("optional"):
            return None
        raise ConfigurationError(
            f"couldn't find key {reference['key']} in {kind} {namespace_of(self._pod)}/{reference.get('name')}"
        )

    def _data(self, kind: str, reference: JSON) -> dict[str, str] | None:
        resource = CONFIG_MAPS if kind == "configMap" else SECRETS
        try:
            found = self._store.read(resource, reference.get("name", ""), namespace_of(self._pod))
        except ApiError as error:
            if reference.get("optional"):
                return None
            raise ConfigurationError(error.message) from error
        text = found if kind == "secret" else {**found, "binaryData": None}  # what is binary is no variable
        return {key: value.decode(errors="replace") for key, value in decoded(text).items()}
