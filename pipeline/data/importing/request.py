"""What the user asks of an import."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.data.formats.options import SourceOptions
from pipeline.data.importing.dates import FROM_IMPORT, DateSource
from pipeline.data.importing.splitting import SplitRule
from pipeline.data.importing.versions import Version

MasksDrawnOn = Literal["auto", "shown", "stored"]


@dataclass(frozen=True)
class ImportRequest:
    """One import."""

    source: Path
    name: str
    data_dir: str
    options: SourceOptions = field(default_factory=SourceOptions)
    """What is said about the source."""

    version: Version | None = None
    """None: the next one."""

    rule: SplitRule = field(default_factory=SplitRule)
    split_by: Literal["source", "hash"] | None = None
    """None: by the source's folders or lists where it has some, else by the hash of the name."""

    dates: DateSource = field(default_factory=lambda: DateSource(FROM_IMPORT))
    masks_drawn_on: MasksDrawnOn = "auto"
    """Where the size of a mask does not tell. `auto`: on the image as viewers show it, unless all masks whose size does
    tell were drawn on the image as it is stored."""

    mode: Literal["update", "add", "replace"] = "update"
    """Whether the source is that of the version before, another one to add to it, or another in its place."""

    keep_removed: bool = False
    """Whether pictures stay in the data set that the source has no more."""

    strict: bool = False
    """Whether a dropped file refuses the import."""

    workers: int = 1

    @property
    def folder(self) -> str:
        """The source as an absolute path."""
        return str(self.source.absolute())

    def settings(self) -> dict[str, Any]:
        """Returns what decides, beside its files, what becomes of a picture."""
        return {
            "split": dict(self.rule.shares),
            "group": self.rule.group,
            "stratify": self.rule.stratify,
            "split_by": self.split_by,
            "masks_drawn_on": self.masks_drawn_on,
            "date_from": self.dates.text,
        }
