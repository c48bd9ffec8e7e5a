"""A dialect: the SMI APIs as one real mesh ships them, so that the suite can be tried on each combination.

One file per dialect, `fixtures/dialects/<name>.yaml`, described by `schema/dialect.json`. The sandbox serves it, and
its reference mesh then claims exactly what the dialect serves.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from conformance import described, gateway, paths, smi
from conformance.cluster import Object
from conformance.mesh import Marks, Mesh
from conformance.smi import METRICS, RELEASED, Serving


class DialectError(Exception):
    """There is no such dialect, or its description is wrong."""


@dataclass(frozen=True)
class Dialect:
    """Which SMI APIs are served, and how.

    `access` is what happens to traffic that no TrafficTarget speaks of; `exempt` whether a namespace can be left out
    of deny-by-default. `kinds` are the kinds of custom resources; `webhook` says that one converts between versions.
    `gateway`: HTTPRoutes of the Gateway API are served besides.
    """

    name: str
    title: str
    source: str
    kinds: Mapping[str, Serving]
    access: Literal["deny", "allow"] = "deny"
    exempt: bool = True
    metrics: bool = True
    webhook: bool = False
    gateway: bool = False

    def definitions(self) -> list[Object]:
        """Return the CustomResourceDefinitions."""
        own = [smi.custom_resource_definition(kind, serving) for kind, serving in self.kinds.items()]
        return own + ([gateway.definition()] if self.gateway else [])

    def apis(self) -> Mapping[str, tuple[str, ...]]:
        """Return the served versions of each API group, newest first."""
        served: dict[str, set[str]] = {METRICS: set(RELEASED[METRICS])} if self.metrics else {}
        for definition in self.definitions():
            versions = {version["name"] for version in definition["spec"]["versions"] if version["served"]}
            served.setdefault(definition["spec"]["group"], set()).update(versions)
        return {group: tuple(version for version in RELEASED[group] if version in versions)
                for group, versions in served.items()}

    def spoken_by(self, mesh: Mesh) -> Mesh:
        """Return a mesh as it is when it speaks this dialect: what it claims, and whether it exempts namespaces."""
        access = mesh.access if self.exempt else replace(mesh.access, exempt=Marks())
        return replace(mesh, apis=self.apis(), access=access)


@cache
def load(name: str) -> Dialect:
    """Return the dialect of that name. Raises DialectError, naming the closest ones."""
    file = paths.fixtures() / "dialects" / f"{name}.yaml"
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=2, cutoff=0.5)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise DialectError(f"there is no SMI version or dialect {name!r}.{hint} Known are: {', '.join(names())}")
    return parse(file)


def names() -> list[str]:
    """Return the names of all dialects: the generations of SMI, newest first, then those of meshes."""
    found = {file.stem for file in (paths.fixtures() / "dialects").glob("*.yaml")}
    return [*(name for name in smi.GENERATIONS if name in found), *sorted(found.difference(smi.GENERATIONS))]


def parse(file: Path) -> Dialect:
    """Read and validate one dialect. Raises DialectError naming the file and the field."""
    data = described.read(file, "dialect.json", DialectError)
    found = Dialect(
        name=file.stem, title=data["title"], source=data["source"],
        kinds={kind: _serving(serving) for kind, serving in data["kinds"].items()},
        access=data["access"], exempt=data["exempt"], metrics=data["metrics"], webhook=data["conversion"] == "webhook",
        gateway=data.get("gateway", False),
    )
    try:
        found.definitions()
    except ValueError as error:
        raise DialectError(f"{file}: kinds: {error}") from None
    return found


def _serving(data: Mapping[str, Any]) -> Serving:
    return Serving(tuple(data["served"]), data["storage"], schema=data.get("schema", "smi") == "smi",
                   headers=data.get("headers"), weight=data.get("weight"))
