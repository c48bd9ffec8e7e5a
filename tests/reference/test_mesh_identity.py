"""Certificates: SPIFFE names, a chain that verifies, private files, an authority that outlives its program."""

from __future__ import annotations

import datetime as dt
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from conformance.sandbox.reference.identity import VALIDITY, Authority, IdentityError, write_private
from conformance.sandbox.reference.interception import CLUSTER, SANDBOX

SPIFFE_ID = "spiffe://cluster.local/ns/demo/sa/v1"


def test_certificate_carries_the_spiffe_id_and_verifies():
    authority = Authority.create()
    identity = authority.issue(SPIFFE_ID)
    certificate = x509.load_pem_x509_certificate(identity.certificate)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.trust))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [SPIFFE_ID]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    lifetime = certificate.not_valid_after_utc - dt.datetime.now(dt.UTC)
    assert dt.timedelta(0) < lifetime <= VALIDITY
    key = load_pem_private_key(identity.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == certificate.public_key()


def test_authority_is_the_same_after_a_restart_and_private(tmp_path):
    first = Authority.open(tmp_path / "authority")
    assert Authority.open(tmp_path / "authority").trust == first.trust
    assert stat.S_IMODE((tmp_path / "authority" / "key.pem").stat().st_mode) == 0o600
    assert Authority.create().trust != first.trust


@pytest.mark.parametrize("key", [None, b"", b"nonsense"])
def test_damaged_authority_says_what_to_do(tmp_path, key):
    Authority.open(tmp_path)
    (tmp_path / "key.pem").unlink()
    if key is not None:
        (tmp_path / "key.pem").write_bytes(key)
    with pytest.raises(IdentityError, match="Remove the directory and restart"):
        Authority.open(tmp_path)


def test_private_file_is_private_even_if_it_was_not(tmp_path):
    file = tmp_path / "key"
    file.write_text("old and longer")
    file.chmod(0o644)
    write_private(file, b"new")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"new", 0o600)


@pytest.mark.parametrize(("address", "wire"), [("10.7.0.5", "127.7.0.5"), ("10.7.128.3", "127.7.128.3"),
                                               ("192.168.1.1", ""), ("127.0.0.1", ""), ("8.8.8.8", ""), ("x", "")])
def test_sandbox_never_leaves_its_loopback_addresses(address, wire):
    assert SANDBOX.wire(address) == wire


def test_where_things_are_on_each_network():
    assert SANDBOX.application("10.7.0.5") == SANDBOX.outbound("10.7.0.5") == "127.7.64.5"
    assert SANDBOX.admin("10.7.0.5") == "127.7.0.5"
    assert (CLUSTER.application("10.7.0.5"), CLUSTER.outbound("10.7.0.5")) == ("10.7.0.5", "0.0.0.0")


@pytest.mark.parametrize(("port", "moved"), [(1, 16385), (53, 16437), (16383, 32767), (49151, 65535), (49152, 1),
                                             (65535, 16384)])
def test_datagrams_are_taken_at_another_port_on_a_cluster(port, moved):
    assert (SANDBOX.datagrams(port), CLUSTER.datagrams(port)) == (port, moved)


def test_no_two_ports_of_datagrams_are_moved_to_one():
    assert len({CLUSTER.datagrams(port) for port in range(1, 65536)}) == 65535
