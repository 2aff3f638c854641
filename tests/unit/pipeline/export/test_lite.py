"""The forms for TensorFlow Lite agree with the original, and are smaller."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from pipeline.export.forms import LiteNetwork, convert
from pipeline.export.request import CALIBRATED, Optimization
from pipeline.models.loading import Original
from trainer_module.errors import ModelError

pytestmark = pytest.mark.slow

LITE = [one for one in Optimization if one is not Optimization.FROZEN]


@pytest.fixture(scope="module")
def original(exported):
    return Original.load(exported)


@pytest.fixture(scope="module")
def images(original, raw_examples):
    return original.prepare([raw.serialized() for raw in raw_examples]).images


@pytest.mark.parametrize("optimization", LITE)
def test_it_finds_the_classes_of_the_original(original, images, optimization):
    network = LiteNetwork(convert(original, optimization, images if optimization in CALIBRATED else None))
    found = np.concatenate([network(image[np.newaxis]) for image in images])
    expected = tf.nn.softmax(original.network(tf.constant(images))).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(-1), 1, atol=0.01)
    assert (found.argmax(-1) == expected.argmax(-1)).mean() > 0.9
    assert network.tensors["input"]["shape"] == [1, 16, 16, 3]
    assert {found["type"] for found in network.tensors.values()} == {"float32"}


@pytest.mark.parametrize(("optimization", "share"), [(Optimization.FLOAT16, 0.55), (Optimization.INT8, 0.3)])
def test_its_weights_take_less(optimization, share):
    kernel = tf.constant(np.random.default_rng(0).normal(size=(3, 3, 64, 64)), tf.float32)
    big = SimpleNamespace(
        card=SimpleNamespace(image_size=16),
        network=lambda image: tf.nn.conv2d(tf.tile(image, (1, 1, 1, 64))[..., :64], kernel, 1, "SAME"),
    )
    assert len(convert(big, optimization, None)) < share * kernel.numpy().nbytes


def test_full_integers_round_by_the_range_of_the_examples(original, images):
    """Ranges that are a thousandth of the images' cut everything off."""
    good, bad = (LiteNetwork(convert(original, Optimization.INT8_FULL, images * by)) for by in (1, 0.001))
    expected = original.network(tf.constant(images[:1])).numpy().argmax(-1)
    agreement = [(network(images[:1]).argmax(-1) == expected).mean() for network in (good, bad)]
    assert agreement[0] > 0.9 > agreement[1]


def test_what_tensorflow_lite_lacks_is_refused():
    network = lambda image: tf.linalg.inv(tf.transpose(image, (0, 3, 1, 2)))  # noqa: E731
    odd = SimpleNamespace(card=SimpleNamespace(image_size=8, model="odd"), network=network)
    with pytest.raises(ModelError, match="cannot take the network 'odd' as float16"):
        convert(odd, Optimization.FLOAT16, None)
