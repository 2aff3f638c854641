"""Trainings of seconds: their data, their network in the place of `unet`, and two that are done once for all tests."""

from pathlib import Path

import pytest
from tiny_training import (
    export_weights_alone,
    fn_args,
    load_drawn_weights,
    network_on_encoder,
    tiny_network,
    write_data,
)

from trainer_module import checkpoints, networks, trainer


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """What Transform leaves; nobody writes there."""
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def tiny_unet(monkeypatch):
    monkeypatch.setitem(networks.MODELS, "unet", tiny_network)


@pytest.fixture
def tiny_encoder(monkeypatch):
    """Makes `unet_lite0` a network of four layers, whose encoder has drawn weights."""
    monkeypatch.setitem(networks.MODELS, "unet_lite0", network_on_encoder)
    monkeypatch.setattr(trainer, "load_weights", load_drawn_weights)


@pytest.fixture
def weights_alone(monkeypatch):
    """Exports no signatures, which take half of a tiny training; `unbroken` and `trained` have them."""
    monkeypatch.setattr(trainer, "export_model", export_weights_alone)


@pytest.fixture(scope="session")
def unbroken(data, tmp_path_factory) -> Path:
    """Where a training with all that there is left its history, samples and model; nobody writes there."""
    return _trained(data, tmp_path_factory.mktemp("unbroken"))


@pytest.fixture(scope="session")
def trained(data, tmp_path_factory) -> Path:
    """The same after one epoch, whose weights are both the last and the best."""
    return _trained(data, tmp_path_factory.mktemp("trained"), epochs=1)


def _trained(data: Path, output: Path, **settings: int) -> Path:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(networks.MODELS, "unet", tiny_network)
        monkeypatch.delenv(checkpoints.CHECKPOINT_DIR_VARIABLE, raising=False)
        trainer.run_fn(fn_args(data, output, **settings))
    return output
