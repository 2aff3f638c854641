"""What an exported model says of itself (`assets.extra/petseg_model.json`), and the colours of its classes."""

import colorsys
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from trainer_module.encoder_catalogue import IMAGENET
from trainer_module.features import NOT_LABELLED

_COLORS: Final = (
    (244, 124, 32),
    (38, 70, 120),
    (255, 224, 90),
    (60, 160, 90),
    (200, 60, 90),
    (120, 90, 190),
    (80, 190, 200),
)
"""Of the first classes in the order of their ids, as RGB."""

_GOLDEN_SECTION: Final = (5**0.5 - 1) / 2
_LIGHTNESSES: Final = (0.3, 0.6, 0.45, 0.75)
_SATURATION: Final = 0.9


HATCH_COLORS: Final = ((236, 236, 236), (128, 128, 128))
"""The stripes by which pixels that are not labelled are drawn, as RGB; no class has these colours."""

_HATCH_PERIOD: Final = 6
"""From stripe to stripe of one colour, in pixels along a row."""


class EncoderWeights(BaseModel):
    """Where the weights came from that an encoder started with; without `origin` they were random."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    encoder: str
    weights: str | None = None
    """The setting: `imagenet` or a path."""

    origin: str | None = None
    """A package with its version, or the name of a file."""

    licence: str | None = None
    """By its SPDX identifier; None where it is not known, as that of a file."""

    sha256: str | None = None
    """Of the file that was read."""

    @property
    def is_of_imagenet(self) -> bool:
        return self.weights == IMAGENET

    @property
    def summary(self) -> str:
        """Says it in one line.

        Example:
          >>> EncoderWeights(encoder="efficientnet_lite0").summary
          'random'
        """
        if self.origin is None:
            return "random"
        source = "ImageNet, from" if self.is_of_imagenet else "from the file"
        parts = [f"{source} {self.origin}", self.licence or "licence not known"]
        return ", ".join([*parts, *([f"sha256 {self.sha256}"] if self.sha256 else [])])


class ModelCard(BaseModel):
    """What a model was trained for; `trainer_module.signatures` writes it, with the names of its weights."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    class_names: tuple[str, ...]
    mask_values: tuple[int, ...]
    """The value of each class in the raw masks."""

    ignore_values: tuple[int, ...] = ()
    """Values that mean "not labelled"; a model that says nothing of it knows none."""

    image_size: int
    turns_images: bool = False
    """Whether it turns images by their EXIF orientation; those that petseg exported at first do not."""

    flip_averaging: bool = False
    """Whether it averages its answers over an image and its mirror image."""

    class_colors: tuple[tuple[int, int, int], ...] = ()
    model: str = ""
    """The network's name."""

    parameters: int | None = None

    encoder: EncoderWeights | None = None
    """None where it has no encoder of its own, or where the model that it started from did not say."""

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Reads the file's content.

        >>> ModelCard.parse(b'{"class_names": ["pet"], "mask_values": [1], "image_size": 128}').turns_images
        False

        Raises:
          ValueError: It is no card; the message, of one line, says why.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            said = (": ".join([*map(str, one["loc"]), one["msg"]]) for one in error.errors(include_url=False))
            raise ValueError("; ".join(said)) from error

    def is_for_the_classes_of(self, other: "ModelCard") -> bool:
        """Returns whether the masks of both models mean the same, and have one size."""
        names = ("class_names", "mask_values", "image_size")
        return all(getattr(self, name) == getattr(other, name) for name in names)


def class_colors(num_classes: int) -> NDArray[np.uint8]:
    """Returns the RGB colour of each class, [num_classes, 3].

    Example:
      >>> class_colors(2).tolist()
      [[244, 124, 32], [38, 70, 120]]
    """
    further = [_further_color(class_id) for class_id in range(len(_COLORS), num_classes)]
    return np.array([*_COLORS, *further], np.uint8)[:num_classes]


def _further_color(class_id: int) -> list[int]:
    """Returns a colour whose hue is far from those of the classes before it, whatever their number."""
    hue = class_id * _GOLDEN_SECTION % 1
    rgb = colorsys.hls_to_rgb(hue, _LIGHTNESSES[class_id % len(_LIGHTNESSES)], _SATURATION)
    return [round(255 * channel) for channel in rgb]


def mask_image(class_ids: NDArray[np.uint8], num_classes: int) -> Image.Image:
    """Returns a palette image: its values are the class ids, its palette their colours; gray where not labelled."""
    image = Image.fromarray(class_ids).convert("P")
    image.putdata(class_ids.reshape(-1).tolist())
    palette = class_colors(num_classes)
    if (class_ids == NOT_LABELLED).any():
        palette = np.resize(palette, (NOT_LABELLED + 1, 3))
        palette[NOT_LABELLED] = HATCH_COLORS[-1]
    image.putpalette(palette.reshape(-1).tolist())
    return image


def hatched(mask: Image.Image) -> Image.Image:
    """Returns what `mask_image` made, at the size at which it is shown, with stripes where it is not labelled.

    A mask that is labelled everywhere is returned as it is, another one in RGB.
    """
    not_labelled = np.asarray(mask) == NOT_LABELLED
    if not not_labelled.any():
        return mask
    row, column = np.indices(not_labelled.shape)
    stripes = np.array(HATCH_COLORS, np.uint8)[(row + column) % _HATCH_PERIOD * len(HATCH_COLORS) // _HATCH_PERIOD]
    return Image.fromarray(np.where(not_labelled[..., np.newaxis], stripes, np.asarray(mask.convert("RGB"))))
