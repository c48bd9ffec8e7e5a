"""Running the Gateway API's own conformance suite on the testbed, and leaving nothing of it there."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from conformance.cluster import Cluster, Conflict, NotFound, Object
from conformance.lifecycle import availability
from conformance.mesh import ControlPlane, Mesh
from conformance.official import Claims, Official, OfficialError, TestOutcome, read_claims, read_events
from conformance.topology import ProvisionError
from conformance.waiting import NotConverged, NotYet, eventually
from testbed import images, ready
from testbed.errors import TestbedError
from testbed.gateway import VERSION, Gateway, objects
from testbed.layout import Layout
from testbed.steps import Progress, tail

PROFILE: Final = "MESH-HTTP"
FEATURES: Final = (
    "Mesh", "MeshClusterIPMatching", "MeshConsumerRoute", "MeshHTTPRouteBackendRequestHeaderModification",
    "MeshHTTPRouteNamedRouteRule", "MeshHTTPRouteQueryParamMatching", "MeshHTTPRouteRedirectPath",
    "MeshHTTPRouteRedirectPort", "MeshHTTPRouteRewritePath", "MeshHTTPRouteSchemeRedirect", "HTTPRoute",
    "HTTPRoute303RedirectStatusCode", "HTTPRoute307RedirectStatusCode", "HTTPRoute308RedirectStatusCode",
    "HTTPRouteParentRefPort", "HTTPRouteResponseHeaderModification",
)
"""All that the tests of the profile ask for: the suite leaves out a test that needs one that is not claimed, though it
may report the others as supported."""

OWN: Final = ("gateway-conformance-mesh", "gateway-conformance-mesh-consumer")
"""The namespaces that the suite makes."""
AWAITED: Final = ("gateway-conformance-app-backend", "gateway-conformance-web-backend")
"""Those that it waits for a ready pod in, and makes only where it tests gateways as well."""
EVENTS: Final = "events.jsonl"
REPORT: Final = "report.yaml"

_PLACEHOLDER: Final = "placeholder"
_WITHIN: Final = 120.0  # seconds for namespaces and definitions to come and to go
_MORE: Final = 30.0  # seconds that the suite has to end after its own limit


@dataclass(frozen=True)
class Judged:
    """What the suite left: the outcomes of its tests, and what its report claims."""

    tests: Official
    claims: Claims


def run(
    layout: Layout, made: Gateway, mesh: Mesh, output: Path, progress: Progress, *, without: Sequence[str] = (),
    within: float = 900.0,
) -> Judged:
    """Run the suite against a mesh that is installed, and write its events and its report into a directory.

    `without` are features that the mesh does not claim, `within` is seconds. Definitions of the Gateway API that are
    not there are there only as long as it runs. Raises TestbedError, also when the suite did not get to its end.
    """
    if unknown := sorted(set(without) - set(FEATURES)):
        raise TestbedError(f"leaving out {', '.join(unknown)}: the tests ask for no such feature; there are "
                           f"{', '.join(FEATURES)}")
    opened = ready.cluster(layout)
    try:
        version = mesh.version(opened)
        if version is None:
            raise TestbedError(f"{mesh.title} is not installed: mesh-conformance provision --context {layout.context} "
                               f"--kubeconfig {layout.kubeconfig} --mesh …")
        _empty(output)
        with served(opened, objects(made.definitions), progress), _namespaces(opened):
            progress(f"running the Gateway API's conformance suite {VERSION}, profile {PROFILE}, "
                     f"on {mesh.title} {version}")
            command = _command(made, mesh, version, output / REPORT, without, within)
            _end_within(command, _environment(layout), output / EVENTS, within + _MORE)
    except (NotConverged, ProvisionError) as error:
        raise TestbedError(f"running the Gateway API's conformance suite: {error}") from error
    finally:
        opened.close()
    try:
        return Judged(read_events(output / EVENTS), read_claims(output / REPORT))
    except OfficialError as error:
        raise TestbedError(f"running the Gateway API's conformance suite: {error}\nthe last lines of its output:\n"
                           f"{tail(output / EVENTS, 10)}") from error


def _empty(output: Path) -> None:
    """Make the directory, and leave nothing in it that could be taken for this run's. Raises TestbedError."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name in (EVENTS, REPORT):
            (output / name).unlink(missing_ok=True)
    except OSError as error:
        raise TestbedError(f"writing to {output}: {error.strerror}; name another directory with --output") from error


