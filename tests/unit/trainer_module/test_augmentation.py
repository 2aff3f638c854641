"""What augmentation does to pixels, on images whose pixels say where they were."""

import numpy as np
import pytest

from trainer_module.augmentation import NUM_DRAWS, augment, is_active
from trainer_module.config import AugmentationConfig

SIZE = 8
FLIP, ZOOM, RIGHT, DOWN, TURN, BRIGHTNESS, CONTRAST, SATURATION = range(NUM_DRAWS)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture
def class_ids(images):
    return images[..., 0] % 3


def draws(**values: float) -> np.ndarray:
    """Numbers that change nothing, but for those that are given."""
    found = np.full((3, NUM_DRAWS), 0.5, np.float32)
    for name, value in values.items():
        found[:, globals()[name]] = value
    return found


def augmented(images, class_ids, drawn, *, reflects_masks=True, **settings):
    found, ids = augment(images, class_ids, drawn, AugmentationConfig(**settings), reflects_masks=reflects_masks)
    return np.asarray(found), np.asarray(ids)


def assert_same(found, images, class_ids):
    np.testing.assert_allclose(found[0], images, atol=2e-3)
    np.testing.assert_array_equal(found[1], class_ids)
    assert found[0].dtype == np.float32
    assert found[1].dtype == np.uint8


def test_defaults_are_inactive_and_any_setting_is_not():
    assert not is_active(AugmentationConfig())
    for name, value in {"horizontal_flip": True, "scale": (1, 2), "translation": 0.1, "contrast": 0.1}.items():
        assert is_active(AugmentationConfig(**{name: value}))


def test_every_image_has_a_draw_of_its_own_and_image_and_mask_flip_together(images, class_ids):
    drawn = draws()
    drawn[:, FLIP] = (0.2, 0.7, 0.4)
    mirrored = np.array([0, 2])
    expected_images, expected_ids = images.copy(), class_ids.copy()
    expected_images[mirrored] = images[mirrored, :, ::-1]
    expected_ids[mirrored] = class_ids[mirrored, :, ::-1]
    assert_same(augmented(images, class_ids, drawn, horizontal_flip=True), expected_images, expected_ids)


def test_a_shift_moves_by_a_share_of_the_side_and_reflects_what_comes_in(images, class_ids):
    found = augmented(images, class_ids, draws(RIGHT=1, DOWN=0.25), translation=0.25)  # 2 to the right, 1 up

    def moved(pixels):
        padded = np.pad(pixels, [(0, 0), (2, 2), (2, 2)] + [(0, 0)] * (pixels.ndim - 3), mode="symmetric")
        return padded[:, 3 : 3 + SIZE, 0:SIZE]

    assert_same(found, moved(images), moved(class_ids))


def test_what_comes_in_is_not_labelled_where_masks_are_not_reflected(images, class_ids):
    shift = {"drawn": draws(RIGHT=1, DOWN=0.25), "translation": 0.25}  # 2 to the right, 1 up
    found, ids = augmented(images, class_ids, **shift, reflects_masks=False)
    expected = np.full_like(class_ids, 255)
    expected[:, :-1, 2:] = class_ids[:, 1:, :-2]
    np.testing.assert_array_equal(ids, expected)
    assert ids.dtype == np.uint8
    np.testing.assert_array_equal(found, augmented(images, class_ids, **shift)[0], "images are reflected all the same")


@pytest.mark.parametrize(
    ("changed", "settings", "has_border"),
    [
        ({"FLIP": 0.1}, {"horizontal_flip": True}, False),
        ({"ZOOM": 1}, {"scale": (0.5, 2)}, False),
        ({"ZOOM": 0}, {"scale": (0.5, 2)}, True),
        ({"TURN": 0.9}, {"rotation": 40}, True),
    ],
)
def test_only_what_comes_from_outside_loses_its_label(images, class_ids, changed, settings, has_border):
    reflected = augmented(images, class_ids, draws(**changed), **settings)[1]
    ids = augmented(images, class_ids, draws(**changed), **settings, reflects_masks=False)[1]
    is_outside = ids == 255
    assert is_outside.any() == has_border
    np.testing.assert_array_equal(ids[~is_outside], reflected[~is_outside])
    assert not is_outside[:, 2:-2, 2:-2].any()


