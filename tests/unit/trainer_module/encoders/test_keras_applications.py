"""Encoders by name have their maps, see the pixels that their weights were trained on, and take the files of Keras."""

import importlib
import inspect

import keras
import numpy as np
import pytest

from trainer_module.encoder_catalogue import ENCODERS, NORMALIZATIONS
from trainer_module.encoders import keras_applications
from trainer_module.encoders.encoder import build_encoder
from trainer_module.encoders.keras_applications import file_weights, imagenet_weights
from trainer_module.encoders.weights import load_weights
from trainer_module.errors import ConfigError, ModelError
from trainer_module.networks import build_model
from trainer_module.preprocessing import normalize
from trainer_module.warm_start import weight_names

SMALL = ("mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "resnet50_v2", "vgg16")
MODULES = {"mobilenet_v2": "mobilenet_v2", "efficientnet_b0": "efficientnet", "vgg16": "vgg16"}
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def whole_application(name):
    return getattr(keras.applications, ENCODERS[name].constructor)(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )


def pixels():
    return np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)


def normalized(images, name):
    offset, scale = (
        np.tile(np.float32(each), (len(images), 1)) for each in NORMALIZATIONS[ENCODERS[name].normalization]
    )
    return normalize(images, offset, scale)


def of_imagenet(whole):
    """Gives the layers in front of an EfficientNet what its files have, and returns what Keras then adds to them."""
    for layer in whole.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.set_weights([np.array(MEAN), np.array(DEVIATION), np.array(1)])
            layer.finalize_state()


@pytest.mark.parametrize("name", SMALL)
def test_five_maps_each_half_as_large_and_nothing_after_the_last(name):
    encoder = build_encoder(name, 64, synchronized=True)
    assert [output.shape[1:3] for output in encoder.outputs] == [(size, size) for size in (32, 16, 8, 4, 2)]
    assert encoder.name == "encoder"
    assert encoder.input_shape == (None, 64, 64, 3)
    assert not any(isinstance(layer, keras.layers.Normalization | keras.layers.Rescaling) for layer in encoder.layers)
    normalizations = [layer for layer in encoder.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert all(layer.synchronized for layer in normalizations)
    assert bool(normalizations) == (name != "vgg16")
    assert encoder.layers[-1].name == ENCODERS[name].skips[-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_b0"])
def test_a_network_on_it_is_cloned_with_its_weights_and_their_names(name):
    network = build_model("unet_encoder", 32, 3, encoder=name, synchronized=True)
    clone = keras.models.clone_model(network)
    clone.set_weights(network.get_weights())
    images = normalized(pixels(), name)
    np.testing.assert_allclose(clone(images), network(images), rtol=1e-5, atol=1e-6)
    again = build_model("unet_encoder", 32, 3, encoder=name)
    assert weight_names(again) == weight_names(network) == weight_names(clone)
    batch_norms = [x for x in clone.get_layer("encoder").layers if isinstance(x, keras.layers.BatchNormalization)]
    assert all(layer.synchronized for layer in batch_norms)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_an_encoder_sees_what_keras_own_preprocessing_gives_the_application(name, tmp_path):
    whole = whole_application(name)
    rng = np.random.default_rng(1)
    whole.set_weights([weight + rng.uniform(0, 0.05, weight.shape) for weight in whole.get_weights()])
    of_imagenet(whole)
    whole.save_weights(tmp_path / "whole.weights.h5")
    encoder = build_encoder(name, 32)
    load_weights(encoder, name, str(tmp_path / "whole.weights.h5"))

    preprocess = importlib.import_module(f"keras.applications.{MODULES[name]}").preprocess_input
    expected_input = preprocess(pixels())
    skips = [whole.get_layer(skip).output for skip in ENCODERS[name].skips]
    if ENCODERS[name].first:  # with the ImageNet weights, Keras divides by the root of the deviation once more
        expected_input = (expected_input / 255 - MEAN) / DEVIATION
        expected = keras.Model(whole.get_layer(ENCODERS[name].first).input, skips)(expected_input.astype(np.float32))
    else:
        expected = keras.Model(whole.input, skips)(expected_input)
    for found, wanted in zip(encoder(normalized(pixels(), name)), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=2e-3 * float(np.abs(wanted).max()))


def test_efficientnet_with_its_imagenet_weights_divides_by_the_deviation():
    """The source of Keras itself, since the layer is there only with the weights that a network is needed for."""
    source = inspect.getsource(importlib.import_module("keras.src.applications.efficientnet").EfficientNet)
    assert "1.0 / math.sqrt(stddev) for stddev in IMAGENET_STDDEV_RGB" in source


@pytest.mark.slow
def test_an_application_that_normalizes_otherwise_is_refused(tmp_path):
    whole = whole_application("efficientnet_b0")
    whole.save_weights(tmp_path / "whole.weights.h5")
    with pytest.raises(ModelError, match="were expected, those of ImageNet"):
        file_weights("efficientnet_b0", (tmp_path / "whole.weights.h5").read_bytes())


def test_another_file_is_left_to_others(tmp_path):
    build_encoder("mobilenet_v3_small", 32).save_weights(tmp_path / "encoder.weights.h5")
    content = (tmp_path / "encoder.weights.h5").read_bytes()
    assert file_weights("mobilenet_v3_small", content) is None
    assert file_weights("mobilenet_v3_small", content[: len(content) // 2]) is None
    assert file_weights("efficientnet_lite0", content) is None


def test_without_a_network_one_message_says_what_to_do(tmp_path, monkeypatch):
    def refuses(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr("socket.create_connection", refuses)
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        imagenet_weights("mobilenet_v3_small")
    message = str(caught.value)
    assert "https://" in message
    assert "Name or service not known" in message
    assert "set trainer.encoder_weights to its path" in message
    assert "\n" not in message


def test_what_keras_has_in_its_cache_is_given_with_its_licence(monkeypatch):
    whole = whole_application("vgg16")
    monkeypatch.setattr(keras_applications, "_whole", lambda *_, **__: whole)
    found = imagenet_weights("vgg16")
    np.testing.assert_array_equal(found.arrays[0], whole.get_weights()[0][:, :, ::-1])
    np.testing.assert_array_equal(found.arrays[1], whole.get_weights()[1])
    assert (found.licence, found.origin) == ("CC-BY-4.0", f"keras.applications.VGG16 of Keras {keras.__version__}")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, entry in ENCODERS.items() if entry.constructor])
def test_every_encoder_of_the_catalogue_has_its_maps(name):
    encoder = build_encoder(name, 32)
    assert [output.shape[1] for output in encoder.outputs] == [16, 8, 4, 2, 1]
