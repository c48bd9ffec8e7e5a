"""Runs one after another in one sandbox, each on a mesh of its own: a mutant, or the reference mesh as it is.

What a run needs before its first check (API server, sidecars, sample workloads) costs more than most checks. Here that
stands. Between two runs the control plane is replaced by a new process with nothing to remember, and so are definitions
that the mutant has otherwise; what the run made is removed, and all else must be as it was, or else the sandbox is
replaced. A run itself is as ever: pytest with the plugin and the suites, and a record.

`python -m conformance.series` is given runs on standard input, one JSON object a line, and answers each with a line.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

import pytest

from conformance import dialect as dialects
from conformance import selection
from conformance.cli import pytest_run
from conformance.cluster import Object
from conformance.exit_code import ExitCode
from conformance.options import DEFAULT_MESH, Settings
from conformance.place import install, mesh_in, open_place
from conformance.plugin import STAGE
from conformance.sandbox.mutants import MUTANTS, Mutant
from conformance.stage import Stage
from conformance.topology import Topology
from conformance.waiting import NotConverged, NotYet, eventually

SETTLED_WITHIN: Final = 30.0
"""Seconds within which what a run made must be gone, and definitions replaced."""
OUTPUT: Final = "output"
"""File beside a run's record with what the run printed."""
_DEFINITIONS: Final = "apiextensions.k8s.io/v1"
_STANDING: Final = (("v1", "configmaps"), ("v1", "pods"), ("v1", "serviceaccounts"), ("v1", "services"),
                    ("apps/v1", "deployments"), ("rbac.authorization.k8s.io/v1", "roles"),
                    ("rbac.authorization.k8s.io/v1", "rolebindings"))
"""Resources of which checks make objects, and nothing may stay."""


@dataclass(frozen=True)
class Task:
    """One run: the mutant's name, empty for the mesh as it is; its requirements; where its record is to be."""

    mutant: str
    requirements: Sequence[str]
    directory: str

    def encode(self) -> str:
        """Return it as a line."""
        return json.dumps(asdict(self)) + "\n"


