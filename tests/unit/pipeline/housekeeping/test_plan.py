"""What goes of a pipeline root, what stays, and why."""

import json
import os
import shutil
from datetime import timedelta

import pytest
from root_of_runs import ALL, ARTIFACT_BYTES, START, RootOfRuns

from components.model_pusher.push import PushRecord
from pipeline.housekeeping.cleaning import clean, look
from pipeline.housekeeping.inventory import take_inventory
from pipeline.housekeeping.plan import Plan, Remains, make_plan
from pipeline.housekeeping.policy import Rules
from pipeline.runs.record import RunRecord
from trainer_module.errors import PetsegError

REPORT_FILES = {"run.json", "config.json", "report.html", "model_card.md"}
ALL_FILES = REPORT_FILES | {"run.log", "progress.jsonl"}


def cleaned(root: RootOfRuns, *overrides: str, **rules) -> Plan:
    config, rules = root.config(*overrides), Rules(**rules)
    plan = look(root.store, config, rules)
    clean(root.store, config, rules, plan)
    return plan


def whole(root: RootOfRuns, run_ids) -> list[str]:
    """Returns the runs all of whose artifacts are there."""
    return [run for run in run_ids if all(root.artifact(run, node).is_dir() for node in ALL)]


def why(plan: Plan, run_id: str) -> str:
    [one] = [one for one in plan.runs if one.run.run_id == run_id]
    return one.stay.reason if one.stay else one.used_by


def test_the_latest_stay_whole_and_of_the_others_the_record_and_the_report(root):
    runs = [root.run() for _ in range(5)]
    plan = cleaned(root, keep=2)
    assert whole(root, runs) == runs[3:]
    assert not any(root.artifact(run, node).exists() for run in runs[:3] for node in ALL)
    assert root.known_runs() == set(runs[3:])
    assert [root.files(run) for run in runs] == [REPORT_FILES] * 3 + [ALL_FILES] * 2
    assert [root.store.record(run).cleaned is not None for run in runs] == [True] * 3 + [False] * 2
    assert why(plan, runs[4]) == "the latest complete run"
    assert why(plan, runs[3]) == "one of the 2 latest"
    assert plan.frees >= 3 * len(ALL) * ARTIFACT_BYTES


def test_cleaning_again_finds_nothing_to_do(root):
    for _ in range(3):
        root.run()
    cleaned(root, keep=1)
    assert look(root.store, root.config(), Rules(keep=1)).is_empty


def test_what_a_kept_run_took_from_the_cache_stays_with_all_that_it_came_from(root):
    source, other = root.run(), root.run(fresh=["Evaluator", "RunReport"])
    newest = root.run(fresh=["Evaluator", "RunReport"])
    plan = cleaned(root, keep=1)
    assert whole(root, [newest]) == [newest]
    assert root.artifact(source, "Trainer") == root.artifact(newest, "Trainer")
    assert not root.artifact(source, "Evaluator").exists()
    assert not root.artifact(other, "Evaluator").exists()
    assert root.known_runs() == {source, newest}, "the executions that made what is kept stay"
    assert why(plan, source) == f"run {newest} took results from it"
    assert root.cached("pets", "Trainer", root.artifact(newest, "Trainer").name)


def test_the_inputs_of_what_made_a_cached_result_stay_though_the_kept_run_does_not_name_them(root):
    """As in a partial run, whose skipped components are linked to it with their outputs alone."""
    source = root.run()
    newest = root.run(fresh=["Evaluator", "RunReport"])
    root.change(newest, nodes=[node for node in json_nodes(root, newest) if node["id"] != "TfdsExampleGen"])
    of_newest = f"SELECT id FROM Execution WHERE name LIKE '{newest} %'"
    root.sql(f"DELETE FROM Event WHERE execution_id IN ({of_newest}) AND artifact_id = 1")
    cleaned(root, keep=1)
    assert root.artifact(source, "TfdsExampleGen").is_dir()


def json_nodes(root: RootOfRuns, run_id: str) -> list[dict]:
    return [node.model_dump(mode="json") for node in root.store.record(run_id).nodes]


def test_the_served_model_keeps_its_run(root):
    runs = [root.run() for _ in range(4)]
    root.push(runs[0], 1)
    root.push(runs[1], 2)
    plan = cleaned(root, keep=1)
    assert whole(root, runs) == [runs[1], runs[3]]
    assert why(plan, runs[1]) == "in use: version 2, which is served"


