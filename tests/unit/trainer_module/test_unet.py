"""The networks, layer for layer."""

import keras
import numpy as np
import pytest
from keras import layers

from trainer_module.config import IMAGE_SIZES
from trainer_module.encoder_catalogue import ENCODER
from trainer_module.encoder_unet import seen_size
from trainer_module.errors import ConfigError
from trainer_module.networks import MODELS, build_model

PARAMETERS = {"unet": 5_120_211, "unet_lite0": 3_694_620, "blog": 5_460_163, "blog_bn": 5_467_276, "paper": 31_031_875}


@pytest.fixture(scope="module")
def networks():
    return {name: build_model(name, 128, 3) for name in MODELS}


@pytest.mark.parametrize("name", MODELS)
def test_number_of_parameters(networks, name):
    assert networks[name].count_params() == PARAMETERS[name]
    assert networks[name].output_shape == (None, 128, 128, 3)
    assert networks[name].name == name


@pytest.mark.parametrize("name", ["blog", "blog_bn"])
def test_blog_has_the_published_shapes(networks, name):
    convolutions = (layers.Conv2D, layers.Conv2DTranspose)
    sizes = [layer.output.shape[1] for layer in networks[name].layers if isinstance(layer, convolutions)]
    assert sizes == [126, 124, 60, 60, 28, 26, 11, 13, 28, 30, 60, 62, 126, 128, 128]
    assert _joined(networks[name]) == [(26, 26, 512), (60, 60, 256), (124, 124, 128)]


def test_paper_has_the_shapes_of_its_figure(networks):
    convolutions = [layer.output.shape[1:] for layer in networks["paper"].layers if type(layer) is layers.Conv2D]
    down = [(128, 64), (64, 128), (32, 256), (16, 512), (8, 1024)]
    levels = down + down[-2::-1]
    assert convolutions == [*((side, side, count) for side, count in levels for _ in range(2)), (128, 128, 3)]
    assert _joined(networks["paper"]) == [(16, 16, 1024), (32, 32, 512), (64, 64, 256), (128, 128, 128)]


def test_unet_joins_every_level_and_the_edges(networks):
    assert _joined(networks["unet"]) == [(16, 16, 384), (32, 32, 192), (64, 64, 96), (128, 128, 32)]
    assert [layer.output.shape[1:3] for layer in networks["unet"].layers if "pool" in layer.name] == [
        (32, 32),
        (16, 16),
        (8, 8),
    ]


def test_an_encoder_sees_small_images_enlarged_and_its_maps_at_their_sizes(networks):
    assert networks["unet_lite0"].get_layer(ENCODER).input_shape == (None, 192, 192, 3)
    assert _joined(networks["unet_lite0"]) == [(12, 12, 272), (24, 24, 136), (48, 48, 88), (64, 64, 32), (64, 64, 96)]
    for image_size in range(32, 513, 32):
        assert seen_size(image_size) % 32 == 0
        assert image_size <= seen_size(image_size) <= max(image_size, 224)


def test_subpixels_lie_where_they_belong(networks):
    """The four logits of a pixel of the decoder are a block of two by two, row by row."""
    network = networks["unet_lite0"]
    numbers = np.arange(64 * 64 * 12, dtype=np.float32).reshape(1, 64, 64, 12)
    end = keras.Model(network.get_layer("subpixel_logits").output, network.output)
    assert np.array_equal(end(numbers)[0, 2:4, 6:8].numpy().reshape(-1), numbers[0, 1, 3])


@pytest.mark.parametrize("name", MODELS)
def test_the_least_image_and_the_next_keep_their_resolution(name):
    least, multiple = IMAGE_SIZES[name]
    for image_size in (least, least + multiple):
        assert build_model(name, image_size, 5).output_shape == (None, image_size, image_size, 5)


def test_settings_know_every_network():
    assert set(IMAGE_SIZES) == {*MODELS, "unet_encoder"}


def test_only_the_published_networks_pass_their_logits_through_a_relu(networks):
    images = np.random.default_rng(0).normal(size=(2, 128, 128, 3)).astype("float32")
    least = {name: float(keras.ops.min(network(images, training=False))) for name, network in networks.items()}
    assert {name for name, value in least.items() if value >= 0} == {"blog", "blog_bn"}


def test_synchronized_normalization_is_the_same_network():
    network = build_model("unet", 32, 3, synchronized=True)
    normalizations = [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
    assert normalizations
    assert all(layer.synchronized for layer in normalizations)
    assert network.count_params() == PARAMETERS["unet"]


def test_unknown_variant_names_those_there_are():
    with pytest.raises(ConfigError, match=r"no 'resnet'.*unet.*blog"):
        build_model("resnet", 128, 3)


def _joined(network: keras.Model) -> list[tuple[int, ...]]:
    return [layer.output.shape[1:] for layer in network.layers if isinstance(layer, layers.Concatenate)]
