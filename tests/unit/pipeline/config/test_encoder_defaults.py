"""A network on an encoder gets the pixels that its weights were trained on, or a message that says what to do."""

import pytest

from pipeline.config.loading import config_toml, load_config
from pipeline.config.schema import Config
from trainer_module.config import TrainerConfig
from trainer_module.encoder_catalogue import ENCODERS
from trainer_module.errors import ConfigError

LITE0 = "trainer.model=unet_lite0"
V2 = ("trainer.model=unet_encoder", "trainer.encoder=mobilenet_v2")


def refused(*overrides, **layers) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=overrides, **layers)
    return str(caught.value)


@pytest.mark.parametrize("preset", [None, "demo", "pets"])
@pytest.mark.parametrize(("overrides", "normalization"), [((LITE0,), "lite"), (V2, "signed")])
def test_the_encoders_normalization_stands_above_presets(preset, overrides, normalization):
    assert load_config(preset=preset, overrides=overrides).data.normalization == normalization


def test_it_is_the_default_without_weights_too_and_then_another_is_taken():
    alone = [LITE0, "trainer.encoder_weights=none"]
    assert load_config(overrides=alone).data.normalization == "lite"
    assert load_config(overrides=[*alone, "data.normalization=standardize"]).data.normalization == "standardize"


@pytest.mark.parametrize("weights", ["imagenet", "my/weights.h5"])
@pytest.mark.parametrize("start", ["none", "served"])
def test_another_one_than_the_weights_were_trained_with_is_refused(weights, start):
    message = refused(
        *V2, "data.normalization=unit", f"trainer.encoder_weights={weights}", f"trainer.warm_start={start}"
    )
    assert "data.normalization is 'unit'" in message
    assert "were trained with 'signed'" in message
    assert "leave data.normalization out" in message
    assert "trainer.encoder_weights to none" in message


def test_settings_that_are_put_together_by_hand_are_held_to_it():
    with pytest.raises(ValueError, match="trained with 'lite'"):
        Config(trainer=TrainerConfig(model="unet_lite0"))


def test_what_a_preset_says_of_its_encoder_is_not_for_a_network_without_one():
    assert load_config(preset="pets").trainer.encoder_learning_rate
    config = load_config(preset="pets", overrides=["trainer.model=unet"])
    assert (config.trainer.encoder_learning_rate, config.data.normalization) == (None, "standardize")
    said = "--set trainer.encoder_learning_rate=1e-4"
    assert "has no encoder" in refused("trainer.model=unet", said.removeprefix("--set "), preset="pets")


def test_what_is_resolved_is_written_out_and_reads_back(tmp_path):
    config = load_config(preset="pets", overrides=V2)
    assert 'normalization = "signed"' in config_toml(config)
    (tmp_path / "shown.toml").write_text(config_toml(config))
    assert load_config(file=tmp_path / "shown.toml") == config


def test_a_value_that_the_encoder_gives_is_not_the_users_fault(tmp_path):
    file = tmp_path / "my.toml"
    file.write_text('[trainer]\nmodel = "unet_lite0"\n[data]\nnormalization = "standardise"')
    assert "my.toml" in refused(file=file)


@pytest.mark.parametrize("path", ["a//b.h5", "a/b.h5/"])
def test_a_file_of_weights_is_a_location(path):
    assert load_config(overrides=[LITE0, f"trainer.encoder_weights={path}"]).trainer.encoder_weights == "a/b.h5"


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["trainer.model=unet_encoder", "trainer.encoder=mobilenetv2"], ["trainer.encoder", "mean 'mobilenet_v2'?"]),
        (["trainer.model=unet_lite"], ["did you mean 'unet_lite0'?"]),
        (["trainer.model=unet_encoder"], ["encoder does not say on which", "'mobilenet_v2'"]),
        (["trainer.encoder=vgg16"], ["encoder is 'vgg16'", "model is 'unet'", "model to 'unet_encoder'"]),
        ([LITE0, "trainer.encoder=vgg16"], ["model is 'unet_lite0'", "encoder to none"]),
        (["trainer.encoder_learning_rate=1e-4"], ["encoder_learning_rate is 0.0001", "encoder_learning_rate to none"]),
        (["trainer.freeze_epochs=1"], ["freeze_epochs is 1", "has no encoder", "freeze_epochs to 0"]),
        (["trainer.encoder_weights=a.h5"], ["encoder_weights is 'a.h5'", "encoder_weights to imagenet"]),
        (
            ["trainer.freeze_epochs=1", "trainer.encoder_learning_rate=1e-4"],
            [
                "encoder_learning_rate is 0.0001 and freeze_epochs is 1",
                "encoder_learning_rate to none, freeze_epochs to 0",
            ],
        ),
        ([LITE0, "trainer.freeze_epochs=4", "trainer.epochs=3"], ["freeze_epochs is 4", "only 3 epochs"]),
        ([*V2, "data.image_size=48"], ["data.image_size is 48", "'unet_encoder'", "a multiple of 32 from 32 on"]),
    ],
)
def test_what_does_not_fit_is_said_once_with_what_to_do(overrides, parts):
    message = refused(*overrides)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_network_without_encoder_needs_no_weights_for_one():
    assert load_config(overrides=["trainer.encoder_weights=none"]).trainer.encoder_weights is None


def test_every_encoder_has_its_name_among_those_that_the_setting_takes():
    for name, entry in ENCODERS.items():
        config = load_config(overrides=["trainer.model=unet_encoder", f"trainer.encoder={name}"])
        assert config.data.normalization == entry.normalization
