"""A training of seconds: its data, and its network in the place of `unet`."""

from pathlib import Path

import pytest
from tiny_training import tiny_network, write_data

from trainer_module import unet


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """What Transform leaves; nobody writes there."""
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def tiny_unet(monkeypatch):
    monkeypatch.setitem(unet.MODELS, "unet", tiny_network)