def test_after_a_rollback_the_run_of_the_restored_model_stays(root):
    runs = [root.run() for _ in range(4)]
    root.push(runs[0], 1)
    root.push(runs[1], 2)
    directory = root.push(runs[0], 3)
    record = PushRecord.of(str(directory)).model_copy(update={"copy_of": 1})
    (directory / "assets.extra" / "petseg_push.json").write_text(record.model_dump_json())
    cleaned(root, keep=1)
    assert whole(root, runs) == [runs[0], runs[3]]


def test_a_version_that_does_not_say_who_pushed_it_is_found_by_the_record(root):
    runs = [root.run() for _ in range(3)]
    directory = root.push("", 7)
    root.change(runs[0], pushed_model=str(directory))
    cleaned(root, keep=1)
    assert whole(root, runs) == [runs[0], runs[2]]


def test_pinned_versions_keep_their_runs(root):
    runs = [root.run() for _ in range(5)]
    for version, run in enumerate(runs[:4]):
        root.push(run, version)
    plan = cleaned(root, "push.pinned_versions=[1]", keep=1)
    assert whole(root, runs) == [runs[1], runs[3], runs[4]]
    assert why(plan, runs[1]) == "in use: version 1, which is pinned"


def test_what_is_pinned_by_the_latest_run_of_another_pipeline_stays(root):
    other = [root.run(pipeline="other", settings=["push.pinned_versions=[1]"]) for _ in range(3)]
    root.push(other[0], 1, "other")
    root.push(other[1], 2, "other")
    root.run()
    cleaned(root, keep=1)
    assert whole(root, other) == other


def test_the_baseline_of_the_newest_evaluation_keeps_its_run(root):
    runs = [root.run() for _ in range(2)]
    version = root.push(runs[0], 1)
    newest = root.run(baseline=str(version))
    root.push(newest, 2)
    plan = cleaned(root, keep=1)
    assert whole(root, [*runs, newest]) == [runs[0], newest]
    assert why(plan, runs[0]) == "in use: the baseline of the newest evaluation, version 1"


