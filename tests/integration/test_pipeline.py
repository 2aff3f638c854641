"""The whole pipeline on generated images: what it leaves, what it caches, and how the gate decides."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
import tensorflow_model_analysis as tfma
import tensorflow_transform as tft
from forked_processes import forked_processes
from tfx.orchestration.portable import python_executor_operator
from tiny_training import tiny_network
from workplace import Workplace, executed

from components.model_evaluator.gate import Gate
from components.model_evaluator.results import read_evaluation, read_measured
from components.model_pusher.version_store import complete_versions
from components.tfds_example_gen.source import TfdsSource
from pipeline import component_settings, nodes
from pipeline.models.evaluation import evaluate_model
from pipeline.models.loading import ServedModel
from pipeline.report.image_scores import SCORES_FILE, read_scores
from trainer_module import networks
from trainer_module.dataset import eval_dataset
from trainer_module.segmentation_metrics import difference_names, segmentation_metrics

PETS_ORIGINAL = Path(__file__).parents[3] / "shared" / "data" / "pets_original"
NODES = [
    "TfdsExampleGen", "SegmentationValidator", "ImportSchema", "StatisticsGen", "Transform", "ExampleValidator",
    "DriftDetector", "Trainer", "ServedModelResolver", "Evaluator", "ModelProbe", "Pusher", "SuspectFinder",
    "RunReport",
]  # fmt: skip
SETTINGS = ("trainer.learning_rate=1e-4", "evaluation.min_accuracy=0.01", "evaluation.suspects=4")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(networks.MODELS, "unet", tiny_network)
        yield Workplace(tmp_path_factory.mktemp("pipeline_root"), SETTINGS)


@pytest.fixture(scope="module")
def first_run(workplace):
    return workplace.run(report=True)


@pytest.fixture
def repeated(first_run, monkeypatch):
    """Components after TfdsExampleGen leave what they left in the first run: what runs is asked, not what it does."""
    run = python_executor_operator.run_with_executor

    def leave_the_same(execution_info, executor):
        node = first_run.node(execution_info.pipeline_node.node_info.id)
        if node.id == "TfdsExampleGen":
            return run(execution_info, executor)
        for name, (artifact,) in execution_info.output_dict.items():
            shutil.copytree(node.outputs[name], artifact.uri, dirs_exist_ok=True)
        return python_executor_operator.construct_executor_output(execution_info, execution_info.output_dict)

    monkeypatch.setattr(python_executor_operator, "run_with_executor", leave_the_same)


def test_first_run_executes_every_component_and_pushes(first_run):
    assert {node.id for node in first_run.nodes} == set(NODES)
    assert executed(first_run) == set(NODES)
    assert first_run.blessed is True
    assert first_run.parameters == tiny_network(48, 3).count_params()
    assert first_run.dataset.splits == {"train": 22, "eval": 2, "test": 12}
    assert {"accuracy", "mean_iou", "iou_pet", "iou_background", "iou_border", "loss"} <= set(first_run.metrics)
    assert first_run.metrics["accuracy_low"] <= first_run.metrics["accuracy"] <= first_run.metrics["accuracy_high"]
    assert sum(first_run.distributions["image_iou_histogram"]) == 12
    assert {row.metric for row in first_run.thresholds} == {"accuracy", "accuracy_gain"}
    assert sum(row["examples"] for row in first_run.slices if "species" in row["slice"]) == 12
    assert Path(first_run.pushed_model, "saved_model.pb").is_file()


def test_evaluator_equals_plain_numpy_on_the_same_predictions(workplace, first_run):
    """Serves each test image with the pushed model, and counts pixels by hand against the resized masks."""
    config = workplace.config()
    model = tf.saved_model.load(first_run.pushed_model).signatures["serving_default"]
    builder = tfds.builder("synthetic_pets/tiny", data_dir=config.data_dir)
    skip = tfds.decode.SkipDecoding()
    matrix, losses = np.zeros((3, 3), np.int64), []
    for example in builder.as_dataset(split="test", decoders={"image": skip}):
        outputs = model(image=example["image"][tf.newaxis])
        mask = tf.image.resize(example["segmentation_mask"], (48, 48), method="nearest").numpy()[..., 0] - 1
        np.add.at(matrix, (mask, outputs["mask"].numpy()[0]), 1)
        probability = np.take_along_axis(outputs["probabilities"].numpy()[0], mask[..., np.newaxis], -1)
        losses.append(-np.log(probability).mean())
    expected = segmentation_metrics(matrix, float(np.mean(losses)), config.data.class_names)
    defined = {name: value for name, value in expected.items() if not np.isnan(value)}
    assert {name: first_run.metrics[name] for name in defined} == pytest.approx(defined, rel=1e-5)
    assert first_run.distributions["confusion_matrix"] == matrix.tolist()


def test_evaluate_command_gives_the_gates_metrics(workplace, first_run):
    data = workplace.config().data.model_dump(include=set(TfdsSource.model_fields))
    source = TfdsSource(**data | {"data_dir": workplace.config().data_dir})
    result = evaluate_model(ServedModel.load(first_run.pushed_model), source, "test", lambda *_: None)
    assert result["metrics"] == pytest.approx(first_run.metrics)
    assert len(result["slices"]) == len(first_run.slices)
    assert set(result["distributions"]) == set(first_run.distributions)
    for name, values in result["distributions"].items():
        np.testing.assert_allclose(values, first_run.distributions[name])


def test_baseline_beside_the_model_is_compared_image_by_image(workplace, first_run, tmp_path):
    """The model beside itself, by TFMA as the Evaluator calls it: no difference in any replicate."""
    config = workplace.config()
    eval_config = tfma.utils.update_eval_config_with_defaults(
        component_settings.evaluation_config(config), has_baseline=True, rubber_stamp=True
    )
    models = [
        tfma.default_eval_shared_model(first_run.pushed_model, model_name=spec.name, eval_config=eval_config)
        for spec in eval_config.model_specs
    ]
    (examples,) = (workplace.root / "artifacts" / "petseg-demo" / "TfdsExampleGen" / "examples").iterdir()
    records = str(tmp_path / "records")
    with tf.io.TFRecordWriter(records) as writer:
        for record in tf.data.TFRecordDataset(
            tf.io.gfile.glob(str(examples / "Split-test" / "*")), compression_type="GZIP"
        ):
            writer.write(record.numpy())
    output = str(tmp_path / "evaluation")
    tfma.run_model_analysis(models, eval_config=eval_config, data_location=records, output_path=output)
    gate = Gate(bounds=config.evaluation.bounds(), min_slice_examples=1)
    verdict = gate.judge(read_measured(output), has_baseline=True)
    (tmp_path / "evaluation" / "gate.json").write_text(verdict.model_dump_json())
    result = read_evaluation(output)
    assert {name: result.metrics[name] for name in first_run.metrics} == pytest.approx(first_run.metrics)
    assert {name: result.metrics[name] for name in difference_names()} == dict.fromkeys(difference_names(), 0.0)
    assert all(row["metrics"]["accuracy_difference"] == 0 for row in result.slices)
    assert result.verdict.passed is True


def test_report_scores_every_image_as_the_evaluator_did_and_shows_them(first_run):
    page = Path(first_run.report)
    scores = read_scores(page.with_name(SCORES_FILE))
    assert len(scores) == first_run.dataset.splits["test"]
    true_positives, pixels = np.split(np.sum([score.statistics for score in scores], axis=0), 2)
    assert 2 * true_positives.sum() / pixels.sum() == pytest.approx(first_run.metrics["accuracy"])
    assert np.nanmean(true_positives / (pixels - true_positives)) == pytest.approx(first_run.metrics["mean_iou"])
    text = page.read_text(encoding="utf-8")
    assert all(f"prediction of {score.file_name}" in text for score in sorted(scores, key=lambda s: s.mean_iou)[:8])
    assert not re.search(r"https?://", text)


@pytest.fixture(scope="module")
def second_run(workplace, first_run):
    """Finds the first one's model served, and compares with it; whatever comes after finds the same."""
    return workplace.run()


