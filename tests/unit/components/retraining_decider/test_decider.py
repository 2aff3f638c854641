"""RetrainingDecider goes by the newest data, what is served and the ledger; it looks into the data where it must."""

import json
import shutil
from datetime import UTC, datetime

import pytest
from component_battery import execute
from tfx.proto import pusher_pb2

from components.data_statistics import DataStatistics
from components.datasets.synthetic_pets import SyntheticPets
from components.model_evaluator.gate import Bound, Gate
from components.model_pusher.freezing import freeze
from components.model_pusher.origin import Origin, Recipe
from components.model_pusher.push import PushRecord, push
from components.retraining_decider.component import RetrainingDecider
from components.retraining_decider.decision import Decision, DecisionSettings
from components.retraining_decider.measurement import MeasurementSettings
from components.segmentation_validator.examination import MaskMeaning, examine
from components.tfds_example_gen.reading import SplitReader
from components.tfds_example_gen.source import TfdsSource
from trainer_module import features
from trainer_module.drift_config import DriftConfig

NAMES, VALUES = ("pet", "background", "border"), (1, 2, 3)
SPLITS = {"train": "train[:12]", "eval": "train[12:16]", "test": "test[:6]"}
RECIPE = Recipe(settings="s", code="c", epochs=3)
BEFORE = {"digests": {"train": "other", "eval": "other", "test": "other"}, "version": "0.9.0"}
REASONS = ("drift", "gate")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tfds")
    builder = SyntheticPets(config="tiny", data_dir=directory)
    builder.download_and_prepare(file_format="tfrecord")
    return directory


@pytest.fixture
def destination(tmp_path):
    return str(tmp_path / "serving")


@pytest.fixture
def reader(data_dir):
    return SplitReader.open(source(data_dir), SPLITS)


@pytest.fixture
def decide(data_dir, destination, tmp_path):
    """Runs the component, and returns the decision that its artifact carries."""

    def run(bounds=(), asked=False, splits=SPLITS, recipe=RECIPE, **settings):
        component = RetrainingDecider(
            source(data_dir),
            splits,
            push_destination=pusher_pb2.PushDestination(
                filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=destination)
            ),
            recipe=recipe,
            gate=Gate(bounds=bounds, min_slice_examples=1),
            settings=DecisionSettings(**{"reasons": ("data", "drift", "recipe", "age", "gate")} | settings),
            measurement=MeasurementSettings(
                class_names=NAMES,
                mask_values=VALUES,
                evaluation_split="test",
                drift_thresholds=DriftConfig().thresholds.model_dump(),
            ),
            asked=asked,
        )
        made = execute(component, tmp_path / "out", {})["decision"]
        decision = Decision.model_validate_json(made.get_string_custom_property("decision"))
        assert made.get_int_custom_property("trains") == decision.trains
        assert json.loads((tmp_path / "out" / "decision" / "decision.json").read_text())["trains"] == decision.trains
        return decision

    return run


def source(data_dir):
    return TfdsSource(
        dataset="synthetic_pets/tiny",
        data_dir=str(data_dir),
        download=False,
        builder_modules=("components.datasets.synthetic_pets",),
        image_feature="image",
        mask_feature="segmentation_mask",
        slice_features=("species",),
    )


def origin(reader, recipe=RECIPE, **changes):
    found = {"dataset": reader.name, "version": reader.version, "splits": reader.counts(), "digests": reader.digests()}
    return Origin(**found | changes, recipe=recipe)


def serve(destination, model, of, statistics=b""):
    """Pushes a model that comes from an origin."""
    record = PushRecord(pushed_at=datetime.now(UTC), trained_at=datetime.now(UTC), run="run-1", origin=of)
    return push(str(model), destination, record, statistics=statistics or None).version


def statistics_of(reader, lighten=0):
    found = DataStatistics(NAMES)
    for example in reader.examples("train"):
        values = example.features.feature
        image, mask = (values[name].bytes_list.value[0] for name in ("image", "segmentation_mask"))
        examined = examine(image, mask, MaskMeaning(VALUES, (), NAMES))
        changed = examined.__class__(**{**vars(examined), "brightness": examined.brightness + lighten})
        found.add("train", changed, {"species": values["species"].bytes_list.value[0].decode()})
    return found.to_json().encode()


