"""The probes: functions of `suites/performance/` that yield figures, named by a marker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import pytest

Function = TypeVar("Function", bound=Callable[..., object])


@dataclass(frozen=True)
class Probe:
    """One probe: its name, such as `latency-overhead`, and what it measures, in a sentence."""

    name: str
    title: str


def probe(name: str) -> Callable[[Function], Function]:
    """Declare a suite function to be a probe; the first paragraph of its docstring says what it measures."""
    def declare(function: Function) -> Function:
        title = " ".join((function.__doc__ or "").split("\n\n", maxsplit=1)[0].split())
        if not title:
            raise TypeError(f"probe {name}: its docstring must say what it measures")
        marked: Function = pytest.mark.probe(Probe(name, title))(function)
        return marked

    return declare
