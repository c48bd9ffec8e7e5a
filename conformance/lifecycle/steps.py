"""Carrying out the steps that install and remove a mesh: manifests, charts and programs become objects to apply.

A chart is rendered by `helm template` and applied by the harness, so that its objects carry the run's label like all
others; its install hooks come before and after the rest, other hooks are left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import yaml

from conformance import temporary
from conformance.cluster import Cluster, Object
from conformance.mesh import CommandStep, HelmStep, ManifestStep, Step, load_manifests
from conformance.topology import ProvisionError

RUN_WITHIN: Final = 600.0
_SHOWN: Final = 20
_HOOK: Final = "helm.sh/hook"
_WEIGHT: Final = "helm.sh/hook-weight"


def objects(step: Step, cluster: Cluster) -> list[Object]:
    """Return what a step has to have applied; carry it out where it changes the cluster by itself.

    Raises MeshError, and ProvisionError when a program is missing, fails or prints no manifests.
    """
    match step:
        case ManifestStep():
            return [obj for file in step.files for obj in load_manifests(file)]
        case HelmStep():
            return _rendered(step, cluster)
        case CommandStep():
            printed = _run(step.program, step.arguments, cluster)
            return manifests(printed, step.program) if step.applies_output else []


def manifests(text: str, origin: str) -> list[Object]:
    """Read the objects that a program printed, lists taken apart. Raises ProvisionError."""
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise ProvisionError(f"what {origin} printed is not YAML: {error}") from error
    found = []
    for document in documents:
        listed = document.get("items") if isinstance(document, dict) and document.get("kind") == "List" else None
        found += listed if isinstance(listed, list) else [document]
    for obj in found:
        named = isinstance(obj, dict) and isinstance(obj.get("metadata"), dict) and obj["metadata"].get("name")
        if not named or not obj.get("apiVersion") or not obj.get("kind"):
            raise ProvisionError(f"what {origin} printed is not manifests: {str(obj)[:200]!r} has no apiVersion, kind "
                                 "and metadata.name")
    return found


def _rendered(step: HelmStep, cluster: Cluster) -> list[Object]:
    with temporary.directory("helm") as directory:
        values = directory / "values.yaml"
        values.write_text(yaml.safe_dump(dict(step.values)), encoding="utf-8")
        oci = step.repository.startswith("oci://")
        chart = [f"{step.repository.rstrip('/')}/{step.chart}"] if oci else [step.chart, "--repo", step.repository]
        printed = _run("helm", ["template", step.release, *chart, "--version", step.version, "--namespace",
                                step.namespace, "--include-crds", "--values", str(values), "--kube-version",
                                cluster.version()], cluster)
    found = manifests(printed, f"helm template {step.release}")
    before, rest, after = [], [], []
    for obj in found:
        obj["metadata"].setdefault("namespace", step.namespace)  # of those of the whole cluster it is taken off again
        hooks = str(_annotations(obj).get(_HOOK, "")).split(",")
        if "pre-install" in hooks:
            before.append(obj)
        elif "post-install" in hooks:
            after.append(obj)
        elif hooks == [""]:
            rest.append(obj)
    return [*sorted(before, key=_weight), *rest, *sorted(after, key=_weight)]


def _annotations(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("annotations") or {}


def _weight(obj: Object) -> int:
    try:
        return int(_annotations(obj).get(_WEIGHT, 0))
    except ValueError:
        return 0


def _run(program: str, arguments: Sequence[str], cluster: Cluster) -> str:
    """Run a program that is told the cluster by KUBECONFIG; return what it printed. Raises ProvisionError."""
    path = shutil.which(program)
    if path is None:
        raise ProvisionError(f"{program} is needed to install this mesh and is not on PATH; install it first")
    with _environment(cluster) as environment:
        try:
            done = subprocess.run([path, *arguments], env=environment, timeout=RUN_WITHIN,
                                  check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        except subprocess.TimeoutExpired:
            raise ProvisionError(f"{program} {' '.join(arguments)}: not done within {RUN_WITHIN:g} s") from None
        except OSError as error:
            raise ProvisionError(f"{path} cannot be started: {error.strerror}") from error
    if done.returncode != 0:
        told = "\n".join(f"  {line}" for line in (done.stderr or done.stdout).splitlines()[-_SHOWN:])
        raise ProvisionError(f"{program} {' '.join(arguments)} failed with {done.returncode}:\n{told}")
    return done.stdout


@contextmanager
def _environment(cluster: Cluster) -> Iterator[dict[str, str]]:
    """Give the environment that makes a program use this cluster, and no other that happens to be current.

    The file that comes first decides which context is the current one; no credential is copied.
    """
    with temporary.directory("kubeconfig") as directory:
        choice = directory / "context.yaml"
        config: dict[str, object] = {"apiVersion": "v1", "kind": "Config", "current-context": cluster.context}
        if cluster.account:  # a pod's own cluster, for programs that would take KUBECONFIG's or none
            config |= {
                "current-context": "pod", "contexts": [{"name": "pod", "context": {"cluster": "pod", "user": "pod"}}],
                "clusters": [{"name": "pod", "cluster": {
                    "server": cluster.server, "certificate-authority": str((cluster.account / "ca.crt").absolute())}}],
                "users": [{"name": "pod", "user": {"tokenFile": str((cluster.account / "token").absolute())}}],
            }
        choice.write_text(yaml.safe_dump(config), encoding="utf-8")
        files = [str(choice), *([str(cluster.source)] if cluster.source else [])]
        yield {**os.environ, "KUBECONFIG": os.pathsep.join(files)}