class Stand:
    """A sandbox with workloads, and the mesh in it that is replaced. Methods raise ClusterError and MeshError."""

    def __init__(self) -> None:
        self._opened = ExitStack()
        settings = Settings(report_dir=None)
        self._dialect = dialects.load(settings.smi)
        self._mesh = mesh_in(settings, DEFAULT_MESH)
        self._cluster = self._opened.enter_context(open_place(settings))
        topology = Topology(self._cluster, self._mesh, secrets.token_hex(3))
        self.stage = Stage(self._cluster, topology)
        try:
            topology.provision()
            self._own = self._definitions(None)
            self._served = self._own
            self._baseline = self._inventory()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the sandbox."""
        self._opened.close()

    def become(self, subject: Mutant | None) -> None:
        """Replace the control plane, and the definitions where they differ."""
        self._serve(self._definitions(subject))
        install(self._cluster, self._mesh, subject.name if subject else "", dialect=self._dialect)

    def restore(self) -> bool:
        """Remove what stands as long as a run; tell whether everything is then as it was before the first."""
        self._serve(self._own)
        try:
            eventually(self._swept, what="the objects of a run to go", within=SETTLED_WITHIN, consecutive=1)
            eventually(self._unchanged, what="the sandbox to be as it was", within=SETTLED_WITHIN, consecutive=1)
        except NotConverged as error:
            print(f"a new sandbox is needed: {error}", file=sys.stderr)
            return False
        return True

    # --- definitions ---

    def _definitions(self, subject: Mutant | None) -> dict[str, Object]:
        own = self._dialect.definitions()
        return {obj["metadata"]["name"]: obj for obj in (subject.definitions(own) if subject else own)}

    def _serve(self, wanted: dict[str, Object]) -> None:
        """Replace definitions that are not as wanted, with all objects of them."""
        others = [obj for name, obj in self._served.items() if wanted.get(name) != obj]
        for obj in others:
            self._cluster.delete(obj)
        eventually(lambda: not any(self._cluster.exists(obj) for obj in others), what="definitions to go",
                   within=SETTLED_WITHIN, consecutive=1)
        for name, obj in wanted.items():
            if self._served.get(name) != obj:
                self._cluster.create(obj)
                eventually(lambda obj=obj: self._established(obj), what=f"{name} to be served",  # type: ignore[misc]
                           within=SETTLED_WITHIN, consecutive=1)
        if others:
            self._cluster.forget()
        self._served = wanted

    def _established(self, obj: Object) -> bool:
        found = self._cluster.get(_DEFINITIONS, obj["kind"], obj["metadata"]["name"])
        conditions = found.get("status", {}).get("conditions") or ()
        return any(entry["type"] == "Established" and entry["status"] == "True" for entry in conditions)

    # --- what is there ---

    def _swept(self) -> None:
        """Delete all custom resources: the beacons of a run, for its own objects are gone already."""
        left = [
            {"apiVersion": version, "kind": obj["spec"]["names"]["kind"], **found}
            for obj in self._own.values() for version in [f"{obj['spec']['group']}/{_stored(obj)}"]
            for found in self._cluster.list(version, obj["spec"]["names"]["plural"])[0]
        ]
        for found in left:
            self._cluster.delete(found)
        if left:
            raise NotYet(f"there are {len(left)} custom resources")

    def _unchanged(self) -> None:
        now = self._inventory()
        differing = sorted("/".join(name) for name in now ^ self._baseline)
        if differing or (differing := self.stage.topology.disturbances()):
            raise NotYet(", ".join(differing))

    def _inventory(self) -> frozenset[tuple[str, str, str]]:
        """Return resource, namespace and name of everything that stands in the namespaces of the workloads."""
        run = self.stage.topology.namespace("")
        return frozenset(
            (plural, obj["metadata"]["namespace"], obj["metadata"]["name"])
            for version, plural in _STANDING for obj in self._cluster.list(version, plural)[0]
            if obj["metadata"]["namespace"].startswith(run)
        )


def _stored(definition: Object) -> str:
    return next(str(version["name"]) for version in definition["spec"]["versions"] if version["storage"])


class _Lender:
    """Lends a stage to a run."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def pytest_configure(self, config: pytest.Config) -> None:
        """Before the first fixture asks for it."""
        config.stash[STAGE] = self._stage


class Series:
    """Makes runs. A context manager that ends the sandbox."""

    def __init__(self) -> None:
        self._stand: Stand | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def run(self, task: Task) -> None:
        """Make one run; its record says what came of it. Raises KeyboardInterrupt when it is interrupted."""
        self._stand = self._stand or Stand()
        self._stand.become(MUTANTS[task.mutant] if task.mutant else None)
        given = ["-q", f"--report-dir={task.directory}", f"--requirement={','.join(task.requirements)}"]
        given += [f"--mutant={task.mutant}"] if task.mutant else []
        folders = selection.chosen((), task.requirements)
        code = pytest_run(given, folders=folders, registered=[_Lender(self._stand.stage)])
        if code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        # Where something broke, nothing is known of what is left of it.
        if code not in (ExitCode.CONFORMANT, ExitCode.NONCONFORMANT) or not self._stand.restore():
            self._close()

    def _close(self) -> None:
        if self._stand is not None:
            self._stand.close()
            self._stand = None


def main() -> int:
    """Make the runs that standard input names, until it ends."""
    tasks, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    _redirect(Path(os.devnull), 0, os.O_RDONLY)
    try:
        with Series() as series:
            for line in tasks:
                task = Task(**json.loads(line))
                for number in (1, 2):
                    _redirect(Path(task.directory) / OUTPUT, number, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                series.run(task)
                print("done", file=answers, flush=True)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.CONFORMANT


def _redirect(file: Path, number: int, flags: int) -> None:
    """Let a file have the number of a standard stream, for whatever prints in this process or in one it starts."""
    opened = os.open(file, flags, 0o600)
    os.dup2(opened, number)
    os.close(opened)


if __name__ == "__main__":
    sys.exit(main())
