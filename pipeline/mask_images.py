"""Predicted masks as pictures."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_COLORS = ((244, 124, 32), (38, 70, 120), (255, 224, 90), (60, 160, 90), (200, 60, 90), (120, 90, 190), (80, 190, 200))
"""Of the classes in the order of their ids, as RGB; more classes start over."""

_UNTINTED_CLASS = "background"
_OVERLAY_OPACITY = 0.55


def class_colors(num_classes: int) -> NDArray[np.uint8]:
    """Returns the RGB colour of each class, [num_classes, 3]."""
    return np.resize(np.array(_COLORS, np.uint8), (num_classes, 3))


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


def mask_image(class_ids: NDArray[np.uint8], num_classes: int) -> Image.Image:
    """Returns a palette image: its values are the class ids, its palette their colours."""
    image = Image.fromarray(class_ids).convert("P")
    image.putdata(class_ids.reshape(-1).tolist())
    image.putpalette(class_colors(num_classes).reshape(-1).tolist())
    return image


def overlay_image(photo: Image.Image, class_ids: NDArray[np.uint8], class_names: Sequence[str]) -> Image.Image:
    """Returns the photo with each class but the background tinted in its colour."""
    pixels = np.asarray(photo.convert("RGB"), np.float32)
    opacity = np.array([0.0 if name == _UNTINTED_CLASS else _OVERLAY_OPACITY for name in class_names], np.float32)
    alpha = opacity[class_ids][..., np.newaxis]
    tint = class_colors(len(class_names))[class_ids].astype(np.float32)
    return Image.fromarray(np.round(pixels * (1 - alpha) + tint * alpha).astype(np.uint8))
