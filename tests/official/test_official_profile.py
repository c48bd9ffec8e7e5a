"""The official suite's own report: what is taken from it, and that what is none is refused."""

import pytest
import yaml

from conformance.official import OfficialError, profile, read_claims


@pytest.fixture
def file(tmp_path):
    def write(document):
        place = tmp_path / "report.yaml"
        data = document if isinstance(document, bytes) else yaml.safe_dump(document).encode()
        place.write_bytes(data)
        return place

    return write


def test_what_it_claims_is_read(file, claimed):
    found = read_claims(file(claimed(failed=["MeshPorts"], skipped=["MeshBasic"])))
    assert (found.api, found.channel, found.project, found.version) == ("v1.6.0", "standard", "istio", "1.31-dev")
    (mesh,) = found.profiles
    assert (mesh.name, mesh.failed, mesh.skipped) == ("MESH-HTTP", {"MeshPorts"}, {"MeshBasic"})
    assert found.supported == {"MeshConsumerRoute"}
    assert mesh.unsupported == {"MeshClusterIPMatching"}


def test_a_profile_without_extended_tests_and_a_report_without_profiles_are_reports(file, claimed):
    document = claimed()
    del document["profiles"][0]["extended"]
    assert read_claims(file(document)).supported == frozenset()
    assert read_claims(file(claimed(profiles=None))).profiles == ()


@pytest.mark.parametrize(("change", "where"), [
    ({"kind": "Report"}, "kind"), ({"apiVersion": "v1"}, "apiVersion"),
    ({"gatewayAPIVersion": 1.6}, "gatewayAPIVersion"),
    ({"profiles": {}}, "profiles"), ({"profiles": [{"name": "X"}]}, "profiles.0"), ({"implementation": []}, "impl"),
    ({"date": "x" * 300}, "date"), ({"date": "\x1b[2J"}, "date"),
])  # fmt: skip
def test_what_is_no_report_is_refused_with_the_field(file, claimed, change, where):
    with pytest.raises(OfficialError, match=rf"report\.yaml is no ConformanceReport of the Gateway API: {where}"):
        read_claims(file(claimed(**change)))


@pytest.mark.parametrize("name", ["<script>", "a b", "", "x" * 300, 7])
def test_names_that_are_none_are_refused(file, claimed, name):
    with pytest.raises(OfficialError, match=r"profiles\.0\.(core\.failedTests|extended\.supportedFeatures)\.0"):
        read_claims(file(claimed(failed=[name])))
    with pytest.raises(OfficialError, match=r"profiles\.0\.extended\.supportedFeatures\.0"):
        read_claims(file(claimed(supported=[name])))


def test_a_report_that_grows_when_it_is_read_is_refused(file):
    bomb = b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (n, n, n - 1, n - 1) for n in b"bcdefghi")
    with pytest.raises(OfficialError, match="it has aliases"):
        read_claims(file(bomb))


@pytest.mark.parametrize("data", [
    b"{", b"\xff\xfe\x00", b"!!python/object/apply:os.getcwd []", b"a: \x07",
])  # fmt: skip
def test_what_is_no_yaml_is_refused(file, data):
    with pytest.raises(OfficialError, match=r"report\.yaml is no YAML"):
        read_claims(file(data))


@pytest.mark.parametrize("data", [b"[" * 100_000, b"{a: " * 50_000, b"- " * 100_000])
def test_what_is_nested_without_an_end_is_refused_at_once(file, data):
    with pytest.raises(OfficialError, match="it is nested too deeply"):
        read_claims(file(data))


def test_what_is_too_long_or_not_there_is_refused(file, tmp_path):
    with pytest.raises(OfficialError, match="has more than 262144 bytes"):
        read_claims(file(b"#" * (profile.MAX_BYTES + 1)))
    with pytest.raises(OfficialError, match="cannot be read: No such file"):
        read_claims(tmp_path / "missing.yaml")
