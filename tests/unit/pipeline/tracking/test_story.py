"""What is told of a run's record, before any server hears of it."""

import json
import math

import pytest
from report_run import EPOCHS, finished_run

from components.model_evaluator.gate import BoundResult, Comparison
from pipeline.runs.record import DatasetRecord, ProbeRecord, RunState
from pipeline.tracking.address import Address
from pipeline.tracking.items import ITEM, Metrics, Params, PushedModel, Tags
from pipeline.tracking.outbox import Outbox
from pipeline.tracking.story import beginning, curve_points, ending, facts, metric_name, verdict

ADDRESS = Address(uri="http://tracker", experiment="pets", registered_model="pets")


@pytest.fixture
def record(tmp_path):
    return finished_run(tmp_path)


def the_only(kind, items):
    [found] = [item for item in items if isinstance(item, kind)]
    return found


def final_metrics(record):
    [item] = [item for item in facts(record, None) if isinstance(item, Metrics) and not item.is_curve]
    return {measurement.name: measurement.value for measurement in item.values}


def test_settings_are_flat_texts_and_a_long_one_is_cut(record):
    record.settings["data"]["class_names"] = ["ä" * 4000, "b" * 4000]
    values = the_only(Params, facts(record, None)).values
    assert values["trainer.epochs"] == "3"
    assert values["push.destination"] == "none"
    assert values["data.splits.train"] == record.settings["data"]["splits"]["train"]
    assert len(values["data.class_names"]) == 6000
    assert values["data.class_names"].endswith("(cut; the whole is in config.json)")


def test_metrics_that_are_no_numbers_are_named_and_the_others_told(record):
    record.metrics |= {"mean_iou": math.nan, "loss": math.inf}
    metrics = final_metrics(record)
    assert metrics["evaluation/accuracy"] == 0.71234
    assert metrics["evaluation/accuracy_low"] == 0.69123
    assert not {"evaluation/mean_iou", "evaluation/loss", "evaluation/iou_border"} & metrics.keys()
    assert all(map(math.isfinite, metrics.values()))
    tags = the_only(Tags, facts(record, None)).values
    assert tags["petseg.undefined_metrics"] == "mean_iou, loss, iou_border"
    assert [point.name for point in curve_points(1, {"loss": None, "accuracy": 0.5, "val_loss": math.nan})] == [
        "training/accuracy"
    ]


def test_values_of_slices_become_names_that_differ_where_mlflow_takes_their_characters_for_one(record):
    record.slices = [
        {"slice": {"breed": breed}, "examples": 4, "metrics": {"mean_iou": value}}
        for breed, value in (("A/B", 0.1), ("A=B", 0.2), ("Épagneul", 0.3))
    ]
    record.slices[0]["metrics"] |= {"loss": 0.4, "iou_pet": 0.7}
    record.thresholds.append(
        BoundResult(metric="iou_pet", kind="min", bound=0.5, value=0.7, passed=True, slice={"breed": "A/B"})
    )
    metrics = final_metrics(record)
    assert metrics["slices/breed A_B/mean_iou"] == 0.1
    assert metrics["slices/breed A_B/iou_pet"] == 0.7
    assert "slices/breed A_B/loss" not in metrics, "of a slice the foremost is told, and what is bounded"
    assert metrics["slices/breed A_B/mean_iou 2"] == 0.2
    assert metrics["slices/breed _pagneul/mean_iou"] == 0.3
    assert metrics["slices/breed _pagneul/examples"] == 4
    assert len(metric_name("slices", "x" * 400, "mean_iou")) == 250


def test_curves_are_those_of_the_whole_training_with_the_times_of_its_epochs(record, tmp_path):
    curves = [item for item in facts(record, tmp_path / "model_run") if isinstance(item, Metrics) and item.is_curve]
    assert [curve.values[0].step for curve in curves] == [1, 2, 3]
    assert {value.name: value.value for value in curves[1].values} == {
        f"training/{name}": value for name, value in EPOCHS[1].items() if name not in ("epoch", "seconds")
    }
    assert curves[1].time_ms - beginning(record).started_ms == 4000
    (tmp_path / "model_run" / "history.json").write_text("{")
    assert not [item for item in facts(record, tmp_path / "model_run") if isinstance(item, Metrics) and item.is_curve]


