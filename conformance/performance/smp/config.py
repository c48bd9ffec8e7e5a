"""SMP's PerformanceTestConfig: read with every defect named, and turned into loads that this harness can run.

A file holds the message itself, or `test:` and `mesh:` as `mesheryctl perf apply -f` wants it. SMP does not say what
absent fields mean; here it is what mesheryctl takes: one connection, 30 s, and `rps` 0 for as much as possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from conformance.performance import durations
from conformance.performance.smp import contradictions, document, endpoint, kinds, shape
from conformance.performance.smp.contradictions import DEFAULT_DURATION
from conformance.performance.smp.document import DocumentError, Item
from conformance.performance.smp.fields import ENUMS
from conformance.performance.smp.shape import Finding

MANAGED: Final = frozenset({"connection", "content-length", "expect", "keep-alive", "te", "trailer",
                            "transfer-encoding", "upgrade"})
"""Headers that the load engine sets itself, because they frame the message."""


class ConfigError(Exception):
    """A configuration is wrong; `findings` are all of its defects."""

    def __init__(self, what: str, findings: Sequence[Finding]) -> None:
        super().__init__(what, findings)
        self.what = what
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "\n  ".join([self.what, *map(str, self.findings)])


class UnsupportedError(ConfigError):
    """A configuration is right, and asks for what this harness cannot do."""


@dataclass(frozen=True)
class Client:
    """SMP's PerformanceTestConfig.Client. `protocol` is SMP's number, `place` where it stands in the file."""

    internal: bool = False
    load_generator: str = ""
    protocol: int = 0
    connections: int = 1
    rps: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    content_type: str = ""
    endpoint_urls: tuple[str, ...] = ()
    ssl_certificate: str = ""
    additional_options: str = ""
    place: str = field(default="", compare=False)


@dataclass(frozen=True)
class ServiceMesh:
    """SMP's ServiceMesh. `type` is SMP's number."""

    type: int = 0
    version: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """SMP's name of the type, such as ISTIO."""
        return ENUMS["MeshType"][self.type]


@dataclass(frozen=True)
class TestConfig:
    """SMP's PerformanceTestConfig, and the mesh that the file names beside it."""

    __test__ = False  # pytest would take the name for that of a class of tests

    smp_version: str = ""
    id: str = ""
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    clients: tuple[Client, ...] = ()
    duration: str = DEFAULT_DURATION
    mesh: ServiceMesh | None = None

    @property
    def seconds(self) -> float:
        """How long the load lasts."""
        return durations.parse(self.duration)


@dataclass(frozen=True)
class LoadRequest:
    """One load that a configuration asks for.

    `rate` is per second, None for as much as possible (a closed loop). `client` is the number of the client in the
    file, `internal` whether it is part of the mesh. All loads of a configuration are meant to run at the same time.
    """

    url: str
    method: str
    headers: tuple[tuple[str, str], ...]
    body: str
    connections: int
    rate: float | None
    seconds: float
    protocol: Literal["http", "tcp"]
    client: int = 0
    internal: bool = False


def read(path: Path) -> TestConfig:
    """Read a configuration. Raises ConfigError with all defects, each with its line or path."""
    try:
        root = document.load(path)
    except DocumentError as error:
        finding = Finding("unreadable", str(path), str(error))
        raise ConfigError(f"{path} is no PerformanceTestConfig:", [finding]) from None
    values, mesh, findings = examine(root)
    if findings:
        count = "1 defect" if len(findings) == 1 else f"{len(findings)} defects"
        raise ConfigError(f"{path} cannot be run as it is, {count}:", findings)
    places = [one.place for one in shape.member(test_of(root), "clients").elements]
    clients = tuple(Client(**one, place=place) for one, place in zip(values.pop("clients"), places, strict=True))
    return TestConfig(**values, clients=clients, mesh=None if mesh is None else ServiceMesh(**mesh))


def test_of(root: Item) -> Item:
    """Return the part of a file that is the PerformanceTestConfig."""
    return root.members.get("test", root) if kinds.kind(root) == kinds.WRAPPED else root


