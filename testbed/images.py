"""The images of the testbed: made from what this machine has, because no registry of images is needed that way."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import conformance
from conformance import paths
from conformance.sandbox.errors import SandboxError
from conformance.sandbox.kubelet.programs import envoy_binary
from testbed import archive, interpreter, layout, packages, userland
from testbed.build import COREDNS as COREDNS_VERSION
from testbed.build import Binaries
from testbed.errors import TestbedError
from testbed.image import Copy, Image, Text, join

PAUSE: Final = "registry.k8s.io/pause:3.10"
COREDNS: Final = f"registry.k8s.io/coredns/coredns:v{COREDNS_VERSION}"
PYTHON: Final = "docker.io/library/python:3.12-slim"
"""What the agent of every sample pod runs in. On the testbed it is this machine's Python; a label tells which."""

CONTROL_PLANE: Final = f"docker.io/mesh-conformance/reference-mesh:{conformance.__version__}"
PROXY: Final = f"docker.io/mesh-conformance/proxy:{conformance.__version__}"

_UNUSED: Final = 3600.0  # seconds; somebody else may be about to import the archive that was right a moment ago
_PROJECT: Final = Path("/opt/mesh-conformance")
_COMMAND: Final = "#!/usr/local/bin/python3\nfrom conformance.cli import main\n\nraise SystemExit(main())\n"
PATH: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_PYTHON_ENVIRONMENT: Final = PATH | {"LANG": "C.UTF-8", "SSL_CERT_FILE": userland.BUNDLE}


def archives(binaries: Binaries, progress: Callable[[str], None] = print) -> list[Path]:
    """Write the archives of images that are not written yet, and return where all of them are.

    What is read and how is told in the archives' names, so that a change of this checkout, of a program or of the
    machine's Python makes another one; what was not used for an hour then is removed. Raises TestbedError.
    """
    return [archived(image, progress) for image in images(binaries)]


def images(binaries: Binaries) -> list[Image]:
    """All images. Raises TestbedError when something that they are made of is not on this machine."""
    python = join(userland.base(), userland.shell(), interpreter.layer())
    project = join(packages.project(_PROJECT), {"/usr/local/bin/mesh-conformance": Text(_COMMAND, runs=True)})
    labels = {"io.mesh-conformance.python": interpreter.version()}
    return [
        Image(PAUSE, ({"/pause": Copy(binaries.pause)},), entrypoint=("/pause",), user="65535:65535"),
        Image(COREDNS, (userland.base(), {"/coredns": Copy(binaries.coredns)}), entrypoint=("/coredns",)),
        Image(PYTHON, (python,), command=("python3",), environment=_PYTHON_ENVIRONMENT, labels=labels),
        # The project comes last: it changes most, and the layers below it need not be unpacked again then.
        Image(CONTROL_PLANE, (python, packages.requirements(_PROJECT), project), labels=labels,
              environment=_PYTHON_ENVIRONMENT | {"PYTHONPATH": str(_PROJECT)}, command=("mesh-conformance", "--help")),
        proxy(),
    ]


def proxy() -> Image:
    """The image of the reference mesh's sidecars, and of the init container that redirects a pod's traffic to them.

    Raises TestbedError when Envoy, iptables or the script `intercept` is missing.
    """
    try:
        envoy = envoy_binary()
    except SandboxError as error:
        raise TestbedError(f"making the proxy's image: {error}") from error
    script = {"/usr/local/bin/intercept": Copy(paths.fixtures() / "meshes" / "reference" / "intercept", runs=True)}
    programs = join(userland.base(), userland.shell(), userland.iptables(),
                    userland.program("/usr/local/bin/envoy", envoy))
    return Image(PROXY, (programs, script), command=("envoy", "--version"),
                 environment=PATH | {"SSL_CERT_FILE": userland.BUNDLE})


def archived(image: Image, progress: Callable[[str], None] = print) -> Path:
    """Write one image's archive if it is not written yet, and return where it is. Raises TestbedError."""
    name = image.reference.replace("/", "_").replace(":", "_")
    place = layout.cache() / "images" / f"{name}-{platform.machine()}-{image.digest()[:16]}.tar"
    if place.is_file():
        place.touch()
        return place
    archive.write(image, place)
    for other in place.parent.glob(f"{name}-{platform.machine()}-*.tar"):
        if other != place and time.time() - other.stat().st_mtime > _UNUSED:
            other.unlink(missing_ok=True)
    progress(f"made the image {image.reference}, {place.stat().st_size / 1e6:.0f} MB")
    return place
