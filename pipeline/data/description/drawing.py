"""Masks of a data set as pictures: classes in their colours, stripes where nobody labelled."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from components.segmentation_validator.masks import MaskRefusedError, canonical_mask
from pipeline.data.description.looking import Example
from pipeline.data.description.opening import VALUES, Meaning
from pipeline.models.loading import OVERLAY_OPACITY, UNTINTED_CLASS
from trainer_module.encoded_images import ImageRefusedError, upright_image
from trainer_module.features import NOT_LABELLED
from trainer_module.model_card import class_colors, hatched

_STRIPES_OPACITY: Final = 0.8


class Palette:
    """The colours of the classes, and how masks are drawn in them."""

    def __init__(self, meaning: Meaning, shown: list[int]) -> None:
        """Chooses the colours.

        Args:
          meaning: What the values of masks mean; its colours are taken where it has any.
          shown: The ids of the classes that are met, or declared.
        """
        self._table = np.full(VALUES, NOT_LABELLED, np.uint8)
        self._table[list(meaning.mask_values)] = np.arange(len(meaning.mask_values))
        self._colors = np.zeros((VALUES, 3), np.uint8)
        self._colors[shown] = class_colors(len(shown))
        if meaning.class_colors:
            self._colors[: len(meaning.class_colors)] = meaning.class_colors
        self._opacity = np.full(VALUES, OVERLAY_OPACITY, np.float32)
        self._opacity[[i for i, name in enumerate(meaning.class_names) if name == UNTINTED_CLASS]] = 0
        self._opacity[NOT_LABELLED] = _STRIPES_OPACITY
        self.css = {class_id: f"#{bytes(self._colors[class_id]).hex()}" for class_id in shown}

    def is_tinted(self, class_id: int) -> bool:
        """Returns whether an overlay shows a class by its colour."""
        return bool(self._opacity[class_id])

    def swatch(self, class_id: int, side: int) -> Image.Image:
        """Returns a square as masks show a class, or what is not labelled."""
        return hatched(self.mask(np.full((side, side), class_id, np.uint8))).convert("RGB")

    def class_ids(self, encoded: bytes) -> NDArray[np.uint8]:
        """Returns the class id of each pixel of a mask; `NOT_LABELLED` where its value is no class.

        Raises:
          MaskRefusedError: Its values cannot be told.
        """
        _, values = canonical_mask(encoded)
        return self._table[values]

    def mask(self, class_ids: NDArray[np.uint8]) -> Image.Image:
        """Returns a mask whose palette has the colours; `hatched` draws stripes where it is not labelled."""
        image = Image.frombytes("P", class_ids.shape[::-1], class_ids.tobytes())
        image.putpalette(self._colors.reshape(-1).tolist())
        return image

    def overlay(self, photo: Image.Image, class_ids: NDArray[np.uint8]) -> Image.Image:
        """Returns a photo with the classes but the background tinted, and stripes where it is not labelled."""
        alpha = self._opacity[class_ids][..., np.newaxis]
        tint = np.asarray(hatched(self.mask(class_ids)).convert("RGB"), np.float32)
        return Image.fromarray(np.round(np.asarray(photo, np.float32) * (1 - alpha) + tint * alpha).astype(np.uint8))


class Look(NamedTuple):
    """An image and its mask at the size of a picture."""

    photo: Image.Image
    class_ids: NDArray[np.uint8]
    """[height, width]"""

    met: frozenset[int]
    """All ids of the mask, those that are lost at this size included."""


def look_at(example: Example, palette: Palette, side: int) -> Look | str:
    """Returns an example brought to a size at which its longer side is as given; or why it cannot be shown."""
    try:
        photo = ImageOps.contain(upright_image(example.image), (side, side), Image.Resampling.LANCZOS)
        class_ids = palette.class_ids(example.mask)
    except ImageRefusedError as error:
        return f"the image {error}"
    except MaskRefusedError as error:
        return f"the mask {error}"
    shown = np.asarray(Image.fromarray(class_ids).resize(photo.size, Image.Resampling.NEAREST))
    return Look(photo, shown, frozenset(np.unique(class_ids).tolist()))
