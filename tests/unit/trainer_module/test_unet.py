"""The published network, layer for layer."""

import pytest
from keras import layers

from trainer_module.errors import ConfigError
from trainer_module.unet import build_model


@pytest.fixture(scope="module")
def blog():
    return build_model("blog", 128, 3)


def test_blog_has_the_published_number_of_parameters(blog):
    assert blog.count_params() == 5_460_163
    assert blog.output_shape == (None, 128, 128, 3)


def test_blog_has_the_published_shapes(blog):
    sizes = [
        layer.output.shape[1] for layer in blog.layers if isinstance(layer, layers.Conv2D | layers.Conv2DTranspose)
    ]
    assert sizes == [126, 124, 60, 60, 28, 26, 11, 13, 28, 30, 60, 62, 126, 128, 128]
    assert [layer.output.shape[1:] for layer in blog.layers if isinstance(layer, layers.Concatenate)] == [
        (26, 26, 512),
        (60, 60, 256),
        (124, 124, 128),
    ]


@pytest.mark.parametrize("image_size", [48, 64, 160])
def test_blog_keeps_the_resolution_at_every_size_it_takes(image_size):
    model = build_model("blog", image_size, 5)
    assert model.output_shape == (None, image_size, image_size, 5)


def test_unknown_variant_names_those_there_are():
    with pytest.raises(ConfigError, match=r"no 'resnet'.*blog"):
        build_model("resnet", 128, 3)
