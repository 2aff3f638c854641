"""The record of a run and its JSON."""

import json

import pytest

from components.model_evaluator.gate import BoundResult
from pipeline.config.loading import load_config
from pipeline.runs.record import DatasetRecord, NodeRecord, NodeState, RunRecord, RunState
from trainer_module.errors import PetsegError


@pytest.fixture
def record(tmp_path) -> RunRecord:
    record = RunRecord.begin("20260101-000000-000000", load_config(preset="blog"), tmp_path / "run.log")
    record.nodes = [NodeRecord(id="A", state=NodeState.COMPLETE, seconds=1.5), NodeRecord(id="B"), NodeRecord(id="C")]
    record.dataset = DatasetRecord(name="pets", version="1.0.0", splits={"train": 10})
    record.thresholds = [BoundResult(metric="accuracy", kind="min", bound=0.5, value=0.6, passed=True)]
    record.metrics = {"accuracy": 0.6}
    return record


def test_the_json_has_what_scripts_rely_on(record):
    values = json.loads(record.model_dump_json())
    names = "run_id pipeline preset state started seconds dataset nodes parameters settings metrics slices thresholds"
    names += " findings dropped_examples drift model_card is_canary tracking decision not_pushed cleaned"
    names += " served_metrics comparison reference"
    names += (
        " distributions blessed force_blessed baseline probe pushed_model deployed_model environment report log error"
    )
    assert set(values) == set(names.split())
    assert values["dataset"] == {
        "name": "pets", "version": "1.0.0", "splits": {"train": 10}, "digests": {}, "class_pixels": {},
        "not_labelled_pixels": {}, "date_ranges": {},
    }  # fmt: skip
    assert values["nodes"][0] == {"id": "A", "state": "complete", "seconds": 1.5, "summary": "", "outputs": {}}
    assert values["thresholds"] == [
        {"metric": "accuracy", "kind": "min", "bound": 0.5, "value": 0.6, "passed": True, "slice": {}, "examples": None,
         "unlabelled_examples": 0, "labelled_share": None, "baseline": None, "change": None, "within_noise": None,
         "gated": True}
    ]  # fmt: skip
    assert values["settings"]["trainer"]["batch_size"] == 64
    assert (values["pipeline"], values["preset"]) == ("petseg-blog", "blog")


def test_undefined_numbers_are_null(record):
    record.metrics = {"iou_pet": float("nan")}
    record.slices = [{"slice": {"species": "cat"}, "examples": 1, "metrics": {"iou_pet": float("nan")}}]
    values = json.loads(record.model_dump_json(), parse_constant=pytest.fail)
    assert values["metrics"] == {"iou_pet": None}
    assert values["slices"][0]["metrics"] == {"iou_pet": None}


def test_a_saved_record_is_read_back_and_leaves_no_other_file(record, tmp_path):
    file = tmp_path / "run.json"
    record.save(file)
    record.blessed = True
    record.save(file)
    assert RunRecord.load(file) == record
    assert list(tmp_path.iterdir()) == [file]


def test_a_record_of_an_earlier_version_is_read(record, tmp_path):
    file = tmp_path / "run.json"
    values = json.loads(record.model_dump_json())
    for name in ("distributions", "environment", "report", "force_blessed", "baseline", "probe"):
        del values[name]
    for node in values["nodes"]:
        del node["outputs"]
    [bound] = values["thresholds"]
    values["thresholds"] = [{name: bound[name] for name in ("metric", "kind", "bound", "value", "passed")}]
    file.write_text(json.dumps(values))
    assert RunRecord.load(file) == record


def test_a_record_that_cannot_be_read_is_named(tmp_path):
    file = tmp_path / "run.json"
    with pytest.raises(PetsegError, match="No such file"):
        RunRecord.load(file)
    file.write_text('{"run_id": "x"}')
    with pytest.raises(PetsegError, match=r"run\.json' is no run record of this version"):
        RunRecord.load(file)


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.INTERRUPTED])
def test_the_running_component_shares_the_end_of_the_run(record, state):
    record.node("B").state = NodeState.RUNNING
    record.finish(state, "why")
    assert [node.state.value for node in record.nodes] == ["complete", state.value, "pending"]
    assert (record.state, record.error) == (state, "why")
    with pytest.raises(KeyError):
        record.node("D")


@pytest.mark.parametrize(
    ("ranges", "told"),
    [
        ({}, ""),
        ({"train": (20786, 20786), "test": (20786, 20786)}, "; of 2026-11-29"),
        ({"train": (20697, 20786), "test": (20697, 20786)}, "; of 2026-09-01 to 2026-11-29"),
        ({"train": (20780, 20786), "test": (20786, 20786)}, "; train of 2026-11-23 to 2026-11-29, test of 2026-11-29"),
    ],
)
def test_the_data_in_one_line(ranges, told):
    record = DatasetRecord(name="tiles", version="1.1.0", splits={"train": 1200, "test": 4}, date_ranges=ranges)
    assert record.summary == f"tiles 1.1.0: 1,200 train, 4 test{told}"
