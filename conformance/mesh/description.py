"""Reading one `mesh.yaml`: what its schema asks, and what a schema cannot say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Any, Final

from conformance import described
from conformance.mesh.detection import ANY, Sign
from conformance.mesh.errors import MeshError
from conformance.mesh.model import (
    Access,
    Adapter,
    ControlPlane,
    Evidence,
    KnownFailure,
    Leftover,
    Marks,
    Mesh,
    MetricsPlace,
    Proxy,
)
from conformance.mesh.patching import merge
from conformance.mesh.steps import CommandStep, HelmStep, ManifestStep, Step

CONVERGENCE: Final = 30.0
"""Seconds within which a change has to be in effect where a mesh promises nothing: the Gateway API's own limit."""
KNOWN_FAILING: Final = "known-failing.yaml"
_INSTANCE: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SHELLS: Final = frozenset({"ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "sh", "tcsh", "zsh"})


def parse(file: Path, instance: str = "") -> Mesh:
    """Read and validate one `mesh.yaml`, or one instance of it. Raises MeshError naming the file and the field."""
    data = described.read(file, "mesh.json", MeshError)
    general = data
    if "instance" in data or instance:
        data = _of_instance(file, data, instance)
    _check(file, data)
    inject, host, signs = data["inject"], data.get("host", ""), tuple(_sign(entry) for entry in data["detect"])
    return Mesh(
        name=f"{data['name']}@{instance}" if instance else data["name"],
        title=f"{data['title']} ({instance})" if instance else data["title"],
        directory=file.parent, homepage=data["homepage"], status=data["status"],
        status_source=data.get("status_source", ""), note=data.get("note", ""),
        detect=signs, control_plane=_control_plane(data),
        namespace_labels=inject.get("namespace", {}).get("labels", {}),
        namespace_annotations=inject.get("namespace", {}).get("annotations", {}),
        pod_template=_pod_template(file, inject),
        proxy=Proxy(**data["proxy"]) if "proxy" in data else None,
        host=host, convergence=float(data.get("convergence", CONVERGENCE)),
        apis={group: tuple(versions) for group, versions in data["apis"].items()},
        install=_steps(file, data, "install"), remove=_steps(file, data, "remove"),
        images=tuple(data.get("images", ())),
        leftovers=tuple(Leftover(entry["apiVersion"], entry["kind"], entry.get("name", ""), entry.get("labels", {}))
                        for entry in data.get("leftovers", ())),
        access=_access(data.get("access", {})), plaintext=Marks(**data.get("plaintext", {})),
        bypass=Marks(**data.get("bypass", {})),
        adapter=Adapter(**data["adapter"]) if "adapter" in data else None,
        metrics=MetricsPlace(**data["metrics"]) if "metrics" in data else None,
        evidence={group: Evidence(**entry) for group, entry in data.get("evidence", {}).items()},
        known_failing=known_failing(file.parent / KNOWN_FAILING), relatives=_relatives(general),
    )


# --- one of several instances ---


def _of_instance(file: Path, data: Mapping[str, Any], instance: str) -> dict[str, Any]:
    """Return what a mesh.yaml says of one instance, or of the usual one when none is named.

    The parts for instances are validated in any case, so that they are not found wrong only once somebody needs them.
    """
    if "instance" not in data:
        raise MeshError(f"{file}: {data['name']} has no instances (no 'instance'). Leave out @{instance}")
    if instance and not _INSTANCE.fullmatch(instance):
        raise MeshError(f"{data['name']}@{instance}: the name of an instance is one of Kubernetes: small letters, "
                        "digits and dashes, at most 63")
    usual = {key: value for key, value in data.items() if key != "instance"}
    parts = {key: value for key, value in data["instance"].items() if key != "means"}
    changed = usual | {key: _filled(value, instance or "some") for key, value in parts.items()}
    try:
        described.check(file, changed, "mesh.json", MeshError)
        _check(file, changed)
        _steps(file, changed, "install")
    except MeshError as error:
        raise MeshError(f"{error} (with the parts of 'instance')") from None
    return changed if instance else usual


def _relatives(data: Mapping[str, Any]) -> tuple[tuple[Sign, ...], ...]:
    """Return the signs of the usual one, and those of an instance of any name; none where there are no instances."""
    if "instance" not in data:
        return ()
    return tuple(tuple(_sign(entry) for entry in signs)
                 for signs in (data["detect"], _filled(data["instance"].get("detect", []), ANY)))


def _filled(value: Any, instance: str) -> Any:
    if isinstance(value, str):
        return value.replace("{instance}", instance)
    if isinstance(value, list):
        return [_filled(entry, instance) for entry in value]
    return {key: _filled(entry, instance) for key, entry in value.items()} if isinstance(value, dict) else value


# --- what a schema cannot say ---


def _check(file: Path, data: Mapping[str, Any]) -> None:
    """Raise MeshError, naming the file and the field, for what the schema lets pass."""
    for where, complaint in _complaints(data):
        raise MeshError(f"{file}: {where}: {complaint}")


def _complaints(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _wrong_host(data.get("host", ""))
    for marks, values in data.get("bypass", {}).items():
        for key, value in values.items():
            if "{ports}" not in value:
                yield f"bypass.{marks}.{key}", f"{value!r} does not say where the ports go: {{ports}}"
    for phase in ("install", "remove"):
        for number, step in enumerate(data.get(phase, ())):
            program = step.get("command", [""])[0]
            if program in _SHELLS:
                yield f"{phase}.{number}.command", f"{program} is a shell; name the program itself and its arguments"
    if "control_plane" not in data and data["detect"] and not all(_named(sign) for sign in data["detect"]):
        yield "control_plane", "is needed where a workload of 'detect' has no name or not exactly one namespace"


def _wrong_host(host: str) -> Iterator[tuple[str, str]]:
    try:
        fields = [entry for entry in Formatter().parse(host) if entry[1] is not None]
    except ValueError as error:
        yield "host", f"{host!r} is no template: {error}"
        return
    for _, name, specification, conversion in fields:
        if name not in ("service", "namespace") or specification or conversion:
            yield "host", f"{{{name}}} means nothing here; there are {{service}} and {{namespace}}"


def _named(sign: Mapping[str, Any]) -> bool:
    return "name" in sign and len(sign.get("namespaces", ())) == 1


# --- parts of a mesh ---


def _sign(data: Mapping[str, Any]) -> Sign:
    return Sign(data["kind"], data.get("name", ""), data.get("labels", {}), tuple(data.get("namespaces", ())),
                data.get("container", ""))


def _control_plane(data: Mapping[str, Any]) -> tuple[ControlPlane, ...]:
    if "control_plane" in data:
        return tuple(ControlPlane(**workload) for workload in data["control_plane"])
    return tuple(ControlPlane(sign["kind"], sign["name"], sign["namespaces"][0]) for sign in data["detect"])


def _access(data: Mapping[str, Any]) -> Access:
    return Access(data.get("setting", ""), Marks(**data.get("exempt", {})), Marks(**data.get("ignorant", {})))


def _pod_template(file: Path, inject: Mapping[str, Any]) -> Mapping[str, Any]:
    patch: dict[str, Any] = {}
    if "pod_template" in inject:
        source = _inside(file, "inject.pod_template", inject["pod_template"])
        read = described.read_yaml(source, MeshError)
        if not isinstance(read, dict):
            raise MeshError(f"{source}: a patch of a pod template is a map, not {type(read).__name__}")
        merge(patch, read)
    merge(patch, Marks(**inject.get("pod", {})).patch)
    return patch


def _steps(file: Path, data: Mapping[str, Any], phase: str) -> tuple[Step, ...]:
    return tuple(_step(file, step, f"{phase}.{number}") for number, step in enumerate(data.get(phase, ())))


def _step(file: Path, data: Mapping[str, Any], where: str) -> Step:
    if "helm" in data:
        return HelmStep(**({"values": {}} | data["helm"]))
    if "command" in data:
        program, *arguments = data["command"]
        return CommandStep(program, tuple(arguments), applies_output=data.get("applies_output", False))
    return ManifestStep(tuple(_inside(file, f"{where}.manifests.{number}", name)
                              for number, name in enumerate(data["manifests"])))


def _inside(file: Path, where: str, name: str) -> Path:
    """Return a file of the mesh's folder. Raises MeshError when it is elsewhere, however spelt, or not there."""
    home = file.parent.resolve()
    found = (home / name).resolve()
    if not found.is_relative_to(home):
        raise MeshError(f"{file}: {where}: {name} leaves the mesh's folder")
    if not found.is_file():
        raise MeshError(f"{file}: {where}: there is no file {name} in {home}")
    return file.parent / name


def known_failing(file: Path) -> tuple[KnownFailure, ...]:
    """Read and validate a list of known failures; none where there is no file. Raises MeshError."""
    if not file.exists():
        return ()
    data = described.read(file, "known-failing.json", MeshError)
    counted = Counter(entry["requirement"] for entry in data)
    for requirement, number in counted.items():
        if number > 1:
            raise MeshError(f"{file}: {requirement} is there {number} times")
    return tuple(KnownFailure(**entry) for entry in data)
