"""How large the HTML report of many meshes is, how long it takes to make, and how soon a browser has it ready.

    python benchmarks/html_report.py [MESHES REQUIREMENTS]

Needs the extra `browser` and Debian's chromium.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

from conformance.report.html import page

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from html_reports import field

TIMES = 7


def main() -> None:
    meshes, requirements = (int(word) for word in (*sys.argv[1:], "15", "130")[:2])
    report = field(meshes, requirements)
    began = time.perf_counter()
    text = page(report)
    print(f"{meshes} meshes, {requirements} requirements: {len(text.encode()) / 1e6:.2f} MB, "
          f"made in {time.perf_counter() - began:.2f} s")
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as driver:
        file = Path(directory) / "report.html"
        file.write_text(text, encoding="utf-8")
        browser = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--disable-gpu", "--disable-background-networking"],
            chromium_sandbox=False,
        )
        ready, details = [], []
        for _ in range(TIMES):
            shown = browser.new_page()
            shown.goto(file.as_uri())
            ready.append(shown.evaluate("performance.getEntriesByName('report-interactive')[0].startTime"))
            details.append(shown.evaluate(
                "async () => { const began = performance.now(); document.querySelector('a[data-n]').click();"
                " while (!document.querySelector('dialog[open] pre')) await new Promise(requestAnimationFrame);"
                " return performance.now() - began; }"))
            shown.close()
        browser.close()
    for what, times in (("interactive after", ready), ("first details after", details)):
        print(f"{what} {median(times):.0f} ms ({min(times):.0f} to {max(times):.0f}, {TIMES} times)")


if __name__ == "__main__":
    main()
