"""The Gateway API's own conformance suite for the testbed: its programs, its echo servers and the API's definitions.

All of it comes from Go modules: the suite and the definitions from the Gateway API's, the echo servers, which the suite
takes from a registry of images otherwise, from Istio's, where they were written.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from testbed import build, images, istio, userland
from testbed.build import Program
from testbed.errors import TestbedError
from testbed.image import Copy, Image, join

VERSION: Final = "1.6.0"
"""Of the Gateway API, its definitions and its suite."""
ECHO: Final = "registry.k8s.io/gateway-api/echo-advanced:v1.5.1"
"""What the suite's pods run: a server that says who it is, and the client that sends its requests."""

_API: Final = "sigs.k8s.io/gateway-api"
_DEFINITIONS: Final = "config/crd/standard"
_DEFINITION: Final = "CustomResourceDefinition"
_MODULE: Final = "istio.io/istio"
_CERTIFICATE: Final = "tests/testdata/certs/dns"
_ECHOES: Final = f"{_MODULE}/pkg/test/echo/cmd"

SUITE: Final = Program("gateway-conformance", VERSION, "3 to 8 minutes", module="gateway",
                       package=f"{_API}/conformance", tests=True)
EVENTS: Final = Program("test2json", VERSION, "seconds", module="gateway", package="cmd/test2json")
SERVER: Final = Program("echo-server", istio.VERSION, "1 to 8 minutes", module="istio", package=f"{_ECHOES}/server")
CLIENT: Final = Program("echo-client", istio.VERSION, "seconds", module="istio", package=f"{_ECHOES}/client")


@dataclass(frozen=True)
class Gateway:
    """The suite, what turns its output into events, the archive of its pods' image, and the API's definitions."""

    suite: Path
    events: Path
    echo: Path
    definitions: Path


def gateway(progress: Callable[[str], None] = print, *, sources: Path = build.SOURCES) -> Gateway:
    """Build what is not built yet, and return where it is.

    Raises TestbedError when something cannot be built, and RefusedError when a registry refuses one of its modules.
    """
    suite, events, server, client = (build.built(program, progress, sources=sources)
                                     for program in (SUITE, EVENTS, SERVER, CLIENT))
    return Gateway(suite, events, images.archived(_echo(server, client, sources), progress), definitions(sources))


def definitions(sources: Path = build.SOURCES) -> Path:
    """Return the API's definitions of its standard channel, one file made of those in the module. Raises TestbedError.

    What guards them against others' changes is left out: it would have to be taken away again before them.
    """
    return build.taken(SUITE, _API, "gateway-api.yaml", _take_definitions, doing="taking the Gateway API's definitions",
                       sources=sources)


def objects(file: Path) -> list[dict[str, Any]]:
    """Return the definitions of a file that `definitions` made."""
    return [obj for obj in _parsed(file.read_text(encoding="utf-8")) if obj]


def _take_definitions(module: Path, place: Path) -> None:
    directory = module / _DEFINITIONS
    texts = [file.read_text(encoding="utf-8") for file in sorted(directory.glob("*.yaml"))]
    texts = [text for text in texts if _kinds(text) == {_DEFINITION}]
    if not texts:
        raise TestbedError(f"taking the Gateway API's definitions from its module: there are none in {directory}")
    place.write_text("\n---\n".join(texts), encoding="utf-8")


def _kinds(text: str) -> set[str]:
    return {obj["kind"] for obj in _parsed(text) if obj}


def _parsed(text: str) -> Iterator[Any]:
    # They are long, and the slow reader takes seconds.
    yield from yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _echo(server: Path, client: Path, sources: Path) -> Image:
    certificates = _certificates(sources)
    inside = join(
        userland.base(),
        {"/usr/local/bin/server": Copy(server), "/usr/local/bin/client": Copy(client),
         "/cert.crt": Copy(certificates / "cert-chain.pem"), "/cert.key": Copy(certificates / "key.pem")},
    )
    return Image(ECHO, (inside,), entrypoint=("/usr/local/bin/server",), user="1338:1338", environment=images.PATH)


def _certificates(sources: Path) -> Path:
    """Return a directory with the certificate of the echo server's TLS port, copied from Istio's module."""
    return build.taken(SERVER, _MODULE, "echo-certificate", _take_certificate, doing=f"making the image {ECHO}",
                       sources=sources)


def _take_certificate(module: Path, place: Path) -> None:
    place.mkdir()
    for name in ("cert-chain.pem", "key.pem"):
        shutil.copyfile(module / _CERTIFICATE / name, place / name)
