"""Every metric of an exported model against plain NumPy on the labelled pixels alone."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from components.model_evaluator.sums import EvaluationSums, replicate_counts
from trainer_module.segmentation_metrics import metric_names

NAMES = ("pet", "background", "border")
MASK_VALUES = (1, 2, 3)
SIZE = 16
IGNORED = 255


def encoded(array: np.ndarray) -> bytes:
    return tf.io.encode_png(array).numpy()


@pytest.fixture(scope="module")
def examples(raw_examples):
    """Six images of the network's size; one is not labelled at all, one everywhere, the others in blocks."""
    rng = np.random.default_rng(0)
    found = []
    for index, raw in enumerate(raw_examples):
        mask = rng.choice(MASK_VALUES, (4, 4)).repeat(4, 0).repeat(4, 1)
        share = (1.0, 0.0, 0.1, 0.3, 0.5, 0.8)[index]
        ignored = (rng.random((8, 8)) < share).repeat(2, 0).repeat(2, 1)
        mask = np.where(ignored, IGNORED, mask).astype(np.uint8)[..., np.newaxis]
        # Mostly in the channel of its class, so that predictions are neither right nor wrong everywhere.
        image = rng.integers(0, 140, (SIZE, SIZE, 3)) + 70 * (mask == np.array(MASK_VALUES))
        image = image.astype(np.uint8)
        found.append(
            dataclasses.replace(raw, image=image, mask=mask, encoded_image=encoded(image), encoded_mask=encoded(mask))
        )
    return found


@pytest.fixture(scope="module")
def loaded(identity_export):
    return tf.saved_model.load(identity_export)


def outputs_of(loaded, examples):
    """What the evaluation signature returns of each example."""
    serialized = tf.constant([raw.serialized(b"%d" % index) for index, raw in enumerate(examples)])
    arrays = {name: tensor.numpy() for name, tensor in loaded.signatures["evaluation"](examples=serialized).items()}
    return [{name: array[index] for name, array in arrays.items()} for index in range(len(examples))]


def measured(outputs):
    sums = EvaluationSums(len(NAMES))
    for one in outputs:
        sums.add(one)
    assert sums.examples == len(outputs)
    return sums.metrics(NAMES, SIZE**2)


def logits_of(loaded, examples):
    """The model answers its input, so what it is given is what it answers."""
    return loaded.prepare(tf.constant([raw.serialized() for raw in examples]))["image"].numpy().astype(np.float64)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def ratio(part, whole):
    return part / whole if whole else math.nan


def accuracy_and_mean_iou(truth, predicted):
    iou = [
        ((truth == c) & (predicted == c)).sum() / ((truth == c) | (predicted == c)).sum()
        for c in range(3)
        if (truth == c).any() or (predicted == c).any()
    ]
    return (np.mean(truth == predicted), np.mean(iou)) if truth.size else (math.nan, math.nan)


def boundary(ids, class_id):
    """Pixels of a class of which a neighbour, diagonals included, is outside of the image or not of the class."""
    inside = np.pad(ids == class_id, 1)
    windows = np.lib.stride_tricks.sliding_window_view(inside, (3, 3))
    return (ids == class_id) & ~windows.all(axis=(2, 3))


