"""Masks of a data set as pictures: classes in their colours, stripes where nobody labelled."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.segmentation_validator.masks import MaskRefusedError, canonical_mask
from pipeline.data.description.looking import VALUES, Example
from pipeline.data.description.survey import Meaning
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

    def color(self, class_id: int) -> tuple[int, int, int]:
        """Returns red, green and blue of a class."""
        red, green, blue = self._colors[class_id].tolist()
        return red, green, blue

    def class_ids(self, encoded: bytes, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Returns the class id of each pixel of a mask; `NOT_LABELLED` where its value is no class.

        Args:
          encoded: The mask.
          size: Width and height to bring it to; None: its own.

        Raises:
          MaskRefusedError: Its values cannot be told.
        """
        _, values = canonical_mask(encoded)
        if size is not None:
            values = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.NEAREST))
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


def looks(example: Example, palette: Palette, side: int) -> tuple[Image.Image, NDArray[np.uint8]] | str:
    """Returns an image no larger than a side, and its class ids at that size; or why they cannot be shown."""
    try:
        photo = upright_image(example.image)
        photo.thumbnail((side, side), Image.Resampling.LANCZOS)
        return photo, palette.class_ids(example.mask, photo.size)
    except ImageRefusedError as error:
        return f"the image {error}"
    except MaskRefusedError as error:
        return f"the mask {error}"
