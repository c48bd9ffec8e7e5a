"""Certificates of the testbed: one authority for everything, and one that only aggregated APIs trust."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from testbed.layout import Layout

CA: Final = "ca"
FRONT_PROXY_CA: Final = "front-proxy-ca"
SERVICE_ACCOUNTS: Final = "service-accounts"
ADMIN: Final = "admin"
_VALID: Final = dt.timedelta(days=30)  # no testbed lives that long
_LOOPBACK: Final = IPv4Address("127.0.0.1")

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Identity:
    """Whom a certificate stands for: a user with its group, or (with `names` or `addresses`) a server."""

    file: str
    common_name: str
    organization: str = ""
    names: tuple[str, ...] = ()
    addresses: tuple[IPv4Address, ...] = ()
    authority: str = CA

    @property
    def serves(self) -> bool:
        """Whether it is a server's."""
        return bool(self.names or self.addresses)


def identities(layout: Layout) -> tuple[Identity, ...]:
    """Return whom there have to be certificates for."""
    node_user, node_group = f"system:node:{layout.node}", "system:nodes"
    api_names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    return (
        Identity(
            "apiserver", "kube-apiserver", names=(*api_names, "localhost", layout.node),
            addresses=(_LOOPBACK, layout.node_address, layout.kubernetes_service),
        ),
        Identity("kubelet-server", node_user, node_group, names=(layout.node,), addresses=(layout.node_address,)),
        Identity("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
        Identity("front-proxy-client", "front-proxy-client", authority=FRONT_PROXY_CA),
        Identity(ADMIN, "admin", "system:masters"),
        Identity("kubelet", node_user, node_group),
        Identity("kube-controller-manager", "system:kube-controller-manager"),
        Identity("kube-scheduler", "system:kube-scheduler"),
        Identity("kube-proxy", "system:kube-proxy"),
    )


def write(layout: Layout) -> None:
    """Make all keys and certificates anew, as `NAME.key` and `NAME.crt` below `layout.pki`. Raises OSError."""
    layout.pki.mkdir(parents=True, exist_ok=True)
    authorities = {}
    for name in (CA, FRONT_PROXY_CA):
        key = ec.generate_private_key(ec.SECP256R1())
        authorities[name] = _authority(name, key), key
        _save(layout.pki, name, key, authorities[name][0])
    for identity in identities(layout):
        key = ec.generate_private_key(ec.SECP256R1())
        _save(layout.pki, identity.file, key, _leaf(identity, key, *authorities[identity.authority]))
    signer = rsa.generate_private_key(public_exponent=65537, key_size=2048)  # tokens as most clusters sign them: RS256
    _save_key(layout.pki / f"{SERVICE_ACCOUNTS}.key", signer)
    (layout.pki / f"{SERVICE_ACCOUNTS}.pub").write_bytes(
        signer.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, from its first byte on. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _authority(name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    subject = _name(name)
    return (
        _builder(subject, subject, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    identity: Identity, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if identity.serves else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(_name(identity.common_name, identity.organization), issuer.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if identity.serves:
        names: Sequence[x509.GeneralName] = [
            *(x509.DNSName(name) for name in identity.names),
            *(x509.IPAddress(address) for address in identity.addresses),
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    start = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=authority, crl_sign=authority, content_commitment=False,
        key_encipherment=not authority, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )


def _save(directory: Path, name: str, key: Key, certificate: x509.Certificate) -> None:
    _save_key(directory / f"{name}.key", key)
    (directory / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _save_key(path: Path, key: Key) -> None:
    write_private(path, key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption(),
    ))
