"""Pages and sheets show masks in the colours of their classes, and stripes where nobody labelled."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from survey_tiles import CARD, draw_tile, encoded

from pipeline.data.description.drawing import Palette, look_at
from pipeline.data.description.looking import Example
from pipeline.data.description.opening import Meaning
from pipeline.data.description.page import description_page
from pipeline.data.description.sheets import PagesRequest, write_pages
from trainer_module.errors import ConfigError, DataError
from trainer_module.features import NOT_LABELLED
from trainer_module.model_card import HATCH_COLORS, class_colors

MEANING = Meaning(CARD.class_names, CARD.mask_values, CARD.ignore_values, CARD.class_colors)


def example(index=1, image=None):
    photo, mask = draw_tile(index)
    return Example("id", "a.jpg", {}, image or encoded(photo, "PNG").getvalue(), encoded(mask, "PNG").getvalue())


def test_a_mask_has_the_colours_that_the_data_set_says():
    palette = Palette(MEANING, [0, 1, 2, 3])
    ids = palette.class_ids(example().mask)
    assert sorted(np.unique(ids)) == [0, 1, 2, 3, NOT_LABELLED]
    colors = np.asarray(palette.mask(ids).convert("RGB"))
    for class_id, color in enumerate(CARD.class_colors):
        assert (colors[ids == class_id] == color).all()
    assert palette.css[3] == "#5a5a5f"


def test_without_colours_of_its_own_those_that_are_met_are_told_apart():
    palette = Palette(Meaning.unknown(), [3, 9, 200])
    assert [*palette.css] == [3, 9, 200]
    assert [*palette.css.values()] == [f"#{bytes(color).hex()}" for color in class_colors(3)]


def test_an_overlay_tints_all_but_the_background_and_stripes_what_is_not_labelled():
    palette = Palette(Meaning(("background", "tool"), (0, 1), ()), [0, 1])
    photo = Image.new("RGB", (40, 30), (100, 100, 100))
    ids = np.zeros((30, 40), np.uint8)
    ids[:10] = 1
    ids[20:] = NOT_LABELLED
    drawn = np.asarray(palette.overlay(photo, ids), np.float32)
    np.testing.assert_array_equal(drawn[10:20], 100)
    np.testing.assert_array_equal(drawn[:10], np.broadcast_to(np.round(45 + 0.55 * class_colors(2)[1]), (10, 40, 3)))
    stripes = {tuple(np.round(20 + 0.8 * np.array(color))) for color in HATCH_COLORS}
    assert {tuple(color) for color in drawn[20:].reshape(-1, 3)} == stripes


def test_a_look_brings_images_of_any_size_to_one_and_keeps_what_is_too_small_to_see():
    _, mask = draw_tile(1)
    mask[5, 5] = 9
    thin = Example("id", "a", {}, example().image, encoded(np.where(mask == 9, 3, mask), "PNG").getvalue())
    palette = Palette(MEANING, [0, 1, 2, 3])
    seen = look_at(example(), palette, 240)
    assert (seen.photo.size, seen.class_ids.shape) == ((180, 240), (240, 180))
    assert 3 not in look_at(thin, palette, 240).met
    assert 3 in look_at(example(), palette, 8).met
    assert "the image" in look_at(example(image=b"nothing"), palette, 8)


def test_pages_hold_all_images_of_a_class(opened, tmp_path):
    dataset = opened("survey_tiles", splits=["train", "validation"])
    files = [*write_pages(dataset, PagesRequest(dataset.splits, pages=3, columns=2, only="road"), tmp_path / "new")]
    assert [file.name for file in files] == ["survey_tiles_train_001.jpg", "survey_tiles_validation_001.jpg"]
    with Image.open(files[0]) as page, Image.open(files[1]) as short:
        assert page.size[0] == short.size[0] == 2 * 252 + 12
        rows = [round((height.size[1] - page.size[1] % 270) / 270) for height in (page, short)]
    assert rows == [4, 1]  # eight tiles of train have a road, two or three of validation


def test_a_page_shows_colours_and_says_what_cannot_be_shown(opened, tmp_path):
    dataset = opened("flawed_tiles", splits=["train"])
    [file] = write_pages(dataset, PagesRequest(["train"], pages=1, columns=12), tmp_path)
    with Image.open(file) as page:
        pixels = np.asarray(page.convert("L"))
    assert pixels.shape[1] == 12 * 252 + 12
    body = pixels[-270:-30]
    columns = [body[:, 12 + 252 * index : 252 + 252 * index].std() for index in range(12)]
    assert min(columns) > 5  # also the one that cannot be read has words


def test_pages_are_asked_for_by_mask_value_and_missing_classes_are_told(opened, tmp_path):
    dataset = opened("flawed_tiles", splits=["test"])
    assert len([*write_pages(dataset, PagesRequest(["test"], 5, 3, only="9"), tmp_path)]) == 1
    with pytest.raises(DataError, match="no image has a pixel of '77'"):
        [*write_pages(dataset, PagesRequest(["test"], 5, 3, only="77"), tmp_path)]
    with pytest.raises(ConfigError, match="did you mean 'road'"):
        [*write_pages(opened("survey_tiles"), PagesRequest(["test"], 5, 3, only="roat"), tmp_path)]


def test_the_page_is_whole_and_needs_nothing_else(surveys):
    html = description_page(surveys["partly_declared"])
    assert "2 images in two splits" in html
    assert "undeclared" in html
    assert not re.findall(r'(?:src|href)="(?!data:|#)', html)
    pictures = re.findall(r'src="data:image/(?:png|jpeg);base64,([^"]+)"', html)
    assert len(pictures) > 3 * 16
    for picture in pictures:
        with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
            assert max(image.size) == 160
    assert html.count('class="chart"') == 1 + 3 + 6
    assert "cannot be shown: the image is no readable JPEG or PNG" in html


def test_the_page_of_unknown_masks_asks_for_names(surveys):
    assert "name the classes in data.class_names" in description_page(surveys["flawed_tiles"])
