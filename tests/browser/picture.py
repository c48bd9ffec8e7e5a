"""Make the pictures of the documentation: `python tests/browser/picture.py RECORDS [PICTURE…]`.

What is shown is what the commands print about real records. RECORDS is a directory with `conformance-report`, of
`mesh-conformance run --mutant weights-84-16`, and `reference` and `istio`, of `mesh-conformance run --suite gateway` on
each of the two meshes (docs/gateway.md). The published reports are those of this repository.

Needs the extras `browser` and `performance` (whose Pillow leaves 64 colours in a picture), and Debian's chromium.
"""

from __future__ import annotations

import html
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPOSITORY: Final = Path(__file__).parents[2]
DOCS: Final = REPOSITORY / "docs"
COLUMNS: Final = 136
"""How wide the terminal is."""


@dataclass(frozen=True)
class Picture:
    """One of `docs/`: `commands` are run in turn; shown is what they print, or `page` when they have been run.

    `find` is typed into the page's filter. `size` is the viewport's, in pixels.
    """

    name: str
    commands: tuple[str, ...]
    page: str = ""
    find: str = ""
    size: tuple[int, int] = (1100, 700)


PICTURES: Final = (
    Picture("report-show", ("mesh-conformance report show --requirement 'SPLIT-00*'",)),
    Picture("report-matrix", ("mesh-conformance report combine istio/ reference/ > all.jsonl",
                              "mesh-conformance report matrix all.jsonl | head -20")),
    Picture("report-html", ("mesh-conformance report matrix --format html > report.html",), "report.html", "split-00",
            size=(1200, 900)),
    Picture("report-diff", ("mesh-conformance report diff reports/reference/0.1.0+v1alpha4 conformance-report",)),
    Picture("report-combine", ("mesh-conformance report combine istio/ reference/ > all.jsonl",
                               "mesh-conformance report matrix all.jsonl --format html > all.html"), "all.html",
            size=(1040, 860)),
    Picture("report-verify", ("mesh-conformance report verify conformance-report",
                              "mesh-conformance report verify istio")),
    Picture("report-publish", ("mesh-conformance report publish reports/reference/0.1.0+osm --to site",
                               "mesh-conformance report publish conformance-report --to site")),
    Picture("report-site", ("mesh-conformance report publish --to reports",), "reports/index.html",
            size=(1280, 720)),
    Picture("report-badge", ("mesh-conformance report badge -o badges",), "badges"),
    Picture("report-yaml", ("mesh-conformance report yaml reference/ --organization example --contact @someone",)),
)

_TERMINAL: Final = """<!DOCTYPE html><meta charset="utf-8"><style>
pre {{ display: inline-block; margin: 0; padding: 12px 14px; background: #f6f8fa; color: #1b1f24;
  font: 12.5px/1.4 "DejaVu Sans Mono", monospace; white-space: pre-wrap; word-break: break-all;
  max-width: {columns}ch; }}
b {{ color: #0550ae; }}
</style><pre>{lines}</pre>"""
_BADGES: Final = """<!DOCTYPE html><meta charset="utf-8"><style>
dl {{ display: inline-grid; grid-template-columns: max-content max-content; gap: 10px 16px; align-items: center;
  margin: 0; padding: 14px; font: 12.5px/1.4 "DejaVu Sans Mono", monospace; }}
dd {{ margin: 0; }} img {{ display: block; }}
</style><dl>{badges}</dl>"""


def terminal(told: list[tuple[str, str]]) -> str:
    """Return a page that looks like a terminal in which commands printed something."""
    lines = "\n\n".join(f"<b>$ {html.escape(command)}</b>\n{html.escape(text.strip())}".rstrip()
                        for command, text in told)
    return _TERMINAL.format(columns=COLUMNS, lines=lines)


def badges(directory: Path) -> str:
    """Return a page of badges with the names of their files."""
    names = [html.escape(file.name) for file in sorted(directory.glob("*.svg"))]
    return _BADGES.format(badges="".join(f"<dt>{one}</dt><dd><img src='{one}'></dd>" for one in names))


def made(picture: Picture, place: Path, browser: Browser, target: Path) -> None:
    """Run the commands of a picture in a directory and write what they make to a file."""
    told = [(command, _run(command, place)) for command in picture.commands]
    width, height = picture.size
    page = browser.new_page(viewport={"width": width, "height": height})
    shown = place / (picture.page or "terminal.html")
    if not picture.page:
        shown.write_text(terminal(told), encoding="utf-8")
    elif shown.is_dir():
        shown = shown / "badges.html"
        shown.write_text(badges(shown.parent), encoding="utf-8")
    page.goto(shown.resolve().as_uri())
    if picture.find:
        page.locator("#find").fill(picture.find)
    drawn = shown.name in {"terminal.html", "badges.html"}
    (page.locator("pre, dl").first if drawn else page).screenshot(path=target)
    page.close()
    _lessen(target)


def _run(command: str, place: Path) -> str:
    """Return what a command prints; its exit code is part of what views say, and none fails for it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        ["bash", "-c", command], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        timeout=120, env={**os.environ, "PATH": path, "COLUMNS": str(COLUMNS)},
    )
    if "Traceback" in ended.stdout or ended.returncode not in {0, 1}:
        sys.exit(f"{command}: {ended.stdout}")
    return ended.stdout


def _lessen(target: Path) -> None:
    from PIL import Image  # noqa: PLC0415 - the test of the documentation needs none

    with Image.open(target) as image:
        image.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(target, optimize=True)


def main(records: Path, names: list[str]) -> None:
    """Make the pictures of these names, or all."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory() as directory, sync_playwright() as driver:
        place = Path(directory)
        for name in ("conformance-report", "istio", "reference"):
            (place / name).symlink_to((records / name).resolve())
        shutil.copytree(REPOSITORY / "reports", place / "reports")
        browser = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--disable-gpu", "--disable-background-networking"],
            chromium_sandbox=False,
        )
        for picture in PICTURES:
            if not names or picture.name in names:
                target = DOCS / f"{picture.name}.png"
                made(picture, place, browser, target)
                print(f"{target.name}: {target.stat().st_size} bytes")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
