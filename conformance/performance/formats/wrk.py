"""The text of wrk and of wrk2 (`--latency` for percentiles).

Source: outputs of wrk 4.1.0, and for wrk2 its README: the same form with the lines of its calibration, and the spectrum
of an HDR histogram in milliseconds.
"""

from __future__ import annotations

from typing import Final

from conformance.performance.formats import buckets
from conformance.performance.formats.foreign import Corrects, Foreign, FormatError
from conformance.performance.formats.lines import Lines
from conformance.performance.formats.quantities import number
from conformance.performance.histogram import Histogram

NAME: Final = "wrk"
SUCCESSOR: Final = "wrk2"
HOW: Final = "write it with wrk --latency"
CALIBRATION: Final = 10.0
"""Seconds at the start of a run that wrk2 leaves out of its histogram."""

_TIME: Final = r"(\d+\.\d+(?:us|ms|s|m|h))"
_HEAD: Final = r"Running \S+ test @ (\S+)"
_SPECTRUM: Final = r"  Detailed Percentile spectrum:\s*"
_ROW: Final = r" +(\d+\.\d+) +([01]\.\d+) +(\d+) +(?:\d+\.\d+|inf) *"
_WHY: Final = ("closed loop; from its mean pace it adds latencies for what it believes was held back, an estimate of "
               "what an open loop would have seen")
_WHY2: Final = "it counts from when its constant rate should have sent each request"


def recognises(text: str) -> bool:
    """Whether text is that of wrk or wrk2."""
    return text.lstrip().startswith("Running ") and " test @ " in text[:4096]


def read(text: str) -> Foreign:
    """Read the text of wrk or wrk2; which of them shows in it. Raises FormatError."""
    second = "Thread calibration:" in text or "HdrHistogram" in text
    lines = Lines(SUCCESSOR if second else NAME, text)
    lines.need(_HEAD, "the line Running … test @ URL")
    _, pool = lines.need(r" +\d+ threads? and (\d+) connections", "the line of threads and connections")
    _, total = lines.need(rf" +(\d+) requests in {_TIME}, \S+ read", "the line of requests in all")
    at, latency = lines.need(rf" +Latency +{_TIME} +{_TIME} +{_TIME} +(?:\d+\.\d+|-?nan)%",
                             "the line Latency of Thread Stats")
    _, rate = lines.need(r"Requests/sec: +(\d+\.\d+)", "the line Requests/sec")
    lines.need(r"Transfer/sec: +\d+\.\d+[KMGT]?B", "the line Transfer/sec, the last")
    completed = int(total.group(1))
    errors = _errors(lines)
    mean, most = lines.time(at, latency.group(1))[0], lines.time(at, latency.group(3))[0]
    percentiles, step = _percentiles(lines)
    seconds = lines.time(at, total.group(2))[0]
    spectrum = _spectrum(lines) if second else None
    least = spectrum[0][1] if spectrum else None
    short = second and seconds < 2 * CALIBRATION
    corrects: Corrects = "yes" if second else "partly"
    return Foreign(
        lines.tool, seconds=seconds, achieved=number(rate.group(1)), connections=int(pool.group(1)),
        requests=completed + sum(count for kind, count in errors.items() if kind != "status"), errors=errors,
        mean=mean if completed else None, min=least if completed else None, max=most if completed else None,
        percentiles=percentiles if completed else {}, histogram=_histogram(spectrum, mean) if spectrum else None,
        corrects=corrects, corrects_why=_WHY2 if second else _WHY, resolution=1e-3 if second else max(step, 1e-6),
        warnings=(f"wrk2 leaves out the first {CALIBRATION:g} s: a run of {seconds:g} s says little",) if short else (),
        unpaced=not second,
    )


def _errors(lines: Lines) -> dict[str, int]:
    errors: dict[str, int] = {}
    if sockets := lines.find(r" +Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)"):
        errors = dict(zip(("connect", "read", "write", "timeout"), map(int, sockets[1].groups()), strict=True))
    if answers := lines.find(r" +Non-2xx or 3xx responses: (\d+)"):
        errors["status"] = int(answers[1].group(1))
    return {kind: count for kind, count in errors.items() if count}


def _percentiles(lines: Lines) -> tuple[dict[float, float], float]:
    """The percentiles by share, and the last digit of the median in seconds."""
    found: dict[float, float] = {}
    step = 0.0
    # The first distribution: wrk2 can print a second one, uncorrected.
    heading = lines.find(r" +Latency Distribution.*")
    for index in range(heading[0] + 1 if heading else len(lines.lines), len(lines.lines)):
        words = lines.lines[index].split()
        if len(words) != 2 or not words[0].endswith("%"):
            break
        try:
            share = round(number(words[0][:-1]) / 100, 9)
        except ValueError:
            lines.refuse(index, "a percentage")
        found[share], last = lines.time(index, words[1])
        step = last if share == 0.5 else step
    return found, step


def _spectrum(lines: Lines) -> list[tuple[float, float, int]]:
    """The rows of wrk2's first spectrum: share, latency in seconds, count so far. Raises FormatError."""
    heading = lines.find(_SPECTRUM)
    if not heading:
        return []
    end, total = lines.need(r"#\[Max += +\d+\.\d+, Total count +=\s+(\d+)\]", "the total of the spectrum", heading[0])
    rows: list[tuple[float, float, int]] = []
    for index, match in lines.all(_ROW, heading[0]):
        if index > end:
            break
        row = (float(match.group(2)), float(match.group(1)) / 1e3, int(match.group(3)))
        if rows and (row[1] < rows[-1][1] or row[2] < rows[-1][2]):
            lines.refuse(index, "a spectrum that rises")
        rows.append(row)
    if not rows or rows[-1][2] != int(total.group(1)):
        raise FormatError(lines.tool, f"line {end + 1}", "the total that the last row of the spectrum counts",
                          total.group(1))
    return rows


def _histogram(rows: list[tuple[float, float, int]], mean: float) -> Histogram:
    spans: list[tuple[float, float, int]] = []
    before, counted = rows[0][1], 0
    for _, value, count in rows:
        spans.append((before, value, count - counted))
        before, counted = value, count
    return buckets.histogram(spans, rows[0][1], rows[-1][1], mean * rows[-1][2])
