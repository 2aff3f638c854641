"""The forms for TensorFlow Lite agree with the original, and are smaller."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pipeline.export.forms import LiteNetwork, convert
from pipeline.export.request import CALIBRATED, Optimization
from pipeline.models.loading import Original
from trainer_module.errors import ModelError
from trainer_module.flip_averaging import flip_averaged
from trainer_module.networks import build_model

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


@pytest.mark.parametrize("averages", [False, True])
def test_the_network_on_efficientnet_lite_is_all_in_integers(averages):
    """Whatever operation TensorFlow Lite had only in floats would be seen between the layers."""
    network = build_model("unet_lite0", 32, 3)
    call = lambda image: network(image, training=False)  # noqa: E731
    original = SimpleNamespace(card=SimpleNamespace(image_size=32), network=flip_averaged(call) if averages else call)
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    content = convert(original, Optimization.INT8_FULL, images)
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    types = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    operations = interpreter._get_ops_details()
    in_floats = {one["op_name"] for one in operations if np.float32 in {types.get(index) for index in one["outputs"]}}
    assert in_floats == {"DEQUANTIZE"}, "the answer"
    assert [one["op_name"] for one in operations].count("DEQUANTIZE") == 1


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
