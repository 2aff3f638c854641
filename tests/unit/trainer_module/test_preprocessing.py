"""One preprocessing path: eagerly, inside tf.data and in the transform graph it gives the same bits."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from trainer_module import features
from trainer_module.dataset import eval_dataset
from trainer_module.preprocessing import (
    decode_image,
    decode_image_xf,
    decode_mask_xf,
    normalize,
    resize_image,
    resize_mask,
    to_class_ids,
)


def test_transform_graph_agrees_with_eager_functions_to_the_bit(raw_examples, transformed):
    data = transformed.data
    for raw, image_xf, mask_xf in zip(
        raw_examples,
        transformed.features[features.IMAGE_XF],
        transformed.features[features.SEGMENTATION_MASK_XF],
        strict=True,
    ):
        image = resize_image(decode_image(raw.encoded_image), data.image_size)
        class_ids = to_class_ids(resize_mask(raw.mask, data.image_size), data.mask_values)
        np.testing.assert_array_equal(decode_image_xf(image_xf, data.image_size), image)
        np.testing.assert_array_equal(decode_mask_xf(mask_xf, data.image_size), class_ids[..., 0])


def test_tf_data_agrees_with_eager_functions_to_the_bit(raw_examples, transformed):
    data = transformed.data
    encoded = tf.data.Dataset.from_tensor_slices([raw.encoded_image for raw in raw_examples])
    in_tf_data = encoded.map(lambda image: resize_image(decode_image(image), data.image_size))
    for raw, image in zip(raw_examples, in_tf_data, strict=True):
        np.testing.assert_array_equal(image, resize_image(decode_image(raw.encoded_image), data.image_size))


def test_training_batches_are_the_normalized_transformed_examples(raw_examples, transformed):
    data = transformed.data
    batches = eval_dataset(transformed.files, transformed.transform_output, data.image_size, batch_size=4)
    images, class_ids = (np.concatenate(parts) for parts in zip(*batches.as_numpy_iterator(), strict=True))
    eager = np.stack([resize_image(decode_image(raw.encoded_image), data.image_size) for raw in raw_examples])
    offset, scale = (transformed.features[name] for name in (features.IMAGE_OFFSET_XF, features.IMAGE_SCALE_XF))
    np.testing.assert_array_equal(images, normalize(eager, offset, scale))
    assert class_ids.dtype == np.uint8
    assert class_ids.shape == (len(raw_examples), data.image_size, data.image_size)


def test_standardize_gives_mean_zero_and_deviation_one_of_each_channel(transformed):
    data = transformed.data
    (images, _) = next(iter(eval_dataset(transformed.files, transformed.transform_output, data.image_size, 64)))
    np.testing.assert_allclose(np.mean(images, axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(np.std(images, axis=(0, 1, 2)), 1, atol=1e-4)


def test_images_are_resized_bilinearly_with_antialiasing():
    checkerboard = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(255)
    image = np.repeat(checkerboard[..., np.newaxis], 3, axis=-1).astype(np.uint8)
    resized = resize_image(image, 16)
    assert resized.dtype == tf.uint8
    assert np.ptp(resized[2:-2, 2:-2]) <= 2, "a fine checkerboard averages to gray; without antialiasing it does not"
    assert abs(float(np.mean(resized)) - 127.5) < 2


@pytest.mark.parametrize("size", [(7, 50), (50, 7), (16, 16), (200, 133)])
def test_masks_keep_only_values_that_were_there(size):
    mask = np.random.default_rng(0).choice([1, 3], size).astype(np.uint8)[..., np.newaxis]
    resized = resize_mask(mask, 16).numpy()
    assert resized.shape == (16, 16, 1)
    assert set(np.unique(resized)) <= {1, 3}, "2 would be a class that interpolation invented"


def test_mask_values_become_class_ids_by_position_and_others_are_not_labelled():
    mask = np.array([[[1], [2], [3]]], np.uint8)
    np.testing.assert_array_equal(to_class_ids(mask, (1, 2, 3))[0, :, 0], [0, 1, 2])
    np.testing.assert_array_equal(to_class_ids(mask, (3, 1, 2))[0, :, 0], [1, 2, 0])
    np.testing.assert_array_equal(to_class_ids(mask, (1, 2))[0, :, 0], [0, 1, 255])


def test_gray_is_repeated_and_alpha_is_dropped(raw_examples):
    gray, rgba = raw_examples[3], raw_examples[4]
    decoded_gray = decode_image(gray.encoded_image).numpy()
    assert decoded_gray.shape == (33, 33, 3)
    np.testing.assert_array_equal(decoded_gray[..., 0], decoded_gray[..., 2])
    np.testing.assert_array_equal(decode_image(rgba.encoded_image), rgba.image[..., :3])


def test_nearest_picks_the_pixel_whose_centre_is_nearest():
    mask = np.arange(32 * 32, dtype=np.int32).reshape(32, 32, 1) % 251
    expected = Image.fromarray(mask[..., 0].astype(np.uint8)).resize((16, 16), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(resize_mask(mask.astype(np.uint8), 16)[..., 0], np.asarray(expected))
