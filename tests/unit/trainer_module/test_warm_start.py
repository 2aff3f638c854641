"""A training that starts from an earlier model's weights."""

import hashlib
import json
import shutil

import keras
import numpy as np
import pytest
from tiny_training import Killed, fn_args, plain_network, tiny_network

from trainer_module import checkpoints, networks, trainer, warm_start
from trainer_module.encoder_catalogue import ENCODER
from trainer_module.encoder_unet import encoder_unet
from trainer_module.errors import ConfigError, ModelError
from trainer_module.features import BASELINE_FILE, MODEL_CARD_ASSET
from trainer_module.warm_start import ExportedWeights, find_weights, read_weights, start_from, weight_names

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tiny_unet")]

BUILDERS = dict(networks.MODELS)


EXPORTED_NAMES = {
    "unet": "b475e353ec677a1c",
    "unet_lite0": "37bece84a4086dc9",
    "blog": "3a62f44a8cf754a2",
    "blog_bn": "5b9359538d81ece4",
    "paper": "185e15def9f1c999",
}
"""Digests of the names of all weights in the cards of exported models: other names would be another start for them."""


@pytest.fixture
def exported(trained):
    """The directory of an exported model, as it would be pushed."""
    return trained / "model"


@pytest.mark.parametrize("name", networks.MODELS)
def test_names_are_the_same_however_many_models_there_were_before(name):
    first, second = (weight_names(BUILDERS[name](64, 3, False)) for _ in range(2))
    assert first == second
    assert first[0] == ("encoder/stem/kernel" if name == "unet_lite0" else "conv2d_0/kernel")
    assert first[-1].startswith(("logits/", "subpixel_logits/")) or name == "blog_bn"
    assert len(set(first)) == len(first)
    assert hashlib.sha256("\n".join(first).encode()).hexdigest()[:16] == EXPORTED_NAMES[name]


def test_names_of_layers_are_kept_and_nested_models_are_entered():
    image = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 1)], name="encoder")
    network = keras.Model(image, keras.layers.Conv2D(2, 1, name="logits")(inner(image)))
    assert weight_names(network) == ["encoder/conv2d_0/kernel", "encoder/conv2d_0/bias", "logits/kernel", "logits/bias"]


def test_every_weight_of_the_same_network_is_taken_over(exported):
    earlier, network = read_weights(str(exported)), tiny_network(16, 3)
    start = start_from(network, earlier)
    assert (start.taken, start.fresh) == (len(network.weights), ())
    for name, weight in zip(weight_names(network), network.weights, strict=True):
        np.testing.assert_array_equal(weight, earlier.arrays[name])


def test_other_classes_start_the_last_layer_anew_and_say_so(exported, caplog):
    network = tiny_network(16, 5)
    before = network.weights[-1].numpy()
    start = start_from(network, read_weights(str(exported)))
    assert start.fresh == ("conv2d_1/kernel", "conv2d_1/bias")
    assert "conv2d_1/kernel, conv2d_1/bias" in caplog.text
    np.testing.assert_array_equal(network.weights[-1], before)


def test_another_architecture_is_refused_with_both_names(exported):
    with pytest.raises(
        ModelError, match=r"is a 'tiny', and the network of this training is a 'plain'.* trainer.model = 'tiny', or"
    ):
        start_from(plain_network(16, 3), read_weights(str(exported)))


def on_encoder(num_classes, name="unet_lite0"):
    image = keras.Input((32, 32, 3))
    maps = [image]
    for _ in range(5):
        maps.append(keras.layers.Conv2D(4, 1, 2)(maps[-1]))
    return encoder_unet(keras.Model(image, maps[1:], name=ENCODER), 32, num_classes, name)


def exported_weights(network):
    arrays = dict(zip(weight_names(network), network.get_weights(), strict=True))
    return ExportedWeights("/served/7", network.name, arrays)


def test_other_classes_keep_encoder_and_decoder():
    earlier, network = exported_weights(on_encoder(3)), on_encoder(4)
    start = start_from(network, earlier)
    assert start.fresh == ("subpixel_logits/kernel", "subpixel_logits/bias")
    assert start.taken == len(network.weights) - 2
    assert [name for name in weight_names(network) if name.startswith("encoder/")]