def examine(root: Item) -> tuple[dict[str, Any], dict[str, Any] | None, list[Finding]]:
    """Return the fields of the configuration, those of the mesh beside it if there is one, and all defects."""
    found = kinds.kind(root)
    if found not in {kinds.CONFIG, kinds.WRAPPED, kinds.UNKNOWN}:
        return {}, None, [Finding("not-a-config", root.place, f"this is a {found}, not a PerformanceTestConfig")]
    if not isinstance(root.value, Mapping):
        said = f"a PerformanceTestConfig is a mapping, found {root.shown}"
        return {}, None, [Finding("wrong-type", root.place, said)]
    findings: list[Finding] = []
    mesh = None
    if found == kinds.WRAPPED:
        findings += _beside(root)
        if "mesh" in root.members:
            mesh = shape.read(root.members["mesh"], "ServiceMesh", findings)
        if "test" not in root.members:
            findings.append(Finding("no-client", root.place, "there is a mesh: and no test:", "Add the test."))
            return {}, mesh, findings
    test = test_of(root)
    values = shape.read(test, kinds.CONFIG, findings)
    if not isinstance(test.value, Mapping):
        return {}, mesh, findings
    return values, mesh, shape.in_order([*findings, *contradictions.check(test, values)])


def _beside(root: Item) -> Iterator[Finding]:
    for one in root.repeated:
        yield Finding("duplicate-key", one.place, "this key was given before", "Keep one of the two.")
    for key, one in root.members.items():
        if key not in {"test", "mesh"}:
            yield Finding("unknown-key", one.place, f"{key[:60]!r} stands beside test: and mesh:, where nothing else "
                          "can", "Move it under test: if it is part of it.")


def unsupported(config: TestConfig, ours: Callable[[str], bool] = endpoint.internal) -> tuple[Finding, ...]:
    """Return what a configuration asks for and this harness cannot do.

    `ours` tells whether a host belongs to the run: nothing else is put under load. By default it is one that can only
    be on this machine or in this cluster, judged by its name.
    """
    return tuple(finding for client in config.clients for finding in _unsupported(client, ours))


def _unsupported(client: Client, ours: Callable[[str], bool]) -> Iterator[Finding]:
    def lacks(what: str, advice: str) -> Finding:
        return Finding("not-supported-here", client.place, f"not supported here: {what}", advice)

    found = [endpoint.parse(url) for url in client.endpoint_urls]
    protocol = ENUMS["Protocol"][client.protocol] if client.protocol else found[0].protocol
    if protocol not in {"PROTOCOL_HTTP", "PROTOCOL_TCP"}:
        yield lacks(f"load over {protocol.removeprefix('PROTOCOL_')}", "HTTP/1.1 and TCP are.")
    elif any(one.scheme in endpoint.WITH_TLS for one in found):
        yield lacks("TLS from the client itself", "Use http://: between sidecars it is the mesh that encrypts.")
    if client.ssl_certificate:
        yield lacks("TLS with a client certificate", "In the mesh, workloads have the mesh's identity.")
    if client.additional_options.strip() not in {"", "{}"}:
        yield lacks(f"additional_options, which are those of {client.load_generator or 'another load generator'}",
                    "Leave them out: the load comes from this harness's own engine.")
    for name in client.headers:
        if name.lower() in MANAGED:
            yield lacks(f"the header {name}, which the load engine sets itself", "Leave it out.")
    for host in sorted({one.host for one in found if not ours(one.host)}):
        yield lacks(f"load on {host}, which is not part of the run", "Name a Service of the run's cluster.")


def to_loads(config: TestConfig, ours: Callable[[str], bool] = endpoint.internal) -> tuple[LoadRequest, ...]:
    """Return the loads that a configuration asks for, one per client and endpoint. Raises UnsupportedError.

    SMP gives rate and connections of a client, not of an endpoint: endpoints share them evenly.
    """
    if findings := unsupported(config, ours):
        raise UnsupportedError("The configuration asks for what cannot be done here:", findings)
    return tuple(load for number, client in enumerate(config.clients) for load in _loads(config, number, client))


def _loads(config: TestConfig, number: int, client: Client) -> Iterator[LoadRequest]:
    count = len(client.endpoint_urls)
    each, rest = divmod(client.connections, count)
    headers = list(client.headers.items())
    if client.cookies:
        headers.append(("Cookie", "; ".join(f"{name}={value}" for name, value in client.cookies.items())))
    if client.content_type and "content-type" not in {name.lower() for name in client.headers}:
        headers.append(("Content-Type", client.content_type))
    for place, url in enumerate(client.endpoint_urls):
        yield LoadRequest(
            url, "POST" if client.body else "GET", tuple(headers), client.body, each + (place < rest),
            client.rps / count if client.rps else None, config.seconds,
            "tcp" if endpoint.parse(url).scheme == "tcp" else "http", number, client.internal,
        )
