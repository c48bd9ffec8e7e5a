"""The HTML report in a real browser, from a file: by mouse and keyboard, narrow and wide, with and without script."""

import dataclasses
import os
import time
from pathlib import Path

import pytest
from html_reports import field, hostile, performance_run

from conformance.outcome import Outcome
from conformance.report.html import page as render
from conformance.requirement import Level

pytestmark = pytest.mark.browser

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
SIZES = [(1280, False), (1280, True), (390, False), (390, True)]


@pytest.fixture(scope="module")
def small():
    """Three meshes, ten requirements; in the first row of the matrix all pass but the second mesh."""
    report = field(meshes=3, requirements=10)
    results = list(report.results)
    for place, mesh in ((0, "mesh-00"), (10, "mesh-01"), (20, "mesh-02")):
        assert results[place].mesh == mesh
        outcome = Outcome.FAILED if mesh == "mesh-01" else Outcome.PASSED
        message = "wanted 90.0% from v1\n   got of 2303 requests 1918 from v1" if outcome is Outcome.FAILED else ""
        results[place] = dataclasses.replace(results[place], outcome=outcome, level=Level.MUST, message=message)
    return dataclasses.replace(report, results=tuple(results))


@pytest.fixture(scope="module")
def text(small):
    return render(small)


def seen(shown, script):
    return shown.page.evaluate(script)


def becomes(shown, script, wanted):
    """Look until it is so: a browser answers a key or a click some time after it was sent."""
    end = time.monotonic() + 10
    while (found := seen(shown, script)) != wanted:
        assert time.monotonic() < end, f"{script} is {found!r}, not {wanted!r}"
        shown.page.wait_for_timeout(20)


def test_it_opens_from_a_file_without_asking_for_anything_else(show, text):
    shown = show(text)
    assert shown.trouble == []
    assert [url for url in shown.requests if not url.startswith("data:")] == [shown.page.url]
    assert seen(shown, "performance.getEntriesByName('report-interactive').length") == 1


@pytest.mark.parametrize(("width", "dark"), SIZES)
def test_it_fits_and_can_be_used_by_everybody(show, small, width, dark):
    """No violation that axe-core knows, closed and with the details of a failure open; nothing sticks out sideways."""
    if not AXE.exists():
        pytest.fail("axe-core is missing: npm ci --prefix tests/browser", pytrace=False)
    shown = show(render(small, [performance_run()]), width=width, dark=dark)
    page = shown.page
    assert seen(shown, "document.documentElement.scrollWidth <= innerWidth")
    ground = seen(shown, "getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 23, 28)" if dark else "rgb(255, 255, 255)")

    def check():
        page.evaluate(AXE.read_text())
        found = page.evaluate("axe.run().then(found => found.violations.map(v => [v.id, v.nodes.map(n => n.html)]))")
        assert found == []

    check()
    page.locator("a.bad").first.click()
    page.locator("dialog[open] table.sample").first.wait_for()
    page.locator("dialog details summary").first.click()
    check()
    assert seen(shown, "document.documentElement.scrollWidth <= innerWidth")
    if pictures := os.environ.get("REPORT_PICTURES"):
        page.screenshot(path=Path(pictures) / f"details-{width}-{'dark' if dark else 'light'}.png")
        page.keyboard.press("Escape")
        page.screenshot(path=Path(pictures) / f"page-{width}-{'dark' if dark else 'light'}.png", full_page=True)
    assert shown.trouble == []


