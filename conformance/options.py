"""The options of a run, the same for `mesh-conformance run` and for plain pytest."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conformance import dialect, mesh, smi
from conformance.dialect import DialectError
from conformance.requirement import Level

DEFAULT_REPORT_DIR: Final = Path("conformance-report")
DEFAULT_MESH: Final = "reference"


class OptionError(Exception):
    """An option has a value that cannot be meant; nothing was run."""


@dataclass(frozen=True)
class Settings:
    """What a run is to do. Without `kubeconfig` and `context` it takes place in the sandbox."""

    meshes: tuple[str, ...] = (DEFAULT_MESH,)
    context: str | None = None
    kubeconfig: Path | None = None
    patterns: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    smi: str = smi.GENERATIONS[0]
    mutant: str = ""
    dry_run: bool = False
    keep: bool = False
    report_dir: Path | None = DEFAULT_REPORT_DIR

    @property
    def sandbox(self) -> bool:
        """Whether the run takes place in the embedded sandbox: no cluster was named."""
        return self.context is None and self.kubeconfig is None

    def command(self, *requirements: str) -> str:
        """Return the command that repeats the run, or these requirements of it."""
        words = ["mesh-conformance", "run", *self.place]
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
        words += ["--smi", self.smi] if self.smi != smi.GENERATIONS[0] else []
        return words + (["--mutant", self.mutant] if self.mutant else [])


def add_options(add: Callable[..., Any]) -> None:
    """Declare the options with `add`, the method of argparse's or pytest's parser."""
    add_place(add)
    add("--requirement", action="append", metavar="ID", dest="conformance_requirement",
        help="requirement to check, such as SPLIT-003 or 'SPLIT-00*'; repeatable or a comma list (default: all)")
    add("--level", action="append", metavar="LEVEL", dest="conformance_level",
        help="only requirements of these levels: " + ", ".join(level.value for level in Level))
    add("--dry-run", action="store_true", dest="conformance_dry_run",
        help="look at the cluster, say what would run and what not, and stop")


def add_place(add: Callable[..., Any]) -> None:
    """Declare the options that say where something takes place and where its reports go."""
    add("--mesh", action="append", metavar="NAME", dest="conformance_mesh",
        help=f"mesh to judge, or path to its mesh.yaml; repeatable or a comma list (default: {DEFAULT_MESH})")
    add("--context", metavar="NAME", dest="conformance_context",
        help="kubeconfig context of the cluster to use; without this or --kubeconfig the sandbox is started")
    add("--kubeconfig", metavar="FILE", dest="conformance_kubeconfig", help="kubeconfig of the cluster to use")
    add("--smi", metavar="NAME", dest="conformance_smi",
        help="what the sandbox serves: a version of SMI or what a mesh ships, one of "
             f"{', '.join(dialect.names())} (default: {smi.GENERATIONS[0]})")
    add("--mutant", metavar="NAME", dest="conformance_mutant",
        help="break the sandbox's reference mesh in this way; `mesh-conformance selftest --list` names them")
    add("--keep", action="store_true", dest="conformance_keep",
        help="leave what was created in the cluster; a sandbox stays until Ctrl-C")
    add("--report-dir", metavar="DIR", dest="conformance_report_dir",
        help=f"directory for the reports (default: {DEFAULT_REPORT_DIR}; 'none' writes no files)")


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
        context=values.get("conformance_context"),
        kubeconfig=Path(values["conformance_kubeconfig"]) if values.get("conformance_kubeconfig") else None,
        patterns=_items(values.get("conformance_requirement")),
        levels=_items(values.get("conformance_level")),
        smi=served,
        mutant=values.get("conformance_mutant") or "",
        dry_run=bool(values.get("conformance_dry_run")),
        keep=bool(values.get("conformance_keep")),
        report_dir=None if report_dir == "none" else Path(report_dir),
    )
    _check_place(read)
    return read


def default_kubeconfig() -> Path:
    """Return the kubeconfig that kubectl would use; read only because a context was named."""
    first = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(first) if first else Path.home() / ".kube" / "config"


def _check_place(read: Settings) -> None:
    if read.sandbox and read.meshes != (DEFAULT_MESH,):
        raise OptionError(f"the sandbox has no mesh {', '.join(read.meshes)}, only {DEFAULT_MESH}; "
                          "name the cluster where it is installed with --context")
    if not read.sandbox and (read.mutant or read.smi != smi.GENERATIONS[0]):
        raise OptionError("--mutant and --smi are for the sandbox; leave out --context and --kubeconfig")


def _items(values: list[str] | None) -> tuple[str, ...]:
    return tuple(item.strip() for value in values or () for item in value.split(",") if item.strip())
