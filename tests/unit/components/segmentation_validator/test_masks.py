"""Masks of every kind that tools write are read as what they say, or refused; never as something else."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.segmentation_validator.masks import MaskRefusedError, canonical_mask, stretch_note

SHAPE = (13, 11)
PALETTE = [110, 70, 30, 0, 170, 0, 220, 220, 200, 1, 2, 3]


def ids(most, dtype=np.uint8):
    return np.random.default_rng(most).integers(0, most + 1, SHAPE).astype(dtype)


def saved(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def palette_image(values):
    image = Image.fromarray(values).convert("P")
    image.putdata(values.reshape(-1).tolist())
    image.putpalette(PALETTE)
    return image


def header(encoded):
    return encoded[24], encoded[25]


def with_alpha(values, alpha):
    return Image.merge("LA", [Image.fromarray(values), Image.new("L", SHAPE[::-1], alpha)])


def test_gray_of_8_bits_passes_byte_for_byte():
    for options in ({}, {"compress_level": 1}, {"dpi": (72, 72)}, {"transparency": 0}):
        encoded = saved(Image.fromarray(ids(255)), **options)
        canonical, values = canonical_mask(encoded)
        assert canonical == encoded
        np.testing.assert_array_equal(values, ids(255))


@pytest.mark.parametrize(
    ("encoded", "kind", "expected"),
    [
        (saved(Image.fromarray(ids(2, np.uint16))), (16, 0), ids(2)),
        (saved(Image.fromarray(ids(255, np.uint16))), (16, 0), ids(255)),
        (saved(Image.fromarray(ids(1).astype(bool))), (1, 0), ids(1) * 255),
        (saved(palette_image(ids(1)), bits=1), (1, 3), ids(1)),
        (saved(palette_image(ids(3)), bits=2), (2, 3), ids(3)),
        (saved(palette_image(ids(3)), bits=4), (4, 3), ids(3)),
        (saved(palette_image(ids(3)), bits=8), (8, 3), ids(3)),
        (saved(palette_image(ids(3)), bits=8, transparency=0), (8, 3), ids(3)),
        (saved(with_alpha(ids(2), 255)), (8, 4), ids(2)),
    ],
)
def test_other_masks_are_written_again_with_the_values_that_they_have(encoded, kind, expected):
    assert header(encoded) == kind
    canonical, values = canonical_mask(encoded)
    assert header(canonical) == (8, 0)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(tf.io.decode_png(canonical)[..., 0], expected)


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (
            saved(Image.fromarray(ids(300, np.uint16))),
            r"16 bits with the values \[2\d\d, .* and more; they may go up to 255",
        ),
        (saved(Image.new("RGB", SHAPE)), "has colours"),
        (saved(Image.new("RGBA", SHAPE)), "has colours"),
        (saved(with_alpha(ids(2), 0)), "has transparent pixels"),
        (saved(Image.new("L", SHAPE), "JPEG"), "is a JPEG: its values are not exact. Save the masks as PNG"),
        (saved(Image.new("L", SHAPE), "BMP"), "is no readable PNG: it begins with b'BM"),
        (b"", "is no readable PNG: it is empty"),
        (saved(Image.fromarray(ids(255)))[:-60], "is no readable PNG: it is cut off or damaged"),
        (saved(palette_image(ids(3)))[:-30], "is no readable PNG: it is cut off or damaged"),
        (saved(Image.fromarray(ids(255)))[:20], "is no readable PNG"),
    ],
)
def test_what_cannot_be_told_is_refused(encoded, reason):
    with pytest.raises(MaskRefusedError, match=reason):
        canonical_mask(encoded)


def test_the_note_on_stretching_is_about_gray_of_few_bits_alone():
    bits = saved(Image.fromarray(ids(1).astype(bool)))
    assert stretch_note(bits, canonical_mask(bits)[1]) == (
        " The mask has 1 bit a pixel, which every decoder stretches to 0…255: its [0, 1] are [0, 255], which is what "
        "data.mask_values has to have."
    )
    for encoded in (saved(Image.fromarray(ids(1))), saved(palette_image(ids(1)), bits=1)):
        assert stretch_note(encoded, canonical_mask(encoded)[1]) == ""
