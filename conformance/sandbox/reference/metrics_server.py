"""The aggregated API `metrics.smi-spec.io`: a TLS server of its own, reached through the API server only.

The API server authorises every request before it passes it on, so there is no second authorisation here; in the
sandbox nothing keeps a pod from asking the server directly.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conformance import smi
from conformance.cluster import Cluster, ClusterError, NotFound
from conformance.sandbox.reference.files import PROXIES, log_directory
from conformance.sandbox.reference.identity import write_private
from conformance.sandbox.reference.interception import Interception
from conformance.sandbox.reference.metrics import API_VERSION, Metrics
from conformance.sandbox.reference.metrics_inventory import KINDS, NAMESPACE, Inventory
from conformance.sandbox.reference.metrics_traffic import Traffic

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

PORT: Final = 8443
SERVICE: Final = "reference-metrics.reference-mesh.svc"
_API_SERVICE: Final = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                       "metadata": {"name": f"v1alpha1.{smi.METRICS}"}}
_VALIDITY: Final = dt.timedelta(days=365)
_TIDY_EVERY: Final = 2.0  # seconds
_REGISTER_EVERY: Final = 1.0
_CERTIFICATE: Final = "metrics.pem"
_KEY: Final = "metrics.key"

log = logging.getLogger(__name__)


class MetricsServer:
    """Serves the API, registers its certificate, and keeps the proxies' access logs small: each in a thread."""

    def __init__(self, cluster: Cluster, state: Path, interception: Interception, metrics: type[Metrics]) -> None:
        self._cluster = cluster
        self._state = state
        self._interception = interception
        self._metrics = metrics
        self._traffic = Traffic(lambda namespace, uid: log_directory(state, namespace, uid))

    def start(self) -> None:
        """Begin to work; the threads end with the process."""
        threading.Thread(target=self._serve, name="metrics", daemon=True).start()
        threading.Thread(target=self._tidy, name="access logs", daemon=True).start()

    # --- answers ---

    def answer(self, path: str, selector: str, user: str, groups: tuple[str, ...]) -> dict[str, Any]:
        """Answer GET of a path below the API's version. Raises ClusterError, NotFound among them."""
        metrics = self._metrics(Inventory(self._cluster, self._interception), self._traffic.of, time.time())
        if not metrics.admits(user, groups):
            raise ClusterError("asking for metrics", f"{user} may not", code=403, reason="Forbidden")
        words = [word for word in path.split("/") if word]
        if not words:
            return metrics.discovery()
        namespace = ""
        # `namespaces/NAME` and `namespaces/NAME/edges` are about a namespace, anything longer about what is in it.
        if words[0] == NAMESPACE.plural and len(words) > 2 and words[2] in KINDS:
            namespace, words = words[1], words[2:]
        kind = KINDS.get(words[0])
        if kind is None or kind not in metrics.kinds() or (namespace and not kind.namespaced):
            raise _no_such(path)
        match words[1:]:
            case []:
                return metrics.all_of(kind, namespace, selector)
            case [name] if bool(namespace) is kind.namespaced:
                return metrics.one(kind, namespace, name)
            case [name, "edges"] if bool(namespace) is kind.namespaced:
                return metrics.edges(kind, namespace, name)
        raise _no_such(path)

    # --- HTTP ---

    def application(self) -> Starlette:
        """Return the ASGI application."""
        from starlette.applications import Starlette  # noqa: PLC0415 - only once the mesh works, see `_serve`
        from starlette.responses import JSONResponse  # noqa: PLC0415
        from starlette.routing import Route  # noqa: PLC0415

        def respond(request: Request) -> Response:
            if request.method not in ("GET", "HEAD"):
                return JSONResponse(_status(405, "MethodNotAllowed", f"metrics cannot be written: {request.method} is "
                                                                     "not allowed"), 405)
            groups = tuple(group for value in request.headers.getlist("x-remote-group") for group in value.split(","))
            try:
                body = self.answer(request.path_params.get("path", ""), request.query_params.get("labelSelector", ""),
                                   request.headers.get("x-remote-user", ""), groups)
            except ClusterError as error:
                code = error.code or 503
                reason = error.reason or _REASONS.get(code, "InternalError")
                return JSONResponse(_status(code, reason, str(error)), code)
            return JSONResponse(body)

        every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
        base = f"/apis/{API_VERSION}"
        return Starlette(routes=[Route(base, respond, methods=every),
                                 Route(f"{base}/{{path:path}}", respond, methods=every)])

    def _serve(self) -> None:
        # Not at the top: who configures proxies should not wait for a web server's modules.
        import uvicorn  # noqa: PLC0415

        certificate = _certificate(self._state)

        class Server(uvicorn.Server):
            """Leaves signals to the program."""

            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield

        config = uvicorn.Config(
            self.application(), host="0.0.0.0", port=PORT, http="httptools", ws="none", lifespan="off",  # noqa: S104
            log_config=None, log_level="warning", access_log=False,
            ssl_certfile=str(self._state / _CERTIFICATE),
            ssl_keyfile=str(self._state / _KEY),
        )
        threading.Thread(target=self._register, args=(certificate,), name="metrics registration", daemon=True).start()
        try:
            Server(config).run()
        except (OSError, SystemExit) as error:
            log.error("metrics cannot be served on port %d: %s", PORT, error)  # noqa: TRY400 - a traceback says no more

    def _register(self, certificate: bytes) -> None:
        """Let the API server trust the certificate, as soon as there is an APIService to say so in."""
        bundle = base64.b64encode(certificate).decode()
        absent = False
        while True:
            try:
                self._cluster.patch(_API_SERVICE, {"spec": {"caBundle": bundle}})
            except NotFound:
                if not absent:
                    log.info("there is no APIService for metrics yet")
                absent = True
            except ClusterError as error:
                log.warning("%s; trying again", error)
            else:
                log.info("serving %s on port %d", API_VERSION, PORT)
                return
            time.sleep(_REGISTER_EVERY)

    # --- housekeeping ---

    def _tidy(self) -> None:
        while True:
            time.sleep(_TIDY_EVERY)
            try:
                self._tidy_once()
            except (ClusterError, OSError) as error:
                log.warning("keeping access logs small: %s; trying again", error)

    def _tidy_once(self) -> None:
        found = [(directory.parent.name, directory.name) for directory in (self._state / PROXIES).glob("*/*")]
        # The API server is asked only when there is something to do.
        if self._traffic.large(found):
            pods = Inventory(self._cluster, self._interception).pods
            self._traffic.tidy({(pod.namespace, pod.uid): pod.address for pod in pods if pod.meshed})


_REASONS: Final[Mapping[int, str]] = {400: "BadRequest", 403: "Forbidden", 404: "NotFound", 503: "ServiceUnavailable"}


def _no_such(path: str) -> NotFound:
    return NotFound("asking for metrics", f"there are no metrics at {path!r}", code=404, reason="NotFound")


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, "code": code}


def _certificate(state: Path) -> bytes:
    """Make the server's certificate and key in the state directory, and return the certificate. Raises OSError."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SERVICE)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _VALIDITY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SERVICE)]), critical=False)
        .sign(key, hashes.SHA256())
    ).public_bytes(serialization.Encoding.PEM)
    write_private(state / _KEY, key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption(),
    ))
    (state / _CERTIFICATE).write_bytes(certificate)
    return certificate
