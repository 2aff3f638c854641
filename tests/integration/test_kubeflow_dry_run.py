"""The compiled package, executed as a cluster would: the numbers of a local run, and a cache that sees other data."""

import copy
from pathlib import Path

import pytest
import tensorflow as tf

from pipeline.config import Config
from pipeline.config_loading import load_config
from pipeline.kubeflow.compiler import compile_package
from pipeline.kubeflow.dry_run.request import DryRunRequest
from pipeline.kubeflow.dry_run.runner import dry_run
from pipeline.kubeflow.package import Package
from pipeline.local_runner import RunRequest, run_pipeline
from pipeline.run_record import RunRecord, RunState

TASKS = {
    "TfdsExampleGenDriver", "TfdsExampleGen", "ImportSchema", "StatisticsGen", "ExampleValidator", "Transform",
    "Trainer", "Evaluator", "Pusher",
}  # fmt: skip
SMALL = (
    "data.dataset=synthetic_pets/tiny", "data.image_size=48", "trainer.epochs=1", "trainer.batch_size=8",
    "evaluation.min_accuracy_gain=0", "evaluation.min_accuracy=0.01",
)  # fmt: skip


def _config(root: Path, *overrides: str) -> Config:
    return load_config(preset="demo", overrides=(*SMALL, f"pipeline.root={root}", *overrides))


def _run(package: Package, root: Path) -> RunRecord:
    record = dry_run(package, DryRunRequest(root=str(root)))
    assert record.state is RunState.COMPLETE, f"{record.error}\n{Path(record.log).read_text()[-5000:]}"
    return record


def _states(record: RunRecord) -> dict[str, str]:
    return {node.id: node.state.value for node in record.nodes}


def _up_to_statistics(package: Package) -> Package:
    """Leaves out what comes after the statistics; the cache knows the rest all the same."""
    spec = copy.deepcopy(package.pipeline_spec)
    kept = {"TfdsExampleGenDriver", "TfdsExampleGen", "ImportSchema", "StatisticsGen"}
    labels = {spec["components"][name]["executorLabel"] for name in kept}
    spec["root"]["dag"]["tasks"] = {name: spec["root"]["dag"]["tasks"][name] for name in kept}
    spec["components"] = {name: spec["components"][name] for name in kept}
    executors = spec["deploymentSpec"]["executors"]
    spec["deploymentSpec"]["executors"] = {label: executors[label] for label in labels}
    platform = copy.deepcopy(package.platform_spec)
    configs = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"] = {label: configs[label] for label in labels}
    return Package(spec, platform)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("dry_run")


@pytest.fixture(scope="module")
def package(root):
    return compile_package(_config(root))


@pytest.fixture(scope="module")
def first(package, root):
    return _run(package, root)


@pytest.fixture(scope="module")
def second(first, package, root):
    return _run(package, root)


def test_every_component_runs_and_the_model_is_pushed_to_the_volume(first, root):
    assert _states(first) == dict.fromkeys(TASKS, "complete")
    assert first.blessed is True
    assert first.dataset.splits == {"train": 22, "eval": 2, "test": 12}
    assert Path(first.pushed_model).parent == root / "volumes" / "petseg-serving" / first.pipeline
    assert Path(first.pushed_model, "saved_model.pb").is_file()
    assert first.node("Transform").summary.startswith("48×48 pixels")


def test_the_numbers_are_those_of_a_local_run(first, root, tmp_path):
    data_dir = root / "volumes" / "petseg-data" / "data"
    local = run_pipeline(_config(tmp_path / "local", f"data.data_dir={data_dir}"), RunRequest())
    assert local.state is RunState.COMPLETE, local.error
    fields = {"metrics", "slices", "thresholds", "dataset", "parameters", "blessed"}
    assert first.model_dump(include=fields) == local.model_dump(include=fields)


def test_a_second_run_reuses_all_up_to_the_push_and_pushes_nothing(first, second):
    looked = {"TfdsExampleGenDriver", "Pusher"}
    assert _states(second) == {task: "complete" if task in looked else "cached" for task in TASKS}
    assert second.metrics == first.metrics
    assert second.pushed_model is None
    assert second.node("Pusher").summary == f"nothing: {first.pushed_model} is this model already"
    assert [version.name for version in Path(first.pushed_model).parent.iterdir()] == [Path(first.pushed_model).name]


@pytest.mark.usefixtures("second")
def test_other_data_under_the_same_name_and_version_is_read_again(package, root):
    shard = next((root / "volumes" / "petseg-data" / "data").rglob("*-train.tfrecord-*"))
    records = list(tf.data.TFRecordDataset(str(shard)).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(shard)) as writer:
        for record in reversed(records):
            writer.write(record)

    assert _states(_run(_up_to_statistics(package), root)) == {
        "TfdsExampleGenDriver": "complete",
        "TfdsExampleGen": "complete",
        "ImportSchema": "cached",
        "StatisticsGen": "complete",
    }