def test_third_identical_run_is_all_cached(workplace, first_run, second_run):
    assert executed(second_run) == {"DriftDetector", "ServedModelResolver", "Evaluator", "Pusher", "RunReport"}
    assert first_run.drift.reason == f"no model is served in {Path(first_run.pushed_model).parent}"
    assert (second_run.drift.model, second_run.drift.drifted) == (first_run.pushed_model, [])
    assert set(second_run.drift.distances.values()) == {0.0}
    assert (second_run.blessed, second_run.baseline.path) == (True, first_run.pushed_model)
    record = workplace.run()
    assert executed(record) == {"RunReport"}
    assert record.metrics == second_run.metrics
    assert {name: record.metrics[name] for name in first_run.metrics} == first_run.metrics


def test_unreachable_bound_is_not_blessed_and_nothing_is_pushed(workplace, first_run, second_run):
    record = workplace.run("evaluation.min_accuracy=0.999")
    assert executed(record) == {"Evaluator", "Pusher", "RunReport"}
    assert record.blessed is False
    assert record.pushed_model is None
    assert [row.passed for row in record.thresholds if (row.metric, row.kind) == ("accuracy", "min")] == [False]
    assert complete_versions(str(Path(first_run.pushed_model).parent)) == [int(Path(first_run.pushed_model).name)]


