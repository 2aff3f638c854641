"""What is found in one example, against what was put into it, and what is measured, against plain NumPy."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.segmentation_validator.examination import SHARPNESS_SIDE, Limits, MaskMeaning, examine
from components.segmentation_validator.kinds import Kind
from trainer_module.encoded_images import PNG_START

MEANING = MaskMeaning((0, 7), (255,), ("ground", "tree"), background=0)
ANY_SIZE = Limits(min_side=1)
SIZE = (8, 10)


def image(shape=SIZE, kind="JPEG", mode="RGB", orientation=0):
    """Returns random pixels of this height and width as such a file."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 4), dtype=np.uint8)
    file = io.BytesIO()
    made = Image.fromarray(pixels).convert("RGB")
    made = Image.fromarray(pixels[..., 0].astype(np.uint16) << 8) if mode == "I;16" else made.convert(mode)
    made.save(file, kind, **({"exif": exif} if orientation else {}))
    return file.getvalue()


def mask(values, depth=8):
    """Returns an array of values as PNG of gray."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(values, np.uint8 if depth == 8 else np.uint16)).save(file, "PNG")
    return file.getvalue()


def encoded(shape, value=0):
    return tf.io.encode_png(np.full(shape, value, np.uint8)).numpy()


VALUES = np.random.default_rng(1).choice([0, 7], SIZE)
MASK = mask(VALUES)


def far(jpeg):
    """Moves what is behind the start of a JPEG as far as a segment can."""
    return jpeg[:2] + b"\xff\xe2\xff\xff" + bytes(65533) + jpeg[2:]


def found(image_bytes, mask_bytes, meaning=MEANING, limits=ANY_SIZE):
    return examine(image_bytes, mask_bytes, meaning, limits)


@pytest.mark.parametrize(
    ("kind", "bad_image", "bad_mask", "detail"),
    [
        (Kind.UNREADABLE_IMAGE, b"no image", MASK, "the image (8 bytes) is no readable JPEG or PNG"),
        (Kind.UNREADABLE_IMAGE, b"", MASK, "the image (0 bytes) is no readable JPEG or PNG: it is empty"),
        (Kind.UNREADABLE_IMAGE, image(kind="BMP"), MASK, "it is a BMP image, whatever its name says"),
        (Kind.UNREADABLE_IMAGE, image(kind="GIF"), MASK, "it is a GIF image"),
        (Kind.UNREADABLE_IMAGE, image(kind="WEBP"), MASK, "mend, convert or remove the file"),
        (Kind.UNREADABLE_IMAGE, b"<!DOCTYPE html><title>404</title>", MASK, "it is a text of HTML or XML"),
        (Kind.UNREADABLE_IMAGE, image()[:-40], MASK, "is no readable JPEG or PNG: it is cut off or damaged"),
        (Kind.UNREADABLE_IMAGE, PNG_START + b"\0" * 9, MASK, "it is cut off or damaged"),
        (Kind.UNREADABLE_IMAGE, image((6000, 6000), "PNG", "1"), MASK, "has more than 33554432 pixels"),
        (Kind.UNREADABLE_IMAGE, image((1, 70000), "PNG"), MASK, "more than 65535 on a side: it has 70000×1"),
        (Kind.UNREADABLE_IMAGE, far(image(orientation=6)), MASK, "has the EXIF orientation 6 where models do not look"),
        (Kind.UNREADABLE_MASK, image(), b"no mask", "the mask (7 bytes) is no readable PNG"),
        (Kind.UNREADABLE_MASK, image(), encoded((*SIZE, 3)), "has colours (RGB): "),
        (Kind.UNREADABLE_MASK, image(), image(mode="L"), "is a JPEG: its values are not exact. Save the masks as PNG"),
        (Kind.SIZE_MISMATCH, image(), encoded((8, 9, 1)), "8×10 pixels and its mask 8×9 (height × width)"),
        (Kind.SIZE_MISMATCH, image(), encoded((10, 8, 1)), "swapped: was the mask drawn on a copy of the image that"),
        (
            Kind.SIZE_MISMATCH, image((10, 8), orientation=6), encoded((10, 8, 1)),
            "The EXIF orientation of the image is 6: petseg turns it as viewers do, and the mask fits the image as it",
        ),
        (
            Kind.UNDECLARED_VALUES, image(), encoded((*SIZE, 1), 9),
            "the values [9], not among data.mask_values = [0, 7] and data.ignore_values = [255]",
        ),
        (
            Kind.UNDECLARED_VALUES, image(), mask(np.full(SIZE, 3), 16), "the mask has the values [3], not among",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_found_with_the_reason(kind, bad_image, bad_mask, detail):
    examination = found(bad_image, bad_mask)
    assert examination.findings[0].kind is kind
    assert detail in examination.findings[0].detail
    assert (examination.canonical_mask is None) == (kind is not Kind.UNDECLARED_VALUES)
    assert bool(examination.class_pixels) == (kind is Kind.UNDECLARED_VALUES)


def test_values_that_decoders_stretch_are_explained():
    file = io.BytesIO()
    Image.new("1", SIZE[::-1], 1).save(file, "PNG")
    [undeclared, _] = found(image(), file.getvalue(), MaskMeaning((0, 7))).findings
    assert "1 bit a pixel, which every decoder stretches to 0…255: its [1] are [255]" in undeclared.detail


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "CMYK"), ("JPEG", "L"), ("PNG", "LA"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"), ("PNG", "1")],
)
def test_what_can_be_served_is_readable(kind, mode):
    assert found(image(kind=kind, mode=mode), MASK).findings == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_fits_the_image_that_a_viewer_shows(orientation):
    turned = image(SIZE if orientation <= 4 else SIZE[::-1], orientation=orientation)
    examination = found(turned, MASK)
    assert examination.findings == ()
    assert (examination.height, examination.width) == SIZE
    assert examination.canonical_mask == MASK


def test_masks_of_other_kinds_become_what_the_contract_says():
    canonical = found(image(), mask(VALUES, 16)).canonical_mask
    assert canonical[24:26] == bytes([8, 0]), "8 bits of gray"
    np.testing.assert_array_equal(tf.io.decode_png(canonical)[..., 0], VALUES)


@pytest.mark.parametrize(
    ("counts", "kind", "detail"),
    [
        ({0: 1000}, Kind.BLANK_MASK, "all labelled pixels of the mask are 'ground'"),
        ({0: 500, 255: 500}, Kind.BLANK_MASK, "all labelled pixels of the mask are 'ground'"),
        ({7: 1000}, Kind.ONE_CLASS_MASK, "all labelled pixels of the mask are 'tree'"),
        ({255: 1000}, Kind.NO_LABELLED_PIXEL, "no pixel of the mask is labelled"),
        ({0: 995, 7: 5}, Kind.NEARLY_BLANK_MASK, "all but 5 of 1,000 labelled pixels are 'ground'"),
        ({0: 5, 7: 995}, Kind.NEARLY_BLANK_MASK, "all but 5 of 1,000 labelled pixels are 'tree'"),
        ({0: 994, 7: 6}, None, ""),
    ],
)
def test_masks_of_one_class_or_almost(counts, kind, detail):
    values = np.repeat([*counts], [*counts.values()]).reshape(20, 50)
    examination = found(image((20, 50)), mask(values))
    assert [tuple(each) for each in examination.findings] == ([(kind, detail)] if kind else [])
    assert examination.class_pixels == (counts.get(0, 0), counts.get(7, 0))
    assert examination.ignored_pixels == counts.get(255, 0)


def test_pixels_of_many_classes_are_counted():
    values = np.random.default_rng(3).integers(0, 40, (40, 50))
    examination = found(image((40, 50)), mask(values), MaskMeaning(tuple(range(39, -1, -1)), (250,)))
    assert examination.class_pixels == tuple(np.bincount(values.ravel(), minlength=40)[::-1].tolist())
    assert (examination.findings, examination.ignored_pixels) == ((), 0)


def test_without_a_background_no_mask_is_blank():
    [one_class] = found(image(), encoded((*SIZE, 1)), MaskMeaning((0, 7))).findings
    assert one_class == (Kind.ONE_CLASS_MASK, "all labelled pixels of the mask are the value 0")


def test_pixels_of_undeclared_values_are_not_labelled():
    values = VALUES.copy()
    values[0, :4] = 9
    examination = found(image(), mask(values))
    assert examination.ignored_pixels == 4
    assert sum(examination.class_pixels) == values.size - 4


@pytest.mark.parametrize(
    ("shape", "detail"),
    [((31, 40), "shorter than 32"), ((40, 130), "longer than 128"), ((33, 100), "one side is 3.0 times the other")],
)
def test_extreme_sizes(shape, detail):
    limits = Limits(max_side=128, max_aspect_ratio=3.0)
    values = np.resize([0, 7], shape)
    [extreme] = found(image(shape), mask(values), limits=limits).findings
    assert extreme.kind is Kind.EXTREME_SIZE
    assert detail in extreme.detail
    assert found(image((40, 50)), mask(np.resize([0, 7], (40, 50))), limits=limits).findings == ()


def test_measures_are_those_of_numpy():
    pixels = np.random.default_rng(2).integers(0, 256, (SHARPNESS_SIDE, SHARPNESS_SIDE, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    values = np.resize([0, 7], pixels.shape[:2])
    examination = found(file.getvalue(), mask(values))
    luma = np.round(pixels @ [0.299, 0.587, 0.114]) / 255
    middle = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * middle
    assert examination.brightness == pytest.approx(luma.mean(), abs=2e-3)
    assert examination.contrast == pytest.approx(luma.std(), abs=2e-3)
    assert examination.sharpness == pytest.approx(laplacian.var(), rel=0.02)
    assert found(file.getvalue() + b"\0", mask(values)).digest != examination.digest


def test_a_flat_image_has_no_contrast_and_no_sharpness():
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (51, 51, 51)).save(file, "PNG")
    examination = found(file.getvalue(), mask(np.resize([0, 7], (64, 64))))
    measured = (examination.brightness, examination.contrast, examination.sharpness)
    assert measured == (pytest.approx(0.2), 0.0, 0.0)


def test_hashes_of_the_same_picture_are_alike():
    """Of a photo saved again, at another size, turned by its tag or cropped at the edge; not of a mirrored one."""
    yy, xx = np.mgrid[:240, :320]
    waves = [np.sin(xx / a + yy / b) for a, b in ((31, 17), (57, -23), (-13, 91))]
    photo = Image.fromarray(np.stack([(wave + 1) * 127 for wave in waves], -1).astype(np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6

    def hashed(made, kind="JPEG", **options):
        file = io.BytesIO()
        made.save(file, kind, **options)
        return found(file.getvalue(), b"").perceptual_hash

    reference = hashed(photo, quality=95)
    alike = {
        "saved again": hashed(photo, quality=40),
        "as PNG": hashed(photo, "PNG"),
        "smaller": hashed(photo.resize((96, 72))),
        "turned by its tag": hashed(photo.rotate(90, expand=True), exif=turned),
        "cropped": hashed(photo.crop((3, 2, 317, 238))),
    }
    assert {
        name: (reference ^ other).bit_count() for name, other in alike.items() if (reference ^ other).bit_count() > 4
    } == {}
    assert (reference ^ hashed(photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT))).bit_count() > 10
