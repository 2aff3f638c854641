"""The exported signatures against eager computation, and on the load path of TensorFlow Serving."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

from trainer_module import features, served_images
from trainer_module.config import TrainerConfig
from trainer_module.losses import example_loss, training_loss
from trainer_module.model_card import class_colors
from trainer_module.preprocessing import decode_image, normalize, resize_image, resize_mask, to_class_ids
from trainer_module.served_images import (
    boundary_counts,
    boundary_width,
    calibration_counts,
    confusion_matrices,
    mask_png,
)


@pytest.fixture(scope="module")
def expected(raw_examples, transformed):
    """Normalized images and class ids, eagerly."""
    size = transformed.data.image_size
    images = np.stack([resize_image(decode_image(raw.encoded_image), size) for raw in raw_examples])
    offset, scale = (transformed.features[name] for name in (features.IMAGE_OFFSET_XF, features.IMAGE_SCALE_XF))
    masks = np.stack([to_class_ids(resize_mask(raw.mask, size), (1, 2, 3))[..., 0] for raw in raw_examples])
    return normalize(images, offset, scale).numpy(), masks


@pytest.fixture(scope="module")
def loaded(identity_export):
    """The model, loaded as TensorFlow does."""
    return tf.saved_model.load(identity_export)


def _serve(loaded, images):
    return loaded.signatures["serving_default"](image=tf.constant(images))


def test_serving_preprocesses_as_training_does_to_the_bit(loaded, raw_examples, expected):
    outputs = _serve(loaded, [raw.encoded_image for raw in raw_examples])
    np.testing.assert_array_equal(outputs["probabilities"], tf.nn.softmax(expected[0]))
    np.testing.assert_array_equal(outputs["mask"], np.argmax(expected[0], axis=-1))
    assert outputs["mask"].dtype == tf.uint8


def test_batches_larger_than_the_piece_size_come_back_whole_and_in_order(loaded, raw_examples):
    images = [raw.encoded_image for raw in raw_examples] * 12
    outputs = _serve(loaded, images)
    single = _serve(loaded, images[:6])
    np.testing.assert_array_equal(outputs["mask"], np.tile(single["mask"], (12, 1, 1)))


def test_evaluation_counts_what_numpy_counts(loaded, raw_examples, expected):
    logits, masks = expected
    signature = loaded.signatures["evaluation"]
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


def test_fingerprint_follows_from_the_id_alone(loaded, raw_examples):
    """The number is written down: another one would be other bootstrap replicates."""
    signature = loaded.signatures["evaluation"]
    outputs = signature(examples=tf.constant([raw.serialized() for raw in raw_examples[:2]]))
    assert outputs["example_fingerprint"].numpy().tolist() == [3_404_845_177_046_857_890] * 2


def test_images_of_one_file_name_have_fingerprints_of_their_own(loaded, raw_examples):
    signature = loaded.signatures["evaluation"]
    examples = [raw_examples[0].serialized(b"shapes-test.tfrecord-00000-of-00001__%d" % index) for index in range(3)]
    assert len({*signature(examples=tf.constant(examples))["example_fingerprint"].numpy().tolist()}) == 3


@pytest.fixture(scope="module")
def served(identity_export):
    """The model, loaded as TensorFlow Serving does; called with a signature's name and its input."""
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], identity_export).signature_def

    def call(name, values):
        signature = signatures[name]
        [placeholder] = signature.inputs.values()
        return session.run({key: tensor.name for key, tensor in signature.outputs.items()}, {placeholder.name: values})

    yield call
    session.close()


def test_session_loader_of_tensorflow_serving_answers_the_same(served, loaded, raw_examples):
    images = [raw.encoded_image for raw in raw_examples]
    outputs, expected = served("serving_default", images), _serve(loaded, images)
    assert set(outputs) == {features.PROBABILITIES, features.MASK, features.MASK_PNG}
    for name, array in outputs.items():
        np.testing.assert_array_equal(array, expected[name])


def test_session_loader_evaluates_the_same(served, loaded, raw_examples):
    examples = [raw.serialized() for raw in raw_examples]
    outputs = served("evaluation", examples)
    expected = loaded.signatures["evaluation"](examples=tf.constant(examples))
    for name in features.EVALUATION_OUTPUTS:
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-6)


def test_prepared_images_get_the_answers_of_encoded_ones(served, raw_examples, expected):
    outputs = served("tensor", expected[0])
    of_encoded = served("serving_default", [raw.encoded_image for raw in raw_examples])
    assert set(outputs) == {features.PROBABILITIES, features.MASK}
    for name, array in outputs.items():
        np.testing.assert_array_equal(array, of_encoded[name])


def test_what_other_forms_are_made_of_is_saved_too(loaded, raw_examples, expected, transformed):
    prepared = loaded.prepare(tf.constant([raw.serialized() for raw in raw_examples]))
    np.testing.assert_array_equal(prepared["image"], expected[0])
    np.testing.assert_array_equal(prepared["segmentation_mask"], expected[1])
    for name in (features.IMAGE_OFFSET_XF, features.IMAGE_SCALE_XF):
        np.testing.assert_array_equal(prepared[name], transformed.features[name])
    np.testing.assert_array_equal(loaded.network(tf.constant(expected[0])), expected[0], "logits")


