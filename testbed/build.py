"""The testbed's own programs, built from the Go modules below `go/` and kept: a cold build takes ten minutes and more.

A program is built again when its version, its sources or the way it is built change, and only then.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from testbed import layout
from testbed.errors import RefusedError, TestbedError

KUBERNETES: Final = "1.34.4"
ETCD: Final = "3.6.4"
COREDNS: Final = "1.13.1"

SOURCES: Final = Path(__file__).resolve().parent / "go"
_GO_PLACES: Final = ("/usr/local/go/bin", "/usr/lib/go/bin")
_OLDEST_GO: Final = "1.24"
# The stamp in a binary of the state of a checkout would make every commit another build.
_FLAGS: Final = ("-mod=readonly", "-trimpath", "-buildvcs=false")
_SHOWN: Final = 30  # lines of output of a build that failed
_REPORT_EVERY: Final = 60.0  # seconds
_LONGEST: Final = 3600.0  # seconds for one program; the largest takes 20 minutes of 2 busy cores
_READ: Final = 600.0  # seconds to find a module, which may have to be fetched first
_REFUSED: Final = re.compile(
    r"(?P<module>[^\s:@]+@v[^\s:]+): [^\n]*(?:\b(?:403|404|410)\b|not available|no longer available)"
)


@dataclass(frozen=True)
class Binaries:
    """Where the programs are. `kube` is all of Kubernetes: `kube kubelet FLAGS`, `kube kube-apiserver FLAGS`, ..."""

    kube: Path
    etcd: Path
    coredns: Path
    pause: Path


@dataclass(frozen=True)
class Program:
    """One Go program: a directory below `go/`, of the same name unless `module` names another.

    `stamps` are string variables set when it is linked. `package` is what is built where that is not the directory
    itself but a program of one of the modules that it pins; `tags` choose parts of that. What is built of a package of
    `tests` is the program that runs them.
    """

    name: str
    version: str
    takes: str
    stamps: Mapping[str, str] = field(default_factory=dict)
    module: str = ""
    package: str = ""
    tags: tuple[str, ...] = ()
    tests: bool = False

    def directory(self, sources: Path) -> Path:
        """Where its go.mod is."""
        return sources / (self.module or self.name)

    def arguments(self) -> list[str]:
        """What `go` is told to do, but for what it builds and where the result goes."""
        stamps = "".join(f" -X {variable}={value}" for variable, value in self.stamps.items())
        tags = ["-tags", ",".join(self.tags)] if self.tags else []
        command = ["test", "-c"] if self.tests else ["build"]
        return [*command, *_FLAGS, *tags, "-ldflags", "-s -w" + stamps]

    def digest(self, sources: Path) -> str:
        """Tell this build from any other. Raises TestbedError when its sources are missing."""
        files = sorted(path for path in self.directory(sources).glob("**/*") if path.is_file())
        if not files:
            raise TestbedError(f"building {self.name}: no sources in {self.directory(sources)}; "
                               "the testbed runs from a checkout of mesh-conformance")
        found = hashlib.sha256(repr(self.arguments()).encode() + self.package.encode())
        for path in files:
            found.update(f"\0{path.relative_to(sources)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
        return found.hexdigest()


def _kubernetes_stamps() -> dict[str, str]:
    major, minor, _ = KUBERNETES.split(".")
    values = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor}
    # One is what /version serves and the node reports, the other is what clients call themselves.
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return {f"{package}.{name}": value for package in packages for name, value in values.items()}


PROGRAMS: Final = (
    Program("kube", KUBERNETES, "10 to 20 minutes", _kubernetes_stamps()),
    Program("etcd", ETCD, "about a minute"),
    Program("coredns", COREDNS, "about two minutes"),
    Program("pause", "0", "seconds"),
)


def binaries(progress: Callable[[str], None] = print, *, sources: Path = SOURCES) -> Binaries:
    """Build what is not built yet, telling `progress` about it, and return where the programs are.

    Raises TestbedError when something cannot be built, and RefusedError when a registry refuses one of its modules.
    """
    return Binaries(**{program.name: built(program, progress, sources=sources) for program in PROGRAMS})


def built(program: Program, progress: Callable[[str], None] = print, *, sources: Path = SOURCES) -> Path:
    """Build one program if it is not built yet, and return where it is. Raises what `binaries` raises."""
    place = layout.cache() / "bin" / f"{program.name}-{program.version}-{program.digest(sources)[:12]}"
    if place.is_file():
        return place
    compiler = go(program)
    progress(f"building {program.name} {program.version}; the first time that takes {program.takes}")
    place.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    # Built beside its place and renamed: a build that is cut off, or runs twice at once, never leaves half a program.
    with tempfile.TemporaryDirectory(prefix=f".{program.name}-", dir=place.parent) as directory:
        unfinished = Path(directory) / program.name
        command = [compiler, *program.arguments(), "-o", str(unfinished), program.package or "."]
        _run(program, command, program.directory(sources), progress)
        if not unfinished.is_file():
            raise TestbedError(f"building {program.name}: {compiler} succeeded and left no program at {unfinished}; "
                               f"is it the Go tool? `{compiler} version` tells")
        unfinished.chmod(0o755)
        unfinished.replace(place)
    progress(f"built {program.name} in {time.monotonic() - began:.0f} s")
    return place


def module(program: Program, name: str, sources: Path = SOURCES) -> Path:
    """Return the directory of one of the modules that a program is pinned to: not all that is needed gets built.

    Raises TestbedError, and RefusedError when a registry refuses the module.
    """
    command = [go(program), "mod", "download", "-json", name]
    try:
        done = subprocess.run(command, cwd=program.directory(sources), env=environment(), capture_output=True,
                              text=True, check=False, timeout=_READ)
    except subprocess.TimeoutExpired as error:
        raise TestbedError(f"finding the module {name}: not there after {_READ / 60:.0f} minutes") from error
    try:
        return Path(json.loads(done.stdout)["Dir"])
    except (ValueError, KeyError) as error:
        output = (done.stdout + done.stderr).strip()
        if _REFUSED.search(output):
            raise RefusedError(f"finding the module {name}: the registry refuses it; point GOPROXY at one that serves "
                               f"it. go said:\n{output}") from error
        raise TestbedError(f"finding the module {name}: go ended with {done.returncode}: {output}") from error


def taken(
    program: Program, name: str, kept: str, take: Callable[[Path, Path], None], *, doing: str, sources: Path = SOURCES,
) -> Path:
    """Return what is taken from a module and not built, kept as `kept` is named until the program is another build.

    `take` is given the module's directory and where to put it, a file or a directory. Raises what `module` raises, and
    TestbedError that says what was being done when something cannot be read.
    """
    stem = Path(kept).stem
    place = layout.cache() / "bin" / f"{stem}-{program.version}-{program.digest(sources)[:12]}{Path(kept).suffix}"
    if place.exists():
        return place
    directory = module(program, name, sources)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{stem}-", dir=place.parent) as beside:
        unfinished = Path(beside) / place.name
        try:
            take(directory, unfinished)
        except OSError as error:
            raise TestbedError(f"{doing}: cannot read {error.filename}: {error.strerror}") from error
        unfinished.replace(place)
    return place


def go(program: Program) -> str:
    """Return where the Go tool is. Raises TestbedError that says what to install."""
    if found := shutil.which("go") or shutil.which("go", path=os.pathsep.join(_GO_PLACES)):
        return found
    raise TestbedError(f"building {program.name}: there is no Go on PATH, nor in {', nor in '.join(_GO_PLACES)}; "
                       f"install Go {_OLDEST_GO} or later (https://go.dev/dl) and try again")


def _run(program: Program, command: list[str], directory: Path, progress: Callable[[str], None]) -> None:
    began = time.monotonic()
    # A process group of its own: compilers outlive a `go` that is killed.
    process = subprocess.Popen(command, cwd=directory, env=environment(), text=True, errors="replace",
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True)
    try:
        while True:
            try:
                output, _ = process.communicate(timeout=_REPORT_EVERY)
                break
            except subprocess.TimeoutExpired:
                spent = time.monotonic() - began
                if spent > _LONGEST:
                    raise TestbedError(f"building {program.name}: not done after {spent / 60:.0f} minutes, given up; "
                                       "what was compiled is kept, so that another try goes on from here") from None
                progress(f"still building {program.name}, {spent / 60:.0f} min")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        raise _failure(program, process.returncode, output)


def _failure(program: Program, code: int, output: str) -> TestbedError:
    shown = "\n".join(output.rstrip().splitlines()[-_SHOWN:]) or "(no output)"
    if refused := _REFUSED.search(output):
        return RefusedError(f"building {program.name} {program.version}: the registry refuses the module "
                            f"{refused['module']}; point GOPROXY at one that serves it. go said:\n{shown}")
    return TestbedError(f"building {program.name} {program.version}: go ended with {code}; "
                        f"the last lines of its output:\n{shown}")


def environment() -> dict[str, str]:
    """The caller's, which says where Go fetches and caches; without a home, below the testbed's own cache."""
    found = os.environ | {"CGO_ENABLED": "0", "GOWORK": "off"}
    if not found.get("HOME"):
        found.setdefault("GOCACHE", str(layout.cache() / "go-build"))
        found.setdefault("GOMODCACHE", str(layout.cache() / "go-mod"))
    return found
