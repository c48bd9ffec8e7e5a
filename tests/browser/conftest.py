"""A real browser for the tests of the HTML report: Debian's Chromium, cut off from every network."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium():
    """The browser; a test that needs it fails without it, because it is only run where it was asked for."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - an extra
    except ImportError:
        pytest.fail("playwright is missing: pip install 'mesh-conformance[browser]'", pytrace=False)
    if not Path(CHROMIUM).exists():
        pytest.fail("there is no chromium: apt-get install chromium", pytrace=False)
    with sync_playwright() as driver:
        # As root, Chromium's own sandbox cannot be had; what it opens here are files that these tests wrote.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS), chromium_sandbox=False)
        yield browser
        browser.close()


class Opened:
    """A page in the browser, and everything that went wrong with it."""

    def __init__(self, page):
        self.page = page
        self.trouble = []
        self.requests = []
        page.on("console", lambda message: self.trouble.append(message.text))
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("dialog", lambda dialog: (self.trouble.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))

    def rows(self):
        """The requirements that are shown."""
        return self.page.locator("tr.row:visible summary b").all_inner_texts()


@pytest.fixture
def show(chromium, tmp_path):
    """Open a text as a page from a file: `show(text, width=390, dark=True, script=False)`."""
    contexts = []

    def opened(text, *, width=1280, height=900, dark=False, script=True, fragment=""):
        file = tmp_path / "report.html"
        file.write_text(text)
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light",
            java_script_enabled=script, offline=True,
        )
        contexts.append(context)
        result = Opened(context.new_page())
        result.page.goto(f"{file.as_uri()}{fragment}")
        return result

    yield opened
    for context in contexts:
        context.close()
