"""Pictures: valid SVG, the same each time, legible on light and dark, for all eyes and none. About 4 s."""

import builtins
import dataclasses
import functools
import random
import re
import xml.etree.ElementTree as ET

import pytest
from sample_runs import figure, full_run, histogram, load

from conformance.performance.comparing.history import entries
from conformance.performance.histogram import Histogram
from conformance.performance.showing import chart, pictures
from conformance.performance.showing.chart import FAINT, LOOKS, PicturesMissing

SVG = "{http://www.w3.org/2000/svg}"


def overheads(run):
    return [one for one in run.results[0].figures if one.name == "latency.overhead"]


def draw(kind, run=None):
    run = run or full_run()
    if kind == "percentiles":
        return pictures.percentiles({one.labels["path"]: one.response for one in run.results[0].loads})
    if kind == "timeline":
        return pictures.timeline(run.results[0].loads[0])
    if kind == "overhead":
        return pictures.overhead(overheads(run))
    if kind == "growth":
        return pictures.growth(run.results[2].figures, "services")
    runs = [full_run(f"r{n}", n, mesh_version=f"1.{n // 2}", started=1.8e9 + n * 86400) for n in range(5)]
    return pictures.trend([one for each in runs for one in entries(each) if one.figure.key == "proxy.cpu{path=both}"])


drawn = functools.cache(draw)
"""For tests that only read: drawing takes longer than all that they do."""

KINDS = pytest.mark.parametrize("kind", ["percentiles", "timeline", "overhead", "growth", "trend"])


@pytest.fixture
def library():
    return pytest.importorskip("matplotlib")


@KINDS
@pytest.mark.usefixtures("library")
def test_pictures_are_the_same_each_time_and_leave_no_trace(kind, library):
    before = dict(library.rcParams)
    text = draw(kind)
    assert text == drawn(kind)
    assert dict(library.rcParams) == before
    assert not re.search(r"\d{4}-\d{2}-\d{2}T|matplotlib\.org", text)


@KINDS
@pytest.mark.usefixtures("library")
def test_pictures_speak_to_those_who_cannot_see_them(kind):
    root = ET.fromstring(drawn(kind))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title.text
    assert len(description.text) > 20
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert len(list(root.iter(f"{SVG}text"))) > 5  # text as text
    assert not list(root.iter(f"{SVG}script"))


@KINDS
@pytest.mark.usefixtures("library")
def test_text_takes_its_colour_from_the_page_and_the_ground_is_left_to_it(kind):
    text = drawn(kind)
    assert "currentColor" in text
    assert "#000000" not in text
    assert chart.INK not in text
    assert "prefers-color-scheme:dark" in text
    assert not re.search(r"fill: ?#ffffff", text)


@pytest.mark.usefixtures("library")
def test_pictures_on_one_page_share_no_ids():
    ids = [element.get("id") for kind in ("percentiles", "timeline", "overhead", "growth")
           for element in ET.fromstring(drawn(kind)).iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    root = ET.fromstring(drawn("timeline"))
    known = {element.get("id") for element in root.iter()}
    wanted = {target for element in root.iter() for value in element.attrib.values()
              for target in re.findall(r"url\(#([^)]*)\)|^#(p[0-9a-f]{10}-.*)$", value) for target in target if target}
    assert wanted
    assert wanted <= known


def brightness(colour):
    parts = [int(colour[place: place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_have_a_contrast_of_three_on_white_and_on_dark_and_none_stands_alone():
    for colour in (*(look.colour for look in LOOKS), FAINT):
        assert 1.05 / (brightness(colour) + 0.05) >= 3
        assert (brightness(colour) + 0.05) / (brightness("#14171c") + 0.05) >= 3
    assert len({look.mark for look in LOOKS}) == len({str(look.dashes) for look in LOOKS}) == len(LOOKS)


@pytest.mark.usefixtures("library")
def test_hostile_names_stay_text():
    name = "<script>alert(1)</script>&\x00$\\frac{$ \u202e"
    text = pictures.percentiles({name: histogram(random.Random(1), 500)}, title=name)
    root = ET.fromstring(text)
    assert not list(root.iter(f"{SVG}script"))
    assert any("alert(1)" in "".join(element.itertext()) for element in root.iter(f"{SVG}text"))


@pytest.mark.usefixtures("library")
def test_odd_data_are_drawn():
    one = Histogram()
    one.record(5_000)
    pictures.percentiles({"one request": one, "none": Histogram()})
    still = load(random.Random(1))
    silent = dataclasses.replace(still.timeline[0], completed=0, errors=500, p50=0, p99=0, max=0)
    pictures.timeline(dataclasses.replace(still, timeline=(silent, *still.timeline[1:], silent)))
    pictures.timeline(dataclasses.replace(still, timeline=(silent,)))
    pictures.overhead([figure("o", [-1e-6, 1e-6]), figure("o", [0.0, 0.0], path="x"),
                       dataclasses.replace(figure("o", [1e-4], path="y"), low=None, high=None, confidence=None)])
    pictures.growth([figure("g", [1.0], n="0"), figure("g", [1.0], n="5")], "n")
    pictures.trend(entries(full_run())[:1])


@pytest.mark.parametrize(("make", "said"), [
    (lambda: pictures.percentiles({}), "nothing to draw"),
    (lambda: pictures.percentiles({str(n): histogram(random.Random(n), 9) for n in range(7)}), "cannot be told apart"),
    (lambda: pictures.timeline(load(random.Random(1), timeline=())), "nothing to draw"),
    (lambda: pictures.overhead([]), "nothing to draw"),
    (lambda: pictures.overhead([figure("a", [1]), figure("b", [1], "cores")]), "different units"),
    (lambda: pictures.growth([figure("a", [1], n="5")], "n"), "two sizes or more"),
    (lambda: pictures.growth([figure("a", [1], n="many"), figure("a", [1], n="5")], "n"), "label 'n' is 'many'"),
    (lambda: pictures.trend([]), "nothing to draw"),
], ids=["no curve", "many curves", "no interval", "no figure", "two units", "one size", "odd size", "no run"])
def test_what_cannot_be_drawn_is_said(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_without_the_library_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest, **more):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(PicturesMissing, match=r"pip install 'mesh-conformance\[performance\]'"):
        pictures.overhead([figure("a", [1])])
