"""Where the weights of an encoder came from, through trainings: read, left beside the run, exported, carried over."""

import hashlib
import json

import keras
import numpy as np
import pytest
from tiny_training import export_weights_alone, fn_args

from trainer_module import networks, trainer
from trainer_module.encoder_catalogue import ENCODER
from trainer_module.features import MODEL_CARD_ASSET
from trainer_module.model_card import EncoderWeights, ModelCard
from trainer_module.warm_start import read_weights

pytestmark = pytest.mark.slow

RECIPE = {"model": "unet_lite0", "epochs": 1, "learning_rate": 1e-9}


def tiny_encoder():
    return keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3, padding="same")], name=ENCODER)


def tiny_network(image_size, num_classes, synchronized=False):
    image = keras.Input((image_size, image_size, 3))
    logits = keras.layers.Conv2D(num_classes, 1, dtype="float32")(tiny_encoder()(image))
    return keras.Model(image, logits, name="unet_lite0")


@pytest.fixture(autouse=True)
def on_tiny_encoder(monkeypatch):
    monkeypatch.setitem(networks.MODELS, "unet_lite0", tiny_network)


@pytest.fixture
def weights_file(tmp_path):
    encoder = tiny_encoder()
    encoder.save_weights(tmp_path / "tiny.weights.h5")
    return tmp_path / "tiny.weights.h5", encoder.get_weights()


def test_it_is_left_exported_and_carried_over(data, weights_file, tmp_path, monkeypatch):
    path, [kernel, _] = weights_file
    trainer.run_fn(fn_args(data, tmp_path / "first", RECIPE, encoder_weights=str(path)))
    expected = EncoderWeights(
        encoder="efficientnet_lite0",
        weights=str(path),
        origin="tiny.weights.h5",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    card = ModelCard.parse((tmp_path / "first" / "model" / "assets.extra" / MODEL_CARD_ASSET).read_bytes())
    assert card.encoder == expected
    assert left(tmp_path / "first") == expected
    earlier = read_weights(str(tmp_path / "first" / "model"))
    np.testing.assert_allclose(earlier.arrays["encoder/conv2d_0/kernel"], kernel, atol=1e-6)

    monkeypatch.setattr(trainer, "export_model", export_weights_alone)
    path.unlink()
    started = {"warm_start": str(tmp_path / "first" / "model"), "encoder_weights": str(path)}
    trainer.run_fn(fn_args(data, tmp_path / "second", RECIPE, **started))
    assert left(tmp_path / "second") == expected, "an earlier model's weights are taken, and the file is not asked for"


def test_random_weights_have_no_origin(data, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "export_model", export_weights_alone)
    trainer.run_fn(fn_args(data, tmp_path, RECIPE, encoder_weights=None))
    assert left(tmp_path) == EncoderWeights(encoder="efficientnet_lite0")


def left(directory):
    return EncoderWeights.model_validate(json.loads((directory / "encoder_weights.json").read_text()))
