"""`petseg data drift`, on a data set of drawn pictures."""

import json
from datetime import UTC, datetime

import pytest
import tensorflow_datasets as tfds

import components.datasets.synthetic_pets  # noqa: F401 (registers the builder)
from components.data_statistics import DataStatistics
from components.model_pusher.push import PushRecord, push
from components.segmentation_validator.examination import MaskMeaning, examine
from pipeline.cli import exit_code
from pipeline.commands.data_drift import drift

NAMES, VALUES = ("pet", "background", "border"), (1, 2, 3)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Holds `synthetic_pets/tiny`: 24 pictures to train on and 12 to test on."""
    directory = str(tmp_path_factory.mktemp("data"))
    tfds.builder("synthetic_pets/tiny", data_dir=directory).download_and_prepare(file_format="tfrecord")
    return directory


@pytest.fixture(scope="module")
def statistics(data_dir):
    """Of the split `train`, example after example."""
    found = DataStatistics(NAMES)
    skip = tfds.decode.SkipDecoding()
    builder = tfds.builder("synthetic_pets/tiny", data_dir=data_dir)
    decoders = {"image": skip, "segmentation_mask": skip}
    for record in tfds.as_numpy(builder.as_dataset(split="train", decoders=decoders)):
        examination = examine(record["image"], record["segmentation_mask"], MaskMeaning(VALUES))
        found.add("train", examination, {"species": builder.info.features["species"].int2str(record["species"])})
    return found


@pytest.fixture
def serving(tmp_path):
    """Pushes a model with statistics; returns the directory of versions."""

    def pushed(statistics=None):
        (tmp_path / "model" / "assets.extra").mkdir(parents=True)
        (tmp_path / "model" / "saved_model.pb").write_bytes(b"graph")
        card = {"class_names": NAMES, "mask_values": VALUES, "image_size": 64}
        (tmp_path / "model" / "assets.extra" / "petseg_model.json").write_text(json.dumps(card))
        record = PushRecord(pushed_at=datetime(2026, 1, 2, tzinfo=UTC))
        content = None if statistics is None else statistics.to_json().encode()
        push(str(tmp_path / "model"), str(tmp_path / "serving"), record, statistics=content)
        return str(tmp_path / "serving")

    return pushed


@pytest.fixture
def command(data_dir, capfd):
    """Calls the command; returns exit code, standard output and standard error."""

    def run(model, *arguments):
        given = ("synthetic_pets/tiny", "--data-dir", data_dir, "--against", model, *arguments)
        code = exit_code(["data", "drift", *given])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


def test_the_data_of_the_model_does_not_drift(command, serving, statistics):
    code, out, err = command(serving(statistics), "--json")
    found = json.loads(out)
    assert (code, found["drifted"], found["reason"]) == (0, [], ""), err
    assert {one["distance"] for one in found["comparison"]["quantities"]} == {0.0}
    assert {one["name"] for one in found["comparison"]["quantities"]} >= {"brightness", "share of 'pet'", "species"}
    dataset = {"name": "synthetic_pets", "version": found["dataset"]["version"], "split": "train", "unusable": []}
    assert found["dataset"] == dataset
    assert (found["comparison"]["reference_examples"], found["comparison"]["current_examples"]) == (24, 24)


def test_other_data_is_named_and_costs_the_exit_code(command, serving, statistics):
    bright = DataStatistics.from_json(statistics.to_json(), "a copy")
    bright.splits["train"].histograms["brightness"][:] = 0
    bright.splits["train"].histograms["brightness"][-1] = 24
    model = serving(bright)
    code, out, _ = command(model)
    assert code == 3
    assert f"train: 24 examples beside the 24 that {model}/" in out
    [row] = [line.split() for line in out.splitlines() if line.startswith("brightness")]
    assert row[1:4] == ["drifted", "1.000", "0.15"]
    assert "drifted from version" in out.splitlines()[-1]
    code, out, _ = command(model, "--threshold", "brightness=1")
    assert code == 0, "whatever the distance"


def test_a_model_without_statistics_is_named(command, serving):
    code, out, err = command(serving())
    assert (code, out) == (1, "")
    assert "keeps no statistics of what it was trained on" in err


@pytest.mark.parametrize("threshold", ["brigthness=0.2", "brightness=2", "brightness"])
def test_a_threshold_that_is_none(threshold, capfd):
    assert exit_code(["data", "drift", "any", "--against", "nowhere", "--threshold", threshold]) == 2
    assert f"got {threshold}; expected QUANTITY=DISTANCE" in " ".join(capfd.readouterr().err.split())


def test_the_thresholds_of_the_command_are_those_of_the_configuration():
    from trainer_module.drift_config import DriftThresholds

    [option] = [one for one in drift.params if one.name == "thresholds"]
    assert option.callback(None, option, ()) == DriftThresholds().model_dump()
