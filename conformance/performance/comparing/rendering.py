"""A comparison as text for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tabulate import tabulate

from conformance.performance.comparing.comparison import Change, Comparison
from conformance.performance.wording import interval, percent, printable, quantity

_ORDER: Final = {"worse": 0, "better": 1, "changed": 2, "no difference": 3}
_HEADINGS: Final = ("verdict", "figure", "before", "after", "change", "change, %", "p", "could have seen", "from")


def render(comparison: Comparison) -> str:
    """Return a comparison as plain text: the conclusion, a table of the figures, and what was not compared."""
    return _written(comparison, "simple", str, "{}:", "  {}")


def markdown(comparison: Comparison) -> str:
    """Return a comparison as Markdown, its texts escaped."""
    return _written(comparison, "github", _escaped, "**{}**\n", "- {}")


def conclusion(comparison: Comparison) -> str:
    """Return the result in a sentence or two."""
    counts = {verdict: sum(change.verdict == verdict for change in comparison.changes) for verdict in _ORDER}
    if not comparison.changes:
        return "Nothing could be compared."
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    seeing = sum(change.smallest is not None for change in comparison.changes)
    blind = len(comparison.changes) - seeing
    text = f"{len(comparison.changes)} figures compared: {said}."
    if blind:
        text += f" For {blind} of them there are too few measurements to tell any change."
    return text


def ordered(changes: Iterable[Change]) -> list[Change]:
    """Return changes with the worst verdicts first, otherwise in their order."""
    return sorted(changes, key=lambda change: _ORDER[change.verdict])


def _written(
    comparison: Comparison, form: str, escape: Callable[[str], str], heading: str, item: str,
) -> str:
    def listed(title: str, entries: Sequence[str]) -> list[str]:
        return ["\n".join([heading.format(title), *(item.format(escape(printable(e, 500))) for e in entries)])] \
            if entries else []

    changes = ordered(comparison.changes)
    sides = f"{_named(comparison.baseline)} against {_named(comparison.candidate)}"
    parts = [escape(printable(f"Baseline {sides}.")), conclusion(comparison)]
    parts += listed("Compared although", comparison.differences)
    parts += listed("To keep in mind", comparison.notes)
    if changes:
        rows = [[escape(cell) for cell in _row(change)] for change in changes]
        parts += [tabulate(rows, headers=_HEADINGS, tablefmt=form, disable_numparse=True), _explained(comparison)]
    parts += listed("New, not in the baseline", comparison.new)
    parts += listed("Gone, only in the baseline", comparison.gone)
    parts += listed("Not compared", [f"{left.key}: {left.why}" for left in comparison.left])
    return "\n\n".join(parts) + "\n"


def _named(runs: Sequence[str]) -> str:
    return runs[0] if len(runs) == 1 else f"{len(runs)} runs ({', '.join(runs[:3])}{', …' if len(runs) > 3 else ''})"


def _row(change: Change) -> list[str]:
    relative = change.relative
    return [
        change.verdict,
        printable(change.key, 200),
        quantity(change.before, change.unit),
        quantity(change.after, change.unit),
        interval(change.shift, change.low, change.high, change.unit, signed=True),
        percent(relative) if relative is not None else "",
        f"{change.p_value:.2g}",
        quantity(change.smallest, change.unit) if change.smallest is not None else "none: too few",
        f"{change.sizes[0]}+{change.sizes[1]} {change.counted}",
    ]


def _explained(comparison: Comparison) -> str:
    return (
        f"p: chance of so large a change in any figure of an unchanged mesh (permutation test, adjusted for all "
        f"figures; changed at {comparison.alpha:g} or less). In brackets: interval of the change (Hodges-Lehmann). "
        f"Could have seen: the least change that would be found every second time with this noise."
    )


def _escaped(text: str) -> str:
    """Escape what Markdown or the HTML in it would take for its own."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()#|!~" else letter for letter in text)
