"""ab's text, in whole milliseconds, and its `-e` CSV: 101 percentiles in milliseconds with three decimals."""

from __future__ import annotations

from typing import Final

from conformance.performance.formats.foreign import Foreign
from conformance.performance.formats.lines import Lines
from conformance.performance.formats.quantities import number

NAME: Final = "ab"
HOW: Final = "give its text, or better what it writes with -e FILE"
CSV_HEAD: Final = "Percentage served,Time in ms"
_WHY: Final = "each connection waits for its answer before it sends again, and times from the actual sending"
_KINDS: Final = ("connect", "receive", "length", "exception")


def recognises(text: str) -> bool:
    """Whether text is that of ab."""
    return text.startswith("This is ApacheBench, ")


def recognises_csv(text: str) -> bool:
    """Whether text is a CSV of ab."""
    return text.startswith(CSV_HEAD)


def read(text: str) -> Foreign:
    """Read the text of ab. Raises FormatError."""
    lines = Lines(NAME, text)
    _, version = lines.need(r"This is ApacheBench, Version (\S+) .*", "the version")
    _, pool = lines.need(r"Concurrency Level: +(\d+)", "the line Concurrency Level")
    _, taken = lines.need(r"Time taken for tests: +(\d+\.\d+) seconds", "the line Time taken for tests")
    _, done = lines.need(r"Complete requests: +(\d+)", "the line Complete requests")
    _, failed = lines.need(r"Failed requests: +(\d+)", "the line Failed requests")
    _, rate = lines.need(r"Requests per second: +(\d+\.\d+) \[#/sec\] \(mean\)", "the line Requests per second")
    lines.need(r"Transfer rate: +\d+\.\d+ \[Kbytes/sec\] received", "the line Transfer rate")
    completed = int(done.group(1))
    total = lines.find(r"Total: +(\d+) +(\d+) +\d+\.\d +(\d+) +(\d+)")
    least, mean, _, most = (int(value) / 1e3 for value in total[1].groups()) if total else (None,) * 4
    percentiles = _percentiles(lines)
    warnings = []
    if completed and not (total and 1.0 in percentiles):
        # What there is of the table may end within a number.
        least = mean = most = None
        percentiles = {}
        warnings.append("incomplete: it has no latencies up to the last percentile; truncated, or run with -d or -S")
    errors = _errors(lines, int(failed.group(1)))
    if "length" in errors:
        warnings.append("it counts answers whose length differs from the first one's as failed")
    return Foreign(
        NAME, version=version.group(1), seconds=number(taken.group(1)), achieved=number(rate.group(1)),
        connections=int(pool.group(1)), requests=completed, errors=errors, mean=mean, min=least, max=most,
        percentiles={share: value for share, value in percentiles.items() if share < 1}, corrects="no",
        corrects_why=_WHY, resolution=1e-3, warnings=tuple(warnings), unpaced=True,
    )


def _errors(lines: Lines, failed: int) -> dict[str, int]:
    errors: dict[str, int] = {}
    if kinds := lines.find(r" +\(Connect: (\d+), Receive: (\d+), Length: (\d+), Exceptions: (\d+)\)"):
        errors = dict(zip(_KINDS, map(int, kinds[1].groups()), strict=True))
    elif failed:
        errors = {"failed": failed}
    if refused := lines.find(r"Non-2xx responses: +(\d+)"):
        errors["status"] = int(refused[1].group(1))
    return {kind: count for kind, count in errors.items() if count}


def _percentiles(lines: Lines) -> dict[float, float]:
    """The percentiles by share in seconds; 1.0 is there when the table is complete."""
    heading = lines.find(r"Percentage of the requests served within a certain time \(ms\)")
    if not heading:
        return {}
    return {int(match.group(1)) / 100: int(match.group(2)) / 1e3
            for _, match in lines.all(r" +(\d+)% +(\d+)(?: \(longest request\))?", heading[0])
            if match.group(1) != "100" or match.group(0).endswith(")")}


def read_csv(text: str) -> Foreign:
    """Read a CSV, which has percentiles alone. Raises FormatError."""
    lines = Lines(NAME, text)
    if len(lines.lines) != 102 or lines.lines[0] != CSV_HEAD or not lines.ended:
        lines.refuse(len(lines.lines) - 1, "101 lines below the head, the last one ended")
    values: list[float] = []
    for index, line in enumerate(lines.lines[1:]):
        share, _, value = line.partition(",")
        try:
            values.append(number(value) / 1e3)
        except ValueError:
            lines.refuse(index + 1, "a percentage and milliseconds")
        if share != str(index):
            lines.refuse(index + 1, f"the percentage {index}")
    return Foreign(
        NAME, min=values[0], max=values[100], percentiles={share / 100: values[share] for share in range(1, 100)},
        corrects="no", corrects_why=_WHY, resolution=1e-6,
        warnings=("it says neither how many requests there were nor how many failed",),
    )
