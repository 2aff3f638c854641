"""Settings of the validation of data, a part of those of data."""

from typing import Literal

from pydantic import Field

from trainer_module.section import Section

Policy = Literal["ignore", "warn", "drop", "fail"]
"""What to do about a finding: nothing, tell, leave the example out, or refuse the data."""

PolicyOfUnusable = Literal["drop", "fail"]
"""What to do about an example that cannot be trained on."""


class ValidationConfig(Section):
    """What SegmentationValidator does about what it finds in the data, by kind, and from where on something is odd."""

    unreadable_image: PolicyOfUnusable = "fail"
    unreadable_mask: PolicyOfUnusable = "fail"
    size_mismatch: PolicyOfUnusable = "fail"
    undeclared_values: Policy = "fail"
    """Accepted, such pixels are not labelled."""

    no_labelled_pixel: Policy = "warn"
    blank_mask: Policy = "warn"
    """A mask of nothing but `background`."""

    nearly_blank_mask: Policy = "warn"
    one_class_mask: Policy = "warn"
    """A mask of one class that is not `background`."""

    extreme_size: Policy = "warn"
    duplicate: Policy = "warn"
    """An image twice in one split, byte by byte. For images in two splits there is `data.duplicates`."""

    near_duplicate: Policy = "warn"
    """An image that looks like another in its split."""

    near_shared_image: Policy = "warn"
    """An image that looks like one in another of the splits `train`, `eval` and `evaluation.split`."""

    absent_class: Literal["ignore", "warn", "fail"] = "warn"
    """A class without any pixel in a split."""

    background: str | None = None
    """Class that a blank mask has alone. None: the one called `background`, if there is one."""

    nearly_blank_share: float = Field(0.995, gt=0.5, le=1)
    """Share of the labelled pixels that one class has at least in a nearly blank mask."""

    min_side: int = Field(32, ge=1)
    """In pixels: an image with a shorter side is of extreme size, as one with a longer side than `max_side`."""

    max_side: int = Field(8192, ge=1)
    max_aspect_ratio: float = Field(4.0, ge=1)
    """Of the longer side to the shorter."""

    near_duplicate_distance: int = Field(4, ge=0, le=16)
    """Bits, of the 64 of a perceptual hash, in which images that look the same may differ."""

    max_dropped_share: float = Field(0.05, ge=0, lt=1)
    """Share of a split's examples that may be dropped; the run fails where there are more."""
