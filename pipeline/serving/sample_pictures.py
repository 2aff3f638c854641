"""Pictures to try a model with, drawn as those of `synthetic_pets`."""

import functools
import io
from typing import Final

from PIL import Image

from components.datasets.pet_drawing import draw_pet

SAMPLES: Final = 6
_SEED: Final = 2024
_SIDES: Final = (220, 320)


@functools.cache
def sample_picture(index: int) -> bytes:
    """Returns a drawn cat or dog as PNG, the same for the same index."""
    least, most = _SIDES
    pixels, _, _ = draw_pet(_SEED, index, split="samples", min_side=least, max_side=most)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
