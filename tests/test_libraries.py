"""The ZIP that makes the agent speak HTTP/2."""

import io
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError

import pytest

from conformance.workloads import libraries
from conformance.workloads.libraries import LIMIT, LibraryMissing, h2_zip


def test_the_same_versions_make_the_same_bytes_and_they_fit_a_config_map():
    first = h2_zip()
    h2_zip.cache_clear()
    assert h2_zip() == first
    assert len(first) < LIMIT


def test_it_holds_all_that_is_imported_and_the_licences():
    names = set(zipfile.ZipFile(io.BytesIO(h2_zip())).namelist())
    assert {"agent_h2.py", "h2/connection.py", "hpack/hpack.py", "hyperframe/frame.py"} <= names
    assert {"h2/LICENSE", "hpack/LICENSE", "hyperframe/LICENSE"} <= names
    assert not [name for name in names if name.endswith((".pyc", ".so"))]


def test_a_python_without_any_package_imports_it(tmp_path):
    archive = tmp_path / "h2.zip"
    archive.write_bytes(h2_zip())
    code = "import sys; sys.path.insert(0, sys.argv[1]); import agent_h2; print(agent_h2.PREFACE[:3])"
    command = [sys.executable, "-S", "-E", "-I", "-c", code, archive]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, cwd=tmp_path)
    assert run.stdout == "b'PRI'\n", run.stderr


class Distribution:
    version, files = "4.0", ()


def missing(package):
    raise PackageNotFoundError(package)


@pytest.mark.parametrize(
    ("found", "message"),
    [(missing, "h2, which the agent needs for HTTP/2, is not installed"),
     (lambda _: Distribution, "the files of the package h2 4.0 are not on record")],
)
def test_a_missing_package_is_said(monkeypatch, found, message):
    monkeypatch.setattr(libraries, "distribution", found)
    h2_zip.cache_clear()
    with pytest.raises(LibraryMissing, match=message):
        h2_zip()


def test_a_zip_that_is_too_large_is_said(monkeypatch):
    monkeypatch.setattr(libraries, "LIMIT", 1000)
    h2_zip.cache_clear()
    with pytest.raises(LibraryMissing, match="over the limit of 1000"):
        h2_zip()