@pytest.mark.parametrize(
    ("found", "advice"),
    [
        ("unet_lite0", "trainer.model = 'unet_lite0', or"),
        ("unet_small_one", "trainer.model = 'unet_encoder' and trainer.encoder = 'small_one', or"),
        ("blog", "trainer.model = 'blog', or"),
    ],
)
def test_advice_for_another_architecture_names_model_and_encoder(found, advice, monkeypatch):
    monkeypatch.setattr(warm_start, "ENCODERS", {"small_one": None})
    earlier = exported_weights(on_encoder(3, found))
    with pytest.raises(ModelError, match=f"is a '{found}'.* set {advice}"):
        start_from(on_encoder(3, "unet_other"), earlier)


def test_a_model_of_which_nothing_fits_is_refused(exported):
    earlier = read_weights(str(exported))
    image = keras.Input((16, 16, 3))
    other = keras.Model(image, keras.layers.Conv2D(3, 5, name="other")(image), name="tiny")
    with pytest.raises(ModelError, match=r"none of the 8 weights .* other/kernel, other/bias"):
        start_from(other, earlier)


def test_a_training_starts_from_a_directory_and_its_checkpoint_is_its_own(data, exported, tmp_path, monkeypatch):
    monkeypatch.setenv(checkpoints.CHECKPOINT_DIR_VARIABLE, str(tmp_path / "checkpoints"))
    directories = []
    load = checkpoints.CheckpointStore.load

    def noted(self, expected):
        directories.append(self._directory)
        if len(directories) == 2:
            raise Killed
        return load(self, expected)

    monkeypatch.setattr(checkpoints.CheckpointStore, "load", noted)
    shared = tmp_path / "shared"
    shutil.copytree(exported, shared)
    settings = {"epochs": 1, "learning_rate": 1e-9, "warm_start": str(shared)}
    trainer.run_fn(fn_args(data, tmp_path / "first", **settings))
    start = json.loads((tmp_path / "first" / "warm_start.json").read_text())
    assert start == {"directory": str(shared), "taken": 8, "fresh": []}
    earlier, later = (read_weights(str(path)).arrays for path in (shared, tmp_path / "first" / "model"))
    np.testing.assert_allclose(later["conv2d_0/kernel"], earlier["conv2d_0/kernel"], atol=1e-6)

    shutil.rmtree(shared)
    (tmp_path / "first" / "model").rename(shared)
    with pytest.raises(Killed):
        trainer.run_fn(fn_args(data, tmp_path / "second", **settings))
    assert len(set(directories)) == 2, "other weights at the same path are another training"


def test_the_served_model_comes_from_the_pipeline(exported, tmp_path, caplog):
    served = tmp_path / "artifact" / "Format-Serving"
    served.parent.mkdir()
    baseline = served.parent / BASELINE_FILE
    baseline.write_text(json.dumps({"found": False, "version": "", "reason": "no model is served in /x"}))
    assert find_weights("served", str(served)) is None
    assert "No warm start: no model is served in /x" in caplog.text
    baseline.write_text(json.dumps({"found": False, "version": "7", "reason": "it cannot be loaded"}))
    with pytest.raises(ModelError, match="version 7 cannot be started from: it cannot be loaded"):
        find_weights("served", str(served))
    served.symlink_to(exported)
    assert find_weights("served", str(served)).model == "tiny"
    assert read_weights(str(served.parent)).model == "tiny", "an output of the Trainer"
    assert find_weights(None, str(served)) is None
    with pytest.raises(ConfigError, match="no base_model"):
        find_weights("served", None)


def test_directories_without_a_model_of_this_version_are_refused(exported, tmp_path):
    with pytest.raises(ModelError, match=r"no model in '/nowhere'"):
        read_weights("/nowhere")
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ModelError, match="no model that petseg exported, or it is damaged: NotFoundError"):
        read_weights(str(tmp_path))
    card = json.loads((exported / "assets.extra" / MODEL_CARD_ASSET).read_text())
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / MODEL_CARD_ASSET).write_text(json.dumps(card))
    with pytest.raises(ModelError, match="or it is damaged"):
        read_weights(str(tmp_path))
    del card["weights"]
    (tmp_path / "assets.extra" / MODEL_CARD_ASSET).write_text(json.dumps(card))
    with pytest.raises(ModelError, match="earlier version of petseg"):
        read_weights(str(tmp_path))
