"""The options of a run, the same for `mesh-conformance run` and for plain pytest."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conformance import dialect, mesh, selection, smi
from conformance.dialect import DialectError
from conformance.requirement import Level

DEFAULT_REPORT_DIR: Final = Path("conformance-report")
DEFAULT_MESH: Final = "reference"
SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
POD_SECURITY: Final = ("privileged", "baseline", "restricted")
_MIRROR: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*/?")


class OptionError(Exception):
    """An option has a value that cannot be meant; nothing was run."""


@dataclass(frozen=True)
class Settings:
    """What a run is to do. Without `kubeconfig`, `context` and `in_cluster` it takes place in the sandbox.

    `in_cluster` is the directory of the service account of the pod that this runs in, `known_failing` the list that
    takes the place of the mesh's own.
    """

    meshes: tuple[str, ...] = (DEFAULT_MESH,)
    suites: tuple[str, ...] = (selection.SMI,)
    context: str | None = None
    kubeconfig: Path | None = None
    in_cluster: Path | None = None
    patterns: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    smi: str = smi.GENERATIONS[0]
    mutant: str = ""
    dry_run: bool = False
    keep: bool = False
    provision: bool = False
    registry: str = ""
    pod_security: str = ""
    report_dir: Path | None = DEFAULT_REPORT_DIR
    known_failing: Path | None = None

    @property
    def sandbox(self) -> bool:
        """Whether the run takes place in the embedded sandbox: no cluster was named."""
        return self.context is None and self.kubeconfig is None and not self.in_cluster

    def command(self, *requirements: str) -> str:
        """Return the command that repeats the run, or these requirements of it."""
        words = ["mesh-conformance", "run", *self.place]
        if self.suites != (selection.SMI,) and not requirements:
            words += [word for suite in self.suites for word in ("--suite", suite)]
        words += ["--known-failing", self.known_failing.name] if self.known_failing else []
        for pattern in requirements or self.patterns:
            words += ["--requirement", pattern]
        for level in () if requirements else self.levels:
            words += ["--level", level]
        return shlex.join(words)

    @property
    def place(self) -> list[str]:
        """The options that say where a run takes place, and what is there."""
        words = ["--mesh", ",".join(self.meshes)] if self.meshes != (DEFAULT_MESH,) else []
        words += ["--kubeconfig", self.kubeconfig.name] if self.kubeconfig else []
        words += ["--context", self.context] if self.context else []
        words += ["--in-cluster"] if self.in_cluster else []
        words += ["--smi", self.smi] if self.smi != smi.GENERATIONS[0] else []
        words += ["--mutant", self.mutant] if self.mutant else []
        words += ["--provision"] if self.provision else []
        words += ["--registry", self.registry] if self.registry else []
        return words + (["--pod-security", self.pod_security] if self.pod_security else [])


def add_options(add: Callable[..., Any]) -> None:
    """Declare the options with `add`, the method of argparse's or pytest's parser."""
    add_place(add)
    add("--suite", action="append", metavar="NAME", dest="conformance_suite",
        help=f"what to judge: {' or '.join(selection.SUITES)}; repeatable or a comma list (default: "
             f"{selection.SMI}, or the suite of the requirements that are named)")
    add("--requirement", action="append", metavar="ID", dest="conformance_requirement",
        help="requirement to check, such as SPLIT-003 or 'SPLIT-00*'; repeatable or a comma list (default: all)")
    add("--level", action="append", metavar="LEVEL", dest="conformance_level",
        help="only requirements of these levels: " + ", ".join(f"{each.value} ({each.name.lower()})" for each in Level)
        + "; repeatable or a comma list. M, S and B are judged, O and N are observed")
    add("--known-failing", metavar="FILE", dest="conformance_known_failing",
        help="list of the requirements that the mesh is known to fail, instead of the known-failing.yaml beside its "
             "mesh.yaml: what is on it does not fail the run, unless it passes")
    add("--dry-run", action="store_true", dest="conformance_dry_run",
        help="look at the cluster, say what would run and what not, and stop")


def add_place(add: Callable[..., Any]) -> None:
    """Declare the options that say where something takes place and where its reports go."""
    add("--mesh", action="append", metavar="NAME", dest="conformance_mesh",
        help=f"mesh to judge, or path to its mesh.yaml; repeatable or a comma list (default: {DEFAULT_MESH})")
    add_cluster(add)
    add("--provision", action="store_true", dest="conformance_provision",
        help="install each mesh on the cluster before it is judged, and remove it afterwards")
    add_setup(add)
    add("--pod-security", choices=POD_SECURITY, dest="conformance_pod_security",
        help="label the namespaces of the sample workloads with this level of Pod Security, where the cluster's own is "
             "too strict for the mesh's sidecars")
    add("--keep", action="store_true", dest="conformance_keep",
        help="leave what was created in the cluster; a sandbox stays until Ctrl-C")
    add("--report-dir", metavar="DIR", dest="conformance_report_dir",
        help=f"directory for the reports (default: {DEFAULT_REPORT_DIR}; 'none' writes no files)")


def add_cluster(add: Callable[..., Any]) -> None:
    """Declare the options that name a cluster."""
    add("--context", metavar="NAME", dest="conformance_context", action="append",
        help="kubeconfig context of the cluster to use. `run` takes several, one run after the other, each with a "
             "directory of its own for its reports. Without a cluster, `run` and `perf run` start the sandbox")
    add("--kubeconfig", metavar="FILE", dest="conformance_kubeconfig",
        help="kubeconfig of the cluster to use; with several contexts in it, --context chooses")
    add("--in-cluster", nargs="?", const=SERVICE_ACCOUNT, metavar="DIR", dest="conformance_in_cluster",
        help=f"use the cluster that this runs in a pod of, by the service account in DIR (default: {SERVICE_ACCOUNT})")


def add_setup(add: Callable[..., Any]) -> None:
    """Declare the options that say how a mesh is installed."""
    add("--smi", metavar="NAME", dest="conformance_smi",
        help="what is served beside the reference mesh: a version of SMI or what a mesh ships, one of "
             f"{', '.join(dialect.names())} (default: {smi.GENERATIONS[0]})")
    add("--mutant", metavar="NAME", dest="conformance_mutant",
        help="break the reference mesh in this way; `mesh-conformance selftest --list` names them")
    add("--registry", metavar="HOST/PREFIX", dest="conformance_registry",
        help="take the images of all that the harness applies from this mirror; `mesh-conformance images` lists them")


def contexts(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the contexts that were named, each once."""
    return tuple(dict.fromkeys(values.get("conformance_context") or ()))


