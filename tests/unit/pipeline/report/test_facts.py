"""What is known of a run."""

import json
import shutil
from pathlib import Path

import report_run

from pipeline.report.facts import Missing, flat_settings, run_facts


def test_a_finished_run_is_known_whole(record):
    facts = run_facts(record)
    assert facts.history.best_epoch == 2
    assert [epoch["val_loss"] for epoch in facts.history.epochs] == [0.8, 0.4, 0.6]
    assert [(found.split, found.examples) for found in facts.statistics] == [("test", 12), ("train", 30)]
    assert facts.statistics[1].values == {"species": {"Dog": 20, "Cat": 10}}
    assert (facts.statistics[0].sizes["image"].least, facts.statistics[0].sizes["image"].most) == (1024, 4096)
    [anomaly] = facts.anomalies
    assert (anomaly.split, anomaly.feature, anomaly.severity) == ("test", "species", "error")
    assert anomaly.description == "Examples contain Ferret | and more."


def test_only_settings_that_differ_from_the_defaults_are_told_first(record):
    changed = {setting.key: (setting.value, setting.default) for setting in run_facts(record).changed_settings}
    assert changed["trainer.epochs"] == ("3", "10")
    assert changed["data.image_size"] == ("64", "128")
    assert "trainer.loss" not in changed
    assert "pipeline.root" not in changed


def test_settings_are_flat_and_empty_tables_stay():
    settings = {"a": {"b": {"c": 1}, "empty": {}}, "list": ["x"], "none": None, "text": "t"}
    expected = {"a.b.c": "1", "a.empty": "{}", "list": '["x"]', "none": "(not set)", "text": "t"}
    assert flat_settings(settings) == expected


def test_what_a_run_did_not_leave_has_a_reason(tmp_path):
    facts = run_facts(report_run.early_failure(tmp_path))
    assert facts.history == Missing("Trainer did not finish: it is pending.")
    assert facts.anomalies == Missing("ExampleValidator did not finish: it is pending.")


def test_what_is_gone_or_damaged_has_a_reason(record):
    shutil.rmtree(record.node("StatisticsGen").outputs["statistics"])
    Path(record.node("Trainer").outputs["model_run"], "history.json").write_text("{}")
    Path(record.node("ExampleValidator").outputs["anomalies"], "Split-test", "SchemaDiff.pb").write_bytes(b"\xff")
    record.nodes = [node for node in record.nodes if node.id != "Evaluator"]
    facts = run_facts(record)
    assert facts.statistics.reason.endswith("is gone.")
    assert "cannot be read: KeyError: 'epochs'" in facts.history.reason
    assert "SchemaDiff.pb of Split-test is damaged" in facts.anomalies.reason


def test_without_an_eval_split_the_best_epoch_is_the_one_with_the_least_loss_on_train(record):
    history = Path(record.node("Trainer").outputs["model_run"], "history.json")
    history.write_text('{"epochs": [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.7}]}')
    assert run_facts(record).history.best_epoch == 1


def test_an_epoch_whose_loss_is_not_finite_is_not_the_best(record):
    history = Path(record.node("Trainer").outputs["model_run"], "history.json")
    history.write_text(
        '{"epochs": [{"epoch": 1, "loss": null}, {"epoch": 2, "loss": 0.7}, {"epoch": 3, "loss": null}]}'
    )
    assert run_facts(record).history.best_epoch == 2


def test_the_best_epoch_is_the_one_with_the_highest_mean_iou_on_eval(record):
    history = Path(record.node("Trainer").outputs["model_run"], "history.json")
    epochs = [{"epoch": 1, "loss": 1, "val_loss": 0.5, "val_mean_iou": 0.6}]
    epochs.append({"epoch": 2, "loss": 1, "val_loss": 0.7, "val_mean_iou": 0.7})
    history.write_text(json.dumps({"epochs": epochs}))
    assert run_facts(record).history.best_epoch == 2
