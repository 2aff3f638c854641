"""How much a pipeline root of this machine may hold."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from trainer_module.section import Section

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?) ?([kMGT]i?)B")
_FACTORS: Final = {
    **{prefix: 1000**power for power, prefix in enumerate("kMGT", start=1)},
    **{f"{prefix}i": 1024**power for power, prefix in enumerate("kMGT", start=1)},
}


def size_in_bytes(text: str) -> int:
    """Reads a size with its unit.

    Raises:
      ValueError: It is none.

    >>> size_in_bytes("20GB"), size_in_bytes("1.5 MiB")
    (20000000000, 1572864)
    """
    found = _SIZE.fullmatch(text)
    size = int(float(found[1]) * _FACTORS[found[2]]) if found else 0
    if not size:
        raise ValueError(
            f"expected a size above 0 in kB, MB, GB or TB (10⁹ bytes a GB), or in GiB, as 20GB; got {text!r}"
        )
    return size


def _size(text: str) -> str:
    size_in_bytes(text)
    return text


class HousekeepingConfig(Section):
    """What stays in the pipeline root when a firing of a schedule has ended; without any of it, everything does."""

    keep_runs: int | None = Field(None, ge=1)
    """How many runs of each pipeline stay with all they left, the latest of those that trained or evaluated. None: as
    many as there is room for."""

    max_size: Annotated[str, AfterValidator(_size)] | None = None
    """How large the whole root may be: `20GB`, `500MB`, `1.5TB`; with `GiB` and the like as powers of 1024. Beyond that
    older runs go, too, down to what must never go. None: as large as it becomes."""

    @property
    def max_bytes(self) -> int | None:
        return size_in_bytes(self.max_size) if self.max_size else None

    @property
    def is_set(self) -> bool:
        """Whether anything is ever to be removed."""
        return self.keep_runs is not None or self.max_size is not None
