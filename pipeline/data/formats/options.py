"""What the user can say about a source of images and masks; whatever is not said, the source is asked for."""

from pathlib import Path
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

FormatName = Literal["folders", "coco", "voc", "cityscapes", "labelme", "cvat"]
FORMAT_NAMES: Final[tuple[FormatName, ...]] = get_args(FormatName)

MAX_CLASSES: Final = 255
"""Class ids are 0 to 254; 255 is the one of what is not labelled."""

SourceValue = Annotated[int, Field(ge=0, le=2**16 - 1)]


class SourceOptions(BaseModel):
    """Options of all formats; each format reads those that concern it.

    Paths of `images` and `masks` are relative to the source's root, with `/`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: FormatName | None = None
    """None finds out."""

    images: str | None = None
    """Folder of the images."""

    masks: str | None = None
    """Folder of the masks; for COCO, LabelMe and the like, what `images` is for."""

    mask_template: str | None = None
    """File name of the mask of an image, such as `{stem}_mask.png`; without an extension, any."""

    split_lists: dict[str, Path] = {}
    """Split name to a text file with one image a line: its stem, its name, or its path below the root."""

    class_names: tuple[str, ...] = ()
    """Of masks, the name of each of `mask_values`; of labelled objects, the categories that become classes."""

    mask_values: tuple[SourceValue, ...] = ()
    """As the source writes them, one for each of `class_names`; empty stands for 0, 1, 2, …"""

    class_table: Path | None = None
    """File with the name and the value or colour of each class (`pipeline.data.formats.class_table`)."""

    ignore: tuple[str, ...] | None = None
    """What means "not labelled", as the source writes it: a value, a colour `#rrggbb`, or the name of a class.

    None takes the names of the field (void, unlabeled, …) and what the format prescribes.
    """

    palette: Literal["index", "color"] | None = None
    """What counts in a mask with a palette; None: the colour where colours are declared, else the index."""

    unknown: Literal["refuse", "ignore"] = "refuse"
    """What becomes of a value or colour that no class has: the mask is refused, or those pixels are not labelled."""

    jpeg_masks: Literal["refuse", "snap"] = "refuse"
    """Whether masks with lossy compression are refused, or each pixel goes to the class with the nearest value."""

    background: Literal["class", "ignore"] = "class"
    """What pixels outside all labelled objects are: a class of their own, or not labelled."""

    crowds: Literal["ignore", "object"] = "ignore"
    """Whether regions that COCO marks `iscrowd` are not labelled, or of their category."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.mask_template is not None and self.mask_template.count("{stem}") != 1:
            raise ValueError(f"--mask-template {self.mask_template!r} needs {{stem}} once, for the image's name")
        if self.mask_values and len(self.mask_values) != len(self.class_names):
            raise ValueError(
                f"--class: {len(self.class_names)} names and {len(self.mask_values)} values; give each class one"
            )
        for what, values in (("name", self.class_names), ("value", self.mask_values)):
            if len(set(values)) != len(values):
                raise ValueError(f"--class: two classes have the same {what}: {', '.join(map(str, values))}")
        if len(self.class_names) > MAX_CLASSES:
            raise ValueError(f"--class: {len(self.class_names)} classes; at most {MAX_CLASSES} can be told apart")
        if self.class_table is not None and self.class_names and self.mask_values:
            raise ValueError("--class-table and --class NAME=VALUE both say what the values mean; give one")
        return self
