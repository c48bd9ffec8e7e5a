"""What a reader wants to see of results, as plain text; the writers decide how it is set."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from conformance.outcome import Known, Outcome, Result, SampleSummary
from conformance.report.model import Footer, Header
from conformance.report.publishing import place

_UNEXPLAINED = {
    Outcome.UNSUPPORTED: "the mesh does not claim it, or the cluster does not serve the API",
    Outcome.NOT_APPLICABLE: "the served version of the API has no such requirement",
    Outcome.SKIPPED: "left out by the user",
}


def broken(header: Header) -> list[str]:
    """The meshes that were broken on purpose, each with the mutant in a line: `reference, broken on purpose: NAME`."""
    return list(dict.fromkeys(
        f"{', '.join(mesh.name for mesh in run.meshes)}, broken on purpose: {mutant}"
        for run in header.parts or (header,) if (mutant := one_line(place.option(run, "--mutant")))
    ))


def groups(results: Iterable[Result]) -> list[tuple[str, list[Result]]]:
    """The sorted results by mesh and requirement group, each with a title."""

    def title(result: Result) -> str:
        version = f" {result.version}" if result.version else ""
        return f"{result.mesh}: {result.requirement.rpartition('-')[0]} ({result.api}{version})"

    return [(name, list(rows)) for name, rows in groupby(results, key=title)]


def with_outcome(results: Iterable[Result], *outcomes: Outcome) -> list[Result]:
    """The results that ended in one of these ways."""
    return [result for result in results if result.outcome in outcomes]


def reason(result: Result) -> str:
    """Why a requirement was not run, or is known to fail; never empty."""
    if result.known is not None and result.outcome is Outcome.KNOWN_FAILURE:
        return listed(result.known)
    return result.message or _UNEXPLAINED.get(result.outcome, "no reason was given")


def listed(known: Known) -> str:
    """What a list of known failures says, in a line."""
    return f"{known.reason} ({known.link}, since {known.since})"


def converged(result: Result) -> str:
    """The longest time something took to be in effect, empty where nothing was waited for."""
    return f"{max(c.seconds for c in result.convergence):.2f} s" if result.convergence else ""


def sample_line(sample: SampleSummary) -> str:
    """One sample in a line: size, counts with the interval that was wanted of each, failures, p-value."""
    parts = []
    for name in sorted({*sample.counts, *sample.expected}):
        interval = sample.expected.get(name)
        wanted = f" (wanted {interval[0]}..{interval[1]})" if interval else ""
        parts.append(f"{name} {sample.counts.get(name, 0)}{wanted}")
    parts += [f"{number} failed: {kind}" for kind, number in sorted(sample.failures.items())]
    line = f"{sample.size} requests from {sample.client}: {', '.join(parts) or 'no answer'}"
    return line if sample.p_value is None else f"{line}; p = {sample.p_value:.3g}"


def requests(result: Result) -> int:
    """How many requests the samples of a result had."""
    return sum(sample.size for sample in result.samples)


def one_line(text: str, width: int = 100) -> str:
    """The text in one line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def note(result: Result) -> str:
    """What to remark on a result in one line of a table."""
    if result.outcome is Outcome.OBSERVED:
        return result.observed or result.message
    if result.outcome in {Outcome.UNSUPPORTED, Outcome.NOT_APPLICABLE, Outcome.SKIPPED, Outcome.KNOWN_FAILURE}:
        return reason(result)
    return result.message


def tally(footer: Footer) -> str:
    """The counts in words: `30 passed, 1 failed`."""
    return ", ".join(f"{number} {outcome}" for outcome, number in footer.counts.items() if number) or "nothing ran"
