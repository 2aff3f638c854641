"""The compiled package, executed as a cluster would: the numbers of a local run, and a cache that sees other data."""

import json
from pathlib import Path
from typing import ClassVar

import pytest
import tensorflow_datasets as tfds
from forked_processes import forked_processes
from small_network import replace_unet, replace_unet_and_report, two_layers
from workplace import SMALL, without_report

from components.datasets.synthetic_pets import SyntheticPets
from components.model_pusher.version_store import complete_versions
from pipeline.config.loading import load_config
from pipeline.config.schema import Config
from pipeline.kubeflow.compiler import compile_package
from pipeline.kubeflow.dry_run.metadata import Execution
from pipeline.kubeflow.dry_run.runner import dry_run
from pipeline.kubeflow.dry_run.specification import DryRunRequest
from pipeline.kubeflow.findings import findings_in
from pipeline.kubeflow.package import Package
from pipeline.local.runner import RunRequest, run_pipeline
from pipeline.runs.record import NodeRecord, RunRecord, RunState
from trainer_module import networks

TASKS = {
    "TfdsExampleGenDriver", "TfdsExampleGen", "SegmentationValidator", "ImportSchema", "StatisticsGen",
    "ExampleValidator", "DriftDetector", "Transform", "Trainer", "ServedModelResolverDriver", "ServedModelResolver",
    "Evaluator", "ModelProbe", "Pusher", "RunReport",
}  # fmt: skip
ALWAYS = {"TfdsExampleGenDriver", "DriftDetector", "ServedModelResolverDriver", "Pusher", "RunReport"}
REASON = "the old one leaks"
SETTINGS = (
    "data.dataset=growing_pets/tiny:1.*.*", "evaluation.min_accuracy=0.01",
    "evaluation.change_thresholds.accuracy.min=-1",
)  # fmt: skip


def _config(root: Path, *overrides: str) -> Config:
    return load_config(preset="demo", overrides=(*SMALL, *SETTINGS, f"pipeline.root={root}", *overrides))


def _run(
    package: Package, root: Path, started_anew: str | None = None, *, report: bool = True, **parameters: object
) -> RunRecord:
    """Runs a package whose pods are forked, but for one kind, and train two layers."""
    with forked_processes(but=started_anew, prepare=replace_unet if report else replace_unet_and_report):
        record = dry_run(package, DryRunRequest(root=str(root), parameters=parameters))
    assert record.state is RunState.COMPLETE, f"{record.error}\n{Path(record.log).read_text()[-5000:]}"
    return record


def _states(record: RunRecord) -> dict[str, str]:
    return {node.id: node.state.value for node in record.nodes}


class GrowingPets(SyntheticPets):
    """A data set that gets another version when it grows; pods know it by its files alone."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar = [SyntheticPets.builder_configs["tiny"]]

    def _generate_examples(self, split, count, first_number):
        grown = 16 if split == "train" and self.version == "1.1.0" else 0
        return super()._generate_examples(split, count + grown, first_number)


def _data_dir(root: Path) -> Path:
    return root / "volumes" / "petseg-data" / "data"


def _prepare(root: Path, version: str) -> None:
    GrowingPets.VERSION = tfds.core.Version(version)
    GrowingPets(data_dir=_data_dir(root), config="tiny").download_and_prepare()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("dry_run")
    _prepare(root, "1.0.0")
    return root


@pytest.fixture(scope="module")
def package(root):
    return compile_package(_config(root))


@pytest.fixture(scope="module")
def first(package, root):
    return _run(package, root, started_anew="components.import_schema")


@pytest.fixture(scope="module")
def second(first, package, root):
    return _run(package, root)


@pytest.fixture(scope="module")
def grown(second, package, root):
    """A run after the data grew, whose model keeps no bound and is pushed by force, with nothing to compare it with."""
    _prepare(root, "1.1.0")
    return _run(package, root, report=False, min_accuracy=1.0, force_bless=f" {REASON} ", reset_baseline=True)


def test_every_component_runs_and_the_model_is_pushed_to_the_volume(first, root):
    assert _states(first) == dict.fromkeys(TASKS, "complete")
    assert first.blessed is True
    assert first.dataset.splits == {"train": 22, "eval": 2, "test": 12}
    assert Path(first.pushed_model).parent == root / "volumes" / "petseg-serving" / first.pipeline
    assert Path(first.pushed_model, "saved_model.pb").is_file()
    assert first.node("Transform").summary.startswith("48×48 pixels")


def test_the_report_is_as_complete_as_that_of_a_local_run(first, second):
    assert first.environment.code_digest
    assert first.settings["evaluation"] == {"split": "test"}
    assert first.settings["data"]["splits"] == {"train": "train[:90%]", "eval": "train[90%:]", "test": "test"}
    page = Path(first.report).read_text(encoding="utf-8")
    assert "of the test split, the same for every model" in page
    assert page.count("data:image/png") >= 24
    assert "not recorded" not in page
    assert "Both models have the same mean IoU on every image." in Path(second.report).read_text(encoding="utf-8")
    files = {"report.html", "model_card.md", "image_scores.jsonl"}
    assert files <= {file.name for file in Path(first.report).parent.iterdir()}


def test_the_pages_of_a_server_could_show_the_report(first, root):
    """What they read: the artifacts' types, one file for a page, and numbers by name."""
    executions = map(Execution.model_validate_json, (root / "executions.jsonl").read_text().splitlines())
    [left] = [
        one.outputs for one in executions if (one.task, one.run_id) == ("RunReport", first.run_id) and one.outputs
    ]
    artifacts = {artifact.name: artifact for artifact in left}
    kinds = {"metrics": "Metrics", "confusion_matrix": "ClassificationMetrics", "report": "HTML"}
    kinds["model_card"] = "Markdown"
    assert {name: artifacts[name].type for name in kinds} == {name: f"system.{kind}" for name, kind in kinds.items()}
    paths = {name: root / "object_store" / artifacts[name].uri.replace("://", "/") for name in kinds}
    assert paths["report"].read_bytes() == Path(first.report).read_bytes()
    assert paths["model_card"].name == "model_card.md"
    told = RunRecord.load(paths["metrics"] / "run.json")
    assert (told.run_id, told.state, told.blessed) == (first.run_id, RunState.COMPLETE, True)
    assert (told.metrics, told.dataset, told.parameters) == (first.metrics, first.dataset, first.parameters)
    numbers = artifacts["metrics"].metadata
    assert {name: numbers[name] for name in ("accuracy", "accuracy_low", "mean_iou", "iou_pet")} == {
        name: first.metrics[name] for name in ("accuracy", "accuracy_low", "mean_iou", "iou_pet")
    }
    texts = {"verdict": "blessed", "pushed_model": first.pushed_model, "dataset_version": "1.0.0"}
    assert {name: numbers[name] for name in texts} == texts
    assert (numbers["blessed"], numbers["evaluated_examples"]) == (1, 12)
    matrix = artifacts["confusion_matrix"].metadata["confusionMatrix"]["struct"]
    assert [row["row"] for row in matrix["rows"]] == first.distributions["confusion_matrix"]