def summary(judged: Judged) -> str:
    """Say how many tests ended how, and which failed."""
    by_outcome = {outcome: [test.name for test in judged.tests.whole if test.outcome is outcome]
                  for outcome in TestOutcome}
    counts = ", ".join(f"{len(names)} {outcome}" for outcome, names in by_outcome.items())
    failed = by_outcome[TestOutcome.FAILED]
    return f"{counts}" + (f"; failed: {', '.join(failed)}" if failed else "")


def _command(
    made: Gateway, mesh: Mesh, version: str, report: Path, without: Sequence[str], within: float,
) -> list[str]:
    labels = ",".join(f"{name}={value}" for name, value in mesh.namespace_labels.items())
    annotations = ",".join(f"{name}={value}" for name, value in mesh.namespace_annotations.items())
    return [
        str(made.events), "-t", "-p", f"gateway-api-{VERSION}", str(made.suite),
        "-test.v=test2json", "-test.run=^TestConformance$", f"-test.timeout={within:.0f}s",
        f"-conformance-profiles={PROFILE}",
        f"-supported-features={','.join(feature for feature in FEATURES if feature not in without)}",
        f"-namespace-labels={labels}", f"-namespace-annotations={annotations}",
        f"-organization={mesh.base}", f"-project={mesh.base}", f"-url={mesh.homepage}", f"-version={version}",
        f"-contact={mesh.homepage}", f"-report-output={report}",
    ]


def _environment(layout: Layout) -> dict[str, str]:
    direct = str(layout.node_address)
    return {**os.environ, "KUBECONFIG": str(layout.kubeconfig), "NO_PROXY": direct, "no_proxy": direct}


def _end_within(command: Sequence[str], environment: dict[str, str], events: Path, seconds: float) -> None:
    """Run the suite; how its tests ended stands in the events, and a test that failed is no failure here."""
    with events.open("wb") as stream:
        # A process group of its own: the suite is the child of what turns its output into events.
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=stream,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TestbedError(f"running the Gateway API's conformance suite: not done after {seconds:.0f} s, though "
                               "it was told to end before") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


# --- what the suite needs around it ---


@contextmanager
def served(cluster: Cluster, wanted: Sequence[Object], progress: Progress) -> Iterator[None]:
    """Have definitions served; those that are not there are removed in the end. Raises ClusterError, NotConverged."""
    missing = [obj for obj in wanted if not cluster.exists(obj)]
    try:
        for obj in missing:
            cluster.apply(obj)
        eventually(lambda: _established(cluster, wanted), what="the Gateway API to be served", within=_WITHIN,
                   consecutive=1)
        yield
    finally:
        if missing:
            progress(f"removing {len(missing)} definitions of the Gateway API, which were not there before")
        _remove(cluster, missing, "the definitions of the Gateway API")


@contextmanager
def _namespaces(cluster: Cluster) -> Iterator[None]:
    every: list[Object] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
                           for name in (*OWN, *AWAITED)]
    _remove(cluster, every, "the namespaces of a run that was killed")
    try:
        for namespace in every[len(OWN):]:
            cluster.create(namespace)
            cluster.create(_deployment(namespace["metadata"]["name"]))
        availability.wait(cluster, [ControlPlane("Deployment", _PLACEHOLDER, name) for name in AWAITED],
                          "the pods that the suite waits for", within=_WITHIN)
        yield
    finally:
        _remove(cluster, every, "the suite's namespaces")


def _deployment(namespace: str) -> Object:
    labels = {"app": _PLACEHOLDER}
    container = {"name": _PLACEHOLDER, "image": images.PAUSE}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": _PLACEHOLDER, "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": pod},
    }


def _established(cluster: Cluster, definitions: Sequence[Object]) -> None:
    for obj in definitions:
        name = obj["metadata"]["name"]
        status = cluster.get(obj["apiVersion"], obj["kind"], name).get("status", {})
        if not any(entry["type"] == "Established" and entry["status"] == "True" for entry in status["conditions"]):
            raise NotYet(f"{name} is not established: {status['conditions']}")


def _remove(cluster: Cluster, doomed: Sequence[Object], what: str) -> None:
    """Delete objects and wait until they are gone; those that are not there are fine."""
    for obj in doomed:
        try:
            cluster.delete(obj)
        except (NotFound, Conflict):  # the latter of what is being deleted already
            continue

    def gone() -> None:
        if left := [obj["metadata"]["name"] for obj in doomed if cluster.exists(obj)]:
            raise NotYet(f"still there: {', '.join(left)}")

    eventually(gone, what=f"{what} to go", within=_WITHIN, consecutive=1)
