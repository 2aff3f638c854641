"""Predicted masks as pictures."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer_module.class_colors import class_colors

UNTINTED_CLASS: Final = "background"
"""Of an overlay: the photo stays as it is there."""

OVERLAY_OPACITY: Final = 0.55


def overlay_image(photo: Image.Image, class_ids: NDArray[np.uint8], class_names: Sequence[str]) -> Image.Image:
    """Returns the photo with each class but the background tinted in its colour."""
    pixels = np.asarray(photo.convert("RGB"), np.float32)
    opacity = np.array([0.0 if name == UNTINTED_CLASS else OVERLAY_OPACITY for name in class_names], np.float32)
    alpha = opacity[class_ids][..., np.newaxis]
    tint = class_colors(len(class_names))[class_ids].astype(np.float32)
    return Image.fromarray(np.round(pixels * (1 - alpha) + tint * alpha).astype(np.uint8))
