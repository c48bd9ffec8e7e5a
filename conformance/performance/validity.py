"""The gates before any figure: a run outside them is invalid, with the reason, and never passed off as a number.

What they allow is what the engine was measured to hold on two cores with room to spare (benchmarks/README.md), so that
a gate that closes tells of a machine, a client or a mesh that could not do what was asked, not of a slow mesh.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from conformance.performance.command import Load, LoadResult
from conformance.performance.histogram import NANO
from conformance.performance.model import Invalidity


@dataclass(frozen=True)
class Limits:
    """What the gates allow.

    `achieved` is the least share of the requested rate that must be sent, `lag` the seconds by which the engine itself
    may be late in 99 of 100 sends, `errors` the share of requests that may fail, `client` the share of a core that the
    engine may use, `steal` and `busy` the shares of the node's CPU time that others on the host may take and that may
    be in use at all. `late` is the share of a load by which one of several pods may begin after the others.
    """

    achieved: float = 0.99
    lag: float = 0.001
    errors: float = 0.001
    client: float = 0.7
    steal: float = 0.02
    busy: float = 0.95
    late: float = 0.05


OPEN: Final = Limits()
CLOSED: Final = replace(OPEN, client=math.inf, busy=1.0)
"""A closed loop takes what it can get, of the node and of the client; `saturated` tells whose ceiling was found."""
SATURATED: Final = 0.95
"""The share of a core from which on a client may be what limits a closed loop."""
DISTURBED: Final = replace(OPEN, errors=1.0)
"""For probes whose figure the errors are."""
BEYOND: Final = 10
"""Requests that must lie beyond a percentile for it to be reported."""


def gates(
    load: Load, result: LoadResult, limits: Limits | None = None, where: str = "", *, loads: int = 1,
) -> tuple[Invalidity, ...]:
    """Return why the figures of a load, or of `loads` equal ones merged, must not be used; empty when they may.

    `limits` are OPEN or CLOSED by default, as the loop is. Percentiles have a gate of their own, `beyond`. Where
    several pods sent the load, each has to have done its share, so that none makes up for another; of a gate that is
    closed to all of them only that is said.
    """
    limits = limits or (OPEN if load.rate is not None else CLOSED)
    pods = len(result.workers)
    wanted = load.share(0, max(1, pods)).requests
    total = None if wanted is None else wanted * loads
    found = [*_rate(load, result, limits, None if total is None else total * max(1, pods)),
             *_client(load, result, limits), *_node(result, limits)]
    whole = [replace(invalidity, where=where) for invalidity in found]
    closed = {invalidity.gate for invalidity in found}
    parts = [
        [*_rate(load.share(number, pods), worker, limits, total), *_client(load, worker, limits),
         *_late(load, worker, limits)]
        for number, worker in enumerate(result.workers)
    ]
    common = closed.intersection(*({invalidity.gate for invalidity in own} for own in parts))
    for number, own in enumerate(parts, 1):
        place = ", ".join(filter(None, [where, f"load pod {number} of {pods}"]))
        whole += [replace(invalidity, where=place) for invalidity in own if invalidity.gate not in common]
    return tuple(whole)


def _late(load: Load, result: LoadResult, limits: Limits) -> Iterable[Invalidity]:
    if result.late > limits.late * load.seconds:
        yield Invalidity("common start", f"{result.late:.3f} s late", f"{limits.late * load.seconds:.3f} s")


def _rate(load: Load, result: LoadResult, limits: Limits, wanted: float | None) -> Iterable[Invalidity]:
    if load.rate is not None and wanted is not None:
        share = result.sent / wanted if wanted else 1.0
        # A random schedule is short of its mean by chance: four standard deviations are nobody's fault.
        chance = 4 / math.sqrt(wanted) if load.shape == "poisson" and wanted else 0.0
        if share < limits.achieved - chance:
            yield Invalidity("achieved rate", f"{share:.1%} of {load.rate:g}/s", f"at least {limits.achieved:.0%}")
        if result.unsent:
            yield Invalidity("dropped requests", f"{result.unsent} had no free connection before the end",
                             "none: more connections, or a lower rate")
    attempted = result.completed + result.failed
    if not result.completed:
        yield Invalidity("answers", f"none of {attempted} requests was answered as expected{_kinds(result)}", "some")
    elif result.failed > limits.errors * attempted:
        yield Invalidity("errors", f"{result.failed} of {attempted}{_kinds(result)}", f"{limits.errors:.2%}")


def _kinds(result: LoadResult) -> str:
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(result.errors.items(), key=lambda item: -item[1]))
    return f" ({kinds})" if kinds else ""


def _client(load: Load, result: LoadResult, limits: Limits) -> Iterable[Invalidity]:
    if load.pacing == "sleep" and result.cores > limits.client:
        yield Invalidity("client CPU", f"{result.cores:.0%} of a core",
                         f"{limits.client:.0%}: the client would be measured")
    if load.rate is not None and result.lag.count:
        late = result.lag.percentile(0.99) * NANO
        if late > limits.lag:
            yield Invalidity("schedule lag", f"{late * 1e3:.2f} ms late in 1 of 100 sends", f"{limits.lag * 1e3:g} ms")


def _node(result: LoadResult, limits: Limits) -> Iterable[Invalidity]:
    if result.steal is not None and result.steal > limits.steal:
        yield Invalidity("steal", f"{result.steal:.1%} of the node's time went to others on the host",
                         f"{limits.steal:.0%}")
    if result.busy is not None and result.busy > limits.busy:
        yield Invalidity("node CPU", f"{result.busy:.0%} busy", f"{limits.busy:.0%}")


def saturated(result: LoadResult, where: str = "") -> tuple[Invalidity, ...]:
    """Return why the rate of a closed loop is the client's own ceiling, and not that of what it asks."""
    if result.cores <= SATURATED:
        return ()
    allowed = f"{SATURATED:.0%}: the path may carry more"
    return (Invalidity("client CPU", f"{result.cores:.0%} of a core", allowed, where),)


def beyond(completed: int, share: float, where: str = "") -> tuple[Invalidity, ...]:
    """Return why a percentile (0 to 1) of so many requests must not be used; empty when it may."""
    needed = math.ceil(round(BEYOND / (1 - share), 6)) if share < 1 else 1
    if completed >= needed:
        return ()
    return (Invalidity("sample size", f"{completed} requests for p{share * 100:g}", f"at least {needed}", where),)
