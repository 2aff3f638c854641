"""A made-up run with all that a report reads of it, but for the model."""

import json
from datetime import UTC, datetime
from pathlib import Path

from components.model_evaluator.gate import BoundResult
from pipeline.config.loading import load_config
from pipeline.runs.record import DatasetRecord, EnvironmentRecord, NodeRecord, NodeState, RunRecord, RunState

CLASS_NAMES = ("pet", "background", "border")
EPOCHS = (
    {
        "epoch": 1,
        "seconds": 2.0,
        "loss": 0.9,
        "accuracy": 0.6,
        "val_loss": 0.8,
        "val_accuracy": 0.65,
        "mean_iou": 0.50,
        "val_mean_iou": 0.45,
    },
    {
        "epoch": 2,
        "seconds": 4.0,
        "loss": 0.5,
        "accuracy": 0.8,
        "val_loss": 0.4,
        "val_accuracy": 0.85,
        "mean_iou": 0.60,
        "val_mean_iou": 0.55,
    },
    {
        "epoch": 3,
        "seconds": 6.0,
        "loss": 0.4,
        "accuracy": 0.9,
        "val_loss": 0.6,
        "val_accuracy": 0.75,
        "mean_iou": 0.55,
        "val_mean_iou": 0.5,
    },
)
METRICS = {
    "accuracy": 0.71234,
    "mean_iou": 0.51239,
    "loss": 0.61231,
    "iou_pet": 0.41237,
    "iou_background": 0.81233,
    "iou_border": None,
    "boundary_iou_pet": 0.31234,
    "ece": 0.05123,
    "accuracy_low": 0.69123,
    "accuracy_high": 0.73123,
    "mean_iou_low": 0.49123,
    "mean_iou_high": 0.53123,
}


def finished_run(directory: Path, *overrides: str) -> RunRecord:
    """Returns a run that was not blessed, with the files of its components below the directory."""
    outputs = _outputs(directory)
    config = load_config(preset="demo", overrides=["trainer.epochs=3", *overrides], pipeline_root=str(directory))
    record = RunRecord.begin("20260102-030405-000001", config, directory / "run.log")
    record.started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    record.state, record.seconds = RunState.COMPLETE, 75.0
    record.dataset = DatasetRecord(name="made_up_pets", version="1.2.3", splits={"train": 30, "test": 12})
    record.nodes = [
        NodeRecord(id=name, state=NodeState.COMPLETE, seconds=1.5, outputs=outputs.get(name, {}))
        for name in ("TfdsExampleGen", "StatisticsGen", "ExampleValidator", "Trainer", "Evaluator", "Pusher")
    ]
    record.parameters = 1234
    record.environment = EnvironmentRecord(
        code_digest="0123456789abcdef", versions={"tfx": "1.21.0"}, cpu="Made-up CPU", cores=2, memory_gib=4.0
    )
    record.metrics = dict(METRICS)
    record.distributions = {
        "confusion_matrix": [[80, 20, 0], [10, 190, 0], [5, 5, 0]],
        "calibration_pixels": [0, 100, 210],
        "calibration_confidence": [0.0, 55.0, 190.0],
        "calibration_correct": [0, 60, 180],
        "image_iou_histogram": [1, 4, 7, 0],
    }
    record.slices = [
        {"slice": {"species": "Dog"}, "examples": 11, "metrics": {"mean_iou": 0.61111, "accuracy": 0.8, "loss": 0.5}},
        {"slice": {"species": "Cat"}, "examples": 1, "metrics": {"mean_iou": 0.41111, "accuracy": 0.7, "loss": 0.7}},
    ]
    record.thresholds = [
        BoundResult(metric="accuracy", kind="min", bound=0.85, value=0.71234, passed=False),
        BoundResult(metric="loss", kind="max", bound=0.9, value=0.61231, passed=True),
    ]
    record.blessed = False
    return record


def early_failure(directory: Path) -> RunRecord:
    """Returns a run whose second component failed."""
    config = load_config(preset="demo", pipeline_root=str(directory))
    record = RunRecord.begin("20260102-030405-000002", config, directory / "run.log")
    record.nodes = [
        NodeRecord(id="TfdsExampleGen", state=NodeState.FAILED, seconds=0.5),
        *(NodeRecord(id=name) for name in ("StatisticsGen", "ExampleValidator", "Trainer", "Evaluator")),
    ]
    record.state, record.error = RunState.FAILED, "split 'train' is <empty> & gone"
    return record


def _outputs(directory: Path) -> dict[str, dict[str, str]]:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

    outputs = {
        "StatisticsGen": {"statistics": directory / "statistics"},
        "ExampleValidator": {"anomalies": directory / "anomalies"},
        "Trainer": {"model_run": directory / "model_run"},
    }
    for split, examples in (("test", 12), ("train", 30)):
        statistics = statistics_pb2.DatasetFeatureStatisticsList()
        dataset = statistics.datasets.add(num_examples=examples)
        image = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.BYTES)
        image.path.step.append("image")
        image.bytes_stats.min_num_bytes, image.bytes_stats.avg_num_bytes = 1024, 2048
        image.bytes_stats.max_num_bytes = 4096
        species = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.STRING)
        species.path.step.append("species")
        for label, share in (("Dog", 2), ("Cat", 1)):
            species.string_stats.rank_histogram.buckets.add(label=label, sample_count=examples * share // 3)
        _write(directory / "statistics" / f"Split-{split}" / "FeatureStats.pb", statistics.SerializeToString())
        anomalies = anomalies_pb2.Anomalies()
        if split == "test":
            info = anomalies.anomaly_info["species"]
            info.severity, info.description = anomalies_pb2.AnomalyInfo.ERROR, "Examples contain Ferret | and more."
        _write(directory / "anomalies" / f"Split-{split}" / "SchemaDiff.pb", anomalies.SerializeToString())
    history = {"model": "blog", "parameters": 1234, "epochs": EPOCHS}
    _write(directory / "model_run" / "history.json", json.dumps(history).encode())
    return {node: {name: str(path) for name, path in of_node.items()} for node, of_node in outputs.items()}


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
