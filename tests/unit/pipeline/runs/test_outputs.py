"""What each component is said to have produced."""

import json
import sys
from types import SimpleNamespace

import pytest
from data_samples import compared, made_statistics

from components.drift_detector.report import DriftReport
from components.model_evaluator.gate import BoundResult, Comparison, Verdict
from pipeline.config.loading import load_config
from pipeline.runs.outputs import node_facts
from pipeline.runs.record import DatasetRecord, RunRecord
from trainer_module.errors import ModelError


class FakeArtifact:
    def __init__(self, uri="", **properties) -> None:
        self.uri = str(uri)
        self._properties = properties

    def get_string_custom_property(self, name: str) -> str:
        return self._properties.get(name, "")

    def get_int_custom_property(self, name: str) -> int:
        return self._properties.get(name, 0)


def facts(node_id: str, output: str, artifact: FakeArtifact):
    return node_facts(node_id, {output: [artifact]}, load_config().model_dump(mode="json"))


def test_examples_name_the_data():
    counts = json.dumps({"train": 3680, "eval": 3669})
    named = {"dataset_name": "oxford_iiit_pet", "dataset_version": "4.0.0", "split_counts": counts}
    artifact = FakeArtifact(**named, split_digests=json.dumps({"train": "aa", "eval": "bb"}))
    found = facts("TfdsExampleGen", "examples", artifact)
    assert found.summary == "oxford_iiit_pet 4.0.0: 3,680 train, 3,669 eval"
    dataset = DatasetRecord(
        name="oxford_iiit_pet",
        version="4.0.0",
        splits={"train": 3680, "eval": 3669},
        digests={"train": "aa", "eval": "bb"},
    )
    assert found.fields == {"dataset": dataset}
    of_earlier_version = facts("TfdsExampleGen", "examples", FakeArtifact(**named)).fields["dataset"]
    assert of_earlier_version == dataset.model_copy(update={"digests": {}})


def validated(settings=None, *, counts=(), dropped=0, **told):
    """Returns what is told of SegmentationValidator's outputs."""
    named = {"dataset_name": "pets", "dataset_version": "4.0.0", "split_counts": '{"train": 3680, "eval": 3669}'}
    findings = FakeArtifact(finding_counts=json.dumps(dict(counts)), dropped=dropped)
    outputs = {"checked_examples": [FakeArtifact(**named, **told)], "findings": [findings]}
    return node_facts("SegmentationValidator", outputs, settings or load_config().model_dump(mode="json"))


def test_findings_in_the_data_are_told():
    assert validated().summary == "nothing found"
    told = {"shared_images": '[["train", "eval", 1200]]', "class_pixels": '{"train": [5, 0, 7], "eval": [5, 0, 0]}'}
    counts = {"near_duplicate": 2, "blank_mask": 1, "shared_image": 1200, "absent_class": 3}
    warned = validated(counts=counts, dropped=1, **told)
    assert warned.summary == (
        "1 dropped, left: 3,680 train, 3,669 eval; 1 blank mask; 2 near duplicates; 1,200 images of train are in eval; "
        "no pixel of 'background' in train, eval; no pixel of 'border' in eval"
    )
    assert (warned.fields["findings"], warned.fields["dropped_examples"]) == (counts, 1)
    assert warned.fields["dataset"].class_pixels == {"train": [5, 0, 7], "eval": [5, 0, 0]}
    assert validated(counts={"absent_class": 2}, settings={"data": {}}).summary == "2 classes absent from a split"
    partly = {
        "class_pixels": '{"train": [5, 1, 2], "eval": [5, 1, 4]}',
        "not_labelled_pixels": '{"train": 2, "eval": 0}',
    }
    assert validated(**partly).summary == "not labelled: 20.0% of train, 0.0% of eval"
    ignored = validated(**told).summary
    assert ignored == "1,200 images of train are in eval", "what nobody wants to know is not told"


@pytest.mark.parametrize(
    ("per_split", "summary"), [([0, 0], "no anomalies"), ([1, 0], "1 anomaly"), ([1, 2], "3 anomalies")]
)
def test_anomalies_are_counted_over_the_splits(per_split, summary, tmp_path):
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    for split, count in enumerate(per_split):
        anomalies = anomalies_pb2.Anomalies()
        for feature in range(count):
            anomalies.anomaly_info[f"f{feature}"].description = "odd"
        (tmp_path / f"Split-{split}").mkdir()
        (tmp_path / f"Split-{split}" / "SchemaDiff.pb").write_bytes(anomalies.SerializeToString())
    assert facts("ExampleValidator", "anomalies", FakeArtifact(tmp_path)).summary == summary


