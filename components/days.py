"""Days as numbers, as the feature `trainer_module.features.DATE` has them. Nothing here imports TensorFlow."""

from datetime import date, timedelta
from typing import Final

_EPOCH: Final = date(1970, 1, 1)


def day_number(day: date) -> int:
    """Returns the days since 1970-01-01.

    >>> day_number(date(2026, 11, 29))
    20786
    """
    return (day - _EPOCH).days


def day_text(number: int) -> str:
    """Returns a day as people write it; the number itself where it is none of the years 1 to 9999.

    >>> day_text(20786)
    '2026-11-29'
    """
    try:
        return (_EPOCH + timedelta(days=number)).isoformat()
    except OverflowError:
        return str(number)