def test_the_numbers_are_those_of_a_local_run(first, root, tmp_path, monkeypatch):
    monkeypatch.setitem(networks.MODELS, "unet", two_layers)
    overrides = (f"data.data_dir={_data_dir(root)}", "data.dataset=growing_pets/tiny:1.0.0")
    with forked_processes(), without_report():
        local = run_pipeline(_config(tmp_path / "local", *overrides), RunRequest())
    assert local.state is RunState.COMPLETE, local.error
    fields = {"metrics", "slices", "thresholds", "dataset", "parameters", "blessed"}
    assert (first.baseline.found, local.baseline.found) == (False, False)
    assert first.model_dump(include=fields) == local.model_dump(include=fields)


def test_a_second_run_compares_with_the_model_of_the_first_and_pushes_nothing(first, second):
    ran = {*ALWAYS, "ServedModelResolver", "Evaluator"}
    assert _states(second) == {task: "complete" if task in ran else "cached" for task in TASKS}
    assert second.node("ServedModelResolverDriver").summary == first.pushed_model
    assert (second.baseline.found, second.baseline.version) == (True, Path(first.pushed_model).name)
    [change] = [row for row in second.thresholds if row.kind == "min_change"]
    assert (change.change, change.baseline, change.within_noise) == (0.0, first.metrics["accuracy"], True)
    assert {name: second.metrics[name] for name in first.metrics} == first.metrics
    assert second.pushed_model is None
    assert second.node("Pusher").summary == f"nothing: {first.pushed_model} is this model already"
    assert complete_versions(str(Path(first.pushed_model).parent)) == [int(Path(first.pushed_model).name)]


def test_a_run_that_finds_nothing_changed_takes_the_evaluation_too_from_the_cache(second, package, root):
    third = _run(package, root, report=False)
    assert _states(third) == {task: "complete" if task in ALWAYS else "cached" for task in TASKS}
    told = {"baseline", "metrics", "slices", "thresholds", "blessed", "force_blessed", "probe", "pushed_model"}
    assert third.model_dump(include=told) == second.model_dump(include=told)
    logs_alone = RunRecord(run_id="r", pipeline="p", preset=None, started=third.started, log="")
    findings_in(Path(third.log).read_text()).put_into(logs_alone, NodeRecord(id="RunReport"))
    told -= {"slices"}
    assert logs_alone.model_dump(include=told) == third.model_dump(include=told), "as RunReport's log tells it"


def test_a_firing_after_the_data_grew_reads_the_new_version_and_trains_again(first, second, grown):
    assert _states(grown) == dict.fromkeys(TASKS, "complete")
    assert (second.dataset.version, grown.dataset.version) == ("1.0.0", "1.1.0")
    assert grown.dataset.splits["train"] > second.dataset.splits["train"]
    assert grown.metrics != first.metrics
    assert Path(grown.pushed_model).name > Path(first.pushed_model).name


def test_a_run_can_be_told_to_push_by_force_and_to_ignore_what_is_served(first, grown):
    assert (grown.blessed, grown.force_blessed, grown.refused) == (False, REASON, False)
    record = json.loads(Path(grown.pushed_model, "assets.extra", "petseg_push.json").read_text())
    assert record["forced_because"] == REASON
    assert (grown.baseline.found, grown.baseline.path) == (False, first.pushed_model)
    assert grown.baseline.reason == grown.drift.reason == "the baseline was reset for this run"
    assert grown.node("ServedModelResolverDriver").summary == "no model"
