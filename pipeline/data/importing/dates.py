"""The day that an example is of: from its path, from EXIF, or the day on which it was imported."""

import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from PIL import Image

from components.days import day_number
from trainer_module.errors import ConfigError

FROM_IMPORT: Final = "import"
FROM_EXIF: Final = "exif"

_DIGITS: Final = {"%Y": r"\d{4}", "%y": r"\d{2}", "%m": r"\d{2}", "%d": r"\d{2}", "%j": r"\d{3}"}
_ENOUGH: Final = ({"%Y", "%m", "%d"}, {"%y", "%m", "%d"}, {"%Y", "%j"}, {"%y", "%j"})
_EXIF_IFD: Final = 0x8769
_DATE_TIME_ORIGINAL: Final = 0x9003


@dataclass(frozen=True)
class DateSource:
    """Where dates come from."""

    text: str
    """`import`, `exif`, or a form that a part of the path has, such as `%Y-%m-%d`.

    A form has the fields of `datetime.strptime` for the year (`%Y`, `%y`) with month and day (`%m`, `%d`) or the day
    of the year (`%j`), each with all its digits.
    """

    def __post_init__(self) -> None:
        fields = re.findall("%.", self.text)
        if self.text not in (FROM_IMPORT, FROM_EXIF) and set(fields) not in _ENOUGH:
            raise ConfigError(
                f"--date-from {self.text!r}: give {FROM_IMPORT}, {FROM_EXIF}, or how a day is written in the path, "
                "such as %Y-%m-%d or %Y%m%d, with %Y or %y, %m and %d, or %j for the day of the year"
            )

    @property
    def is_of_path(self) -> bool:
        """Whether a path tells the day."""
        return "%" in self.text

    def of_path(self, path: str) -> int | None:
        """Returns the day that a path names first, in days since 1970-01-01; None where it names none.

        >>> DateSource("%Y-%m-%d").of_path("2026-11-29/a.jpg")
        20786
        """
        pattern = re.escape(self.text)
        for field, digits in _DIGITS.items():
            pattern = pattern.replace(re.escape(field), digits)
        for found in re.finditer(rf"(?<!\d){pattern}(?!\d)", path):
            try:
                return day_number(datetime.strptime(found[0], self.text).date())
            except ValueError:
                continue  # digits that are no date
        return None


def today() -> int:
    """Returns today in UTC, in days since 1970-01-01."""
    return day_number(datetime.now(UTC).date())


def exif_day(encoded: bytes) -> int | None:
    """Returns the day on which EXIF says that a photo was taken, in days since 1970-01-01; None where it does not."""
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            text = image.getexif().get_ifd(_EXIF_IFD).get(_DATE_TIME_ORIGINAL)
        return day_number(datetime.strptime(str(text)[:10], "%Y:%m:%d").date())
    except Exception:  # noqa: BLE001 (whatever Pillow raises over damaged EXIF)
        return None