def test_a_cell_opens_what_was_applied_sent_and_answered(show, text):
    page = show(text).page
    page.locator("tr.row", has_text="SPLIT-001").locator("a.bad").click()
    details = page.locator("dialog[open]")
    details.locator("table.sample").first.wait_for()
    said = details.inner_text()
    for wanted in ("SPLIT-001 on mesh-01", "failed", "What SPLIT-001 asks of a mesh", "Specification: weight",
                   "wanted 90.0%", "2303 times from client", "v2:8080", "1 to 287", "within", "looked",
                   "TrafficSplit split-001-",
                   "mesh-conformance run --mesh mesh-01 --requirement SPLIT-001"):
        assert wanted in said, wanted
    assert details.locator("details pre").first.is_hidden()
    details.locator("details summary").first.click()
    assert "weight: 90" in details.locator("details pre").first.inner_text()
    page.locator("#close").click()
    page.locator("dialog").wait_for(state="hidden")


def test_the_keyboard_reaches_and_opens_everything(show, text):
    shown = show(text)
    page = shown.page
    page.locator("#differing").focus()
    for _ in range(2):  # the scrolling region, then the one stop of the grid
        page.keyboard.press("Tab")
    where = "document.activeElement.closest('td, th').cellIndex + ',' + document.activeElement.closest('tr').rowIndex"
    becomes(shown, where, "1,2")
    becomes(shown, "getComputedStyle(document.activeElement).outlineStyle", "solid")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    becomes(shown, where, "2,3")
    page.keyboard.press("End")
    becomes(shown, where, "3,3")
    page.keyboard.press("Home")
    becomes(shown, "document.activeElement.tagName", "SUMMARY")
    page.keyboard.press("Enter")
    becomes(shown, "document.activeElement.parentElement.open", wanted=True)
    page.keyboard.press("ArrowRight")
    for key in ("Enter", "Space"):
        page.keyboard.press(key)
        page.locator("dialog[open] pre.command").wait_for()
        becomes(shown, "document.activeElement.id", "dialog-title")
        page.keyboard.press("Escape")
        page.locator("dialog").wait_for(state="hidden")
        becomes(shown, where, "1,3")


def test_filters_leave_what_was_asked_for(show, text, small):
    shown = show(text)
    page = shown.page
    everything = shown.rows()
    assert len(everything) == 10
    failing = sorted({r.requirement for r in small.results if r.outcome in {Outcome.FAILED, Outcome.ERROR}})
    page.locator("#failing").check()
    assert sorted(shown.rows()) == failing
    page.locator("#failing").uncheck()
    page.locator("#differing").check()
    assert "SPLIT-001" in shown.rows()
    assert set(shown.rows()) <= set(failing)
    page.locator("#differing").uncheck()
    page.locator("#level").select_option("M")
    assert shown.rows() == ["SPLIT-001"]
    assert page.locator("#shown").inner_text() == "1 of 10 requirements"
    page.locator("#level").select_option("")
    page.locator("#api").select_option(label="metrics.smi-spec.io")
    assert shown.rows() == ["SPLIT-002", "SPLIT-006", "SPLIT-010"]
    page.locator("#api").select_option("")
    page.locator("#find").fill("split-00 TITLE 3")
    assert shown.rows() == ["SPLIT-003"]
    page.locator("#find").fill("no such words")
    assert shown.rows() == []
    page.locator("#find").fill("")
    assert shown.rows() == everything


def test_an_address_leads_to_a_result_and_back(show, text):
    shown = show(text, fragment="#SPLIT-004/mesh-02")
    page = shown.page
    page.locator("dialog[open] pre.command").wait_for()
    assert page.locator("#dialog-title").inner_text() == "SPLIT-004 on mesh-02"
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "#" not in url, wait_until="commit")
    page.locator("tr.row", has_text="SPLIT-002").locator("a[data-n]").first.click()
    page.locator("dialog[open] pre.command").wait_for()
    page.wait_for_url("**#SPLIT-002/mesh-00", wait_until="commit")


@pytest.mark.parametrize("fragment", ["#%E0%A4%A", "#no/such", "#<img src=x onerror=alert(1)>/x"])
def test_an_address_that_leads_nowhere_does_no_harm(show, text, fragment):
    shown = show(text, fragment=fragment)
    assert seen(shown, "performance.getEntriesByName('report-interactive').length") == 1
    assert not shown.page.locator("dialog").is_visible()
    assert shown.trouble == []