def test_nothing_is_served_and_nothing_was_tried(decide, reader):
    decision = decide()
    assert decision.summary == "to train: no model is served"
    assert decision.origin == origin(reader)


def test_what_was_tried_is_not_tried_again(decide, reader, destination, identity_export):
    version = serve(destination, identity_export, origin(reader))
    decision = decide()
    assert not decision.trains
    assert decision.served_version == str(version)
    assert decision.summary.endswith(f"in run run-1, and the model was pushed as version {version}")


def test_it_trains_whatever_it_finds_where_somebody_asks(decide, reader, destination, identity_export):
    serve(destination, identity_export, origin(reader))
    assert decide(asked=True).summary == "to train: somebody asked for it"


def test_other_examples_of_the_same_version_are_new_data(decide, reader, destination, identity_export):
    serve(destination, identity_export, origin(reader))
    decision = decide(splits=SPLITS | {"train": "train[:13]", "eval": "train[13:16]"}, smaller_data="warn")
    assert [reason.kind for reason in decision.reasons] == ["data"]
    assert "has other examples than before (13 train, 3 eval, 6 test)" in decision.summary


class TestWhereNewDataAloneIsNoReason:
    """The served model was trained on something else, and the data has to be looked at."""

    def test_data_that_is_as_it_was_is_none(self, decide, reader, destination, identity_export):
        serve(destination, identity_export, origin(reader, **BEFORE), statistics_of(reader))
        decision = decide((Bound(metric="accuracy", kind="min", bound=0.01),), reasons=REASONS)
        assert not decision.trains

    def test_drift_is_one(self, decide, reader, destination, identity_export):
        serve(destination, identity_export, origin(reader, **BEFORE), statistics_of(reader, lighten=90))
        [reason] = decide(reasons=REASONS).reasons
        assert reason.kind == "drift"
        assert reason.numbers["brightness"] > 0.1

    def test_a_served_model_that_misses_the_gate_is_one(self, decide, reader, destination, identity_export):
        serve(destination, identity_export, origin(reader, **BEFORE), statistics_of(reader))
        bounds = (
            Bound(metric="accuracy", kind="min", bound=0.999),
            Bound(metric="mean_iou", kind="min_change", bound=0.5),
            Bound(metric="accuracy", kind="min", bound=0.0, slice={"species": None}),
        )
        [reason] = decide(bounds, reasons=REASONS).reasons
        assert reason.kind == "gate"
        assert "misses the gate on synthetic_pets/tiny 1.0.0: accuracy 0." in reason.text
        assert set(reason.numbers) == {"accuracy"}, "bounds of changes say nothing of one model"

    def test_a_served_model_of_other_classes_is_one(self, decide, reader, destination, identity_export, tmp_path):
        model = tmp_path / "model"
        shutil.copytree(identity_export, model)
        card = model / features.ASSETS_DIRECTORY / features.MODEL_CARD_ASSET
        card.write_text(json.dumps(json.loads(card.read_text()) | {"class_names": ["roof", "road", "rest"]}))
        serve(destination, model, origin(reader, **BEFORE), statistics_of(reader))
        [reason] = decide(reasons=REASONS).reasons
        assert "knows the classes roof, road, rest" in reason.text


def test_the_metrics_are_those_of_the_evaluator(decide, reader, destination, identity_export):
    """Accuracy of the identity network, counted by hand, is the bound that just holds, or just not."""
    serve(destination, identity_export, origin(reader, digests={"train": "x", "eval": "x", "test": "x"}))
    [reason] = decide((Bound(metric="accuracy", kind="min", bound=1.0),), reasons=("gate",)).reasons
    accuracy = reason.numbers["accuracy"]
    for bound, trains in ((accuracy - 1e-6, False), (accuracy + 1e-6, True)):
        assert decide((Bound(metric="accuracy", kind="min", bound=bound),), reasons=("gate",)).trains is trains


def test_a_freeze_is_said(decide, destination):
    freeze(destination, "ein Prüfer ist da")
    decision = decide()
    assert decision.trains
    assert "nothing is pushed, since pushes are frozen: ein Prüfer ist da" in decision.notes
