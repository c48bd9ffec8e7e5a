"""What the programs of an image expect around them: accounts, a shell with its tools, certificates, iptables."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from testbed import libraries
from testbed.errors import TestbedError
from testbed.image import Copy, Directory, File, Layer, Link, Text, join

_PLACES: Final = os.pathsep.join(("/usr/sbin", "/usr/bin", "/sbin", "/bin"))
_BUNDLES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
BUNDLE: Final = _BUNDLES[0]
"""Where images have the certificates of the public authorities."""

# Without busybox: what a script may well call. The shell itself knows cd, echo, kill, test, trap and wait.
_TOOLS: Final = (
    "[", "basename", "cat", "chmod", "chown", "cp", "cut", "date", "dirname", "env", "grep", "head", "hostname", "id",
    "ln", "ls", "mkdir", "mktemp", "mv", "readlink", "rm", "sed", "sleep", "sort", "tail", "touch", "tr", "uname", "wc",
)
_EXTENSIONS: Final = ("usr/lib/*/xtables", "usr/lib64/xtables", "usr/lib/xtables", "lib/xtables")
_BACKENDS: Final = {"xtables-nft-multi": "-nft", "xtables-legacy-multi": "-legacy"}


def base() -> Layer:
    """Directories, accounts, and how names are looked up. 1337 is the user that proxies run as."""
    found: dict[str, File | Directory] = {
        "/etc/group": Text("root:x:0:\nproxy:x:1337:\nnogroup:x:65534:\n"),
        "/etc/nsswitch.conf": Text("passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\n"),
        "/etc/passwd": Text("root:x:0:0:root:/root:/bin/sh\nproxy:x:1337:1337:proxy:/:/bin/sh\n"
                            "nobody:x:65534:65534:nobody:/:/bin/sh\n"),
        "/etc/protocols": Text("ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6-icmp 58 IPv6-ICMP\n"),
        "/root": Directory(0o700),
        "/run": Directory(),
        "/tmp": Directory(0o1777),  # noqa: S108 - of the image
        "/var/tmp": Directory(0o1777),  # noqa: S108 - of the image
    }
    if bundle := next((place for place in _BUNDLES if Path(place).is_file()), None):
        found[BUNDLE] = Copy(Path(bundle))
    return found


def shell() -> Layer:
    """`/bin/sh` with the usual tools: busybox where this machine has it, else its own. Raises TestbedError."""
    if busybox := _found("busybox"):
        listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=False, timeout=30).stdout
        applets = {f"/bin/{name}": Link("busybox") for name in listed.split() if name != "busybox"}
        return join(applets, _programs({"/bin/busybox": busybox}))
    tools = {f"/bin/{name}": place for name in _TOOLS if (place := _found(name))}
    sh = _found("dash") or _found("sh")
    if sh is None:
        raise TestbedError(f"making images: there is no shell in {_PLACES}; install busybox-static")
    return _programs(tools | {"/bin/sh": sh})


def iptables() -> Layer:
    """Both back ends of iptables under all of their names; the plain ones mean nftables. Raises TestbedError."""
    programs = {name: place for name in _BACKENDS if (place := _found(name))}
    directory = next((place for pattern in _EXTENSIONS for place in sorted(Path("/").glob(pattern))), None)
    if "xtables-nft-multi" not in programs or directory is None:
        raise TestbedError("making the proxy's image: iptables is not installed (Debian: apt-get install iptables)")
    links: dict[str, Link] = {}
    for program in programs:
        for infix in ("", _BACKENDS[program]):
            for name in ("iptables", "ip6tables"):
                for ending in ("", "-restore", "-save"):
                    links.setdefault(f"/usr/sbin/{name}{infix}{ending}", Link(program))
    extensions = {str(path): path for path in sorted(directory.glob("*.so"))}
    return join(links, _programs({f"/usr/sbin/{name}": place for name, place in programs.items()} | extensions))


def program(place: str, source: Path) -> Layer:
    """One program at a place of its own, with the libraries that it needs."""
    return _programs({place: source})


def _programs(sources: dict[str, Path]) -> Layer:
    shared = libraries.needed(_dynamic(sources.values()))
    return {place: Copy(source, runs=True) for place, source in (shared | sources).items()}


def _dynamic(sources: Iterable[Path]) -> list[Path]:
    return [source for source in sources if libraries.is_elf(source)]


def _found(name: str) -> Path | None:
    place = shutil.which(name, path=_PLACES)
    return Path(place).resolve() if place else None
