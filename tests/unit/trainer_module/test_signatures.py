"""The exported signatures against eager computation, and on the load path of TensorFlow Serving."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from trainer_module import features
from trainer_module.config import TrainerConfig
from trainer_module.losses import example_loss, training_loss
from trainer_module.preprocessing import decode_image, normalize, resize_image, resize_mask, to_class_ids
from trainer_module.signatures import boundary_counts, boundary_width, calibration_counts, confusion_matrices


@pytest.fixture(scope="module")
def expected(raw_examples, transformed):
    """Normalized images and class ids, eagerly."""
    size = transformed.data.image_size
    images = np.stack([resize_image(decode_image(raw.encoded_image), size) for raw in raw_examples])
    offset, scale = (transformed.features[name] for name in (features.IMAGE_OFFSET_XF, features.IMAGE_SCALE_XF))
    masks = np.stack([to_class_ids(resize_mask(raw.mask, size), (1, 2, 3))[..., 0] for raw in raw_examples])
    return normalize(images, offset, scale).numpy(), masks


def _serve(directory, images):
    return tf.saved_model.load(directory).signatures["serving_default"](image=tf.constant(images))


def test_serving_preprocesses_as_training_does_to_the_bit(identity_export, raw_examples, expected):
    outputs = _serve(identity_export, [raw.encoded_image for raw in raw_examples])
    np.testing.assert_array_equal(outputs["probabilities"], tf.nn.softmax(expected[0]))
    np.testing.assert_array_equal(outputs["mask"], np.argmax(expected[0], axis=-1))
    assert outputs["mask"].dtype == tf.uint8


def test_batches_larger_than_the_piece_size_come_back_whole_and_in_order(identity_export, raw_examples):
    images = [raw.encoded_image for raw in raw_examples] * 12
    outputs = _serve(identity_export, images)
    single = _serve(identity_export, images[:6])
    np.testing.assert_array_equal(outputs["mask"], np.tile(single["mask"], (12, 1, 1)))


def test_evaluation_counts_what_numpy_counts(identity_export, raw_examples, expected):
    logits, masks = expected
    signature = tf.saved_model.load(identity_export).signatures["evaluation"]
    outputs = signature(examples=tf.constant([raw.serialized() for raw in raw_examples]))
    for row, logit, mask in zip(outputs["confusion_matrix"].numpy(), logits, masks, strict=True):
        by_hand = np.zeros((3, 3), int)
        np.add.at(by_hand, (mask.reshape(-1), logit.argmax(-1).reshape(-1)), 1)
        np.testing.assert_array_equal(row.reshape(3, 3), by_hand)
    log_probabilities = logits - np.log(np.exp(logits.astype(np.float64)).sum(-1, keepdims=True))
    loss = -np.take_along_axis(log_probabilities, masks[..., np.newaxis].astype(int), -1).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(outputs["loss"], loss, rtol=1e-5)
    assert set(outputs) == set(features.EVALUATION_OUTPUTS)
    for index, (logit, mask) in enumerate(zip(logits, masks, strict=True)):
        intersection, union = _slow_boundary_counts(mask, logit.argmax(-1), 3, width=1)
        np.testing.assert_array_equal(outputs["boundary_intersection"][index], intersection)
        np.testing.assert_array_equal(outputs["boundary_union"][index], union)
    assert outputs["calibration_pixels"].numpy().sum(-1).tolist() == [16 * 16] * 6


def test_example_id_follows_from_the_file_name_alone(identity_export, raw_examples):
    """The number is written down: another one would be other bootstrap replicates."""
    signature = tf.saved_model.load(identity_export).signatures["evaluation"]
    outputs = signature(examples=tf.constant([raw.serialized() for raw in raw_examples[:2]]))
    assert outputs["example_id"].numpy().tolist() == [3_404_845_177_046_857_890] * 2


def test_session_loader_of_tensorflow_serving_answers_the_same(identity_export, raw_examples):
    images = [raw.encoded_image for raw in raw_examples]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], identity_export)
        signature = graph.signature_def["serving_default"]
        names = {name: tensor.name for name, tensor in signature.outputs.items()}
        outputs = session.run(names, {signature.inputs["image"].name: images})
    np.testing.assert_array_equal(outputs["mask"], _serve(identity_export, images)["mask"])


def test_session_loader_evaluates_the_same(identity_export, raw_examples):
    examples = [raw.serialized() for raw in raw_examples]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], identity_export).signature_def["evaluation"]
        names = {name: tensor.name for name, tensor in signature.outputs.items()}
        outputs = session.run(names, {signature.inputs["examples"].name: examples})
    expected = tf.saved_model.load(identity_export).signatures["evaluation"](examples=tf.constant(examples))
    for name in features.EVALUATION_OUTPUTS:
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-6)


def test_model_card_says_what_the_outputs_mean(identity_export):
    card = json.loads(Path(identity_export, "assets.extra", "petseg_model.json").read_text())
    assert card["class_names"] == ["pet", "background", "border"]
    assert card["parameters"] == 12


def test_confusion_matrices_keep_examples_apart():
    class_ids = np.array([[[0, 1]], [[2, 2]]])
    predicted = np.array([[[0, 2]], [[2, 0]]])
    matrices = confusion_matrices(class_ids, predicted, 3).numpy().reshape(2, 3, 3)
    assert matrices[0].tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert matrices[1].tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 1]]


def _slow_boundary_counts(truth, predicted, num_classes, width):
    """Erodes each mask by looking at every window; outside the image is outside the mask."""
    height, breadth = truth.shape
    regions = []
    for ids in (truth, predicted):
        masks = np.pad(ids[..., np.newaxis] == np.arange(num_classes), [(width, width), (width, width), (0, 0)])
        eroded = np.zeros((height, breadth, num_classes), bool)
        for row in range(height):
            for column in range(breadth):
                window = masks[row : row + 2 * width + 1, column : column + 2 * width + 1]
                eroded[row, column] = window.all(axis=(0, 1))
        regions.append(masks[width:-width, width:-width] & ~eroded)
    both, either = regions[0] & regions[1], regions[0] | regions[1]
    return both.sum(axis=(0, 1)), either.sum(axis=(0, 1))


@pytest.mark.parametrize("width", [1, 2, 4])
def test_boundary_counts_are_those_of_eroding_each_mask(width):
    rng = np.random.default_rng(width)
    blocks = rng.integers(0, 4, (3, 4, 3)).repeat(6, axis=1).repeat(6, axis=2)
    predicted = np.where(rng.random(blocks.shape) < 0.05, rng.integers(0, 4, blocks.shape), blocks)
    counts = boundary_counts(tf.constant(blocks, tf.uint8), tf.constant(predicted), 4, width)
    for index in range(3):
        intersection, union = _slow_boundary_counts(blocks[index], predicted[index], 4, width)
        np.testing.assert_array_equal(counts["boundary_intersection"][index], intersection)
        np.testing.assert_array_equal(counts["boundary_union"][index], union)


def test_boundary_counts_by_hand():
    """6×6 pixels of one class against its lower half: the rim of 20 pixels, and of 3×6 the rim of 14."""
    whole, half = np.zeros((1, 6, 6), int), np.zeros((1, 6, 6), int)
    half[0, :3] = 1
    same = boundary_counts(whole, whole, 2, 1)
    assert (same["boundary_intersection"].numpy().tolist(), same["boundary_union"].numpy().tolist()) == ([[20, 0]],) * 2
    counts = boundary_counts(whole, half, 2, 1)
    assert counts["boundary_intersection"].numpy().tolist() == [[10, 0]]
    assert counts["boundary_union"].numpy().tolist() == [[24, 14]]


def test_boundary_is_two_percent_of_the_diagonal():
    assert [boundary_width(size) for size in (16, 48, 128, 256)] == [1, 1, 4, 7]


def test_calibration_counts_are_those_of_plain_numpy():
    rng = np.random.default_rng(0)
    logits, class_ids = rng.normal(0, 2, (4, 9, 9, 3)).astype(np.float32), rng.integers(0, 3, (4, 9, 9))
    counts = {name: tensor.numpy() for name, tensor in calibration_counts(class_ids, logits).items()}
    probabilities = tf.nn.softmax(logits).numpy()
    for index in range(4):
        confidence, right = probabilities[index].max(-1), probabilities[index].argmax(-1) == class_ids[index]
        for k in range(15):
            inside = (confidence > np.float32(k / 15)) & (confidence <= np.float32((k + 1) / 15))
            assert counts["calibration_pixels"][index, k] == inside.sum()
            assert counts["calibration_correct"][index, k] == (inside & right).sum()
            assert counts["calibration_confidence"][index, k] == pytest.approx(confidence[inside].sum(dtype=float))


def test_certainty_and_indecision_fall_into_bins():
    logits = np.array([[[[100.0, 0.0, 0.0]]], [[[0.0, 0.0, 0.0]]]], np.float32)
    counts = calibration_counts(np.zeros((2, 1, 1), int), logits)
    assert counts["calibration_pixels"].numpy()[0].nonzero()[0].tolist() == [14]
    assert counts["calibration_pixels"].numpy().sum() == 2


def test_loss_of_the_signature_is_the_loss_of_training():
    rng = np.random.default_rng(0)
    logits, class_ids = rng.normal(size=(4, 5, 5, 3)).astype(np.float32), rng.integers(0, 3, (4, 5, 5))
    assert float(training_loss(TrainerConfig())(class_ids, logits)) == pytest.approx(
        float(np.mean(example_loss(class_ids, logits)))
    )
