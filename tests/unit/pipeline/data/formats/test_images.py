"""What goes into the data set is what training decodes, pixel for pixel; all else is refused with one reason."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from picture_files import encoded, photo, put
from PIL import Image

from pipeline.data.formats.images import stored_image
from trainer_module.decoding import decode_image
from trainer_module.encoded_images import ImageRefusedError

PHOTO = photo()
GRAY_16 = np.asarray(PHOTO.convert("L")).astype(np.uint16) * 257


def tagged(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jpg", encoded(PHOTO, "JPEG")),
        ("a.jpg", encoded(PHOTO, "JPEG", progressive=True)),
        ("a.jpeg", encoded(PHOTO.convert("CMYK"), "JPEG")),
        ("a.png", encoded(PHOTO.convert("P"))),
        ("a.png", encoded(PHOTO.convert("RGBA"))),
        ("a.png", encoded(PHOTO, exif=tagged(6))),
    ],
    ids=["JPEG", "progressive", "CMYK", "palette", "alpha", "turned"],
)
def test_jpeg_and_png_keep_their_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    assert stored_image(put(tmp_path / name, content)).encoded == content


@pytest.mark.parametrize("kind", ["BMP", "WEBP", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA"])
def test_other_formats_become_png_with_the_pixels_that_training_then_sees(tmp_path: Path, kind: str, mode: str) -> None:
    picture = PHOTO.convert(mode)
    options = {"lossless": True} if kind == "WEBP" else {}
    image = stored_image(put(tmp_path / f"a.{kind.lower()}", encoded(picture, kind, **options)))
    np.testing.assert_array_equal(decode_image(image.encoded), np.asarray(picture.convert("RGB")))
    assert image.size == (24, 32)
    assert image.notes == (f"{kind} re-encoded losslessly as PNG",)


@pytest.mark.parametrize(
    ("content", "orientation"),
    [
        (encoded(PHOTO, exif=tagged(6)), 6),
        (encoded(PHOTO, "WEBP", exif=tagged(6), lossless=True), 6),
        (encoded(PHOTO, "TIFF", exif=tagged(6)), 1),
    ],
    ids=["PNG", "WebP", "TIFF"],
)
def test_orientation_is_kept_or_carried_out(tmp_path: Path, content: bytes, orientation: int) -> None:
    image = stored_image(put(tmp_path / "a.img", content))
    assert (image.orientation, image.shown_size) == (orientation, (32, 24))
    np.testing.assert_array_equal(decode_image(image.encoded), np.rot90(np.asarray(PHOTO), -1))


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (encoded(PHOTO.convert("CMYK"), "JPEG"), "CMYK, taken as RGB without its colour profile, as in training"),
        (encoded(GRAY_16), "16 bits a channel, of which training sees the upper 8"),
        (encoded(PHOTO, "MPO", save_all=True, append_images=[PHOTO]), "JPEG with further pictures (MPO), of which the"),
        (encoded(PHOTO), "PNG under the name of another format (.jpg)"),
    ],
    ids=["CMYK", "16 bits", "MPO", "name"],
)
def test_what_training_takes_otherwise_than_expected_is_noted(tmp_path: Path, content: bytes, note: str) -> None:
    image = stored_image(put(tmp_path / "a.jpg", content))
    assert any(each.startswith(note) for each in image.notes)
    assert decode_image(image.encoded).shape == (24, 32, 3)


GOOD_PNG = encoded(PHOTO)
GRAY_12 = np.linspace(0, 4095, 24 * 32).reshape(24, 32).astype(np.uint16)
FRAMES = {"save_all": True, "append_images": [PHOTO.rotate(180)]}


REFUSED = {
    "empty": (b"", "it is empty"),
    "a page": (b"<!DOCTYPE html><title>404</title>", "HTML"),
    "a text": (b"once upon a time", "begins with b'once upon"),
    "JPEG, its end cut off": (encoded(PHOTO, "JPEG")[:-2], "cut off"),
    "JPEG cut off": (encoded(PHOTO, "JPEG")[:-300], "cut off"),
    "PNG, one byte cut off": (GOOD_PNG[:-1], "cut off"),
    "PNG, its end cut off": (GOOD_PNG[:-12], "cut off"),
    "PNG cut off": (GOOD_PNG[:-40], "cut off"),
    "TIFF cut off": (encoded(PHOTO, "TIFF")[:-900], "cut off"),
    "BMP cut off": (encoded(PHOTO, "BMP")[:-900], "cut off"),
    "animated PNG": (encoded(PHOTO, **FRAMES), "PNG image with 2 frames"),
    "animated WebP": (encoded(PHOTO, "WEBP", **FRAMES), "WEBP image with 2 frames"),
    "TIFF of two pages": (encoded(PHOTO, "TIFF", **FRAMES), "TIFF image with 2 frames"),
    "animated GIF": (encoded(PHOTO.convert("P"), "GIF", **FRAMES), "GIF image with 2 frames"),
    "GIF": (encoded(PHOTO, "GIF"), "GIF image: JPEG, PNG, BMP, WebP and TIFF are read"),
    "CMYK in TIFF": (encoded(PHOTO.convert("CMYK"), "TIFF"), "mode CMYK"),
    "floats": (encoded(PHOTO.convert("F"), "TIFF"), "mode F"),
    "12 of 16 bits": (encoded(GRAY_12), "at most 16 shades"),
    "12 of 16 bits in TIFF": (encoded(GRAY_12, "TIFF"), "at most 16 shades"),
    "12 of 16 bits in colour": (tf.io.encode_png(np.full((4, 4, 3), 4095, np.uint16)).numpy(), "at most 16 shades"),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_trained_on_is_refused_with_one_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(ImageRefusedError, match=reason):
        stored_image(put(tmp_path / "a.jpg", content))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_too_many_pixels_are_refused_before_they_are_decoded(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"compression": "group4"} if kind == "TIFF" else {}
    bomb = put(tmp_path / "a.png", encoded(Image.new("1", (8000, 6000)), kind, **options))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ImageRefusedError, match="8000×6000"):
        stored_image(bomb)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(ImageRefusedError, match="cannot be read: Too many levels of symbolic links"):
        stored_image(tmp_path / "a.png")