def test_the_png_is_the_mask_at_the_size_of_each_image(served, raw_examples):
    """Against Pillow, which resizes the probabilities as `mask_png` says."""
    outputs = served("serving_default", [raw.encoded_image for raw in raw_examples])
    for raw, probabilities, png in zip(raw_examples, outputs["probabilities"], outputs["mask_png_bytes"], strict=True):
        mask = Image.open(io.BytesIO(png))
        height, width = raw.mask.shape[:2]
        planes = [
            np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))
            for plane in np.moveaxis(probabilities, -1, 0)
        ]
        assert mask.mode == "L"
        assert (np.asarray(mask) == np.argmax(planes, axis=0)).mean() > 0.99
        assert np.asarray(mask).shape == (height, width)


def test_strips_make_the_mask_that_one_piece_makes(monkeypatch):
    probabilities = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    whole = mask_png(probabilities, tf.constant([37, 21])).numpy()
    monkeypatch.setattr(served_images, "_STRIP_VALUES", 21 * 3 * 5)
    assert mask_png(probabilities, tf.constant([37, 21])).numpy() == whole


def _encoded(width, height, mode="RGB", encoding="PNG", **options):
    file = io.BytesIO()
    Image.new(mode, (width, height)).save(file, encoding, **options)
    return file.getvalue()


def test_images_of_any_shape_and_kind_are_taken_together(served):
    images = {
        (1, 1): _encoded(1, 1),
        (500, 1): _encoded(1, 500, "L"),
        (20, 3000): _encoded(3000, 20, "P"),
        (20, 30): _encoded(30, 20, "RGBA"),
        (9, 11): _encoded(11, 9, encoding="JPEG", progressive=True),
        (14, 8): _encoded(8, 14, "CMYK", encoding="JPEG"),
        (6, 7): _encoded(7, 6, "I;16"),
    }
    outputs = served("serving_default", list(images.values()))
    assert [Image.open(io.BytesIO(png)).size[::-1] for png in outputs["mask_png_bytes"]] == [*images]


def test_a_turned_image_is_answered_as_what_a_viewer_shows(served, loaded):
    """In the loader of TensorFlow Serving and in TensorFlow's own, for each orientation, as its upright pixels are."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    turned, upright = [], []
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        jpeg = io.BytesIO()
        Image.fromarray(pixels).save(jpeg, "JPEG", exif=exif)
        turned.append(jpeg.getvalue())
        upright.append(tf.io.encode_png(decode_image(jpeg.getvalue())).numpy())
    assert len({decode_image(png).numpy().tobytes() for png in upright}) == 8
    expected = served("serving_default", upright)
    for outputs in (served("serving_default", turned), _serve(loaded, turned)):
        for name, array in expected.items():
            np.testing.assert_array_equal(outputs[name], array)
    sizes = [Image.open(io.BytesIO(png)).size for png in expected[features.MASK_PNG]]
    assert sizes == [(40, 24)] * 4 + [(24, 40)] * 4


def test_a_mask_of_16_bits_is_evaluated_as_what_it_says(served, raw_examples):
    """TfdsExampleGen writes masks of 8 bits; this is somebody's own example."""
    raw = raw_examples[0]
    file = io.BytesIO()
    Image.fromarray(raw.mask[..., 0].astype(np.uint16)).save(file, "PNG")
    deep = dataclasses.replace(raw, encoded_mask=file.getvalue())
    of_deep, of_raw = (served("evaluation", [one.serialized()])["confusion_matrix"] for one in (deep, raw))
    np.testing.assert_array_equal(of_deep, of_raw)
    assert of_raw.sum() == 16 * 16


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "is no readable JPEG or PNG"),
        (b"text", "is no readable JPEG or PNG"),
        (_encoded(4, 4, encoding="GIF"), "is no readable JPEG or PNG"),
        (_encoded(4, 4, encoding="BMP"), "is no readable JPEG or PNG"),
        (_encoded(50, 50)[:60], "is no readable JPEG or PNG"),
        (_encoded(50, 50)[:18], "is no readable JPEG or PNG"),
        (_encoded(50, 50, encoding="JPEG")[:-200], "is no readable JPEG or PNG"),
        (_encoded(6000, 6000, "1"), "has more than 33554432 pixels"),
        (_encoded(70000, 1), "or more than 65535 on a side"),
    ],
)
def test_the_error_names_the_image_and_the_next_batch_is_answered(served, image, reason):
    good = _encoded(5, 5)
    before = served("serving_default", [good])["probabilities"]
    for index in (0, 40):
        batch = [good] * 41
        batch[index] = image
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"image {index} of the batch .*{reason}"):
            served("serving_default", batch)
    np.testing.assert_array_equal(served("serving_default", [good])["probabilities"], before)


def test_no_images_have_no_answers(served):
    assert {name: len(array) for name, array in served("serving_default", []).items()} == {
        "probabilities": 0, "mask": 0, "mask_png_bytes": 0,
    }  # fmt: skip


def test_warmup_requests_can_be_answered(served, identity_export):
    sizes = []
    for record in tf.data.TFRecordDataset(f"{identity_export}/assets.extra/tf_serving_warmup_requests"):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert log.WhichOneof("log_type") == "predict_log"
        outputs = served(request.model_spec.signature_name, tf.make_ndarray(request.inputs["image"]))
        assert Image.open(io.BytesIO(outputs["mask_png_bytes"][0])).size == (500, 375)
        sizes.append(len(outputs["mask"]))
    assert sizes == [1, 8]


def test_model_card_says_what_the_outputs_mean(identity_export):
    card = json.loads(Path(identity_export, "assets.extra", "petseg_model.json").read_text())
    assert card["class_names"] == ["pet", "background", "border"]
    assert card["class_colors"] == class_colors(3).tolist()
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