def expected_metrics(masks, logits, fingerprints):
    """Of class ids [images, 16, 16], 255 where not labelled, and logits [images, 16, 16, 3], image by image."""
    predictions, probabilities = logits.argmax(-1), softmax(logits)
    known = masks != IGNORED
    truth, predicted, confidence = masks[known], predictions[known], probabilities[known].max(-1)
    accuracy, mean_iou = accuracy_and_mean_iou(truth, predicted)
    majority = max((truth == c).mean() for c in range(3))
    of_images = [(masks[i][known[i]], predictions[i][known[i]]) for i in range(len(masks))]
    labelled = [index for index, (ids, _) in enumerate(of_images) if ids.size]
    losses = [
        np.mean(
            [-np.log(probabilities[i][row, column, masks[i][row, column]]) for row, column in np.argwhere(known[i])]
        )
        for i in labelled
    ]
    found = {
        "accuracy": accuracy, "mean_iou": mean_iou, "loss": np.mean(losses), "majority_share": majority,
        "accuracy_gain": accuracy - majority, "labelled_share": known.mean(),
        "unlabelled_images": len(masks) - len(labelled),
    }  # fmt: skip
    for c, name in enumerate(NAMES):
        both = ((truth == c) & (predicted == c)).sum()
        found[f"iou_{name}"] = ratio(both, ((truth == c) | (predicted == c)).sum())
        found[f"dice_{name}"] = ratio(2 * both, (truth == c).sum() + (predicted == c).sum())
        found[f"precision_{name}"] = ratio(both, (predicted == c).sum())
        found[f"recall_{name}"] = ratio(both, (truth == c).sum())
        regions = [
            (boundary(masks[i], c), boundary(np.where(known[i], predictions[i], IGNORED), c)) for i in range(len(masks))
        ]
        found[f"boundary_iou_{name}"] = ratio(
            sum((one & other).sum() for one, other in regions), sum((one | other).sum() for one, other in regions)
        )
    found["mean_dice"] = np.nanmean([found[f"dice_{name}"] for name in NAMES])
    found["mean_boundary_iou"] = np.nanmean([found[f"boundary_iou_{name}"] for name in NAMES])
    bins = np.ceil(confidence * 15).astype(int)
    gaps = [abs((truth == predicted)[bins == k].sum() - confidence[bins == k].sum()) for k in range(1, 16)]
    found["ece"] = sum(gaps) / truth.size
    image_iou = [accuracy_and_mean_iou(*of_images[i])[1] for i in labelled]
    for share in (5, 50, 95):
        found[f"image_iou_p{share:02d}"] = np.quantile(np.round(image_iou, 3), share / 100, method="inverted_cdf")
    draws = np.array([replicate_counts(int(fingerprints[i])) for i in labelled]).T
    pixels = [np.repeat(labelled, drawn) for drawn in draws]
    replicates = np.array(
        [
            accuracy_and_mean_iou(*(np.concatenate([of_images[i][side] for i in some] or [[]]) for side in (0, 1)))
            for some in pixels
        ]
    )
    for metric, values in zip(("accuracy", "mean_iou"), replicates.T, strict=True):
        found[f"{metric}_low"], found[f"{metric}_high"] = np.nanquantile(values, (0.025, 0.975))
    return found


def test_every_metric_is_that_of_plain_numpy_on_labelled_pixels(loaded, examples):
    table = np.full(256, IGNORED)
    table[list(MASK_VALUES)] = range(3)
    masks = np.stack([table[raw.mask[..., 0]] for raw in examples])
    outputs = outputs_of(loaded, examples)
    found = measured(outputs)
    expected = expected_metrics(masks, logits_of(loaded, examples), [one["example_fingerprint"] for one in outputs])
    assert 0.3 < expected["accuracy"] < 0.9
    assert expected["unlabelled_images"] == 1
    assert {*expected} == {*metric_names(NAMES)} == {*found}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name


def test_what_an_image_shows_where_it_is_not_labelled_changes_no_number(loaded, examples):
    """The model looks at single pixels, so that all the rest of the images stays as it is."""
    rng = np.random.default_rng(1)
    changed = []
    for raw in examples:
        image = np.where(raw.mask == IGNORED, rng.integers(0, 256, raw.image.shape), raw.image).astype(np.uint8)
        changed.append(dataclasses.replace(raw, image=image, encoded_image=encoded(image)))
    before, after = outputs_of(loaded, examples), outputs_of(loaded, changed)
    assert any((one.image != other.image).any() for one, other in zip(examples, changed, strict=True))
    for one, other in zip(before, after, strict=True):
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name], name)
    assert measured(before) == measured(after)


def test_a_perfect_prediction_is_perfect_also_beside_what_is_not_labelled(loaded, examples):
    perfect = []
    for raw in examples[1:]:
        image = np.where(raw.mask == np.array(MASK_VALUES), 255, 0).astype(np.uint8)
        perfect.append(dataclasses.replace(raw, encoded_image=encoded(image)))
    found = measured(outputs_of(loaded, perfect))
    ones = ("accuracy", "mean_iou", "mean_dice", "mean_boundary_iou", "image_iou_p05", "accuracy_low")
    assert {name: found[name] for name in ones} == dict.fromkeys(ones, 1.0)


@pytest.mark.filterwarnings("error:.*:RuntimeWarning")
def test_an_image_without_labels_has_finite_outputs_and_no_pixel(loaded, examples):
    [outputs] = outputs_of(loaded, examples[:1])
    fingerprint = outputs.pop("example_fingerprint")
    assert {name: (array == 0).all() for name, array in outputs.items()} == dict.fromkeys(outputs, True)
    found = measured([{**outputs, "example_fingerprint": fingerprint}])
    assert {name: value for name, value in found.items() if not math.isnan(value)} == {
        "labelled_share": 0, "unlabelled_images": 1
    }  # fmt: skip
