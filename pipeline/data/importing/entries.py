"""The list of all files that an import met, one line each: what is told of them, and what the next import goes by."""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

FILE_NAME: Final = "import_files.csv"


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a source, or a mask without image."""

    name: str
    """In the data set: the path relative to the source, after the source's own name where it was added to others."""

    folder: str
    """The source, as an absolute path."""

    split: str = ""
    reason: str = ""
    """Why it is not in the data set; empty for those that are."""

    notes: tuple[str, ...] = ()
    """What was done to it."""

    shard: int | None = None
    """Number of the split's file that has the example; the lines of a shard are in the order of its records."""

    date: int | None = None
    """Days since 1970-01-01."""

    pixels: Mapping[str, int] = field(default_factory=dict)
    """Mask value to its number of pixels."""

    met: Mapping[str, int] = field(default_factory=dict)
    """The same, as the source writes its values."""

    image: str = ""
    """Digest of the image's bytes as they are in the data set."""

    content: str = ""
    """Digest of the files of image and mask; empty where they could not be read."""

    stamp: str = ""
    """Digest of their sizes and times of modification; empty where they could not be looked at."""

    @property
    def is_kept(self) -> bool:
        """Whether it is in the data set."""
        return not self.reason

    def as_json(self) -> dict[str, Any]:
        """Returns it as `from_json` takes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Entry":
        """Makes it from what `as_json` returned."""
        return cls(**{**values, "notes": tuple(values["notes"])})


_COLUMNS: Final = tuple(column.name for column in fields(Entry))
_AS_JSON: Final = ("notes", "pixels", "met")
_NUMBERS: Final = ("shard", "date")


def write_entries(path: Path, entries: Iterable[Entry]) -> None:
    """Writes the list."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for entry in entries:
            row = asdict(entry)
            row |= {name: json.dumps(row[name], ensure_ascii=False) if row[name] else "" for name in _AS_JSON}
            writer.writerow(["" if row[name] is None else row[name] for name in _COLUMNS])


def read_entries(path: Path) -> list[Entry]:
    """Reads what `write_entries` wrote.

    Raises:
      OSError, ValueError: It cannot be read, or is none.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return [_entry(row) for row in csv.DictReader(file)]


def _entry(row: Mapping[str, str]) -> Entry:
    values: dict[str, Any] = {name: row[name] for name in _COLUMNS if row[name]}
    values |= {name: json.loads(values[name]) for name in _AS_JSON if name in values}
    values |= {name: int(values[name]) for name in _NUMBERS if name in values}
    return Entry.from_json({"name": "", "folder": "", "notes": (), **values})
