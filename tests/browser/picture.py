"""Make the picture of an HTML report: `python tests/browser/picture.py REPORT.html PICTURE.png`.

Needs the extra `browser` and Debian's chromium.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright


def picture(report: Path, target: Path) -> None:
    """Show the top of a report, with the matrix filtered to the first requirements of traffic splits."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--disable-gpu", "--disable-background-networking"],
            chromium_sandbox=False,
        )
        page = browser.new_page(viewport={"width": 1280, "height": 820})
        page.goto(report.resolve().as_uri())
        page.locator("#find").fill("split-00")
        page.screenshot(path=target)
        browser.close()


if __name__ == "__main__":
    picture(Path(sys.argv[1]), Path(sys.argv[2]))
