"""What contract tests run in the cluster: a webhook behind a service, with a certificate of its own."""

from __future__ import annotations

import base64
import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

IMAGE = "python:3.12-slim"
PROGRAM = Path(__file__).with_name("converter_pod.py")


def certificate(host):
    """(certificate, key) in PEM for a server of this name; the certificate is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    start = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
    end = start + dt.timedelta(days=1)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), secret.decode()


def start_converter(api, namespace):
    """Run the webhook; gives the `clientConfig` that leads to it."""
    pem, key = certificate(f"converter.{namespace}.svc")
    files = {"converter.py": PROGRAM.read_text(), "tls.crt": pem, "tls.key": key}
    path = f"/api/v1/namespaces/{namespace}"
    api.ok("POST", f"{path}/configmaps", {"metadata": {"name": "converter"}, "data": files})
    container = {
        "name": "converter", "image": IMAGE,
        "command": ["python", "/code/converter.py", "8443", "/code/tls.crt", "/code/tls.key"],
        "volumeMounts": [{"name": "code", "mountPath": "/code"}],
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
    }  # fmt: skip
    volumes = [{"name": "code", "configMap": {"name": "converter"}}]
    spec = {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 0}
    api.ok("POST", f"{path}/pods", {"metadata": {"name": "converter", "labels": {"app": "converter"}}, "spec": spec})
    ports = [{"port": 443, "targetPort": 8443}]
    service = {"metadata": {"name": "converter"}, "spec": {"selector": {"app": "converter"}, "ports": ports}}
    api.ok("POST", f"{path}/services", service)

    def ready(answer):
        conditions = answer.body.get("status", {}).get("conditions") or ()
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    api.until(f"{path}/pods/converter", ready, 60)
    api.until(f"{path}/endpoints/converter", lambda answer: answer.body.get("subsets"), 30)
    place = {"namespace": namespace, "name": "converter", "path": "/convert", "port": 443}
    return {"service": place, "caBundle": base64.b64encode(pem.encode()).decode()}
