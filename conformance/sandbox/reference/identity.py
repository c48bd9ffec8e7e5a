"""The mesh's certificate authority: one SPIFFE certificate per sidecar, for its service account.

Source: SPIFFE X.509-SVID (one URI SAN, the SPIFFE id; no CA; digital signature).
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from conformance.sandbox.reference.model import TRUST_DOMAIN

VALIDITY: Final = dt.timedelta(hours=24)
_BACKDATED: Final = dt.timedelta(minutes=5)  # for nodes whose clocks are behind
_CA_VALIDITY: Final = dt.timedelta(days=30)
_KEY: Final = "key.pem"
_CERTIFICATE: Final = "certificate.pem"


class IdentityError(Exception):
    """The authority's files are there but cannot be used."""


@dataclass(frozen=True)
class Identity:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Issues certificates that all sidecars of the mesh trust."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate
        self.trust = certificate.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def create(cls) -> Authority:
        """Make a new authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "reference-mesh")])
        certificate = (
            _certificate(name, name, key.public_key(), _CA_VALIDITY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(_uri(f"spiffe://{TRUST_DOMAIN}"), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def open(cls, directory: Path) -> Authority:
        """Load the authority kept in `directory`, or make one and keep it there.

        It has to outlive the control plane: proxies read certificates once. Raises IdentityError when the files
        are damaged, OSError when they cannot be read or written.
        """
        if (directory / _CERTIFICATE).exists():
            return cls._load(directory)
        authority = cls.create()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority._save(directory)  # noqa: SLF001 - its own class
        return authority

    @classmethod
    def _load(cls, directory: Path) -> Authority:
        try:
            key = serialization.load_pem_private_key((directory / _KEY).read_bytes(), password=None)
            certificate = x509.load_pem_x509_certificate((directory / _CERTIFICATE).read_bytes())
        except (FileNotFoundError, ValueError, TypeError) as error:
            raise IdentityError(f"reading the authority in {directory}: {error}. Remove the directory and restart "
                                "all proxies") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise IdentityError(f"reading the authority in {directory}: its key is not an EC key. Remove the directory "
                                "and restart all proxies")
        return cls(key, certificate)

    def _save(self, directory: Path) -> None:
        write_private(directory / _KEY, _pem(self._key))
        (directory / _CERTIFICATE).write_bytes(self.trust)

    def issue(self, spiffe_id: str) -> Identity:
        """Return a new key and a certificate for one SPIFFE id, valid for VALIDITY."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _certificate(x509.Name([]), self._certificate.subject, key.public_key(), VALIDITY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            # RFC 5280 wants the name critical where the subject is empty.
            .add_extension(_uri(spiffe_id), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return Identity(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def write_private(file: Path, data: bytes) -> None:
    """Write a file that only its owner can read, at no moment otherwise."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, 0o600)
        stream.write(data)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, validity: dt.timedelta,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
        .serial_number(x509.random_serial_number()).not_valid_before(now - _BACKDATED).not_valid_after(now + validity)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )


def _uri(value: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(value)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption(),
    )
