"""What all pictures share: a figure of matplotlib without global state, and its SVG made fit for pages.

The SVG has a transparent ground and takes its text colour from where it stands, or from the reader's preference for
light or dark; the colours of data have a contrast of 3 to 1 on both. Text stays text. The same data give the same
bytes. A title and a description tell those who cannot see the picture what is in it.
"""

from __future__ import annotations

import hashlib
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from conformance.performance.wording import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK: Final = "#010203"
"""Stands for the colour of text until the picture is written."""
FAINT: Final = "#808284"
"""Grid lines and single rounds."""

_SVG: Final = "http://www.w3.org/2000/svg"
_XLINK: Final = "http://www.w3.org/1999/xlink"
_STYLE: Final = (
    ".mesh-picture{color:#1b1f24;font-family:system-ui,sans-serif;max-width:100%;height:auto}"
    "@media(prefers-color-scheme:dark){.mesh-picture{color:#e6e8eb}}"
)


@dataclass(frozen=True)
class Look:
    """How one series is told from the others: by colour, by dashes and by marks, of which each alone is enough."""

    colour: str
    dashes: Any
    mark: str


LOOKS: Final = (
    Look("#0072b2", "solid", "o"),
    Look("#d55e00", (0, (6, 2)), "s"),
    Look("#009e73", (0, (2, 1.5)), "^"),
    Look("#b5658f", (0, (7, 2, 1.5, 2)), "D"),
    Look("#8a7400", (0, (4, 1.5, 1.2, 1.5, 1.2, 1.5)), "v"),
    Look("#7a6bd0", (0, (1, 1)), "P"),
)
"""After Okabe and Ito's colours for the colour-blind, without those that fade on white or on black."""


class PicturesMissing(Exception):  # noqa: N818 - names what is wrong
    """The plotting library is not installed."""

    def __init__(self) -> None:
        super().__init__("pictures need matplotlib: pip install 'mesh-conformance[performance]'")


@dataclass(frozen=True)
class Chart:
    """A picture in the making; sizes in inches, of which the screen makes 72 units each.

    `heights` are those of its parts, one below the other, as shares of each other; they share the x axis.
    """

    title: str
    width: float = 7.2
    height: float = 3.8
    heights: tuple[float, ...] = (1.0,)

    def draw(self, description: str, paint: Callable[[list[Axes]], None]) -> str:
        """Return the SVG of what `paint` draws on the axes that it is given, a list with one for each part.

        Raises `PicturesMissing` without matplotlib.
        """
        try:
            import matplotlib as mpl  # noqa: PLC0415 - an extra
            from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise PicturesMissing from error
        # Ids in the file are hashes, salted by what is drawn, lest two pictures of one page share them.
        salt = hashlib.sha256(f"{self.title}\0{description}".encode()).hexdigest()[:10]
        with mpl.rc_context({**_SETTINGS, "svg.hashsalt": salt}):
            figure = Figure(figsize=(self.width, self.height), layout="constrained")
            figure.patch.set_visible(False)
            axes = figure.subplots(len(self.heights), 1, sharex=True, squeeze=False, height_ratios=self.heights)
            axes = axes[:, 0].tolist()
            for one in axes:
                plain(one)
            axes[0].set_title(shown(self.title, 90), loc="left", fontsize=10, fontweight="bold")
            paint(axes)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        return _finished(buffer.getvalue(), self.title, description, salt)


_SETTINGS: Final[dict[Any, Any]] = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "text.parse_math": False,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.titlecolor": INK, "legend.labelcolor": INK, "axes.unicode_minus": True,
}


def plain(axes: Axes) -> None:
    """Leave of the axes what helps to read them."""
    axes.patch.set_visible(False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color=FAINT, linewidth=0.4, alpha=0.5)
    axes.set_axisbelow(True)


def some(items: object, title: str) -> None:
    """Raise ValueError when there is nothing to draw."""
    if not items:
        raise ValueError(f"{title}: there is nothing to draw")


def shown(text: str, longest: int = 60) -> str:
    """Return a text as a picture may hold it."""
    return printable(text, longest).replace("\n", " ").replace("\t", " ")


def _finished(data: bytes, title: str, description: str, salt: str) -> str:
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    root = ET.fromstring(data)  # noqa: S314 - written here a moment ago
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, f"p{salt}-{value}")
            elif name == f"{{{_XLINK}}}href" and value.startswith("#"):
                element.set(name, f"#p{salt}-{value[1:]}")
            else:
                element.set(name, re.sub(r"url\(#", f"url(#p{salt}-", value).replace(INK, "currentColor"))
        if element.tag == f"{{{_SVG}}}text":
            # The page's font, not one that may be missing.
            element.set("style", re.sub(r"font: [^;]*?([\d.]+px)[^;]*", r"font-size: \1", element.get("style", "")))
    root.set("class", "mesh-picture")
    root.set("role", "img")
    root.set("aria-labelledby", f"p{salt}-title p{salt}-desc")
    for place, (tag, text) in enumerate((("title", title), ("desc", description), ("style", _STYLE))):
        element = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"p{salt}-{tag}"} if tag != "style" else {})
        element.text = shown(text, 1000)
        root.insert(place, element)
    return ET.tostring(root, encoding="unicode") + "\n"