def test_without_script_matrix_and_failures_can_be_read(show, text):
    page = show(text, script=False).page
    assert page.locator("tr.row").count() == 10
    assert page.locator("#filters").is_hidden()
    page.locator("tr.row", has_text="SPLIT-001").locator("summary").click()
    assert page.get_by_text("What SPLIT-001 asks of a mesh").is_visible()
    page.locator("tr.row", has_text="SPLIT-001").locator("a.bad").click()
    account = page.locator("[id='SPLIT-001/mesh-01']")
    assert page.url.endswith("#SPLIT-001/mesh-01")
    assert account.locator("pre.message").is_visible()
    assert "wanted 90.0%" in account.inner_text()
    assert "2303" in account.inner_text()


def test_evidence_that_was_tampered_with_is_said_to_be_unreadable(show, text):
    start = text.index('id="evidence">') + len('id="evidence">')
    shown = show(f"{text[:start]}AAAA{text[start + 4:]}")
    shown.page.locator("a[data-n]").first.click()
    shown.page.get_by_text("The details cannot be read").wait_for()


@pytest.mark.parametrize("script", [True, False])
def test_a_hostile_record_does_nothing(show, script):
    shown = show(render(hostile(), [performance_run("</title><script>window.hacked=9</script>")]), script=script)
    page = shown.page
    page.locator("details > summary").first.wait_for(state="attached")
    if script:
        for number in range(page.locator("a[data-n]").count()):
            page.locator("a[data-n]").nth(number).click()
            page.locator("dialog[open] pre.command").wait_for()
            assert page.locator("dialog script, dialog img, dialog iframe, dialog svg").count() == 0
            assert page.locator("dialog a").count() == 0
            page.keyboard.press("Escape")
        assert seen(shown, "typeof window.hacked") == "undefined"
        assert seen(shown, "document.scripts.length") == 2
    assert page.locator("img, iframe, object, embed, base").count() == 0
    assert shown.trouble == [], "no alert, no error, and nothing that the policy had to forbid"
    assert all(url.startswith(("file:", "data:,")) for url in shown.requests)


def test_the_policy_forbids_what_would_get_in(show, text):
    """The second line of defence holds by itself: a script, a handler, a style and a request that somebody put in."""
    evil = ("<script>window.hacked=1</script><img src='https://127.0.0.1:1/x' onerror='window.hacked=2'>"
            "<p id=evil style='color: rgb(1, 2, 3)'>x</p>")
    shown = show(text.replace("<main>", f"<main>{evil}", 1))
    assert seen(shown, "typeof window.hacked") == "undefined"
    assert seen(shown, "getComputedStyle(document.getElementById('evil')).color") != "rgb(1, 2, 3)"
    assert len([said for said in shown.trouble if "Content Security Policy" in said]) >= 3
    with pytest.raises(Exception, match="TrustedHTML"):
        shown.page.evaluate("document.body.innerHTML = '<b>x</b>'")


def test_print_shows_all_of_the_matrix_and_no_controls(show, text):
    shown = show(text)
    shown.page.emulate_media(media="print")
    assert shown.page.locator("#filters").is_hidden()
    assert seen(shown, "getComputedStyle(document.querySelector('.tall')).maxHeight") == "none"


def test_fifteen_meshes_are_interactive_soon(show, capsys):
    """The figure is printed and kept in benchmarks/README.md; the bound here is one that a busy machine keeps."""
    text = render(field())
    times = []
    for _ in range(3):
        shown = show(text)
        times.append(seen(shown, "performance.getEntriesByName('report-interactive')[0].startTime"))
        assert shown.page.locator("a[data-n]").count() == 1950
    with capsys.disabled():
        print(f"\n{len(text.encode())} bytes; interactive after {', '.join(f'{one:.0f}' for one in times)} ms")
    assert min(times) < 10_000