@pytest.mark.parametrize(
    ("last", "numbers"),
    [
        ({"loss": 0.5, "accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.7}, "val loss 0.6000, val accuracy 0.7000"),
        ({"loss": 0.5, "accuracy": 0.8}, "loss 0.5000, accuracy 0.8000"),
        ({"loss": None, "accuracy": 0.8}, "loss undefined, accuracy 0.8000"),
        (
            {"val_loss": 0.6, "val_accuracy": 0.7, "val_mean_iou": 0.5},
            "val loss 0.6000, val accuracy 0.7000, val mean IoU 0.5000",
        ),
    ],
)
def test_training_tells_its_size_and_end(last, numbers, tmp_path):
    history = {"model": "blog", "parameters": 5460163, "epochs": [{"epoch": 1, **last}]}
    (tmp_path / "history.json").write_text(json.dumps(history))
    found = facts("Trainer", "model_run", FakeArtifact(tmp_path))
    assert found.summary == f"5,460,163 parameters, 1 epoch, {numbers}"
    assert found.fields == {"parameters": 5460163}


def evaluated(**blessing):
    outputs = {"evaluation": [FakeArtifact()], "blessing": [FakeArtifact(**blessing)]}
    return node_facts("Evaluator", outputs, load_config().model_dump(mode="json"))


@pytest.fixture
def evaluation(monkeypatch):
    few = {"metric": "accuracy", "kind": "min", "bound": 0.9, "value": 0.6, "passed": False, "gated": False}
    bounds = [
        {"metric": "loss", "kind": "max", "bound": 0.5, "value": 0.6, "passed": False},
        {"metric": "dice_pet", "kind": "min_change", "bound": 0.5, "value": 0.6, "passed": False, "slice": {"s": "a"}},
        few | {"slice": {"s": "b"}, "examples": 2},
    ]
    result = SimpleNamespace(
        metrics={"accuracy": 0.9, "mean_iou": 0.7},
        served_metrics={"accuracy": 0.8},
        slices=[],
        distributions={"image_iou_histogram": [1, 2]},
        verdict=SimpleNamespace(bounds=[BoundResult(**bound) for bound in bounds], passed=False, comparison=None),
    )
    monkeypatch.setitem(
        sys.modules, "components.model_evaluator.results", SimpleNamespace(read_evaluation=lambda _: result)
    )
    return result


def test_the_evaluation_tells_numbers_and_verdict(evaluation):
    found = evaluated()
    assert found.summary == "accuracy 0.9000, mean IoU 0.7000: not blessed (loss, dice_pet change (s = a))"
    assert found.fields["metrics"] == evaluation.metrics
    assert found.fields["distributions"] == evaluation.distributions
    assert (found.fields["blessed"], found.fields["force_blessed"]) == (False, None)


@pytest.mark.parametrize(
    ("outcome", "more"), [("equal", ", mean_iou equal"), ("worse", ", mean_iou worse"), ("better", "")]
)
def test_how_the_model_stands_to_the_served_one_is_told_where_it_keeps_it_from_being_pushed(evaluation, outcome, more):
    evaluation.verdict.comparison = Comparison(metric="mean_iou", outcome=outcome, change=0.001)
    found = evaluated()
    assert found.summary.endswith(f": not blessed (loss, dice_pet change (s = a){more})")
    assert (found.fields["comparison"], found.fields["served_metrics"]) == (
        evaluation.verdict.comparison, {"accuracy": 0.8},
    )  # fmt: skip


@pytest.mark.parametrize("first", ["Evaluator", "ReferenceEvaluator"])
def test_a_model_is_blessed_that_both_evaluations_bless_whichever_is_known_first(evaluation, first, tmp_path):
    told = FakeArtifact(reference_dataset="tiles/1.0.0 test", split_counts='{"test": 9, "reference": 33}')
    record = RunRecord.begin("20260101-000000-000000", load_config(), tmp_path)
    for node in (first, *{"Evaluator", "ReferenceEvaluator"} - {first}):
        evaluation.verdict.passed = node == "Evaluator"
        forced = FakeArtifact(forced_because="" if evaluation.verdict.passed else "it is of last year")
        found = node_facts(node, {"evaluation": [told], "blessing": [forced]}, {})
        for name, value in found.fields.items():
            setattr(record, name, value)
    assert (record.blessed, record.force_blessed) == (False, "it is of last year")
    reference = record.reference
    assert (reference.dataset, reference.split, reference.examples) == ("tiles/1.0.0 test", "reference", 33)
    assert reference.metrics == evaluation.metrics
    assert reference.blessed is False
    assert RunRecord.model_validate_json(record.model_dump_json()) == record


def test_a_forced_blessing_tells_why_and_what_failed(evaluation):
    found = evaluated(forced_because="the old one leaks")
    assert found.summary.endswith("not blessed (loss, dice_pet change (s = a)), pushed by force")
    assert (found.fields["blessed"], found.fields["force_blessed"]) == (False, "the old one leaks")


@pytest.mark.parametrize(
    ("properties", "summary", "record"),
    [
        (
            {"found": 1, "version": "17", "path": "/serving/17"},
            "baseline: version 17",
            {"found": True, "version": "17", "path": "/serving/17", "reason": None},
        ),
        (
            {"found": 0, "version": "17", "path": "/serving/17", "reason": "it cannot be loaded"},
            "no baseline: version 17: it cannot be loaded",
            {"found": False, "version": "17", "path": "/serving/17", "reason": "it cannot be loaded"},
        ),
        (
            {"found": 0, "reason": "no model is served in /serving"},
            "no baseline: no model is served in /serving",
            {"found": False, "version": None, "path": None, "reason": "no model is served in /serving"},
        ),
    ],
)
def test_the_baseline_is_named_or_why_there_is_none(properties, summary, record):
    found = facts("ServedModelResolver", "model", FakeArtifact(**properties))
    assert (found.summary, found.fields["baseline"].model_dump()) == (summary, record)


def test_a_warm_start_is_part_of_what_was_trained(tmp_path):
    epochs = [{"epoch": 1, "seconds": 1.0, "loss": 0.5, "accuracy": 0.8}]
    (tmp_path / "history.json").write_text(json.dumps({"model": "blog", "parameters": 12, "epochs": epochs}))
    fresh = [f"layer_{index}/kernel" for index in range(5)]
    (tmp_path / "warm_start.json").write_text(json.dumps({"directory": "/models/7", "taken": 33, "fresh": fresh}))
    summary = facts("Trainer", "model_run", FakeArtifact(tmp_path)).summary
    names = "layer_0/kernel, layer_1/kernel, layer_2/kernel, layer_3/kernel, …"
    assert summary.endswith(f", started from 33 of 38 weights of /models/7; new: {names}")
    (tmp_path / "warm_start.json").write_text(json.dumps({"directory": "/models/7", "taken": 38, "fresh": []}))
    summary = facts("Trainer", "model_run", FakeArtifact(tmp_path)).summary
    assert summary.endswith(", started from 38 of 38 weights of /models/7")


@pytest.mark.parametrize(
    ("properties", "summary"),
    [
        ({"found": 1, "version": "7", "path": "/x/7"}, "model to start from: version 7"),
        ({"reason": "no model is served in /x"}, "no model to start from: no model is served in /x"),
    ],
)
def test_the_model_to_start_from_is_no_baseline(properties, summary):
    found = facts("WarmStartResolver", "model", FakeArtifact(**properties))
    assert (found.summary, found.fields) == (summary, {})


def test_an_evaluation_that_cannot_be_read_ends_the_run(monkeypatch):
    results = SimpleNamespace(read_evaluation=lambda _: Verdict.model_validate_json('{"bounds": [{"metric": "loss"}]}'))
    monkeypatch.setitem(sys.modules, "components.model_evaluator.results", results)
    with pytest.raises(
        ModelError, match=r"what it found cannot be read \(ValidationError.*--from Evaluator --no-cache"
    ):
        evaluated()


def test_a_push_is_a_directory_that_is_there(tmp_path):
    pushed = FakeArtifact(pushed=1, pushed_destination=str(tmp_path))
    assert facts("Pusher", "pushed_model", pushed).fields == {"pushed_model": str(tmp_path)}
    gone = facts("Pusher", "pushed_model", FakeArtifact(pushed=1, pushed_destination="/nowhere"))
    assert (gone.fields, "is gone" in gone.summary) == ({}, True)
    frozen = FakeArtifact(pushed=0, not_pushed_because="pushes are frozen")
    assert facts("Pusher", "pushed_model", frozen).fields == {"not_pushed": "pushes are frozen"}


def test_a_push_to_where_nothing_can_be_seen_is_taken_for_granted():
    """As in a pod without the volume that another has pushed to."""
    pushed = FakeArtifact(pushed=1, pushed_destination="/nowhere/pets/7")
    assert facts("Pusher", "pushed_model", pushed).fields == {"pushed_model": "/nowhere/pets/7"}


@pytest.mark.parametrize("place", ["", "report.html"])
def test_a_report_is_a_file_or_the_directory_that_it_is_in(tmp_path, place):
    (tmp_path / "report.html").write_bytes(b" " * 1_260_000)
    assert facts("RunReport", "report", FakeArtifact(tmp_path / place)).summary == "report.html, 1.3 MB"
    missing = FakeArtifact(tmp_path / place, not_written_because="OSError: no space left")
    assert facts("RunReport", "report", missing).summary == "no report: OSError: no space left"


def test_a_model_that_is_served_already_is_not_pushed():
    already = "/serving/pets/17"
    artifact = FakeArtifact(pushed=0, not_pushed_because=f"{already} is this model already", already_served=already)
    found = facts("Pusher", "pushed_model", artifact)
    assert (found.summary, found.fields) == ("nothing: /serving/pets/17 is this model already", {})


def test_a_version_in_an_object_store_is_not_looked_for():
    pushed = FakeArtifact(pushed=1, pushed_destination="gs://bucket/pets/17")
    assert facts("Pusher", "pushed_model", pushed).fields == {"pushed_model": "gs://bucket/pets/17"}


def test_the_probe_tells_what_serving_costs_or_why_not(tmp_path):
    measured = {"load_seconds": 1.25, "latency_p50_ms": 105.4, "latency_p99_ms": 130.0, "memory_mb": 310.2}
    (tmp_path / "probe.json").write_text(json.dumps({"refusals": [], "measurements": measured, "examples": 8}))
    found = facts("ModelProbe", "blessing", FakeArtifact(tmp_path))
    assert found.summary == "loads in 1.2 s, answers in 105 ms, p99 130 ms, 310 MB"
    assert found.fields["probe"].passed
    findings = {"refusals": ["it is slow", "it is large"], "measurements": {"load_seconds": None}, "examples": 8}
    (tmp_path / "probe.json").write_text(json.dumps(findings))
    found = facts("ModelProbe", "blessing", FakeArtifact(tmp_path))
    assert found.summary == "refused: it is slow (and 1 more)"
    assert not found.fields["probe"].passed
    (tmp_path / "probe.json").unlink()
    with pytest.raises(ModelError, match=r"what it found cannot be read .FileNotFoundError.*--from ModelProbe"):
        facts("ModelProbe", "blessing", FakeArtifact(tmp_path))


def test_the_driver_tells_the_beginning_of_the_datas_fingerprint():
    artifact = FakeArtifact(value="0123456789abcdef" * 4)
    assert facts("TfdsExampleGenDriver", "input_fingerprint", artifact).summary == "data 0123456789ab"


@pytest.mark.parametrize(("value", "summary"), [("/a b/17 0123abcd", "/a b/17"), ("", "no model")])
def test_the_driver_tells_which_model_is_served(value, summary):
    for task in ("ServedModelResolverDriver", "WarmStartResolverDriver"):
        assert facts(task, "served_model", FakeArtifact(value=value)).summary == summary


def test_outputs_that_are_not_known_or_not_readable_do_not_end_a_run():
    assert facts("HtmlReport", "html_report", FakeArtifact()).summary == "html report"
    assert node_facts("Trainer", {}, {}).summary == ""
    assert "cannot be summarized: FileNotFoundError" in facts("Trainer", "model_run", FakeArtifact("/nowhere")).summary


def drift_facts(directory, **report):
    report = DriftReport(**report)
    (directory / "drift.json").write_text(report.model_dump_json())
    return facts("DriftDetector", "drift", FakeArtifact(directory)), report


def test_drift_is_told_with_the_quantities_that_drifted(tmp_path):
    comparison = compared(made_statistics(), made_statistics(seed=2, brightness=0.3))
    found, report = drift_facts(tmp_path, model="/serving/17", comparison=comparison)
    assert found.summary == report.summary
    assert found.summary.startswith("drifted from version 17: brightness 0.")
    drift = found.fields["drift"]
    assert (drift.model, drift.reason, drift.drifted) == ("/serving/17", None, ["brightness"])
    assert drift.distances == {one.name: one.distance for one in comparison.quantities}


def test_data_that_was_not_compared_says_why(tmp_path):
    found, _ = drift_facts(tmp_path, reason="no model is served in /serving")
    assert found.summary == "not compared: no model is served in /serving"
    drift = found.fields["drift"]
    assert (drift.model, drift.reason, drift.distances) == (None, "no model is served in /serving", {})


@pytest.mark.parametrize(
    ("numbers", "summary"),
    [
        ({"suspects": 12, "examined": 4000}, "12 of 4,000 masks to look at: /somewhere/suspects.csv"),
        ({"suspects": 0, "examined": 4000}, "the model contradicts none of 4,000 masks"),
    ],
)
def test_suspects_are_counted_and_where_they_are_is_told(numbers, summary):
    assert facts("SuspectFinder", "suspects", FakeArtifact("/somewhere", **numbers)).summary == summary
