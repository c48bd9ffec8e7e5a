"""What installs the webhook: its certificate, its objects, and the definitions that call it."""

from __future__ import annotations

import base64
import copy
import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conformance import paths
from conformance.mesh import ControlPlane, load_manifests

NAMESPACE: Final = "reference-mesh"
NAME: Final = "reference-conversion"
WORKLOAD: Final = ControlPlane("Deployment", NAME, NAMESPACE)
_VALIDITY: Final = dt.timedelta(days=30)
_BACKDATED: Final = dt.timedelta(minutes=5)

Object = dict[str, Any]


@dataclass(frozen=True)
class Webhook:
    """A webhook with a certificate of its own; both PEM."""

    certificate: bytes
    key: bytes

    @classmethod
    def create(cls) -> Webhook:
        """Make one, for the name under which the API server calls it."""
        key = ec.generate_private_key(ec.SECP256R1())
        host = f"{NAME}.{NAMESPACE}.svc"
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
        start = dt.datetime.now(dt.UTC) - _BACKDATED
        certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(start + _VALIDITY)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption(),
        )
        return cls(certificate.public_bytes(serialization.Encoding.PEM), private)

    def objects(self) -> list[Object]:
        """Return what has to be applied. Raises MeshError."""
        secret = {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME, "namespace": NAMESPACE},
            "type": "kubernetes.io/tls", "data": {"tls.crt": _text(self.certificate), "tls.key": _text(self.key)},
        }
        namespace, *rest = load_manifests(paths.fixtures() / "meshes" / "reference" / "conversion.yaml")
        return [namespace, secret, *rest]

    def called_by(self, definitions: list[Object]) -> list[Object]:
        """Return definitions that have their objects converted by it."""
        service = {"namespace": NAMESPACE, "name": NAME, "path": "/convert"}
        conversion = {"strategy": "Webhook", "webhook": {
            "conversionReviewVersions": ["v1"],
            "clientConfig": {"service": service, "caBundle": _text(self.certificate)},
        }}
        changed = copy.deepcopy(definitions)
        for definition in changed:
            definition["spec"]["conversion"] = copy.deepcopy(conversion)
        return changed


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