def test_the_verdict_is_a_tag_and_the_end_knows_nothing_of_it(record):
    assert (verdict(record), ending(record).status) == ("not blessed", "FINISHED")
    assert "accuracy beyond the bounds" in the_only(Tags, facts(record, None)).values["mlflow.note.content"]
    record.force_blessed = "a trial"
    assert verdict(record) == "blessed by force"
    record.probe = ProbeRecord(refusals=["too slow"])
    assert verdict(record) == "refused by the probe"
    for state, status in ((RunState.FAILED, "FAILED"), (RunState.INTERRUPTED, "KILLED")):
        record.state = state
        assert ending(record).status == status


def test_what_is_served_is_told_beside_the_new_model_and_how_they_stand(record):
    record.metrics |= {"mean_iou_difference": -0.02, "mean_iou_difference_low": -0.03}
    record.served_metrics = {"accuracy": 0.8, "mean_iou": 0.53, "loss": 0.4, "iou_pet": 0.5}
    record.comparison = Comparison(metric="mean_iou", outcome="worse", change=-0.02, low=-0.03, high=-0.01)
    metrics = final_metrics(record)
    told = {name: value for name, value in metrics.items() if "difference" in name or name.startswith("served/")}
    assert told == {
        "evaluation/mean_iou_difference": -0.02, "evaluation/mean_iou_difference_low": -0.03,
        "served/accuracy": 0.8, "served/mean_iou": 0.53, "served/loss": 0.4,
    }  # fmt: skip
    tags = the_only(Tags, facts(record, None)).values
    assert tags["petseg.compared_with_served"] == "mean IoU -0.0200 (-0.0300 to -0.0100): worse beyond noise"
    assert tags["mlflow.note.content"].startswith(
        "Verdict: **not blessed**: accuracy beyond the bounds; mean IoU is worse beyond noise (-0.0200, -0.0300 to "
    )


def test_data_is_told_with_its_digest(record):
    record.dataset = DatasetRecord(name="pets", version="4.0.0", splits={"test": 12}, digests={"test": "ab" * 32})
    [data] = [item for item in facts(record, None) if item.kind == "data"]
    assert (data.name, data.version, data.split, data.digest, data.examples) == ("pets", "4.0.0", "test", "ab" * 32, 12)


@pytest.mark.parametrize(
    ("kserve", "deployed", "is_canary", "alias"),
    [
        (False, None, False, "champion"),
        (True, None, False, None),
        (True, "pets: version 3", False, "champion"),
        (True, "pets: version 3 10 %", True, "challenger"),
    ],
)
def test_a_pushed_model_is_what_servers_make_of_it(record, kserve, deployed, is_canary, alias):
    record.settings["push"]["kserve"]["enabled"] = kserve
    record.pushed_model, record.deployed_model, record.is_canary = "gs://models/pets/17/", deployed, is_canary
    model = the_only(PushedModel, facts(record, None))
    assert (model.version, model.alias, model.tags["petseg.accuracy"]) == ("17", alias, "0.7123")
    record.state = RunState.RUNNING
    assert [item.kind for item in facts(record, None)].count("model") == (0 if kserve else 1)


def test_an_outbox_keeps_each_item_once_and_loses_a_line_that_a_kill_cut_off(record, tmp_path):
    outbox = Outbox.begin(tmp_path / "tracking", ADDRESS, beginning(record))
    outbox.add(facts(record, None))
    outbox.add(facts(record, None))
    outbox.mark_sent(0)
    outbox.mark_refused(1, "too long")
    file = tmp_path / "tracking" / "items.jsonl"
    lines = file.read_text().splitlines()
    assert len(set(lines)) == len(lines) > 2
    file.write_text(file.read_text() + lines[0][:20])
    again = Outbox.open(tmp_path / "tracking")
    assert again.waiting() == list(enumerate(map(ITEM.validate_json, lines)))[1:]
    assert again.state == outbox.state
    again.add([ending(record)])
    assert json.loads(file.read_text().splitlines()[-1])["kind"] == "end"
    assert Outbox.open(tmp_path / "nothing") is None


def test_an_outbox_that_begins_anew_keeps_the_times_of_the_epochs_alone(record, tmp_path):
    outbox = Outbox.begin(tmp_path / "tracking", ADDRESS, beginning(record))
    epoch = Metrics(values=curve_points(1, {"loss": 0.5}), time_ms=17, is_curve=True)
    outbox.add([*facts(record, None), epoch])
    outbox.mark_sent(0)
    outbox.begin_anew(ADDRESS.model_copy(update={"uri": "http://another"}))
    for again in (outbox, Outbox.open(tmp_path / "tracking")):
        assert again.waiting() == [(0, epoch)]
        assert (again.state.address.uri, again.state.sent) == ("http://another", set())
