"""A model that is loaded, and its masks as pictures."""

import numpy as np
from PIL import Image

from pipeline.models.loading import overlay_image
from trainer_module.model_card import class_colors, mask_image


def test_mask_keeps_class_ids_as_values_and_shows_colours(tmp_path):
    class_ids = np.array([[0, 1], [2, 1]], np.uint8)
    mask_image(class_ids, 3).save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as image:
        np.testing.assert_array_equal(np.asarray(image), class_ids)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), class_colors(3)[class_ids])


def test_overlay_leaves_the_background_as_it_is():
    photo = Image.fromarray(np.full((2, 2, 3), 100, np.uint8))
    overlay = np.asarray(overlay_image(photo, np.array([[0, 1], [1, 1]], np.uint8), ("pet", "background")))
    assert (overlay[0, 1] == 100).all()
    assert (overlay[0, 0] != 100).any()
