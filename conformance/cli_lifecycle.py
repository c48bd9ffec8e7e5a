"""The commands around a run: `mesh-conformance preflight | meshes | provision | remove | cleanup | images`."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from tabulate import tabulate

from conformance import mesh as meshes
from conformance import options
from conformance.exit_code import ExitCode
from conformance.lifecycle import cleaning, examination, images
from conformance.lifecycle.examination import State
from conformance.lifecycle.install import Installer
from conformance.lifecycle.undoing import undone
from conformance.lifecycle.uninstall import remove
from conformance.options import DEFAULT_MESH, OptionError
from conformance.place import open_place, setup

Action = Callable[[argparse.Namespace, list[str]], int]
Command = Callable[[Any, str, Action, str], argparse.ArgumentParser]

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_commands(commands: Any, command: Command) -> None:
    """Declare the commands; `command` adds one to `commands`, by name, action and what it is for."""
    looking = command(commands, "preflight", _preflight, "look at a cluster: what would be in the way of a run")
    options.add_place(looking.add_argument)
    _add_format(looking, "text")

    knowing = command(commands, "meshes", _meshes, "list the meshes that are known; with a cluster, what is installed")
    options.add_cluster(knowing.add_argument)
    _add_format(knowing, "table")

    installing = command(commands, "provision", _provision, "install a mesh on a cluster, so that it can be removed")
    options.add_cluster(installing.add_argument)
    _add_mesh(installing)
    options.add_setup(installing.add_argument)
    installing.add_argument("--keep", action="store_true", help="when it fails, leave what was applied, to look at it")

    removing = command(commands, "remove", _remove, "remove a mesh that `provision` installed, and nothing else")
    options.add_cluster(removing.add_argument)
    _add_mesh(removing)

    cleaner = command(commands, "cleanup", _cleanup, "remove what killed runs left in a cluster")
    options.add_cluster(cleaner.add_argument)
    cleaner.add_argument("--run", type=_run_id, metavar="ID", help="only what this run left")
    cleaner.add_argument("--older-than", type=_age, metavar="TIME",
                         help="only what runs left that have made nothing within this time, such as 90s, 30m, 1h, 2d; "
                              "meshes are spared")
    cleaner.add_argument("--meshes", action="store_true", help="with --older-than: meshes that were installed as well")
    cleaner.add_argument("--dry-run", action="store_true", help="say what would be deleted, and stop")

    imaging = command(commands, "images", _images, "list the images that a run needs, to be mirrored")
    _add_mesh(imaging)
    imaging.add_argument("--registry", metavar="HOST/PREFIX", dest="conformance_registry",
                         help="say also what each is called in this mirror")
    _add_format(imaging, "text")


def _add_mesh(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mesh", metavar="NAME", default=DEFAULT_MESH,
                        help=f"its name, or path to its mesh.yaml (default: {DEFAULT_MESH})")


def _add_format(parser: argparse.ArgumentParser, usual: str) -> None:
    parser.add_argument("--format", choices=(usual, "json"), default=usual, help=f"default: {usual}")


def _named(settings: options.Settings) -> options.Settings:
    """Return the options of a command if they name a cluster: the one that happens to be current is nobody's choice."""
    if settings.sandbox:
        raise OptionError("name the cluster with --context, --kubeconfig or both (or --in-cluster); the current one is "
                          "never taken")
    return settings


def _where(chosen: argparse.Namespace) -> options.Settings:
    """Read the options that name a cluster."""
    names = ("conformance_context", "conformance_kubeconfig", "conformance_in_cluster")
    return options.settings({name: vars(chosen)[name] for name in names})


def _preflight(chosen: argparse.Namespace, _: list[str]) -> int:
    settings = _named(options.settings(vars(chosen)))
    wanted = [setup(settings, name) for name in settings.meshes]
    installs = tuple(obj for each in wanted for obj in (*each.definitions, *each.first, *each.mesh.install_objects()))
    plan = examination.Plan(tuple(each.mesh for each in wanted), installs, settings.provision, settings.registry,
                            settings.pod_security)
    found = []
    with open_place(settings) as cluster:
        for finding in examination.examine(cluster, plan):
            found.append(finding)
            if chosen.format == "text":
                _told(f"{finding.state:8} {finding.subject}: " + finding.text.replace("\n", f"\n{'':11}"))
    if chosen.format == "json":
        print(json.dumps([asdict(finding) for finding in found], indent=2))
    problems = any(finding.state is State.PROBLEM for finding in found)
    return ExitCode.ERROR if problems else ExitCode.CONFORMANT


def _told(text: str) -> None:
    print(text, flush=True)