def test_a_push_destination_that_cannot_be_read_keeps_everything(root, monkeypatch):
    runs = [root.run() for _ in range(3)]

    def refused(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pipeline.housekeeping.in_use.newest_version", refused)
    with pytest.raises(PetsegError, match=r"nobody can tell what is served in .*pets'.*Permission denied"):
        cleaned(root, keep=1)
    assert whole(root, runs) == runs


def test_runs_that_had_nothing_new_push_out_none_that_trained(root):
    trained = [root.run() for _ in range(2)]
    idle = [root.run(fresh=["RunReport"]) for _ in range(6)]
    cleaned(root, keep=2)
    assert whole(root, trained) == trained
    assert whole(root, idle) == idle[4:]
    assert [root.files(run) == ALL_FILES for run in idle] == [False] * 4 + [True] * 2
    assert {run: root.store.record(run).run_id for run in idle} == {run: run for run in idle}, "records stay"


def test_the_next_run_finds_what_an_unfinished_one_had_finished(root):
    complete = root.run()
    failed = root.run(fails_at="Evaluator")
    stopped = [root.run(fails_at="Trainer") for _ in range(3)]
    plan = cleaned(root, keep=1)
    assert root.artifact(failed, "Trainer").is_dir(), "the newest result of the Trainer"
    assert root.artifact(stopped[2], "TfdsExampleGen").is_dir()
    assert not any(root.artifact(run, "TfdsExampleGen").exists() for run in stopped[:2])
    assert whole(root, [complete]) == [complete]
    assert why(plan, failed) == "it has the newest result of Trainer"
    assert why(plan, stopped[2]) == "the next run may go on from it"


def test_what_an_unfinished_run_left_goes_once_another_was_completed(root):
    failed, complete = root.run(fails_at="Evaluator"), root.run()
    cleaned(root, keep=1)
    assert not root.artifact(failed, "Trainer").exists()
    assert root.files(failed) == ALL_FILES, "its log stays as long as it is the latest that failed"
    assert whole(root, [complete]) == [complete]


def test_a_component_that_left_the_graph_keeps_nothing(root):
    runs = [root.run(), root.run(fails_at="RunReport")]
    for run in runs:
        assert root.artifact(run, "Evaluator").is_dir()
    root.change(runs[1], state="complete", nodes=[n for n in json_nodes(root, runs[1]) if n["id"] != "RunReport"])
    cleaned(root, keep=1)
    assert root.artifact(runs[1], "Evaluator").is_dir()
    assert not root.artifact(runs[0], "RunReport").exists()


def test_younger_runs_stay_whatever_their_number(root, monkeypatch):
    runs = [root.run() for _ in range(6)]
    inventory = take_inventory(root.store, root.config(), None)
    now = START + timedelta(days=5, hours=1)
    plan = make_plan(inventory, Rules(keep=1, older_than=timedelta(days=3)), now)
    assert [one.run.run_id for one in plan.runs if one.stay] == runs[3:]
    assert why(plan, runs[3]) == "younger than 3 days"
    alone = make_plan(inventory, Rules(older_than=timedelta(days=3)), now)
    assert alone.executions == plan.executions


def test_pipelines_are_counted_by_themselves(root):
    ours = [root.run() for _ in range(3)]
    theirs = [root.run(pipeline="other") for _ in range(3)]
    cleaned(root, keep=2)
    assert whole(root, ours + theirs) == ours[1:] + theirs[1:]


def test_a_clock_that_was_set_back_makes_no_old_run_the_newest(root):
    ahead = [root.run(day=400), root.run(day=401)]
    runs = [root.run(day=day) for day in (0, 1, 2)]
    cleaned(root, keep=2)
    assert whole(root, ahead + runs) == runs[1:]


def test_a_root_that_was_moved_is_cleaned_where_it_is(root):
    runs = [root.run() for _ in range(3)]
    models = [root.artifact(run, "Trainer").name for run in runs]
    moved = RootOfRuns(root.root.with_name("moved"))
    shutil.move(root.root, moved.root)
    cleaned(moved, keep=1)
    assert [path.name for path in (moved.store.artifacts("pets") / "Trainer" / "model").iterdir()] == models[2:]


def test_artifacts_of_the_latest_runs_stay_when_the_metadata_was_lost(root):
    old = [root.run() for _ in range(3)]
    root.store.metadata.unlink()
    root.push(old[0], 1)
    cleaned(root, keep=1)
    assert whole(root, old) == [old[0], old[2]]


def test_leftovers_go_but_not_while_a_run_goes_on(root):
    run = root.run(fails_at="Trainer")
    node = root.store.artifacts("pets") / "Trainer"
    half = next((node / "model").iterdir())
    (half / "half_written").write_bytes(b"\1" * 10_000)
    interrupted = node / "model" / ".removing-77"
    refused = root.store.artifacts("pets") / "SegmentationValidator" / "refused"
    never_began = root.store.runs_dir / "20260102-030405-000000"
    prepared, preparing = (root.root / "data" / "tiles" / name for name in ("1.0.0", "incomplete.ABC123_1.0.0"))
    tmp = root.root / "tmp" / "beam"
    others = root.store.runs_dir / "notes"
    for path in (interrupted, refused / run, refused / "20200101-000000-000000", never_began, prepared, preparing, tmp):
        path.mkdir(parents=True)
    others.mkdir()
    old = START.timestamp()
    os.utime(preparing, (old, old))
    with root.store.lock(run):
        assert not cleaned_paths(root) & {half, tmp}
    cleaned(root, keep=1)
    gone = {path for path in (half, interrupted, never_began, preparing, tmp) if not path.exists()}
    assert gone == {half, interrupted, never_began, preparing, tmp}
    assert (refused / run).is_dir()
    assert prepared.is_dir()
    assert others.is_dir()
    root.run()
    root.run(fails_at="Trainer")
    cleaned(root, keep=1)
    assert not (refused / run).exists(), "the run's log went, and so does what it found"


def cleaned_paths(root: RootOfRuns):
    return look(root.store, root.config(), Rules(keep=1)).paths


def checkpoint(root: RootOfRuns, name: str, day: float):
    directory = root.store.checkpoints_dir / f"training-{name}"
    directory.mkdir(parents=True)
    (directory / "checkpoint.npz").write_bytes(b"\1" * 1000)
    time = (START + timedelta(days=day)).timestamp()
    for path in (directory / "checkpoint.npz", directory):
        os.utime(path, (time, time))
    return directory


def test_checkpoints_stay_that_the_next_run_may_resume_from(root):
    root.run(fails_at="Trainer", day=0)
    given_up = checkpoint(root, "a", 0.1)
    root.run(day=1)
    root.run(fails_at="Trainer", day=2)
    older = checkpoint(root, "b", 2.1)
    root.run(fails_at="Trainer", day=3)
    resumable = checkpoint(root, "c", 3.1)
    root.run(fails_at="TfdsExampleGen", day=4)
    cleaned(root, keep=1)
    assert [path.exists() for path in (given_up, older, resumable)] == [False, False, True]


def test_a_bound_takes_the_oldest_reports_then_the_oldest_runs_and_no_more_than_needed(root):
    runs = [root.run() for _ in range(6)]
    root.push(runs[1], 1)
    config = root.config()
    by_number = look(root.store, config, Rules(keep=4))
    enough = look(root.store, config, Rules(keep=4, max_bytes=by_number.left))
    assert enough.paths == by_number.paths
    a_report_less = look(root.store, config, Rules(keep=4, max_bytes=by_number.left - 5000))
    assert [one.remains for one in a_report_less.runs[:2]] == [Remains.RECORD, Remains.ALL], "the other one is served"
    a_run_less = look(root.store, config, Rules(keep=4, max_bytes=a_report_less.left - 5000))
    assert [one.run.run_id for one in a_run_less.runs if one.stay] == [runs[1], *runs[3:]]
    assert not a_run_less.is_too_large
    too_small = look(root.store, config, Rules(keep=4, max_bytes=1000))
    assert [one.run.run_id for one in too_small.runs if one.stay] == [runs[1], runs[5]], "what is never removed"
    assert too_small.is_too_large
    clean(root.store, config, Rules(keep=4, max_bytes=1000), too_small)
    assert whole(root, runs) == [runs[1], runs[5]]


def test_without_a_number_all_stay_that_there_is_room_for(root):
    runs = [root.run() for _ in range(4)] + [root.run(fresh=["RunReport"])]
    config = root.config()
    everything = look(root.store, config, Rules(max_bytes=10**9))
    assert [one.run.run_id for one in everything.runs if one.stay] == runs
    less = look(root.store, config, Rules(max_bytes=everything.left - ARTIFACT_BYTES))
    assert [one.run.run_id for one in less.runs if one.stay] == runs[1:]


def test_a_record_that_cannot_be_read_keeps_a_run_that_is_not_older_than_the_kept(root):
    runs = [root.run() for _ in range(4)]
    for run in (runs[0], runs[3]):
        root.change(run, of_the_future=True)
    plan = cleaned(root, keep=1)
    assert not list(root.store.artifacts("pets").glob("Trainer/model/2")), "older than what is kept"
    assert why(plan, runs[3]) == "nobody knows what it came to: it has no record that can be read"
    assert why(plan, runs[2]) == "the latest complete run"
    assert json.loads((root.store.runs_dir / runs[0] / "run.json").read_text())["of_the_future"]


def test_dry_runs_of_a_package_are_left_alone(root):
    runs = [root.run() for _ in range(3)]
    (root.store.runs_dir / runs[0] / "package.yaml").touch()
    plan = cleaned(root, keep=1)
    assert runs[0] not in {one.run.run_id for one in plan.runs}
    assert root.files(runs[0]) == {*ALL_FILES, "package.yaml"}


def test_what_a_tracker_is_still_to_hear_stays(root):
    runs = [root.run() for _ in range(3)]
    for run, file in ((runs[0], "state.json"), (runs[1], "items.jsonl")):
        (root.store.runs_dir / run / "tracking").mkdir()
        (root.store.runs_dir / run / "tracking" / file).write_text("cannot be read")
    cleaned(root, keep=1, removes_records=True)
    assert root.files(runs[0]) == {"run.json", "tracking"}
    assert root.files(runs[1]) == set()


def test_records_go_when_asked_but_for_those_between_the_kept_runs(root):
    old, old_idle = root.run(), root.run(fresh=["RunReport"])
    kept = root.run()
    idle = [root.run(fresh=["RunReport"]) for _ in range(3)]
    cleaned(root, keep=1, removes_records=True)
    assert root.store.run_ids() == [*reversed(idle), kept]
    assert not (root.store.runs_dir / old).exists()
    assert not (root.store.runs_dir / old_idle).exists()
    assert root.files(idle[0]) == REPORT_FILES


def test_a_record_says_that_it_was_cleaned_and_is_still_one(root):
    run = root.run()
    root.run()
    cleaned(root, keep=1)
    record = RunRecord.load(root.store.runs_dir / run / "run.json")
    assert record.cleaned is not None
    assert record.node("Trainer").outputs == {"model": str(root.artifact(run, "Trainer"))}
