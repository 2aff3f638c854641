"""A run whose encoder cannot have its weights does not begin."""

import pytest

from pipeline.config.loading import load_config
from pipeline.local.runner import RunRequest, run_pipeline
from trainer_module import encoder_catalogue
from trainer_module.errors import ConfigError, PetsegError


def run(root, *overrides, to_node=None):
    def create_pipeline(*_, **__):
        raise PetsegError("the run began")

    config = load_config(overrides=["trainer.model=unet_lite0", *overrides], pipeline_root=str(root))
    return run_pipeline(config, RunRequest(to_node=to_node, create_pipeline=create_pipeline))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.h5', and there is no such file"):
        run(tmp_path, f"trainer.encoder_weights={tmp_path}/nowhere.h5")
    assert not (tmp_path / "runs").exists()


def test_a_package_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(encoder_catalogue, "LITE0_PACKAGE", "no-such-package")
    with pytest.raises(ConfigError, match=r"install petseg\[pretrained\]"):
        run(tmp_path)


@pytest.mark.parametrize(
    ("override", "to_node"),
    [
        ("trainer.warm_start=served", None),
        ("trainer.encoder_weights=gs://b/x.h5", None),
        ("trainer.seed=1", "Transform"),
    ],
)
def test_a_run_that_may_not_need_it_begins(tmp_path, monkeypatch, override, to_node):
    monkeypatch.setattr(encoder_catalogue, "LITE0_PACKAGE", "no-such-package")
    assert "the run began" in str(run(tmp_path, override, to_node=to_node).error)
