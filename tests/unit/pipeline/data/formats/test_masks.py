"""Masks of every depth and colour come out with the values that were drawn; what would be a guess is refused."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from picture_files import encoded, put
from PIL import Image

from pipeline.data.formats.annotation import MaskRefusedError
from pipeline.data.formats.class_table import ClassTable
from pipeline.data.formats.masks import MaskFile, MaskReading

IDS = np.array([[0, 0, 1, 1], [0, 2, 2, 1], [2, 2, 2, 1]], np.uint8)
MET = {"0": 3, "1": 4, "2": 5}
PALETTE = [110, 70, 30, 0, 170, 0, 220, 220, 200]
COLORS = np.array(PALETTE, np.uint8).reshape(3, 3)[IDS]
SOIL, CROP, STONE = (110, 70, 30), (0, 170, 0), (220, 220, 200)
TABLE = ClassTable(("stone", "crop"), (STONE, CROP), ignored=(SOIL,))
BY_COLOR = MaskReading(TABLE, palette_colors=True)
BY_VALUE = MaskReading(ClassTable(("soil", "crop"), (0, 255)))


def palette_image(bits: int = 8) -> bytes:
    image = Image.fromarray(IDS, mode="P")
    image.putpalette(PALETTE)
    return encoded(image, bits=bits)


def gray_of_bits(bits: int) -> bytes:
    """Makes a palette image of few bits, as Pillow writes it, a gray one: of another colour type, without palette."""
    content = encoded(Image.fromarray(IDS if bits > 1 else IDS % 2, mode="P"), bits=bits)
    header = content[12:25] + b"\0" + content[26:29]
    start = content.index(b"PLTE") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4])
    return content[:12] + header + zlib.crc32(header).to_bytes(4) + content[33:start] + content[end:]


VALUES = {
    "gray": encoded(IDS),
    "gray of 16 bits": encoded(IDS.astype(np.uint16)),
    "gray of 2 bits": gray_of_bits(2),
    "gray of 4 bits": gray_of_bits(4),
    "palette": palette_image(),
    "palette of 2 bits": palette_image(2),
    "gray as RGB": encoded(np.stack([IDS] * 3, axis=-1)),
    "opaque alpha": encoded(np.stack([IDS, np.full_like(IDS, 255)], axis=-1)),
    "opaque RGBA": encoded(np.stack([IDS] * 3 + [np.full_like(IDS, 255)], axis=-1)),
    "TIFF": encoded(IDS, "TIFF", compression="tiff_lzw"),
    "TIFF of 16 bits": encoded(IDS.astype(np.uint16), "TIFF"),
    "BMP": encoded(IDS, "BMP"),
    "GIF": encoded(Image.fromarray(IDS), "GIF"),
    "lossless WebP": encoded(Image.fromarray(IDS).convert("RGB"), "WEBP", lossless=True),
}


@pytest.mark.parametrize("content", VALUES.values(), ids=VALUES)
def test_values_are_those_that_were_drawn(content: bytes) -> None:
    mask = MaskReading().pixels(content)
    np.testing.assert_array_equal(mask.values, IDS)
    assert mask.values.dtype == np.uint8
    assert mask.met == MET


def test_one_bit_is_zero_and_one() -> None:
    mask = MaskReading().pixels(encoded(Image.fromarray(IDS == 1)))
    np.testing.assert_array_equal(mask.values, IDS == 1)
    np.testing.assert_array_equal(MaskReading().pixels(gray_of_bits(1)).values, IDS == 1)


@pytest.mark.parametrize("content", [encoded(COLORS), palette_image()], ids=["RGB", "palette"])
def test_colours_become_the_classes_that_a_table_has_for_them(content: bytes) -> None:
    mask = BY_COLOR.pixels(content)
    np.testing.assert_array_equal(mask.values, np.array([255, 1, 0])[IDS])
    assert mask.met == {"#6e461e": 3, "#00aa00": 4, "#dcdcc8": 5}
    card = BY_COLOR.card()
    assert (card.class_names, card.mask_values, card.ignore_values) == (("stone", "crop"), (0, 1), (255,))
    assert card.class_colors == (STONE, CROP)


def test_declared_values_stay_and_those_above_255_become_positions() -> None:
    np.testing.assert_array_equal(BY_VALUE.pixels(encoded((IDS > 0) * np.uint8(255))).values, (IDS > 0) * 255)
    reading = MaskReading(ClassTable(("soil", "crop", "stone"), (7, 1000, 40000)))
    deep = np.array([7, 1000, 40000], np.uint16)[IDS]
    mask = reading.pixels(encoded(deep))
    np.testing.assert_array_equal(mask.values, IDS)
    assert mask.met == {"7": 3, "1000": 4, "40000": 5}
    assert reading.card().mask_values == (0, 1, 2)


def test_what_no_class_has_is_refused_with_the_nearest_class_or_not_labelled() -> None:
    odd = COLORS.copy()
    odd[0, 0] = (0, 171, 3)
    with pytest.raises(MaskRefusedError, match=r"#00ab03.*nearest.*'crop', #00aa00"):
        BY_COLOR.pixels(encoded(odd))
    with pytest.raises(MaskRefusedError, match=r"value 254.*'crop', 255"):
        BY_VALUE.pixels(encoded(np.array([[0, 254]], np.uint8)))
    ignoring = MaskReading(BY_VALUE.table, ignores_unknown=True)
    mask = ignoring.pixels(encoded(np.array([[0, 255, 17, 254]], np.uint8)))
    assert mask.values.tolist() == [[0, 255, 254, 254]]
    assert mask.met == {"0": 1, "17": 1, "254": 1, "255": 1}
    assert ignoring.card().ignore_values == (254,)


def test_lossy_masks_are_refused_or_go_to_the_nearest_class() -> None:
    drawn = np.kron(IDS == 1, np.ones((9, 9))).astype(np.uint8) * 255
    lossy = encoded(drawn, "JPEG", quality=60)
    invented = np.asarray(Image.open(io.BytesIO(lossy)))
    assert not np.isin(invented, (0, 255)).all()
    with pytest.raises(MaskRefusedError, match=r"JPEG.*invents values"):
        BY_VALUE.pixels(lossy)
    mask = MaskReading(BY_VALUE.table, snaps_lossy=True).pixels(lossy)
    np.testing.assert_array_equal(mask.values, np.where(invented < 128, 0, 255))
    assert mask.snapped == np.count_nonzero(~np.isin(invented, (0, 255)))
    with pytest.raises(MaskRefusedError, match="declare the classes"):
        MaskReading(snaps_lossy=True).pixels(lossy)


def test_snapped_colours_go_to_the_class_at_the_least_distance() -> None:
    drawn = np.kron(COLORS, np.ones((8, 8, 1), np.uint8))
    mask = MaskReading(TABLE, snaps_lossy=True).pixels(encoded(drawn, "JPEG", quality=90))
    right = mask.values == np.kron(np.array([255, 1, 0])[IDS], np.ones((8, 8)))
    assert right.mean() > 0.9


TRANSPARENT = np.stack([IDS, IDS * 100], axis=-1)
REFUSED = {
    "colours without a table": (encoded(COLORS), r"#00aa00, #6e461e, #dcdcc8.*--class-table"),
    "values above 255": (encoded(IDS.astype(np.uint16) * 400), r"values 400, 800.*--class"),
    "negative": (encoded(np.array([[-5]], np.int32), "TIFF"), "values -5"),
    "transparent": (encoded(TRANSPARENT), "transparent pixels"),
    "lossy WebP": (encoded(COLORS, "WEBP"), "WEBP.*invents"),
    "JPEG in TIFF": (encoded(COLORS, "TIFF", compression="jpeg"), "TIFF.*invents"),
    "two pages": (encoded(IDS, "TIFF", save_all=True, append_images=[Image.fromarray(IDS)]), "several frames"),
    "floats": (encoded(IDS.astype(np.float32), "TIFF"), "mode F"),
    "cut off": (encoded(np.kron(IDS, IDS))[:-30], "cut off"),
    "empty": (b"", "is empty"),
    "a page": (b"<html>", "begins with b'<html>'"),
    "too large": (encoded(Image.new("1", (8000, 6000))), "8000×6000"),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_a_guess_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(MaskRefusedError, match=reason):
        MaskReading().pixels(content)


def test_a_mask_with_an_orientation_is_turned_as_a_viewer_does() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    mask = MaskReading().pixels(encoded(IDS, exif=exif))
    np.testing.assert_array_equal(mask.values, np.rot90(IDS, -1))
    assert mask.was_turned
    assert not MaskReading().pixels(encoded(IDS)).was_turned


def test_a_mask_file_is_read_whatever_the_image_measures(tmp_path: Path) -> None:
    mask = MaskFile(put(tmp_path / "a.png", IDS), MaskReading()).read((1, 1))
    np.testing.assert_array_equal(mask.values, IDS)
