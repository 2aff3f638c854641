"""The card of an exported model, as everybody reads it."""

import json

import numpy as np
import pytest

from trainer_module.model_card import HATCH_COLORS, EncoderWeights, ModelCard, class_colors, hatched, mask_image

FIRST = {"class_names": ["pet", "background"], "mask_values": [1, 2], "image_size": 128}
"""What the first petsegs wrote."""


def parse(**changes):
    return ModelCard.parse(json.dumps(FIRST | changes).encode())


def test_the_cards_of_all_petsegs_are_read():
    assert not parse().turns_images
    assert parse().ignore_values == ()
    card = parse(turns_images=True, class_colors=[[1, 2, 3], [4, 5, 6]], model="unet", parameters=7, weights=["a"])
    assert (card.turns_images, card.class_colors, card.model, card.parameters) == (
        True, ((1, 2, 3), (4, 5, 6)), "unet", 7
    )  # fmt: skip


def test_a_card_says_where_the_weights_of_an_encoder_came_from():
    assert parse().encoder is None
    assert parse(encoder=None).encoder is None
    card = parse(encoder={"encoder": "efficientnet_lite0", "weights": "imagenet", "origin": "p 1", "new": 3})
    assert card.encoder == EncoderWeights(encoder="efficientnet_lite0", weights="imagenet", origin="p 1")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no JSON", "Invalid JSON: "),
        (b"\xff", "Invalid JSON: "),
        (b"[]", "Input should be an object"),
        (b'{"class_names": ["pet"], "image_size": 128}', "mask_values: Field required"),
        (b'{"class_names": null, "image_size": 1}', "class_names: Input should be a valid "),
    ],
)
def test_what_is_no_card_is_explained_in_a_line(content, reason):
    with pytest.raises(ValueError, match=f"^{reason}") as raised:
        ModelCard.parse(content)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"turns_images": True, "model": "unet", "parameters": 9}, True),
        ({"image_size": 64}, False),
        ({"mask_values": [2, 1]}, False),
        ({"class_names": ["background", "pet"]}, False),
    ],
)
def test_masks_of_two_models_mean_the_same_where_classes_and_size_are(changes, same):
    assert parse().is_for_the_classes_of(parse(**changes)) is same


def test_many_classes_are_told_apart_by_colours_that_no_further_class_changes():
    colors = class_colors(40).astype(int)
    distances = np.abs(colors[:, np.newaxis] - colors).sum(axis=-1)[~np.eye(40, dtype=bool)]
    assert distances.min() > 24
    np.testing.assert_array_equal(class_colors(21), colors[:21])
    assert class_colors(2).shape == (2, 3)


def test_a_mask_is_drawn_in_the_colours_of_its_classes():
    class_ids = np.array([[0, 1], [2, 1]], np.uint8)
    mask = mask_image(class_ids, 3)
    np.testing.assert_array_equal(mask, class_ids)
    np.testing.assert_array_equal(mask.convert("RGB"), class_colors(3)[class_ids])
    assert hatched(mask) is mask


@pytest.mark.parametrize("num_classes", [2, 255])
def test_what_is_not_labelled_is_hatched_in_colours_of_no_class(num_classes):
    class_ids = np.zeros((12, 12), np.uint8)
    class_ids[3:, 3:] = 255
    class_ids[0, 0] = num_classes - 1
    mask = mask_image(class_ids, num_classes)
    np.testing.assert_array_equal(mask, class_ids, "values are class ids")
    drawn, known = np.asarray(hatched(mask)), class_ids != 255
    np.testing.assert_array_equal(drawn[known], class_colors(num_classes)[class_ids[known]])
    colors, counts = np.unique(drawn[~known], axis=0, return_counts=True)
    assert {*map(tuple, colors.tolist())} == {*HATCH_COLORS}
    assert counts.min() > 0.4 * counts.sum()
    assert not {*HATCH_COLORS} & {*map(tuple, class_colors(255).tolist())}
