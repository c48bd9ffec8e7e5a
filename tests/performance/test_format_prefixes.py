"""A truncated result is never taken for a whole one."""

import random
from pathlib import Path

import pytest

from conformance.performance import formats
from conformance.performance.formats import FormatError

DATA = Path(__file__).parent / "data"
FILES = sorted(path.name for path in DATA.iterdir() if path.name not in {"README.md", "hey-summary.txt"})
CUTS = 50


def cuts(text):
    """Cut points: at random, and about each of the last lines, where a text can end without a trace."""
    rng = random.Random(len(text))
    ends = [index + 1 for index, letter in enumerate(text) if letter == "\n"][-12:]
    near = {end + step for end in ends for step in (-3, -1, 0)}
    return sorted({cut for cut in near | {rng.randrange(len(text)) for _ in range(CUTS)} if 0 <= cut < len(text)})


def test_the_cuts_include_the_ends_of_lines():
    text = "a\n" * 1000
    assert len(cuts(text)) >= CUTS * 0.9
    assert {1998, 1997} <= set(cuts(text))


@pytest.mark.parametrize("name", FILES)
def test_every_prefix_is_refused_or_called_incomplete(name, tmp_path):
    text = (DATA / name).read_text()
    whole = formats.read(DATA / name)
    part = tmp_path / "part"
    for cut in cuts(text):
        prefix = text[:cut]
        part.write_text(prefix)
        try:
            result = formats.read(part)
        except FormatError:
            continue
        if prefix.rstrip() == text.rstrip():
            assert result.describe() == whole.describe()
        else:
            assert any("incomplete" in warning for warning in result.warnings), f"cut at {cut} of {len(text)}"