def settings(values: Mapping[str, Any]) -> Settings:
    """Read the options' values, by destination. Raises OptionError and MeshError."""
    meshes = _items(values.get("conformance_mesh")) or (DEFAULT_MESH,)
    for name in meshes:
        mesh.load(name)
    served = values.get("conformance_smi") or smi.GENERATIONS[0]
    try:
        dialect.load(served)
    except DialectError as error:
        raise OptionError(f"--smi {served}: {error}") from None
    for level in _items(values.get("conformance_level")):
        Level.parse(level)
    report_dir = values.get("conformance_report_dir") or str(DEFAULT_REPORT_DIR)
    read = Settings(
        meshes=meshes,
        suites=selection.chosen(_items(values.get("conformance_suite")), _items(values.get("conformance_requirement")),
                             values.get("file_or_dir") or ()),
        context=_one(contexts(values)),
        kubeconfig=Path(values["conformance_kubeconfig"]) if values.get("conformance_kubeconfig") else None,
        in_cluster=Path(values["conformance_in_cluster"]) if values.get("conformance_in_cluster") else None,
        patterns=_items(values.get("conformance_requirement")),
        levels=_items(values.get("conformance_level")),
        smi=served,
        mutant=values.get("conformance_mutant") or "",
        dry_run=bool(values.get("conformance_dry_run")),
        keep=bool(values.get("conformance_keep")),
        provision=bool(values.get("conformance_provision")),
        registry=_registry(values.get("conformance_registry") or ""),
        pod_security=values.get("conformance_pod_security") or "",
        report_dir=None if report_dir == "none" else Path(report_dir),
        known_failing=Path(values["conformance_known_failing"]) if values.get("conformance_known_failing") else None,
    )
    _check_place(read)
    if read.known_failing and len(read.meshes) > 1:
        raise OptionError(f"--known-failing is the list of one mesh, not of {', '.join(read.meshes)}: judge each in a "
                          "run of its own, or put a known-failing.yaml beside each mesh.yaml")
    return read


def default_kubeconfig() -> Path:
    """Return the kubeconfig that kubectl would use; read only because a context was named."""
    named = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return Path(named[0]) if named else Path.home() / ".kube" / "config"


def _one(names: tuple[str, ...]) -> str | None:
    if len(names) > 1:
        raise OptionError(f"one run takes place on one cluster, not on {', '.join(names)}: only `mesh-conformance run` "
                          "makes one run after the other of them")
    return names[0] if names else None


def _registry(text: str) -> str:
    if text and not _MIRROR.fullmatch(text):
        raise OptionError(f"--registry {text}: not the name of a registry. It is HOST or HOST/PREFIX, such as "
                          "registry.example.org/mirror, without https://")
    return text.rstrip("/")


def _check_place(read: Settings) -> None:
    if read.in_cluster and (read.context or read.kubeconfig):
        raise OptionError("--in-cluster is this pod's own cluster: leave out --context and --kubeconfig, or it")
    if read.sandbox:
        for wish, option in ((read.provision, "--provision"), (read.registry, "--registry")):
            if wish:
                raise OptionError(f"{option} is for a cluster; name it with --context or --kubeconfig. The sandbox "
                                  "installs its mesh by itself")
        if read.meshes != (DEFAULT_MESH,):
            raise OptionError(f"the sandbox has no mesh {', '.join(read.meshes)}, only {DEFAULT_MESH}; "
                              "name the cluster where it is installed with --context")
    elif read.mutant or read.smi != smi.GENERATIONS[0]:
        if not read.provision:
            raise OptionError("--mutant and --smi say what is installed: leave out --context and --kubeconfig for the "
                              "sandbox, or let --provision install it")
        if read.meshes != (DEFAULT_MESH,):
            raise OptionError(f"--mutant and --smi are for the mesh {DEFAULT_MESH}, not for {', '.join(read.meshes)}")


def _items(values: list[str] | None) -> tuple[str, ...]:
    return tuple(item.strip() for value in values or () for item in value.split(",") if item.strip())
