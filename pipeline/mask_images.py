"""Predicted masks as pictures."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer_module.class_colors import class_colors

_UNTINTED_CLASS = "background"
_OVERLAY_OPACITY = 0.55


def resize_to_class_ids(probabilities: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Returns the most probable class of each pixel at another size.

    The probabilities, not the class ids, are interpolated (bilinearly), so that outlines stay smooth.

    Args:
      probabilities: [height, width, num_classes].
      size: Width and height of the result, in pixels.
    """
    planes = [
        Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR) for plane in np.moveaxis(probabilities, -1, 0)
    ]
    return np.argmax([np.asarray(plane) for plane in planes], axis=0).astype(np.uint8)


def overlay_image(photo: Image.Image, class_ids: NDArray[np.uint8], class_names: Sequence[str]) -> Image.Image:
    """Returns the photo with each class but the background tinted in its colour."""
    pixels = np.asarray(photo.convert("RGB"), np.float32)
    opacity = np.array([0.0 if name == _UNTINTED_CLASS else _OVERLAY_OPACITY for name in class_names], np.float32)
    alpha = opacity[class_ids][..., np.newaxis]
    tint = class_colors(len(class_names))[class_ids].astype(np.float32)
    return Image.fromarray(np.round(pixels * (1 - alpha) + tint * alpha).astype(np.uint8))
