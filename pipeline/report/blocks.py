"""What a page is made of: sections of notes, tables, figures and pictures, with everything already in words.

The templates only lay them out, one template for each `kind`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from trainer_module.model_card import HATCH_COLORS

Tone = Literal["good", "bad", "neutral"]

HATCHED: Final = "repeating-linear-gradient(135deg, {} 0 2px, {} 2px 4px)".format(
    *(f"#{bytes(color).hex()}" for color in HATCH_COLORS)
)
"""The swatch of what is not labelled."""


@dataclass(frozen=True)
class Note:
    """A sentence or two."""

    kind: ClassVar = "note"
    text: str


@dataclass(frozen=True)
class Cell:
    """A cell of a table that is not plain text."""

    text: str
    detail: str = ""
    """A smaller line below."""

    tone: Tone = "neutral"
    swatch: str | None = None
    """Colour of a class, as CSS writes it; or `HATCHED`."""

    is_whole: bool = False
    """Whether its lines are never broken."""

    @property
    def line(self) -> str:
        """Text and detail in one line."""
        return f"{self.text} ({self.detail})" if self.detail else self.text


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; columns from the second on hold numbers, but for those in `words`."""

    kind: ClassVar = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    caption: str = ""
    words: Sequence[str] = ()
    """Headings of further columns that hold text."""

    folded: str | None = None
    """The line to click on where the table is shown on demand only."""

    @property
    def cells(self) -> list[list[tuple[Cell, bool]]]:
        """The rows as cells, each with whether it holds a number."""
        numeric = [index > 0 and column not in self.words for index, column in enumerate(self.columns)]
        return [
            [
                (cell if isinstance(cell, Cell) else Cell(cell), number)
                for cell, number in zip(row, numeric, strict=True)
            ]
            for row in self.rows
        ]

    @property
    def headings(self) -> list[tuple[str, bool]]:
        """The headings, each with whether its column holds numbers."""
        return [(column, index > 0 and column not in self.words) for index, column in enumerate(self.columns)]


@dataclass(frozen=True)
class Figure:
    """A chart."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Figures:
    """Charts side by side where there is room."""

    kind: ClassVar = "figures"
    figures: Sequence[Figure]
    is_wide: bool = False
    """Whether they take the whole width, each."""


@dataclass(frozen=True)
class Picture:
    """One thumbnail."""

    label: str
    uri: str
    """A data URI."""


@dataclass(frozen=True)
class PictureRow:
    """One image of the data: its pictures side by side under its name."""

    name: str
    detail: str
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Gallery:
    """Images of the data."""

    kind: ClassVar = "gallery"
    title: str
    caption: str
    rows: Sequence[PictureRow]


@dataclass(frozen=True)
class Link:
    """A file beside the page."""

    text: str
    target: str


@dataclass(frozen=True)
class Links:
    """Where there is more."""

    kind: ClassVar = "links"
    links: Sequence[Link]


@dataclass(frozen=True)
class Legend:
    """The colours of the classes."""

    kind: ClassVar = "legend"
    entries: Sequence[Cell]
    with_errors: bool = True
    """Whether the colour of wrong pixels is named, too."""


Block = Note | Table | Figures | Gallery | Links | Legend


@dataclass(frozen=True)
class Section:
    """A part of a page under its own heading."""

    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """The id that links within the page lead to."""
        return self.title.lower().replace(" ", "-")


@dataclass(frozen=True)
class Verdict:
    """What a page says first."""

    tone: Tone
    headline: str
    reason: str
    blocks: Sequence[Block] = field(default=())


@dataclass(frozen=True)
class Page:
    """A whole page."""

    title: str
    subtitle: str
    verdict: Verdict
    sections: Sequence[Section]
