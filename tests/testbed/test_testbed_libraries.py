"""Which shared libraries programs need, as ldd tells."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from testbed import libraries
from testbed.errors import TestbedError


@pytest.fixture
def ldd(tmp_path, monkeypatch):
    """Puts a script that prints a listing in the place of ldd."""

    def install(listing):
        (tmp_path / "listing").write_text(listing)
        (tmp_path / "ldd").write_text(f"#!/bin/sh\nexec /bin/cat {tmp_path}/listing\n")
        (tmp_path / "ldd").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return install


def test_libraries_of_a_real_program_are_files_here():
    found = libraries.needed([Path(sys.executable).resolve()])
    assert all(path.is_file() for path in found.values())
    assert any("/libc." in place for place in found)
    assert any("/ld-" in place for place in found)


def test_libraries_lie_beside_the_c_library_and_the_loader_where_it_is(ldd, tmp_path):
    for name in ("libc.so.6", "libgcc_s.so.1", "libown.so.1.2", "ld-linux.so.2"):
        (tmp_path / name).write_text("")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "libown.so.1").symlink_to("../libown.so.1.2")
    ldd(f"\tlinux-vdso.so.1 (0x00007f0)\n\tlibown.so.1 => {tmp_path}/own/libown.so.1 (0x00007f1)\n"
        f"\tlibc.so.6 => {tmp_path}/libc.so.6 (0x00007f2)\n\t{tmp_path}/ld-linux.so.2 (0x00007f3)\n")
    assert libraries.needed([tmp_path / "program"]) == {
        f"{tmp_path}/libown.so.1": tmp_path / "libown.so.1.2",
        f"{tmp_path}/libc.so.6": tmp_path / "libc.so.6",
        f"{tmp_path}/libgcc_s.so.1": tmp_path / "libgcc_s.so.1",  # asked for by name when a thread ends
        f"{tmp_path}/ld-linux.so.2": tmp_path / "ld-linux.so.2",
    }


def test_missing_library_is_named_with_the_program_that_needs_it(ldd):
    ldd("/bin/one:\n\tlibc.so.6 => /lib/libc.so.6 (0x00007f2)\n/bin/two:\n\tlibgone.so.3 => not found\n")
    with pytest.raises(TestbedError, match=r"/bin/two needs the library libgone\.so\.3, which is not on this machine"):
        libraries.needed([Path("/bin/one"), Path("/bin/two")])


def test_static_programs_need_nothing(ldd):
    ldd("\tnot a dynamic executable\n")
    assert libraries.needed([Path("/bin/static")]) == {}
    assert libraries.needed([]) == {}


def test_missing_ldd_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TestbedError, match=r"cannot run ldd .* apt-get install libc-bin"):
        libraries.needed([Path("/bin/sh")])


def test_programs_are_told_from_scripts(tmp_path):
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert not libraries.is_elf(tmp_path / "script")
    assert libraries.is_elf(Path(sys.executable))
