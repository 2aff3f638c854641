"""Thresholds, contradictions and scores beside loops over pixels, on random probabilities."""

import numpy as np
import pytest

from components.suspect_finder.confidence import SelfConfidence, contradiction_scores, suggested_classes

CLASSES = 4
NONE = 255


@pytest.fixture(scope="module")
def drawn():
    """Probabilities [3, 6, 5, 4] and masks, a quarter of which is not labelled; no mask has the last class."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(CLASSES, 0.5), (3, 6, 5)).astype(np.float32)
    class_ids = rng.choice([0, 1, 2, NONE], (3, 6, 5)).astype(np.uint8)
    return probabilities, class_ids


@pytest.fixture(scope="module")
def thresholds(drawn):
    confidence = SelfConfidence(CLASSES)
    for image, mask in zip(*drawn, strict=True):
        confidence.add(image[np.newaxis], mask[np.newaxis])
    return confidence.thresholds


def pixels(drawn):
    probabilities, class_ids = drawn
    return [(place, probabilities[place], int(class_ids[place])) for place in np.ndindex(class_ids.shape)]


def test_a_threshold_is_the_mean_probability_of_the_class_where_the_masks_have_it(drawn, thresholds):
    for class_id in range(CLASSES - 1):
        own = [float(of_pixel[class_id]) for _, of_pixel, given in pixels(drawn) if given == class_id]
        assert thresholds[class_id] == pytest.approx(np.mean(own))
    assert thresholds[CLASSES - 1] == np.inf, "what no mask has is suggested nowhere"


def test_the_most_probable_class_of_those_that_reach_their_threshold_is_suggested(drawn, thresholds):
    suggested = suggested_classes(*drawn, thresholds)
    for place, of_pixel, given in pixels(drawn):
        confident = [class_id for class_id in range(CLASSES) if of_pixel[class_id] >= thresholds[class_id]]
        best = max(confident, key=lambda class_id, p=of_pixel: p[class_id], default=given)
        assert suggested[place] == (NONE if given in (best, NONE) else best)
    assert {0, 1, 2, NONE} == {*np.unique(suggested).tolist()}


def test_a_score_is_one_minus_the_mean_iou_of_the_mask_and_the_mended_mask(drawn, thresholds):
    _, class_ids = drawn
    suggested = suggested_classes(*drawn, thresholds)
    scores = contradiction_scores(class_ids, suggested, CLASSES)
    for score, mask, other in zip(scores, class_ids, suggested, strict=True):
        mended = np.where(other == NONE, mask, other)
        ious = [
            ((mask == k) & (mended == k)).sum() / ((mask == k) | (mended == k)).sum()
            for k in range(CLASSES)
            if ((mask == k) | (mended == k)).any()
        ]
        assert score == pytest.approx(1 - np.mean(ious))


def test_what_is_not_labelled_changes_nothing(drawn, thresholds):
    probabilities, class_ids = drawn
    unlabelled = class_ids == NONE
    others = probabilities.copy()
    others[unlabelled] = np.roll(others[unlabelled], 1, axis=-1)
    confidence = SelfConfidence(CLASSES)
    confidence.add(others, class_ids)
    np.testing.assert_allclose(confidence.thresholds, thresholds)
    np.testing.assert_array_equal(
        suggested_classes(others, class_ids, thresholds), suggested_classes(probabilities, class_ids, thresholds)
    )


def test_images_that_are_right_or_without_a_label_score_nothing():
    masks = np.array([np.zeros((2, 2)), np.full((2, 2), NONE)], np.uint8)
    assert contradiction_scores(masks, np.full((2, 2, 2), NONE, np.uint8), CLASSES).tolist() == [0, 0]
