"""The exported signatures against eager computation, and on the load path of TensorFlow Serving."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from trainer_module import features
from trainer_module.losses import example_loss, training_loss
from trainer_module.preprocessing import decode_image, normalize, resize_image, resize_mask, to_class_ids
from trainer_module.signatures import confusion_matrices


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


def test_session_loader_of_tensorflow_serving_answers_the_same(identity_export, raw_examples):
    images = [raw.encoded_image for raw in raw_examples]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], identity_export)
        signature = graph.signature_def["serving_default"]
        names = {name: tensor.name for name, tensor in signature.outputs.items()}
        outputs = session.run(names, {signature.inputs["image"].name: images})
    np.testing.assert_array_equal(outputs["mask"], _serve(identity_export, images)["mask"])


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


def test_loss_of_the_signature_is_the_loss_of_training():
    rng = np.random.default_rng(0)
    logits, class_ids = rng.normal(size=(4, 5, 5, 3)).astype(np.float32), rng.integers(0, 3, (4, 5, 5))
    assert float(training_loss()(class_ids, logits)) == pytest.approx(float(np.mean(example_loss(class_ids, logits))))
