"""Losses against plain NumPy, written out as their formulas are."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from trainer_module.config import TrainerConfig
from trainer_module.losses import balanced_weights, example_loss, training_loss

WEIGHTS = [0.5, 1.0, 4.0]
NOT_LABELLED = 255
SETTINGS = [
    {},
    {"weights": WEIGHTS},
    {"label_smoothing": 0.1},
    {"weights": WEIGHTS, "label_smoothing": 0.1},
    {"loss": "dice"},
    {"loss": "dice", "label_smoothing": 0.1},
    {"loss": "cross_entropy_dice", "weights": WEIGHTS, "label_smoothing": 0.1},
]


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    class_ids = rng.integers(0, 3, (4, 5, 6)).astype(np.uint8)
    class_ids[1][class_ids[1] == 2] = 0  # an example that lacks a class
    return class_ids, rng.normal(size=(4, 5, 6, 3)).astype(np.float32)


@pytest.fixture
def partly_labelled(batch):
    """Of the four examples, one is labelled everywhere, one nowhere, and two in part."""
    class_ids, logits = batch
    class_ids = class_ids.copy()
    class_ids[0, :2] = class_ids[2, :, 1:] = class_ids[3] = NOT_LABELLED
    return class_ids, logits


def softmax(logits):
    exponentials = np.exp(logits.astype(np.float64))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def cross_entropy(class_ids, logits, weights=(1, 1, 1), smoothing=0.0):
    total = 0.0
    for index in zip(*np.nonzero(class_ids != NOT_LABELLED), strict=True):
        labels = np.full(3, smoothing / 3)
        labels[class_ids[index]] += 1 - smoothing
        total -= weights[class_ids[index]] * labels @ np.log(softmax(logits[index]))
    return total / (class_ids != NOT_LABELLED).sum()


def dice(class_ids, logits, smoothing=0.0):
    losses = []
    for mask, probabilities in zip(class_ids, softmax(logits), strict=True):
        overlaps, known = [], mask != NOT_LABELLED
        if not known.any():
            continue
        mask, probabilities = mask[known], probabilities[known]
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


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_what_is_not_labelled_has_no_loss(partly_labelled, settings):
    options = {"loss": "cross_entropy", "weights": (1, 1, 1), "label_smoothing": 0.0} | settings
    of_pixels = cross_entropy(*partly_labelled, options["weights"], options["label_smoothing"])
    of_examples = dice(*partly_labelled, options["label_smoothing"])
    expected = {"cross_entropy": of_pixels, "dice": of_examples, "cross_entropy_dice": of_pixels + of_examples}
    assert loss_of(partly_labelled, **settings) == pytest.approx(expected[options["loss"]], rel=1e-5)


def gradient(class_ids, logits, weights=None, **settings):
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = training_loss(TrainerConfig(**settings), weights)(class_ids, variable)
    return float(loss), tape.gradient(loss, variable).numpy()


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_what_is_not_labelled_has_no_gradient_whatever_the_logits_are(partly_labelled, settings):
    class_ids, logits = partly_labelled
    known = class_ids != NOT_LABELLED
    others = np.where(known[..., np.newaxis], logits, -30 * logits).astype(np.float32)
    loss, found = gradient(class_ids, logits, **settings)
    assert (found[~known] == 0).all()
    assert (found[known] != 0).any(axis=-1).all()
    assert loss == gradient(class_ids, others, **settings)[0]
    np.testing.assert_array_equal(gradient(class_ids, others, **settings)[1], found)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_batch_without_labels_has_loss_and_gradient_0(batch, settings):
    loss, found = gradient(np.full_like(batch[0], NOT_LABELLED), batch[1], **settings)
    assert loss == 0
    assert (found == 0).all()


def test_the_loss_of_an_example_is_over_its_labelled_pixels_and_0_without_any(partly_labelled):
    class_ids, logits = partly_labelled
    expected = [cross_entropy(class_ids[[index]], logits[[index]]) for index in range(3)]
    np.testing.assert_allclose(example_loss(class_ids, logits), [*expected, 0], rtol=1e-5)


@pytest.mark.parametrize("loss", ["cross_entropy", "dice", "cross_entropy_dice"])
def test_replicas_with_unequal_shares_of_labels_lose_what_one_loses(partly_labelled, loss, monkeypatch):
    """Each has two of the four examples, and knows the counts of the other by the strategy alone."""
    expected = loss_of(partly_labelled, loss=loss)
    class_ids, logits = partly_labelled
    shares = [(class_ids[:2], logits[:2]), (class_ids[2:], logits[2:])]

    def losses(all_reduce):
        context = SimpleNamespace(num_replicas_in_sync=2, all_reduce=all_reduce)
        monkeypatch.setattr(tf.distribute, "get_replica_context", lambda: context)
        return [loss_of(share, loss=loss) for share in shares]

    counts = []
    alone = losses(lambda operation, tensor: counts.append(tensor) or tensor)
    assert np.mean(alone) != pytest.approx(expected, rel=1e-3)
    half = len(counts) // 2
    sums = itertools.cycle([first + second for first, second in zip(counts[:half], counts[half:], strict=True)])
    together = losses(lambda operation, tensor: next(sums) if operation is tf.distribute.ReduceOp.SUM else tensor)
    assert np.mean(together) == pytest.approx(expected, rel=1e-5)


def test_balanced_weights_are_inverse_to_the_pixels_and_1_on_average():
    pixels = np.array([600, 300, 100])
    weights = np.array(balanced_weights(pixels))
    np.testing.assert_allclose(weights * pixels, 1000 / 3)
    assert weights @ pixels / 1000 == pytest.approx(1)