def test_a_model_that_costs_too_much_to_serve_is_not_pushed(workplace, first_run, second_run):
    with forked_processes():
        record = workplace.run("probe.max_memory_mb=1", report=True)
    assert executed(record) == {"ModelProbe", "Pusher", "RunReport"}
    assert (record.blessed, record.refused, record.pushed_model) == (True, True, None)
    [refusal] = record.probe.refusals
    assert refusal.endswith("MB of memory; probe.max_memory_mb is 1")
    assert record.node("Pusher").summary == "nothing: the probe refused the model"
    page = Path(record.report).read_text(encoding="utf-8")
    assert "Refused by the probe" in page
    assert refusal in page
    assert record.probe.measurements["max_difference"] <= 1e-5


def test_a_version_that_was_deleted_is_pushed_again(workplace, first_run, second_run):
    """Nothing has changed but the destination, and the cache knows a push to it."""
    hidden = Path(first_run.pushed_model).parent.with_name("hidden")
    Path(first_run.pushed_model).parent.rename(hidden)
    record = workplace.run()
    shutil.rmtree(Path(record.pushed_model).parent)
    hidden.rename(Path(first_run.pushed_model).parent)
    assert "Pusher" in executed(record)
    assert Path(record.pushed_model).parent == Path(first_run.pushed_model).parent


@pytest.mark.usefixtures("second_run", "repeated")
def test_training_setting_runs_trainer_and_what_follows(workplace):
    record = workplace.run("trainer.learning_rate=0.004", "evaluation.min_accuracy=0.999")  # is not pushed
    assert executed(record) == {"Trainer", "Evaluator", "ModelProbe", "Pusher", "SuspectFinder", "RunReport"}


@pytest.mark.usefixtures("second_run", "repeated")
def test_preprocessing_code_runs_transform_and_what_follows(workplace, monkeypatch):
    digest = nodes.code_digest
    edited = lambda *modules: digest(*modules) + ("+" if "trainer_module.preprocessing" in modules else "")  # noqa: E731
    monkeypatch.setattr(nodes, "code_digest", edited)
    assert executed(workplace.run()) == {
        "Transform", "Trainer", "Evaluator", "ModelProbe", "Pusher", "SuspectFinder", "RunReport"
    }  # fmt: skip


@pytest.mark.usefixtures("second_run", "repeated")
def test_other_data_runs_everything_that_reads_it(workplace):
    record = workplace.run("data.splits.train=train[:12]")
    assert executed(record) == set(NODES) - {"ServedModelResolver"}
    assert record.dataset.splits["train"] == 12


@pytest.mark.skipif(not PETS_ORIGINAL.is_dir(), reason="needs the real data in ../shared/data/pets_original")
def test_photos_of_every_size_become_examples_of_one_size(tmp_path):
    """The files are untouched: 116 to 1,646 pixels a side."""
    overrides = ("data.dataset=oxford_iiit_pet:4.*.*", f"data.data_dir={PETS_ORIGINAL}", "data.splits.train=train[:60]")
    Workplace(tmp_path, SETTINGS).run(*overrides, to_node="Transform")
    (examples,) = (tmp_path / "artifacts" / "petseg-demo" / "Transform" / "transformed_examples").iterdir()
    transform_output = tft.TFTransformOutput(str(next((examples.parents[1] / "transform_graph").iterdir())))
    batches = eval_dataset([str(examples / "Split-train" / "*")], transform_output, 48, batch_size=16)
    images, class_ids = (np.concatenate(parts) for parts in zip(*batches.as_numpy_iterator(), strict=True))
    assert images.shape == (60, 48, 48, 3)
    assert 0.15 < (class_ids == 0).mean() < 0.45
    assert set(np.unique(class_ids)) == {0, 1, 2}
