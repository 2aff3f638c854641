"""A served model and its successors: what is compared, what is pushed, and what a person may overrule.

The network has two layers, so that a run takes seconds. With a learning rate of 1e-9 it stays as it was drawn; one
epoch at 0.01 spoils it, five make it better. On real photos, whose masks are counted by hand, the models answer one
everywhere, so that nothing depends on what a network learns.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from forked_processes import forked_processes
from small_network import two_layers
from workplace import Workplace, executed, without_report

from components.model_evaluator.gate import BoundResult
from pipeline.local.runner import RunRequest, run_pipeline
from pipeline.runs.record import NodeState, RunRecord, RunState
from trainer_module import networks

DRAWN = ("trainer.learning_rate=1e-9",)
SPOILT = ("trainer.learning_rate=0.01",)
BETTER = ("trainer.learning_rate=0.01", "trainer.epochs=5")
REASON = "the served one leaks"
PETS128 = Path(__file__).parents[3] / "shared" / "data" / "pets128"
SIDE = 48
SETTINGS = (
    "evaluation.min_accuracy=0.1", "evaluation.min_slice_examples=3", "trainer.optimizer=adam",
    "trainer.weight_decay=0", "trainer.learning_rate_schedule=constant", "trainer.warmup_epochs=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    outside = tmp_path_factory.mktemp("tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(networks.MODELS, "unet", two_layers)
        patch.setenv("TMPDIR", str(outside))
        patch.setattr(tempfile, "tempdir", None)
        with forked_processes():
            yield Workplace(tmp_path_factory.mktemp("pipeline_root"), SETTINGS)


@pytest.fixture(scope="module")
def first(workplace):
    return workplace.run(*DRAWN)


@pytest.fixture(scope="module")
def again(workplace, first):
    return workplace.run(*DRAWN)


@pytest.fixture(scope="module")
def worse(workplace, again):
    return workplace.run(*SPOILT)


@pytest.fixture(scope="module")
def better(workplace, worse):
    slices = '[{feature="species",metric="accuracy",min_change=-0.5},{feature="label",metric="accuracy",min=1.0}]'
    return workplace.run(*BETTER, f"evaluation.slice_thresholds={slices}")


@pytest.fixture(scope="module")
def forced(workplace, better):
    return workplace.run(*SPOILT, force_bless=REASON)


def _accuracy_change(record: RunRecord) -> BoundResult:
    [row] = [row for row in record.thresholds if row.kind == "min_change" and not row.slice]
    return row


def _accuracy(workplace: Workplace, model: str) -> float:
    """Serves each test image, and counts right pixels by hand."""
    serve = tf.saved_model.load(model).signatures["serving_default"]
    builder = tfds.builder("synthetic_pets/tiny", data_dir=workplace.config().data_dir)
    right = []
    for example in builder.as_dataset(split="test", decoders={"image": tfds.decode.SkipDecoding()}):
        mask = tf.image.resize(example["segmentation_mask"], (SIDE, SIDE), method="nearest").numpy()[..., 0] - 1
        right.append(serve(image=example["image"][tf.newaxis])["mask"].numpy()[0] == mask)
    return float(np.mean(right))


def test_the_first_model_is_blessed_by_its_own_bounds(workplace, first):
    assert first.blessed is True
    assert first.baseline.model_dump() == {
        "found": False, "version": None, "path": None,
        "reason": f"no model is served in {workplace.config().serving_model_dir}",
    }  # fmt: skip
    assert {row.kind for row in first.thresholds} == {"min"}
    assert [row.value for row in first.thresholds if row.metric == "accuracy"] == [
        pytest.approx(_accuracy(workplace, first.pushed_model))
    ]


def test_the_same_model_is_compared_with_itself_and_not_pushed_again(first, again):
    assert executed(again) == {"DriftDetector", "ServedModelResolver", "Evaluator", "Pusher", "RunReport"}
    assert (again.baseline.found, again.baseline.path) == (True, first.pushed_model)
    change = _accuracy_change(again)
    assert (change.change, change.within_noise, change.passed, change.bound) == (0.0, True, True, -0.01)
    assert (again.blessed, again.pushed_model) == (True, None)
    assert again.node("Pusher").summary == f"nothing: {first.pushed_model} is this model already"


def test_runs_leave_no_temporary_files(workplace, again):
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    assert not (workplace.root / "tmp").exists()


def test_a_third_run_of_the_same_is_all_cached(workplace, again):
    record = workplace.run(*DRAWN)
    assert executed(record) == {"RunReport"}
    assert (record.thresholds, record.baseline) == (again.thresholds, again.baseline)


def test_a_worse_model_is_refused_with_the_change_that_refuses_it(first, worse):
    assert (worse.blessed, worse.force_blessed, worse.pushed_model) == (False, None, None)
    assert [row.name for row in worse.thresholds if not row.passed] == ["accuracy change"]
    change, served = _accuracy_change(worse), first.metrics["accuracy"]
    assert (change.baseline, change.value) == (served, worse.metrics["accuracy"])
    assert change.change == pytest.approx(worse.metrics["accuracy"] - served)
    assert change.change < -0.01
    assert worse.node("Evaluator").summary.endswith("not blessed (accuracy change)")


def test_a_better_model_is_pushed_and_small_slices_do_not_count(workplace, first, better):
    assert (better.blessed, Path(better.pushed_model).parent) == (True, Path(first.pushed_model).parent)
    change = _accuracy_change(better)
    assert change.baseline == pytest.approx(_accuracy(workplace, first.pushed_model))
    assert change.value == pytest.approx(_accuracy(workplace, better.pushed_model))
    assert change.change == pytest.approx(change.value - change.baseline)
    species = [row for row in better.thresholds if "species" in row.slice]
    assert {(row.slice["species"], row.kind, row.gated) for row in species} == {
        ("Cat", "min_change", True), ("Dog", "min_change", True)
    }  # fmt: skip
    assert sum(row.examples for row in species) == 12
    breeds = [row for row in better.thresholds if "label" in row.slice]
    assert {row.passed for row in breeds} == {False}
    assert {row.gated for row in breeds} == {False}


def test_a_forced_model_is_pushed_and_its_failure_stays_in_sight(workplace, better, forced):
    assert (forced.blessed, forced.force_blessed) == (False, REASON)
    assert forced.baseline.path == better.pushed_model
    assert [row.name for row in forced.thresholds if not row.passed] == ["accuracy change"]
    assert Path(forced.pushed_model, "saved_model.pb").is_file()
    assert RunRecord.load(workplace.root / "runs" / forced.run_id / "run.json") == forced
    assert _blessings(workplace)[-1] == {"blessed": 1, "forced_because": REASON}


def test_the_served_model_may_be_ignored_for_a_run(workplace, forced, better):
    config = workplace.config()
    assert max(workplace.versions) == Path(forced.pushed_model).name
    record = workplace.run("trainer.learning_rate=0.011", "evaluation.change_thresholds.accuracy.min=0.9")
    assert (record.blessed, record.baseline.path) == (False, forced.pushed_model)
    record = workplace.run(
        "trainer.learning_rate=0.011", "evaluation.change_thresholds.accuracy.min=0.9", reset_baseline=True
    )
    assert record.blessed is True
    assert (record.baseline.found, record.baseline.reason) == (False, "the baseline was reset for this run")
    assert {row.kind for row in record.thresholds} == {"min"}
    assert Path(record.pushed_model).parent == Path(config.serving_model_dir)


def test_a_run_from_the_evaluator_on_looks_anew_at_what_is_served(workplace, forced, better):
    """The outputs that it re-uses are of a run that found another model."""
    record = workplace.run(*BETTER, from_node="Evaluator")
    assert record.node("Trainer").state is NodeState.SKIPPED
    assert record.node("ServedModelResolver").state is not NodeState.SKIPPED
    assert record.baseline.version == workplace.versions[-1]
    assert record.baseline.path != better.baseline.path


def test_a_retraining_replaces_the_served_model_by_one_that_is_better_beyond_noise_alone(workplace, forced, better):
    """The bounds would let each of them pass, as a run by hand does with the first."""
    alone = ("evaluation.change_thresholds={}",)
    spoilt = workplace.run(*SPOILT, *alone)
    versions = workplace.versions
    noise = workplace.run(*BETTER, *alone, retrain=True, asked=True)
    assert (noise.comparison.outcome, noise.comparison.metric, noise.blessed) == ("equal", "mean_iou", False)
    assert noise.comparison.low < 0 < noise.comparison.change < noise.comparison.high
    assert (noise.pushed_model, workplace.versions) == (None, versions)
    assert all(row.passed for row in noise.thresholds)
    assert noise.served_metrics["accuracy"] == pytest.approx(_accuracy(workplace, noise.baseline.path))

    accuracy = (*alone, "retraining.better_in=accuracy")
    pushed = workplace.run(*BETTER, *accuracy, retrain=True, asked=True)
    assert (pushed.comparison.outcome, pushed.comparison.examples, pushed.blessed) == ("better", 12, True)
    assert (pushed.comparison.baseline, pushed.comparison.candidate) == (
        spoilt.metrics["accuracy"], better.metrics["accuracy"],
    )  # fmt: skip
    low, high = (pushed.metrics[f"accuracy_difference_{end}"] for end in ("low", "high"))
    assert (pushed.comparison.low, pushed.comparison.high) == (low, high)
    assert 0 < low < pushed.comparison.change < high
    assert workplace.versions == [*versions, Path(pushed.pushed_model).name][-5:]

    worse = workplace.run(*SPOILT, *accuracy, retrain=True, asked=True)
    assert (worse.comparison.outcome, worse.comparison.low, worse.blessed) == ("worse", pytest.approx(-high), False)
    assert (worse.pushed_model, worse.baseline.path) == (None, pushed.pushed_model)
    assert all(row.passed for row in worse.thresholds)
    assert worse.node("Evaluator").summary.endswith(": not blessed (accuracy worse)")


def test_a_retraining_ends_before_the_training_where_the_data_has_one_class_alone(workplace, better):
    """Two of the three values of the masks are taken for none."""
    versions = workplace.versions
    one_class = ("data.mask_values=[1,77,78]", "data.validation.undeclared_values=warn", "data.drift.action=off")
    with without_report():
        record = run_pipeline(workplace.config(*BETTER, *one_class), RunRequest(retrain=True, asked=True))
    assert (record.state, record.node("DriftDetector").state) == (RunState.FAILED, NodeState.FAILED)
    assert "no pixel of 'background' is in the" in record.error
    assert "labelled pixels of the 12 images of 'test' are 'pet'. Nothing is trained on it" in record.error
    assert record.node("Trainer").state is NodeState.PENDING
    assert workplace.versions == versions


def _blessings(workplace: Workplace) -> list[dict[str, object]]:
    """Returns what ML Metadata has of the blessings, in the order of their making."""
    from ml_metadata import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    connection = metadata_store_pb2.ConnectionConfig()
    connection.sqlite.filename_uri = str(workplace.root / "metadata.sqlite")
    artifacts = metadata_store.MetadataStore(connection).get_artifacts_by_type("ModelBlessing")
    found = []
    for artifact in sorted(artifacts, key=lambda artifact: artifact.id):
        properties = artifact.custom_properties
        forced = {"forced_because": properties["forced_because"].string_value} if "forced_because" in properties else {}
        found.append({"blessed": properties["blessed"].int_value, **forced})
    return found


def _answering(class_id: int):
    """Returns what makes a network that answers one class everywhere."""

    def network(image_size: int, num_classes: int, synchronized: bool) -> keras.Model:
        image = keras.Input((image_size, image_size, 3))
        bias = keras.initializers.Constant(5.0 * np.eye(num_classes)[class_id])
        logits = keras.layers.Conv2D(num_classes, 1, kernel_initializer="zeros", bias_initializer=bias)(image)
        return keras.Model(image, logits, name=f"answers_{class_id}")

    return network


def _shares(masks: list[np.ndarray]) -> np.ndarray:
    """Returns the share of each class in masks of the values 1, 2 and 3, after resizing by nearest neighbour."""
    counts = np.zeros(3)
    for mask in masks:
        rows, columns = (((np.arange(SIDE) + 0.5) * length / SIDE).astype(int) for length in mask.shape)
        counts += np.bincount(mask[np.ix_(rows, columns)].reshape(-1), minlength=4)[1:]
    return counts / counts.sum()


@pytest.mark.skipif(not PETS128.is_dir(), reason="needs the real data in ../shared/data/pets128")
def test_the_chain_on_real_photos_follows_the_masks(tmp_path, monkeypatch):
    splits = '{train = "train[:160]", eval = "train[160:180]", test = "test[:80]"}'
    data = ("data.dataset=oxford_iiit_pet", f"data.data_dir={PETS128}", f"data.splits={splits}")
    place = Workplace(tmp_path / "pipeline_root", (*SETTINGS, *data))
    photos = list(tfds.as_numpy(tfds.builder("oxford_iiit_pet", data_dir=PETS128).as_dataset(split="test[:80]")))
    shares = _shares([photo["segmentation_mask"][..., 0] for photo in photos])
    pet, background, border = range(3)
    assert shares[background] > shares[pet] > shares[border] + 0.05

    def run(answer: int, *overrides: str, **request) -> RunRecord:
        monkeypatch.setitem(networks.MODELS, "unet", _answering(answer))
        with forked_processes():
            record = place.run(*DRAWN, f"trainer.seed={answer}", *overrides, **request)
        assert record.metrics["accuracy"] == pytest.approx(shares[answer], abs=1e-6)
        assert record.metrics["mean_iou"] == pytest.approx(shares[answer] / 3, abs=1e-6)
        return record

    first = run(pet)
    assert (first.blessed, first.baseline.found, place.versions) == (True, False, [Path(first.pushed_model).name])
    cats = [photo["segmentation_mask"][..., 0] for photo in photos if photo["species"] == 0]
    [of_cats] = [found for found in first.slices if found["slice"] == {"species": "Cat"}]
    assert of_cats["examples"] == len(cats)
    assert of_cats["metrics"]["accuracy"] == pytest.approx(_shares(cats)[pet], abs=1e-6)

    assert (run(pet).pushed_model, len(place.versions)) == (None, 1)

    worse = run(border, "evaluation.min_accuracy=0.01")
    assert (worse.blessed, worse.pushed_model, worse.baseline.path) == (False, None, first.pushed_model)
    assert [row.name for row in worse.thresholds if not row.passed] == ["accuracy change"]
    assert _accuracy_change(worse).change == pytest.approx(shares[border] - shares[pet], abs=1e-6)

    better = run(background, report=True)
    assert (better.blessed, better.baseline.path) == (True, first.pushed_model)
    assert _accuracy_change(better).change == pytest.approx(shares[background] - shares[pet], abs=1e-6)
    assert "The largest changes against the served model" in Path(better.report).read_text(encoding="utf-8")

    forced = run(border, "evaluation.min_accuracy=0.01", force_bless=REASON)
    assert (forced.blessed, forced.force_blessed, forced.baseline.path) == (False, REASON, better.pushed_model)
    assert place.versions[-1] == Path(forced.pushed_model).name

    unreachable = "evaluation.change_thresholds.accuracy.min=0.9"
    assert run(pet, unreachable).blessed is False
    reset = run(pet, unreachable, reset_baseline=True)
    assert (reset.blessed, reset.baseline.found, len(place.versions)) == (True, False, 4)
