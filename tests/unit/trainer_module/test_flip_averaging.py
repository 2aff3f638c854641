"""A network that is averaged over image and mirror image, and exported models that are made to be."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from trainer_module.errors import ModelError
from trainer_module.flip_averaging import average_over_flip, flip_averaged

IMAGES = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
KERNEL = np.random.default_rng(1).normal(size=(3, 3, 3, 4)).astype(np.float32)


def lopsided(image: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(image, KERNEL, 1, "SAME")


def test_the_answer_is_the_mean_of_both_at_the_place_of_each_pixel():
    mirrored = lopsided(IMAGES[:, :, ::-1]).numpy()[:, :, ::-1]
    plain = lopsided(IMAGES).numpy()
    assert np.abs(plain - mirrored).max() > 1
    np.testing.assert_allclose(flip_averaged(lopsided)(IMAGES), (plain + mirrored) / 2, atol=1e-6)


def test_the_mirror_image_is_answered_with_the_mirrored_answer():
    network = flip_averaged(lopsided)
    np.testing.assert_array_equal(network(IMAGES[:, :, ::-1]), network(IMAGES).numpy()[:, :, ::-1])


def test_a_model_without_the_function_is_refused():
    model = saved_model_pb2.SavedModel()
    model.meta_graphs.add().object_graph_def.nodes.add()
    with pytest.raises(ModelError, match=r"its function 'network' has 0 forms and not one\. Export it again"):
        average_over_flip(model.SerializeToString())
