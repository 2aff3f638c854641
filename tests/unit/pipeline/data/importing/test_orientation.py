"""Images that EXIF turns: their masks are as viewers show the image, whatever they were drawn on."""

import io

import numpy as np
import pytest
from drawn_source import ORIENTATION_TAG, bring_in, examples
from PIL import Image

from trainer_module.encoded_images import upright_image

WIDE, SQUARE = (24, 32), (24, 24)


def _scene(height: int, width: int) -> np.ndarray:
    """Returns a mask that is another in every orientation: a mark in the upper left corner, a longer one beside it."""
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 4, : width // 2] = 1
    mask[: height // 2, : width // 8] = 1
    return mask


def _photo(mask: np.ndarray) -> Image.Image:
    return Image.fromarray(np.where(mask[..., np.newaxis], (255, 255, 255), (0, 0, 0)).astype(np.uint8))


def _write(root, name, stored_size, orientation, drawn_on):
    """Writes an image whose marks are white, and its mask as a tool that turns, or does not turn, draws it."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    stored, exif = _scene(*stored_size), Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    _photo(stored).save(root / "images" / f"{name}.jpg", exif=exif, quality=95, subsampling=0)
    shown = np.asarray(upright_image((root / "images" / f"{name}.jpg").read_bytes()))[..., 0] > 127
    Image.fromarray(stored if drawn_on == "stored" else shown.astype(np.uint8)).save(root / "masks" / f"{name}.png")


def _agreements(data_dir):
    """Returns file name to the share of pixels in which the mask is what the image shows."""
    found = {}
    for name, example in examples(data_dir, "1.0.0").items():
        shown = np.asarray(upright_image(example["image"]))[..., 0] > 127
        mask = np.asarray(Image.open(io.BytesIO(example["segmentation_mask"]))) == 1
        assert shown.shape == mask.shape
        found[name] = float((shown == mask).mean())
    return found


def _plain(root, count=8):
    for number in range(count):
        _write(root, f"plain {number}", WIDE, 1, "shown")
    return root


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("drawn_on", ["shown", "stored"])
def test_the_size_tells_what_a_mask_was_drawn_on(tmp_path, orientation, drawn_on):
    source = _plain(tmp_path / "field")
    _write(source, "turned", WIDE, orientation, drawn_on)
    report = bring_in(source, tmp_path / "data").report
    assert min(_agreements(tmp_path / "data").values()) > 0.95
    turned = [reason.count for reason in report.done if reason.text == "mask turned by the image's EXIF orientation"]
    assert turned == ([1] if drawn_on == "stored" else [])


@pytest.mark.parametrize(("orientation", "size"), [(2, WIDE), (3, WIDE), (4, WIDE), (6, SQUARE), (8, SQUARE)])
@pytest.mark.parametrize("drawn_on", ["shown", "stored"])
def test_where_the_size_does_not_tell_the_user_says(tmp_path, orientation, size, drawn_on):
    source = _plain(tmp_path / "field")
    _write(source, "turned", size, orientation, drawn_on)
    report = bring_in(source, tmp_path / "data", masks_drawn_on=drawn_on).report
    assert min(_agreements(tmp_path / "data").values()) > 0.95
    assert any("1 images are turned by EXIF" in note and "--masks-drawn-on says" in note for note in report.notes)


def test_unsaid_they_were_drawn_on_what_viewers_show(tmp_path):
    source = _plain(tmp_path / "field")
    _write(source, "turned", SQUARE, 3, "shown")
    report = bring_in(source, tmp_path / "data").report
    assert min(_agreements(tmp_path / "data").values()) > 0.95
    assert any("drawn on the image as it is shown, as usual" in note for note in report.notes)


@pytest.mark.parametrize(("others", "expected"), [(["stored"], "stored"), (["stored", "shown"], "shown")])
def test_unsaid_they_were_drawn_on_what_all_others_of_the_source_were(tmp_path, others, expected):
    source = _plain(tmp_path / "field")
    for number, drawn_on in enumerate(others):
        _write(source, f"told {number}", WIDE, 6, drawn_on)
    _write(source, "turned", SQUARE, 3, expected)
    bring_in(source, tmp_path / "data")
    assert min(_agreements(tmp_path / "data").values()) > 0.95


def test_what_the_version_before_told_counts(tmp_path):
    source = _plain(tmp_path / "field")
    _write(source, "told", WIDE, 6, "stored")
    bring_in(source, tmp_path / "data")
    _write(source, "turned", SQUARE, 3, "stored")
    report = bring_in(source, tmp_path / "data").report
    assert (report.version, report.read) == ("1.1.0", 1)
    assert any("as all 1 masks of turned images whose size does tell" in note for note in report.notes)
