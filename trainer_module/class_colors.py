"""The colours of the classes, wherever masks are shown."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_COLORS: Final = (
    (244, 124, 32),
    (38, 70, 120),
    (255, 224, 90),
    (60, 160, 90),
    (200, 60, 90),
    (120, 90, 190),
    (80, 190, 200),
)
"""Of the classes in the order of their ids, as RGB; more classes start over."""


def class_colors(num_classes: int) -> NDArray[np.uint8]:
    """Returns the RGB colour of each class, [num_classes, 3]."""
    return np.resize(np.array(_COLORS, np.uint8), (num_classes, 3))


def mask_image(class_ids: NDArray[np.uint8], num_classes: int) -> Image.Image:
    """Returns a palette image: its values are the class ids, its palette their colours."""
    image = Image.fromarray(class_ids).convert("P")
    image.putdata(class_ids.reshape(-1).tolist())
    image.putpalette(class_colors(num_classes).reshape(-1).tolist())
    return image
