"""The testbed's certificates: each is verified as the components verify them."""

from __future__ import annotations

import datetime as dt
import stat
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from testbed import pki
from testbed.layout import Layout


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    layout = Layout(cache=tmp_path_factory.mktemp("pki"))
    pki.write(layout)
    return layout


def certificate(layout, name):
    return x509.load_pem_x509_certificate((layout.pki / f"{name}.crt").read_bytes())


def policy(layout, authority):
    return PolicyBuilder().store(Store([certificate(layout, authority)])).time(dt.datetime.now(dt.UTC))


@pytest.mark.parametrize(("name", "subject"), [
    ("apiserver", x509.IPAddress(IPv4Address("10.250.0.1"))),
    ("apiserver", x509.IPAddress(IPv4Address("10.96.0.1"))),
    ("apiserver", x509.IPAddress(IPv4Address("127.0.0.1"))),
    ("apiserver", x509.DNSName("kubernetes.default.svc")),
    ("kubelet-server", x509.IPAddress(IPv4Address("10.250.0.1"))),
    ("kubelet-server", x509.DNSName("testbed")),
])
def test_a_server_is_trusted_for_each_of_its_names(layout, name, subject):
    policy(layout, pki.CA).build_server_verifier(subject).verify(certificate(layout, name), [])


def test_a_server_is_trusted_for_no_other_name(layout):
    verifier = policy(layout, pki.CA).build_server_verifier(x509.DNSName("example.org"))
    with pytest.raises(VerificationError):
        verifier.verify(certificate(layout, "apiserver"), [])


@pytest.mark.parametrize(("name", "user", "group"), [
    ("admin", "admin", "system:masters"),
    ("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
    ("kubelet", "system:node:testbed", "system:nodes"),
    ("kube-scheduler", "system:kube-scheduler", None),
])
def test_a_client_is_who_it_has_to_be(layout, name, user, group):
    found = certificate(layout, name)
    assert found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == user
    groups = [attribute.value for attribute in found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    assert groups == ([group] if group else [])
    found.verify_directly_issued_by(certificate(layout, pki.CA))
    assert x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH in found.extensions.get_extension_for_class(
        x509.ExtendedKeyUsage).value


def test_only_the_front_proxy_is_trusted_by_aggregated_apis(layout):
    trusted = certificate(layout, pki.FRONT_PROXY_CA)
    certificate(layout, "front-proxy-client").verify_directly_issued_by(trusted)
    with pytest.raises(ValueError, match="Issuer"):
        certificate(layout, pki.ADMIN).verify_directly_issued_by(trusted)


def test_every_key_belongs_to_its_certificate_and_is_its_owners_alone(layout):
    for file in layout.pki.glob("*.key"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        public = serialization.load_pem_private_key(file.read_bytes(), None).public_key()
        if file.stem == pki.SERVICE_ACCOUNTS:
            assert public == serialization.load_pem_public_key(file.with_suffix(".pub").read_bytes())
        else:
            assert public == certificate(layout, file.stem).public_key()