def _progress(what: str, seconds: float, reason: str) -> None:
    _told(f"  waiting for {what}: {seconds:.0f} s; {' '.join(reason.split())}")


def _provision(chosen: argparse.Namespace, _: list[str]) -> int:
    wanted = {**vars(chosen), "conformance_mesh": [chosen.mesh], "conformance_provision": True}
    _named(_where(chosen))
    settings = options.settings(wanted)
    with open_place(settings) as cluster:
        installer = Installer(cluster, setup(settings, chosen.mesh), settings.registry, _told, _progress, renews=True)
        installer.refuse()
        stood = bool(installer.standing())
        _told(f"installing {installer.mesh.title} (run {installer.run})")
        done = False

        def take_back() -> None:
            if not done and stood:
                _told(f"it failed: what was there of {installer.mesh.title} is left standing, partly renewed perhaps; "
                      f"`mesh-conformance remove --mesh {chosen.mesh}` takes it away")
            elif not done:
                _told("it failed: removing what was applied (--keep leaves it)")
                remove(cluster, installer.mesh, tell=_told, progress=_progress)

        with undone(take_back, keep=chosen.keep):
            installer.provision()
            done = True
        _told(f"{installer.mesh.title} {installer.mesh.version(cluster)} is installed; "
              f"`mesh-conformance remove --mesh {chosen.mesh}` takes it away again")
    return ExitCode.CONFORMANT


def _remove(chosen: argparse.Namespace, _: list[str]) -> int:
    with open_place(_named(_where(chosen))) as cluster:
        mesh = meshes.load(chosen.mesh)
        gone = remove(cluster, mesh, tell=_told, progress=_progress)
        _told(f"{mesh.title} is removed" if gone else f"there is nothing of {mesh.title} that the harness installed")
    return ExitCode.CONFORMANT


def _cleanup(chosen: argparse.Namespace, _: list[str]) -> int:
    with open_place(_named(_where(chosen))) as cluster:
        found, unseen = cleaning.remains(cluster, chosen.run or "", chosen.older_than)
        by_age_alone = chosen.older_than is not None and not chosen.run and not chosen.meshes
        spared = [each for each in found if each.mesh and by_age_alone]
        found = [each for each in found if each not in spared]
        for each in spared:
            _told(f"sparing {each.mesh} of run {each.run}, which may be in use (--meshes takes meshes as well)")
        for each in found:
            _told(f"{'would remove' if chosen.dry_run else 'removing'} what run {each.run} left"
                  f"{f' of {each.mesh}' if each.mesh else ''}: {each.summary()}")
            for line in each.listing() if chosen.dry_run else ():
                _told(f"  {line}")
            for line in () if chosen.dry_run else cleaning.clean(cluster, each, _progress).kept:
                _told(f"  {line}")
        for line in unseen:
            _told(f"not looked at: {line}")
        if chosen.dry_run or chosen.run or chosen.older_than is not None:
            if not found:
                _told("there is nothing to remove")
        else:
            _told(f"nothing is left{' of what this user may see' if unseen else ''}")
    return ExitCode.CONFORMANT


def _images(chosen: argparse.Namespace, _: list[str]) -> int:
    registry = chosen.conformance_registry or ""
    found = images.needed((meshes.load(chosen.mesh),))
    rows = [{"image": each.reference, "needed by": each.needed_by,
             **({"mirror": images.mirrored(each.reference, registry)} if registry else {})} for each in found]
    if chosen.format == "json":
        print(json.dumps(rows, indent=2))
    else:
        print("\n".join(" ".join(filter(None, (row["image"], row.get("mirror", "")))) for row in rows))
    return ExitCode.CONFORMANT


def _meshes(chosen: argparse.Namespace, _: list[str]) -> int:
    known = [meshes.load(name) for name in meshes.names()]
    rows = [{"mesh": each.name, "title": each.title, "status": each.status,
             "provision": "yes" if each.install else "no", "needs": ", ".join(each.tools),
             "steps known from": each.known("install").basis if each.install else ""} for each in known]
    where = _where(chosen)
    if not where.sandbox:
        with open_place(where) as cluster:
            for row, each in zip(rows, known, strict=True):
                row["installed"] = ", ".join(f"{found.version} in {found.namespace}"
                                             for found in each.installations(cluster))
    print(json.dumps(rows, indent=2) if chosen.format == "json" else tabulate(rows, "keys", tablefmt="simple"))
    return ExitCode.CONFORMANT


def _run_id(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no id of a run, such as 3f9c1a")
    return text


def _age(text: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,5})([smhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 30m, 1h or 2d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