@pytest.mark.parametrize(("turn", "quarters"), [(1, 1), (0, -1)])
def test_a_rotation_by_a_right_angle(images, class_ids, turn, quarters):
    found = augmented(images, class_ids, draws(TURN=turn), rotation=90)
    # Coordinates that are whole but for rounding may fall to the other side of an edge: the outermost pixels are left.
    inner = (slice(None), slice(1, -1), slice(1, -1))
    expected = [np.rot90(each, quarters, axes=(1, 2)) for each in (images, class_ids)]
    np.testing.assert_allclose(found[0][inner], expected[0][inner], atol=2e-3)
    np.testing.assert_array_equal(found[1][inner], expected[1][inner])


@pytest.mark.parametrize(("draw", "factor"), [(0, 0.5), (0.5, 1), (0.75, 2**0.5), (1, 2)])
def test_zoom_is_even_on_a_logarithmic_scale_and_keeps_the_centre(draw, factor):
    """A disc in the middle grows by the factor, in image and mask, and stays where it is."""
    side = 64
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    distance = np.hypot(x, y)
    disc = np.repeat((distance < 12)[None], 3, 0).astype(np.uint8)
    image = np.repeat(disc[..., None] * np.uint8(255), 3, -1)
    found, mask = augmented(image, disc, draws(ZOOM=draw), scale=(0.5, 2))
    for pixels in (mask[0], found[0, ..., 0] / 255):
        np.testing.assert_array_equal(pixels[distance < 12 * factor - 3], 1)
        np.testing.assert_array_equal(pixels[(distance > 12 * factor + 3) & (distance < 15)], 0)


def test_class_ids_are_never_mixed():
    """A mask of the ids 0 and 2 gets no 1 from interpolation, and moves as its image does."""
    class_ids = np.zeros((3, 32, 32), np.uint8)
    class_ids[:, 8:20, 10:25] = 2
    images = np.repeat(class_ids[..., None] * np.uint8(100), 3, -1)
    drawn = np.random.default_rng(1).random((3, NUM_DRAWS), np.float32)
    found, ids = augmented(images, class_ids, drawn, scale=(0.7, 1.5), rotation=40, translation=0.2)
    assert set(np.unique(ids)) == {0, 2}
    assert len(np.unique(found)) > 10, "images are interpolated"
    certain = (found[..., 0] < 1) | (found[..., 0] > 199)
    np.testing.assert_array_equal((ids == 2)[certain], (found[..., 0] > 100)[certain])


def test_colours_change_by_their_formulas_on_images_only(images, class_ids):
    drawn = draws(BRIGHTNESS=0.75, CONTRAST=0.1, SATURATION=0.9)
    found, ids = augmented(images, class_ids, drawn, brightness=0.2, contrast=0.5, saturation=0.5)
    luma = np.array([0.299, 0.587, 0.114])
    pixels = images / 255 + 0.5 * 0.2
    mean = (pixels @ luma).mean(axis=(1, 2))[:, None, None, None]
    pixels = mean + (pixels - mean) * (1 - 0.8 * 0.5)
    gray = (pixels @ luma)[..., None]
    pixels = gray + (pixels - gray) * (1 + 0.8 * 0.5)
    np.testing.assert_allclose(found / 255, pixels.clip(0, 1), atol=1e-5)
    np.testing.assert_array_equal(ids, class_ids)


def test_pixels_stay_in_their_range(images, class_ids):
    found, _ = augmented(images, class_ids, draws(BRIGHTNESS=1), brightness=0.9)
    assert found.max() == 255
    found, _ = augmented(images, class_ids, draws(BRIGHTNESS=0), brightness=0.9)
    assert found.min() == 0
