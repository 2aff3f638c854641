"""The data set as TFDS finds it, the weights that a training starts from, and what Beam works on."""

import shutil

import pytest

from pipeline.config.loading import load_config
from pipeline.doctor import data
from pipeline.doctor.apart import NoAnswerError
from pipeline.doctor.findings import State, ok
from trainer_module import encoder_catalogue
from trainer_module.errors import ConfigError, DataError


@pytest.fixture
def load(tmp_path):
    return lambda *overrides, **options: load_config(
        **{"preset": "demo", "pipeline_root": str(tmp_path / "root"), **options}, overrides=overrides
    )


def test_a_data_set_that_the_next_run_prepares_is_no_problem(load, tmp_path):
    found = data.look_at_data_set(load())
    assert found.state is State.OK
    assert "the next run does that" in found.found
    assert not (tmp_path / "root").exists()


def test_a_named_directory_that_does_not_hold_it_is_a_warning(load, tmp_path):
    found = data.look_at_data_set(load(f"data.data_dir={tmp_path}"))
    assert found.state is State.WARNING
    assert "data.data_dir" in found.remedy


def test_a_data_set_that_may_not_be_prepared_is_a_problem(load):
    with pytest.raises(DataError, match="is not prepared in"):
        data.look_at_data_set(load("data.download=false"))


def test_a_feature_that_does_not_exist_is_a_problem(load):
    with pytest.raises(ConfigError, match="feature 'photo' of synthetic_pets"):
        data.look_at_data_set(load("data.image_feature=photo"))


def test_a_process_that_dies_of_the_data_set_is_a_problem(load, monkeypatch):
    def die(*_) -> None:
        raise NoAnswerError("no answer within 180 s")

    monkeypatch.setattr(data, "ask", die)
    found = data.look_at_data(load())
    assert found.state is State.PROBLEM
    assert "'synthetic_pets" in found.found
    assert "no answer within 180 s" in found.found


def test_a_network_without_encoder_needs_no_weights(load):
    found = data.look_at_weights(load())
    assert (found.state, found.subject) == (State.NOT_USED, "encoder")


def test_weights_of_a_package_are_told_and_missed(load, monkeypatch):
    config = load(preset="pets")
    assert data.look_at_weights(config).found == "of efficientnet_lite0: those of ImageNet are installed"
    monkeypatch.setattr(encoder_catalogue, "lite0_is_installed", lambda: False)
    found = data.look_at_weights(config)
    assert found.state is State.PROBLEM
    assert "petseg[pretrained]" in found.found


def test_weights_that_keras_downloads_are_told_as_such(load):
    config = load("trainer.model=unet_encoder", "trainer.encoder=mobilenet_v2")
    assert "or downloads them once" in data.look_at_weights(config).found


def test_a_warm_start_from_what_is_not_there_is_a_problem(load, tmp_path):
    found = data.look_at_weights(load(f"trainer.warm_start={tmp_path / 'gone'}"))
    assert found.state is State.PROBLEM
    assert data.look_at_weights(load(f"trainer.warm_start={tmp_path}")).state is State.OK
    served = data.look_at_weights(load("trainer.warm_start=served"))
    assert (served.state, served.found) == (State.OK, "trainer.warm_start: no model is served")


def test_beam_within_the_process_asks_nobody(load, monkeypatch):
    monkeypatch.setattr(data, "ask", lambda *_: pytest.fail("something was asked"))
    assert data.look_at_beam_runner(load(), offline=False).state is State.OK
    remote = load("pipeline.beam_args=['--runner=FlinkRunner', '--job_endpoint=localhost:1']")
    assert data.look_at_beam_runner(remote, offline=True).state is State.NOT_SEEN


def test_the_services_of_beam_are_asked_in_a_process_of_their_own(load, monkeypatch):
    asked = []
    monkeypatch.setattr(data, "ask", lambda *question: asked.append(question[0]) or ok("Beam", "x").model_dump())
    remote = load("pipeline.beam_args=['--runner=FlinkRunner', '--job_endpoint=localhost:1']")
    assert data.look_at_beam_runner(remote, offline=False).found == "x"
    assert asked == ["Beam"]


def test_services_of_beam_that_are_missing_are_a_problem(load, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="job_endpoint"):
        data.look_at_beam(load("pipeline.beam_args=['--runner=PortableRunner']"))
    with pytest.raises(ConfigError, match="which petseg refuses"):
        data.look_at_beam_runner(load("pipeline.beam_args=['--runner=DaskRunner']"), offline=False)


def test_what_is_prepared_is_told_with_its_version_and_its_splits(load, tmp_path):
    from drawn_source import bring_in, draw, numbered

    source = draw(tmp_path / "source", *numbered(1, 24))
    bring_in(source, tmp_path / "data")
    (version,) = (tmp_path / "data").glob("*/[0-9]*")
    name = version.parent.name
    config = load(f"data.dataset={name}", f"data.data_dir={tmp_path / 'data'}", preset=None)
    found = data.look_at_data_set(config)
    assert found.state is State.OK
    assert f"{name}/{version.name} in '{tmp_path / 'data'}'" in found.found
    assert "train 1" in found.found
    assert found.found.endswith("it is the newest version")
    newer = version.with_name("1.5.0")
    shutil.copytree(version, newer)
    info = newer / "dataset_info.json"
    info.write_text(info.read_text().replace(f'"{version.name}"', '"1.5.0"'))
    pinned = load(f"data.dataset={name}:{version.name}", f"data.data_dir={tmp_path / 'data'}", preset=None)
    assert "stays with it, and there is 1.5.0" in data.look_at_data_set(pinned).found
