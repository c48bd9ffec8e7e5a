"""The options of a performance run, the same for `mesh-conformance perf run` and for plain pytest."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from conformance.performance.bench import Effort
from conformance.performance.comparing.thresholds import Threshold, ThresholdError
from conformance.performance.durations import DurationError
from conformance.performance.durations import parse as parse_duration
from conformance.performance.smp.config import ConfigError, TestConfig, read

CONFIGURED: Final = "smp-config"
"""The probe that runs the loads of a configuration."""
MOST_ROUNDS: Final = 1000
MOST_LOAD_PODS: Final = 100
LONGEST: Final = 3600.0
"""Seconds of one load."""


class ProbingError(Exception):
    """An option has a value that cannot be meant; nothing was run."""


@dataclass(frozen=True)
class Probing:
    """What a performance run is to do: which probes, with how much effort, against which thresholds and baselines."""

    probes: tuple[str, ...] = ()
    effort: Effort = field(default_factory=Effort)
    thresholds: tuple[Threshold, ...] = ()
    baselines: tuple[Path, ...] = ()
    force: bool = False
    config: TestConfig | None = None
    source: str = ""
    prometheus: str = ""
    load_pods: int = 1

    def wants(self, probe: str) -> bool:
        """Tell whether a probe was selected; without a selection all are, or the configuration's own."""
        if self.config is not None or probe == CONFIGURED:
            return self.config is not None and probe == CONFIGURED
        return not self.probes or any(fnmatchcase(probe, pattern) for pattern in self.probes)

    def command(self, place: Sequence[str]) -> str:
        """Return the command that repeats the measurement; `place` are the options that say where it is made."""
        effort = self.effort
        words = ["mesh-conformance", "perf", "run", *place]
        words += ["--config", self.source] if self.source else []
        for probe in self.probes:
            words += ["--probe", probe]
        words += ["--load-pods", str(self.load_pods)] if self.load_pods > 1 else []
        words += ["--rounds", str(effort.rounds), "--seconds", f"{effort.seconds:g}"]
        return shlex.join([*words, "--rate", f"{effort.rate:g}", "--seed", str(effort.seed)])


def add_options(add: Callable[..., Any]) -> None:
    """Declare the options with `add`, the method of argparse's or pytest's parser."""
    usual = Effort()
    add("--probe", action="append", metavar="NAME", dest="performance_probe",
        help="probe to run, such as latency-overhead or '*-growth'; repeatable or a comma list (default: all)")
    add("--config", metavar="FILE", dest="performance_config",
        help="run the loads of an SMP PerformanceTestConfig instead of the probes")
    add("--rounds", metavar="N", dest="performance_rounds",
        help=f"interleaved rounds of each measurement (default: {usual.rounds}; an interval of 99 %% takes 8)")
    add("--seconds", metavar="TIME", dest="performance_seconds",
        help=f"length of each load in a round, such as 2, 500ms or 1m30s (default: {usual.seconds:g} s)")
    add("--rate", metavar="N", dest="performance_rate",
        help=f"requests a second of loads on a schedule (default: {usual.rate:g})")
    add("--load-pods", metavar="N", dest="performance_load_pods",
        help="pods that send each load together, every one its share of the rate (default: 1)")
    add("--seed", metavar="N", dest="performance_seed", help=f"of the order of rounds (default: {usual.seed})")
    add("--prometheus", metavar="URL", dest="performance_prometheus",
        help="Prometheus that scrapes the cluster: CPU and memory are read from it (default: from the kubelets)")
    add("--threshold", action="append", metavar="EXPRESSION", dest="performance_threshold", default=None,
        help="what a figure must hold, such as 'latency.overhead{path=both,percentile=p99} <= 2ms'; repeatable")
    add("--baseline", action="append", metavar="FILE", dest="performance_baseline", default=None,
        help="performance.json of an earlier run to compare with; repeatable. A regression fails the run")
    add("--force", action="store_true", dest="performance_force",
        help="compare with a baseline although it was taken elsewhere")


def probing(values: Mapping[str, Any]) -> Probing:
    """Read the options' values, by destination. Raises ProbingError."""
    usual = Effort()
    effort = Effort(
        rounds=int(_number(values, "rounds", usual.rounds, 1, MOST_ROUNDS, whole=True)),
        seconds=_seconds(values.get("performance_seconds"), usual.seconds),
        rate=_number(values, "rate", usual.rate, 0.1, 1e6),
        seed=int(_number(values, "seed", usual.seed, 0, 2**31, whole=True)),
    )
    baselines = tuple(Path(name) for name in values.get("performance_baseline") or ())
    for file in baselines:
        if not file.is_file():
            raise ProbingError(f"--baseline {file}: there is no such file")
    return Probing(
        probes=tuple(item.strip() for text in values.get("performance_probe") or () for item in text.split(",")
                     if item.strip()),
        effort=effort,
        thresholds=tuple(_threshold(text) for text in values.get("performance_threshold") or ()),
        baselines=baselines, force=bool(values.get("performance_force")), config=_config(values),
        prometheus=_address(values.get("performance_prometheus")),
        source=Path(values.get("performance_config") or "").name,
        load_pods=int(_number(values, "load_pods", 1, 1, MOST_LOAD_PODS, whole=True)),
    )


def _config(values: Mapping[str, Any]) -> TestConfig | None:
    file = values.get("performance_config")
    if file is None:
        return None
    if values.get("performance_probe"):
        raise ProbingError("--config runs the loads of a file, and no other --probe; leave one of the two out")
    try:
        return read(Path(file))
    except ConfigError as error:
        raise ProbingError(str(error)) from None


def _address(url: str | None) -> str:
    if url and not url.startswith(("http://", "https://")):
        raise ProbingError(f"--prometheus {url}: an address begins with http:// or https://")
    return url or ""


def _threshold(text: str) -> Threshold:
    try:
        return Threshold.parse(text)
    except ThresholdError as error:
        raise ProbingError(str(error)) from None


def _seconds(text: str | None, usual: float) -> float:
    if text is None:
        return usual
    try:
        seconds = float(text) if text.replace(".", "", 1).isdigit() else parse_duration(text)
    except DurationError as error:
        raise ProbingError(f"--seconds {text}: {error}") from None
    if not 0.1 <= seconds <= LONGEST:
        raise ProbingError(f"--seconds {text}: a load takes 0.1 s to {LONGEST:g} s")
    return seconds


def _number(
    values: Mapping[str, Any], name: str, usual: float, least: float, most: float, *, whole: bool = False,
) -> float:
    text = values.get(f"performance_{name}")
    if text is None:
        return usual
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        raise ProbingError(f"--{name.replace('_', '-')} {text}: not a {'whole ' if whole else ''}number") from None
    if not least <= number <= most:
        raise ProbingError(f"--{name.replace('_', '-')} {text}: must be from {least:g} to {most:g}")
    return number
