"""The list of suspect masks: a file of comma-separated values for labellers, and the pictures beside it.

Nothing here imports TensorFlow: reports read what the component wrote.
"""

import csv
import io
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

SUSPECTS_FILE: Final = "suspects.csv"
PICTURES_DIRECTORY: Final = "pictures"
_RANK: Final = "rank"


class Kind(StrEnum):
    """What seems to be wrong with a mask, as far as one change of all of it would explain the contradiction."""

    BLANK = "blank"
    """One class everywhere."""

    SHIFTED = "shifted"
    """Moved to another place, it would be as the model has it."""

    EXCHANGED = "exchanged"
    """With two classes exchanged, it would be as the model has it."""

    OTHER = "other"


class Region(BaseModel):
    """A rectangle of an image as viewers show it, in pixels."""

    model_config = ConfigDict(frozen=True)

    left: int
    top: int
    width: int
    height: int


class Suspect(BaseModel):
    """One mask that the model contradicts."""

    model_config = ConfigDict(frozen=True)

    file_name: str
    split: str
    example_id: str
    score: float
    """How strongly the model contradicts, from 0 to 1; see `confidence.contradiction_score`."""

    contradicted: float
    """Share of the labelled pixels that the model confidently gives another class."""

    given_class: str
    """What the mask says in most pixels of the region, as `suggested_class` is what the model says there."""

    suggested_class: str
    kind: Kind
    region: Region
    """Around the largest connected part of what is contradicted."""


_FIELDS: Final = [name for name in Suspect.model_fields if name != "region"]
_REGION_FIELDS: Final = [*Region.model_fields]


def to_csv(suspects: Sequence[Suspect]) -> str:
    """Writes suspects, the first ranked first, with a line of headings; RFC 4180.

    >>> to_csv([]).strip()
    'rank,file_name,split,example_id,score,contradicted,given_class,suggested_class,kind,left,top,width,height'
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, [_RANK, *_FIELDS, *_REGION_FIELDS])
    writer.writeheader()
    for rank, suspect in enumerate(suspects, 1):
        row = suspect.model_dump(include={*_FIELDS}) | suspect.region.model_dump()
        writer.writerow({_RANK: rank, **row} | {name: f"{row[name]:.4f}" for name in ("score", "contradicted")})
    return text.getvalue()


def from_csv(text: str) -> list[Suspect]:
    """Reads what `to_csv` wrote, numbers to four decimals.

    Raises:
      ValueError: A column is missing, or a value is none of its column's.
    """
    return [
        Suspect.model_validate(row | {"region": {name: row.get(name) for name in _REGION_FIELDS}})
        for row in csv.DictReader(io.StringIO(text))
    ]


def picture_names(rank: int) -> tuple[str, str, str]:
    """Returns the files with the image, the given mask and the model's mask of one suspect, by its rank from 1.

    >>> picture_names(3)
    ('003_image.jpg', '003_given.png', '003_model.png')
    """
    return f"{rank:03d}_image.jpg", f"{rank:03d}_given.png", f"{rank:03d}_model.png"
