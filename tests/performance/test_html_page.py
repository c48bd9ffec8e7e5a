"""The page of a run: complete, self-contained, escaped, loud about what is invalid. About 5 s."""

import dataclasses
import html.parser
import re

import pytest
from sample_runs import figure, full_run, header, run_of

from conformance.performance.comparing.compare import Threshold, compare, judge
from conformance.performance.comparing.comparison import Comparison
from conformance.performance.model import Environment, Figure, Invalidity, Node, ProbeResult, Run
from conformance.performance.showing import html as pages


class Page(html.parser.HTMLParser):
    """Tags, attributes and text of a page; unclosed tags are an error."""

    VOID = frozenset({"meta", "br", "img", "link", "hr", "input"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *one) for one in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *one) for one in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.fixture(autouse=True)
def libraries():
    pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def text():
    pytest.importorskip("matplotlib")
    return pages.page(full_run())


def test_the_page_needs_nothing_else(text):
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("href", "src", "xlink:href"):
            assert value.startswith("#"), value
    assert not re.search(r"@import|url\((?!#)", text)
    assert "prefers-color-scheme: dark" in text
    assert len(text.encode()) < pages.MAX_BYTES
    assert page.tags.count("svg") == 4


def test_the_page_has_all_there_is(text):
    page = Page(text)
    for said in ("Reference mesh 1.40.0", "sandbox, Kubernetes v1.34.1", "node-0, 2 cores, 24.0 GiB", "AMD EPYC",
                 "mesh-conformance perf run --seed 7", "Both sidecars speak mTLS.", "2027-01-15 08:00 UTC",
                 "latency.overhead", "path both, percentile p99", "99 %"):
        assert said in page.words, said
    assert re.search(r"\d+ \[\d+, \d+\] µs", page.words)


def test_the_page_can_be_walked_without_seeing_it(text):
    page = Page(text)
    assert page.tags.count("h1") == 1
    assert page.tags.count("caption") == page.tags.count("table") > 0
    scopes = [value for tag, name, value in page.attributes if tag == "th" and name == "scope"]
    assert len(scopes) == page.tags.count("th")
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for _, name, value in page.attributes:
        if name == "aria-labelledby":
            assert set(value.split()) <= set(ids)
    assert ("html", "lang", "en") in page.attributes


def test_what_is_invalid_is_loud(text):
    page = Page(text)
    assert "INVALID in part: 1 of 4 probes" in page.words
    assert "INVALID: not a result." in page.words
    assert "both, round 3: schedule lag 4.20 ms late in 1 of 100 sends, allowed 1 ms" in page.words
    assert "INVALID" not in Page(pages.page(run_of("fine", figure("f", [1, 2])))).words


MARK = "<script>alert('x')</script>\"'&{{7*7}}</style></title>\x1b\u202e"


def hostile():
    labels = {"path": MARK}
    place = Environment(MARK, MARK, (Node(MARK, 1, 1, MARK, MARK),), MARK)
    head = header(MARK, harness=MARK, mesh=MARK, mesh_title=MARK, mesh_version=MARK, environment=place, command=MARK,
                  labels={MARK: MARK})
    figures = (Figure(MARK, "s", 1.0, 0.5, 2.0, 0.99, (1.0, 1.1, 1.2), "lower", labels),
               Figure(f"{MARK}overhead", "s", 1.0, 0.5, 2.0, 0.99, (1.0,), "lower", labels))
    loads = tuple(dataclasses.replace(one, labels=labels, url=MARK, errors={MARK: 1})
                  for one in full_run().results[0].loads[:1])
    return Run(head, (ProbeResult(MARK, MARK, figures, (Invalidity(MARK, MARK, MARK, MARK),), loads, (MARK,)),))


def test_hostile_texts_are_shown_and_never_obeyed():
    run = hostile()
    other = dataclasses.replace(run, header=dataclasses.replace(run.header, run="other"))
    page_text = pages.page(run, compare([run], [other], force=True))
    page = Page(page_text)
    assert "script" not in page.tags
    assert page.tags.count("svg") == 3
    assert "{{7*7}}" in page.words
    assert "\x1b" not in page_text
    assert "\u202e" not in page_text
    assert page.words.count("alert('x')") > 20


def test_each_field_is_escaped_alone():
    calm = full_run()
    for field in ("run", "harness", "mesh", "mesh_title", "mesh_version", "command"):
        odd = dataclasses.replace(calm, header=dataclasses.replace(calm.header, **{field: MARK}), results=())
        page = Page(pages.page(odd))
        assert "script" not in page.tags, field
        assert "alert" in page.words, field


def test_thresholds_and_comparisons_are_on_the_page():
    before, after = full_run("a", 1), full_run("b", 2, slower=2.0)
    judged = judge(after, [Threshold.parse("latency.overhead{percentile=p50} <= 1us")])
    page = Page(pages.page(after, compare([before], [after]), judged, pictures={}))
    assert page.words.count("VIOLATED:") == 3
    assert "Compared with the baseline" in page.words
    assert "worse" in page.words
    assert "The noise between runs is unknown" in page.words
    assert "svg" not in page.tags


def test_an_empty_run_and_an_empty_comparison_have_pages():
    empty = Run(header(), ())
    assert "The run has no results." in Page(pages.page(empty)).words
    assert "Nothing could be compared." in Page(pages.page(empty, Comparison(("a",), ("b",), 0.01, ()))).words


def test_pictures_that_would_burst_the_page_are_left_out():
    run = run_of("run", figure("f", [1, 2]))
    large = f"<svg><desc>{'x' * 900_000}</desc></svg>"
    drawn = {"one": large, "two": large, "three": large, "small": "<svg/>"}
    text = pages.page(run, pictures={"latency-overhead": drawn})
    assert len(text.encode()) <= pages.MAX_BYTES
    assert "below 2 MiB: 1." in text


def test_a_page_is_written_whole(tmp_path):
    path = tmp_path / "performance.html"
    pages.write(path, run_of("run", figure("f", [1, 2])))
    assert path.read_text().rstrip().endswith("</html>")
    assert list(tmp_path.iterdir()) == [path]
