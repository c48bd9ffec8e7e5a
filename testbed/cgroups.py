"""The node's cgroups: one of its own in every hierarchy, below which the kubelet puts those of pods."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from testbed.layout import Layout

_PASSED_ON: Final = "cgroup.subtree_control"
_AVAILABLE: Final = "cgroup.controllers"


def hierarchies(mountinfo: Path = Path("/proc/self/mountinfo")) -> list[Path]:
    """Return where cgroups are mounted: one place (version 2), or one for each controller (version 1)."""
    lines = (line.split() for line in mountinfo.read_text().splitlines())
    return [Path(words[4]) for words in lines if words[words.index("-") + 1] in ("cgroup", "cgroup2")]


def make(layout: Layout, places: Sequence[Path]) -> None:
    """Make the node's own cgroups in these hierarchies: the kubelet takes no root that is not there. Raises OSError.

    A hierarchy of version 2, if it is the only one, passes on only those controllers that it is told to; which it had
    to be told is kept.
    """
    said = {}
    if len(places) == 1 and (places[0] / _PASSED_ON).exists():
        available, there = (set((places[0] / name).read_text().split()) for name in (_AVAILABLE, _PASSED_ON))
        said[str(places[0])] = sorted(available - there)
    layout.controllers.write_text(json.dumps(said))
    for place in places:
        _say(place, "+", said.get(str(place), []))
        (place / layout.cgroup).mkdir(exist_ok=True)


def remove(layout: Layout, places: Sequence[Path]) -> list[Path]:
    """Remove them as far as nothing is in them, and take back what had to be said; returns what is left."""
    left = []
    for place in places:
        # Deepest first; a cgroup's files go with it.
        for group in sorted((place / layout.cgroup).glob("**"), key=lambda path: -len(path.parts)):
            try:
                group.rmdir()
            except OSError:
                left.append(group)
    if not left and layout.controllers.exists():
        for name, controllers in json.loads(layout.controllers.read_text()).items():
            _say(Path(name), "-", controllers)
        layout.controllers.unlink()
    return left


def facts(layout: Layout) -> Iterator[str]:
    """Yield the top cgroups of each hierarchy, what it passes on, and all below the node's own."""
    for place in hierarchies():
        yield from (str(entry) for entry in place.iterdir() if entry.is_dir())
        yield from (str(entry) for entry in (place / layout.cgroup).glob("**"))
        if (place / _PASSED_ON).exists():
            yield f"{place} passes on {(place / _PASSED_ON).read_text().strip() or 'nothing'}"


def _say(place: Path, sign: str, controllers: Sequence[str]) -> None:
    if controllers:
        (place / _PASSED_ON).write_text(" ".join(f"{sign}{controller}" for controller in controllers))
