"""Losses against plain NumPy, written out as their formulas are."""

import numpy as np
import pytest

from trainer_module.config import TrainerConfig
from trainer_module.losses import balanced_weights, training_loss

WEIGHTS = [0.5, 1.0, 4.0]


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    class_ids = rng.integers(0, 3, (4, 5, 6)).astype(np.uint8)
    class_ids[1][class_ids[1] == 2] = 0  # an example that lacks a class
    return class_ids, rng.normal(size=(4, 5, 6, 3)).astype(np.float32)


def softmax(logits):
    exponentials = np.exp(logits.astype(np.float64))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def cross_entropy(class_ids, logits, weights=(1, 1, 1), smoothing=0.0):
    total = 0.0
    for index in np.ndindex(class_ids.shape):
        labels = np.full(3, smoothing / 3)
        labels[class_ids[index]] += 1 - smoothing
        total -= weights[class_ids[index]] * labels @ np.log(softmax(logits[index]))
    return total / class_ids.size


def dice(class_ids, logits, smoothing=0.0):
    losses = []
    for mask, probabilities in zip(class_ids, softmax(logits), strict=True):
        overlaps = []
        for class_id in np.unique(mask):
            labels = (mask == class_id) * (1 - smoothing) + smoothing / 3
            of_class = probabilities[..., class_id]
            overlaps.append(2 * (of_class * labels).sum() / ((of_class**2).sum() + (labels**2).sum()))
        losses.append(1 - np.mean(overlaps))
    return np.mean(losses)


def loss_of(batch, weights=None, **settings):
    return float(training_loss(TrainerConfig(**settings), weights)(*batch))


def test_cross_entropy(batch):
    assert loss_of(batch) == pytest.approx(cross_entropy(*batch), rel=1e-5)
    assert loss_of(batch, WEIGHTS) == pytest.approx(cross_entropy(*batch, WEIGHTS), rel=1e-5)
    assert loss_of(batch, label_smoothing=0.1) == pytest.approx(cross_entropy(*batch, smoothing=0.1), rel=1e-5)
    expected = cross_entropy(*batch, WEIGHTS, smoothing=0.1)
    assert loss_of(batch, WEIGHTS, label_smoothing=0.1) == pytest.approx(expected, rel=1e-5)


def test_dice(batch):
    assert loss_of(batch, loss="dice") == pytest.approx(dice(*batch), rel=1e-5)
    assert loss_of(batch, loss="dice", label_smoothing=0.1) == pytest.approx(dice(*batch, 0.1), rel=1e-5)


def test_dice_of_certain_predictions(batch):
    class_ids, _ = batch
    right = 100 * np.eye(3, dtype=np.float32)[class_ids]
    wrong = 100 * np.eye(3, dtype=np.float32)[(class_ids + 1) % 3]
    assert loss_of((class_ids, right), loss="dice") == pytest.approx(0, abs=1e-6)
    assert loss_of((class_ids, wrong), loss="dice") == pytest.approx(1, abs=1e-6)


def test_sum_of_cross_entropy_and_dice(batch):
    expected = cross_entropy(*batch, WEIGHTS, 0.1) + dice(*batch, 0.1)
    assert loss_of(batch, WEIGHTS, loss="cross_entropy_dice", label_smoothing=0.1) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", ["cross_entropy", "dice", "cross_entropy_dice"])
def test_the_loss_of_a_batch_is_the_mean_over_its_examples(batch, loss):
    """So it does not matter how replicas share the batch."""
    alone = [loss_of((batch[0][[index]], batch[1][[index]]), WEIGHTS, loss=loss) for index in range(4)]
    assert loss_of(batch, WEIGHTS, loss=loss) == pytest.approx(np.mean(alone), rel=1e-5)


def test_balanced_weights_are_inverse_to_the_pixels_and_1_on_average():
    pixels = np.array([600, 300, 100])
    weights = np.array(balanced_weights(pixels))
    np.testing.assert_allclose(weights * pixels, 1000 / 3)
    assert weights @ pixels / 1000 == pytest.approx(1)
