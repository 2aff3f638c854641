"""Figures of matplotlib as SVG inside a page: its fonts, its colours in light and dark, and titles to hover over.

matplotlib can do neither: it knows no CSS variables and has no titles, and it numbers the groups of every figure alike.
Nothing of it refers to the network: even the names of XML's namespaces are left out, which HTML does not need.
"""

import io
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import is_color_like, to_hex, to_rgba
from matplotlib.figure import Figure

INK: Final = "#010101"
MUTED: Final = "#020202"
GRID: Final = "#030303"
FIRST: Final = "#040404"
SECOND: Final = "#050505"
ON_HEAT: Final = "#060606"
HEAT: Final = "#070707"

_VARIABLES: Final = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    FIRST: "--first",
    SECOND: "--second",
    ON_HEAT: "--on-heat",
    HEAT: "--heat",
}
"""Colours that stand for variables of the page's style, by which a chart follows the reader's light or dark scheme."""

_POINTS_PER_INCH: Final = 72
_STYLE_COLOR: Final = re.compile(r"(--[a-z-]+): (#[0-9a-f]{6});")
_REFERENCE: Final = re.compile(r"(?:url\(|href=\")#([^)\"]+)")
_UNDATED: Final = {".svg": {"Date": None}}
_NO_METADATA: Final = dict.fromkeys(("Creator", "Date", "Format", "Type"))
STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}
"""Settings of matplotlib under which a chart is to be made, drawn and written."""


class Chart:
    """A figure in the making, and what its parts say when the pointer rests on them."""

    def __init__(self, width: int, height: int, name: str, panels: Sequence[float] = (1,)) -> None:
        """Makes an empty figure.

        Args:
          width: In CSS pixels at its natural size.
          height: Likewise.
          name: Different for each chart of a page.
          panels: Heights, in ratio, of axes one above the other that share the horizontal one.
        """
        self.name = name
        self._titles: dict[str, str] = {}
        self.figure = Figure(
            figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH), dpi=_POINTS_PER_INCH, layout="constrained"
        )
        grid = self.figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=panels)
        self.panels: list[Axes] = list(grid[:, 0])
        self.axes = self.panels[0]

    def title_id(self, text: str) -> str:
        """Returns the id (`gid` of an artist of matplotlib) whose part of the chart says a text."""
        key = f"{self.name}-{len(self._titles)}"
        self._titles[key] = text
        return key

    def save(self, *files: Path) -> None:
        """Writes the chart to picture files that stand alone, of the kinds that their names end in, on white."""
        colors = _light_colors()
        for artist in self.figure.findobj():
            for part in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
                _recolor(artist, part, colors)
        for file in files:
            self.figure.savefig(file, dpi=2 * _POINTS_PER_INCH, facecolor="white", metadata=_UNDATED.get(file.suffix))

    def svg(self, label: str) -> str:
        """Returns the chart as an element of HTML.

        Args:
          label: What it shows, for those who cannot see it.
        """
        buffer = io.StringIO()
        with mpl.rc_context({"svg.hashsalt": self.name}):
            self.figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
        root = ElementTree.fromstring(buffer.getvalue())
        referenced = set(_REFERENCE.findall(buffer.getvalue()))
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
            element.attrib = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
            if text := self._titles.get(element.get("id", "")):
                title = ElementTree.Element("title")
                title.text = text
                element.insert(0, title)
            if element.get("id") not in referenced:
                element.attrib.pop("id", None)
        for attribute in ("width", "height", "version"):
            root.attrib.pop(attribute, None)
        root.attrib |= {"role": "img", "aria-label": label, "class": "chart"}
        text = ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)
        for color, variable in _VARIABLES.items():
            text = text.replace(color, f"var({variable})")
        return text


def _light_colors() -> dict[str, str]:
    """Returns what the page's style has for each colour in its light scheme."""
    style = (resources.files("pipeline.report") / "templates" / "style.css").read_text(encoding="utf-8")
    found = dict(_STYLE_COLOR.findall(style.partition("@media")[0]))
    return {color: found[variable] for color, variable in _VARIABLES.items()}


def _recolor(artist: Artist, part: str, colors: Mapping[str, str]) -> None:
    """Replaces a colour of an artist that stands for one of the style."""
    get, put = getattr(artist, f"get_{part}", None), getattr(artist, f"set_{part}", None)
    if get is None or put is None:
        return
    color: Any = get()
    if is_color_like(color) and to_hex(color) in colors:
        put(to_rgba(colors[to_hex(color)], to_rgba(color)[3]))
