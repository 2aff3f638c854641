"""ModelPusher pushes what has its blessings, once, and whole."""

import json
import os
import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import tensorflow as tf
from tfx.dsl.components.base import base_executor
from tfx.orchestration.portable import data_types
from tfx.types import standard_artifacts

from components.data_statistics import STATISTICS_FILE
from components.image_digests import IMAGES_FILE, KnownImage, images_csv
from components.model_probe.findings import Findings, Measurements
from components.model_pusher import executor as pusher
from components.model_pusher import files as checksums
from components.model_pusher import version_store
from components.model_pusher.component import PushDriver
from components.model_pusher.evaluated import EVALUATED_FILE, add_evaluated, evaluated_images, record_identity
from components.model_pusher.executor import Executor
from components.model_pusher.files import differences, file_digests, files_below, opened, pushed_content, remote_files
from components.model_pusher.ledger import LEDGER_FILE
from components.model_pusher.origin import Recipe
from components.model_pusher.push import (
    PushRecord,
    PushSettings,
    pushed_statistics,
    remove_version,
    surplus_versions,
)
from components.model_pusher.push import push as push_model
from components.model_pusher.rollback import roll_back
from components.model_pusher.version_store import LOCK_FILE, LocalStore, complete_versions, newest_version, next_version
from components.segmentation_validator.artifact import SegmentationFindings
from trainer_module.errors import ModelError


def write(directory, **files):
    for name, content in ({"saved_model.pb": b"graph", "variables": b"weights"} | files).items():
        path = directory / "v" / name if name == "variables" else directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory


def content_digest(directory):
    return checksums.content_digest(file_digests(str(directory)))


def record(**facts):
    return PushRecord(pushed_at=datetime.now(UTC), **facts)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still at `now`."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(version_store.time, "time", lambda: clock.now)
    return clock


@pytest.fixture
def serving(tmp_path, clock):
    """Versions 100 (model a) and 101 (model b)."""
    for name in ("a", "b"):
        push_model(str(write(tmp_path / name, variables=name.encode())), str(tmp_path / "serving"), record())
    return tmp_path / "serving"


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """The Pusher's inputs, blessed."""
    bound = SimpleNamespace(model_dump=lambda: {"metric": "accuracy", "passed": True})
    result = SimpleNamespace(metrics={"accuracy": 0.9}, verdict=SimpleNamespace(bounds=[bound]))
    monkeypatch.setattr(pusher, "read_evaluation", lambda uri: result)
    artifacts = {
        "model": standard_artifacts.Model(),
        "model_blessing": standard_artifacts.ModelBlessing(),
        "infra_blessing": standard_artifacts.InfraBlessing(),
        "evaluation": standard_artifacts.ModelEvaluation(),
        "findings": SegmentationFindings(),
    }
    for key, artifact in artifacts.items():
        artifact.uri = str(tmp_path / key)
    for key in ("model_blessing", "infra_blessing"):
        artifacts[key].set_int_custom_property("blessed", 1)
    (tmp_path / "infra_blessing").mkdir()
    Findings(refusals=(), measurements=Measurements(load_seconds=1.0), examples=3).save(artifacts["infra_blessing"].uri)
    artifacts["evaluation"].set_string_custom_property("dataset_name", "pets")
    artifacts["evaluation"].set_string_custom_property("dataset_version", "4.0.0")
    write(tmp_path / "model" / "Format-Serving")
    artifacts["evaluation"].set_string_custom_property("evaluated_splits", '["test"]')
    images = {"train": [KnownImage("aa", "a.jpg")], "test": [KnownImage("bb", "b.jpg")]}
    known = images_csv(images | {"reference": [KnownImage("cc", "c.jpg")]}).encode()
    write(tmp_path / "findings", **{STATISTICS_FILE: b'{"version": 1}', IMAGES_FILE: known})
    return {key: [artifact] for key, artifact in artifacts.items()}


@pytest.fixture
def push(tmp_path, inputs):
    """Runs the Pusher, with what its driver added if there was one, and returns the PushedModel."""

    def run(added=None, **settings):
        pushed = standard_artifacts.PushedModel()
        pushed.uri = str(tmp_path / "pushed")
        context = base_executor.BaseExecutor.Context(pipeline_run_id="run-1")
        exec_properties = properties(tmp_path, **settings) | (added or {})
        Executor(context).Do(inputs, {"pushed_model": [pushed]}, exec_properties)
        return pushed

    return run


def properties(tmp_path, **settings):
    destination = json.dumps({"filesystem": {"base_directory": str(tmp_path / "serving")}})
    return {
        "push_destination": destination,
        "custom_config": PushSettings(**settings).model_dump_json(),
        "recipe": Recipe(settings="s", code="c", epochs=8).model_dump_json(),
    }


def driven(inputs, tmp_path):
    """Returns what the driver adds to the properties of an execution."""
    info = data_types.ExecutionInfo(input_dict=inputs, exec_properties=properties(tmp_path))
    return {name: value.string_value for name, value in PushDriver(None).run(info).exec_properties.items()}


def versions(tmp_path):
    return complete_versions(str(tmp_path / "serving"))


def leftovers(directory):
    names = {path.name for path in directory.iterdir() if not path.name.isdecimal()}
    return sorted(names - {LOCK_FILE, LEDGER_FILE, EVALUATED_FILE})


def test_the_same_model_is_pushed_once_and_another_again(push, tmp_path, clock):
    first = push()
    assert first.get_int_custom_property("pushed") == 1
    assert first.get_string_custom_property("pushed_destination") == str(tmp_path / "serving" / "100")
    assert first.get_string_custom_property("pushed_version") == "100"
    clock.now = 103.0
    again = push()
    assert again.get_int_custom_property("pushed") == 0
    assert again.get_string_custom_property("not_pushed_because") == f"{tmp_path}/serving/100 is this model already"
    assert again.get_string_custom_property("already_served") == str(tmp_path / "serving" / "100")
    write(tmp_path / "model" / "Format-Serving", variables=b"other__")
    assert push().get_int_custom_property("pushed") == 1
    assert versions(tmp_path) == [100, 103]


def test_a_version_keeps_the_statistics_of_what_it_was_trained_on(push, inputs, tmp_path, clock):
    push()
    version = tmp_path / "serving" / "100"
    assert (version / "assets.extra" / "petseg_statistics.json").read_bytes() == b'{"version": 1}'
    assert pushed_statistics(str(version)) == b'{"version": 1}'
    assert "is this model already" in push().get_string_custom_property("not_pushed_because"), "they are not the model"
    (version / "assets.extra" / "petseg_statistics.json").write_bytes(b"{}")
    assert differences(str(version)) == ["assets.extra/petseg_statistics.json has changed"]


def test_statistics_come_back_with_a_rollback(tmp_path, clock):
    base = str(tmp_path / "serving")
    for name, statistics in (("a", b"of a"), ("b", None)):
        push_model(str(write(tmp_path / name, variables=name.encode())), base, record(), statistics=statistics)
    assert [pushed_statistics(f"{base}/{version}") for version in (100, 101)] == [b"of a", None]
    assert roll_back(base) == 102
    assert pushed_statistics(f"{base}/102") == b"of a"
    assert differences(f"{base}/102") == []


def test_a_version_says_when_and_why_it_was_pushed(push, inputs, tmp_path, clock):
    inputs["model_blessing"][0].set_string_custom_property("forced_because", "leak")
    push()
    said = PushRecord.of(str(tmp_path / "serving" / "100"))
    assert (said.run, said.dataset, said.dataset_version) == ("run-1", "pets", "4.0.0")
    assert (said.metrics, said.thresholds) == ({"accuracy": 0.9}, [{"metric": "accuracy", "passed": True}])
    assert (said.probe["measurements"]["load_seconds"], said.forced_because) == (1.0, "leak")
    assert said.pushed_at.tzinfo is not None
    assert differences(str(tmp_path / "serving" / "100")) == []
    assert Path(inputs["model"][0].uri, "Format-Serving", "assets.extra").exists() is False


@pytest.mark.parametrize(
    ("key", "reason"),
    [("model_blessing", "the model is not blessed"), ("infra_blessing", "the probe refused the model")],
)
def test_nothing_is_pushed_without_both_blessings(push, inputs, tmp_path, key, reason):
    inputs[key][0].set_int_custom_property("blessed", 0)
    refused = push()
    assert refused.get_int_custom_property("pushed") == 0
    assert refused.get_string_custom_property("not_pushed_because") == reason
    assert versions(tmp_path) == []


def test_a_model_needs_the_blessing_of_the_reference_set_too(push, inputs, tmp_path):
    for key, kind in (
        ("blessing", standard_artifacts.ModelBlessing),
        ("evaluation", standard_artifacts.ModelEvaluation),
    ):
        inputs[f"reference_{key}"] = [kind()]
    refused = push()
    assert refused.get_string_custom_property("not_pushed_because") == "the model is not blessed on the reference set"
    [blessing] = inputs["reference_blessing"]
    blessing.set_int_custom_property("blessed", 1)
    blessing.set_string_custom_property("forced_because", "the reference set is of last year")
    assert push().get_int_custom_property("pushed") == 1
    [version] = versions(tmp_path)
    told = PushRecord.of(str(tmp_path / "serving" / str(version)))
    assert told.reference_metrics == {"accuracy": 0.9}
    assert told.forced_because == "the reference set is of last year"


@pytest.mark.parametrize("blessed", [0, 1])
def test_what_a_model_was_evaluated_on_is_recorded_whatever_becomes_of_it(push, inputs, tmp_path, blessed):
    inputs["model_blessing"][0].set_int_custom_property("blessed", blessed)
    serving = tmp_path / "serving"
    write(serving, **{EVALUATED_FILE: b"dd\n"})
    push()
    assert evaluated_images(str(serving)) == {"bb", "cc", "dd"}
    assert (serving / EVALUATED_FILE).read_text() == "bb\ncc\ndd\n"
    assert not [path for path in serving.iterdir() if path.name.startswith(f".{EVALUATED_FILE}")]


def test_the_settings_bound_the_number_of_versions(push, tmp_path, clock):
    for content in (b"1", b"2", b"3", b"4"):
        write(tmp_path / "model" / "Format-Serving", variables=content)
        push(keep_versions=2, pinned_versions=(100,))
    assert versions(tmp_path) == [100, 102, 103]
    assert leftovers(tmp_path / "serving") == []


def test_the_cache_is_asked_only_where_a_push_would_do_nothing(inputs, push, tmp_path, clock):
    def now():
        return driven(inputs, tmp_path)["situation"]

    assert now() != now(), "nothing is served"
    push()
    assert now() == now() == f"{tmp_path}/serving/100 is this model"
    shutil.rmtree(tmp_path / "serving" / "100")
    assert now() != now(), "the version was deleted"
    push()
    write(tmp_path / "model" / "Format-Serving", variables=b"other__")
    assert now() != now(), "another model is served"
    push()
    assert now() == now()
    (tmp_path / "serving" / str(versions(tmp_path)[-1]) / "v" / "variables").write_bytes(b"damaged")
    assert now() != now(), "the version was damaged"
    inputs["model_blessing"][0].set_int_custom_property("blessed", 0)
    assert now() == now() == "not blessed"


@pytest.fixture
def read(monkeypatch):
    """Collects the files whose digests are computed."""
    paths, original = [], checksums._digest
    monkeypatch.setattr(checksums, "_digest", lambda path: paths.append(path) or original(path))
    return paths


def test_a_run_reads_the_new_model_once_and_the_served_one_not_at_all(push, inputs, tmp_path, clock, read):
    push()
    served, model = str(tmp_path / "serving" / "100"), write(tmp_path / "model" / "Format-Serving", variables=b"other")
    read.clear()
    assert pushed_content(served) != "", "as the resolver's driver asks"
    push(driven(inputs, tmp_path))
    assert read == [f"{model}/saved_model.pb", f"{model}/v/variables"]
    assert versions(tmp_path) == [100, 101]
    assert all(differences(f"{tmp_path}/serving/{version}") == [] for version in (100, 101))


@pytest.mark.parametrize("checksums_file", ["absent", "damaged", "pushed"])
def test_a_version_is_known_by_its_content_whatever_petseg_pushed_it(serving, tmp_path, read, checksums_file):
    """The first petsegs wrote no checksums; versions that others put there have none either."""
    before = content_digest(serving / "101")
    file = serving / "101" / "assets.extra" / "petseg_checksums.json"
    if checksums_file == "absent":
        file.unlink()
    if checksums_file == "damaged":
        file.write_bytes(b"{}")
    read.clear()
    assert pushed_content(str(serving / "101")) == before
    assert (read == []) is (checksums_file == "pushed")
    assert "is this model already" in push_model(str(tmp_path / "b"), str(serving), record()).reason


def test_a_damaged_version_is_not_taken_for_the_model_it_was(serving, tmp_path):
    (serving / "101" / "v" / "variables").write_bytes(b"x")
    assert push_model(str(tmp_path / "b"), str(serving), record()).version == 102
    (serving / "102" / "v" / "variables").write_bytes(b"x")
    assert roll_back(str(serving), 100) == 103
    refused = push_model(str(tmp_path / "b"), str(serving), record())
    assert "version 102, this model, was rolled back" in refused.reason


def test_the_newest_version_is_the_highest_complete_number(tmp_path):
    assert newest_version(str(tmp_path / "nowhere")) is None
    for name in ("9", "10", "final"):
        write(tmp_path / name)
    for name in ("11", "012", ".13", "٣"):
        (tmp_path / name).mkdir()
    assert newest_version(str(tmp_path)) == str(tmp_path / "10")
    assert complete_versions(str(tmp_path)) == [9, 10]
    assert complete_versions(str(tmp_path / "nowhere")) == []


def test_numbers_grow_whatever_the_clock_says(tmp_path):
    assert next_version(str(tmp_path), 100.9) == 100
    for name in ("100", "205"):
        (tmp_path / name).mkdir()
    assert [next_version(str(tmp_path), now) for now in (50.0, 205.0, 206.5)] == [206, 206, 206]


@pytest.mark.parametrize(
    ("keep", "pinned", "gone"),
    [(None, (), []), (9, (), []), (2, (), [1, 2, 3]), (1, (2, 5), [1, 3, 4]), (0, (), [1, 2, 3, 4])],
)
def test_the_newest_and_the_pinned_stay(keep, pinned, gone):
    assert surplus_versions([1, 2, 3, 4, 5], keep, pinned) == gone
    assert surplus_versions([], keep, pinned) == []


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"variables": b"weighty"}, False),
        ({"variables": b"weights and more"}, False),
        ({"extra": b""}, False),
        ({"assets.extra/petseg_push.json": b"{}", "assets.extra/petseg_checksums.json": b"{}"}, True),
        ({"assets.extra/petseg_model.json": b"{}"}, False),
    ],
)
def test_models_are_compared_by_name_and_content_of_their_files(tmp_path, change, same):
    one, other = write(tmp_path / "one"), write(tmp_path / "other", **change)
    (one / "assets").mkdir()
    assert (content_digest(one) == content_digest(other)) is same


def test_every_difference_is_named(serving):
    version = serving / "101"
    (version / "v" / "variables").write_bytes(b"c")
    (version / "saved_model.pb").unlink()
    (version / "more").write_bytes(b"")
    said = version / "assets.extra" / "petseg_push.json"
    said.write_bytes(said.read_bytes().replace(b'"run": ""', b'"run": "x"'))
    assert differences(str(version)) == [
        "saved_model.pb is missing",
        "more was not pushed",
        "assets.extra/petseg_push.json has changed",
        "v/variables has changed",
    ]


def test_a_version_without_checksums_cannot_be_verified(serving):
    (serving / "101" / "assets.extra" / "petseg_checksums.json").unlink()
    with pytest.raises(ModelError, match=r"cannot be verified: it has no assets\.extra/petseg_checksums\.json"):
        differences(str(serving / "101"))


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"sha256": 1}', b"\xff"])
def test_checksums_that_cannot_be_read_are_damage(serving, content):
    (serving / "101" / "assets.extra" / "petseg_checksums.json").write_bytes(content)
    [line] = differences(str(serving / "101"))
    assert line.startswith("assets.extra/petseg_checksums.json has changed, and cannot be read")


def fork(action):
    """Runs something in a child process, and returns its id."""
    child = os.fork()
    if not child:
        try:
            action()
        except BaseException:  # noqa: BLE001 (the child must not return into pytest)
            os._exit(1)
        os._exit(0)
    return child


def kill_at(owner, name, number):
    """Has the process kill itself before the n-th call of a function."""
    original, calls = getattr(owner, name), iter(range(1, 1000))

    def dying(*args, **kwargs):
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, name, dying)


MOMENTS = [(os, "fsync", number) for number in range(1, 9)]
MOMENTS += [(shutil, "copyfileobj", number) for number in range(1, 5)]
MOMENTS += [(Path, "rename", 1), (Path, "rename", 2), (shutil, "rmtree", 1)]


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"{moment[1]}-{moment[2]}")
def test_a_push_killed_at_any_moment_leaves_whole_versions_and_the_next_one_completes(serving, tmp_path, moment):
    model = str(write(tmp_path / "c", variables=b"c"))

    def dying_push():
        kill_at(*moment)
        push_model(model, str(serving), record(), keep=2)

    _, status = os.waitpid(fork(dying_push), 0)
    assert os.WIFSIGNALED(status), "the moment never came"
    seen = [path.name for path in serving.iterdir() if path.name.isdecimal()]
    assert set(seen) <= {"100", "101", "102"}
    assert {"101"} <= set(seen)
    assert all(differences(str(serving / name)) == [] for name in seen)
    # What the dead one pushed to the end is served; else the next run pushes it.
    outcome = push_model(model, str(serving), record(), keep=2)
    assert (outcome.version is None) == ("102" in seen)
    assert newest_version(str(serving)) == str(serving / "102")
    assert differences(str(serving / "102")) == []
    assert leftovers(serving) == []


def test_what_the_living_make_is_left_alone(serving, tmp_path):
    """The second push waits for the first: it has not removed what the first was about to rename."""
    begun, go_on = os.pipe(), os.pipe()
    model = str(write(tmp_path / "slow", variables=b"slow"))

    def slow_push():
        original = LocalStore._rename_to_number

        def wait(store, staging):
            os.write(begun[1], b"x")
            os.read(go_on[0], 1)
            return original(store, staging)

        LocalStore._rename_to_number = wait
        push_model(model, str(serving), record())

    slow = fork(slow_push)
    os.read(begun[0], 1)
    quick = fork(lambda: push_model(str(write(tmp_path / "quick", variables=b"q")), str(serving), record()))
    time.sleep(0.5)
    seen, in_the_making = complete_versions(str(serving)), leftovers(serving)
    os.write(go_on[1], b"x")
    assert (seen, len(in_the_making)) == ([100, 101], 1)
    assert [os.waitpid(child, 0)[1] for child in (slow, quick)] == [0, 0]
    contents = [(serving / str(version) / "v" / "variables").read_bytes() for version in (102, 103)]
    assert contents == [b"slow", b"q"]


def test_pushers_at_once_get_numbers_of_their_own(serving, tmp_path):
    models = [str(write(tmp_path / f"m{index}", variables=bytes([index]))) for index in range(6)]
    children = [fork(lambda model=model: push_model(model, str(serving), record())) for model in models]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
    assert complete_versions(str(serving)) == list(range(100, 108))
    assert all(differences(str(serving / str(version))) == [] for version in range(100, 108))


def test_a_loss_that_is_infinite_does_not_make_the_record_unreadable(tmp_path):
    model, base = str(write(tmp_path / "c")), str(tmp_path / "serving")
    version = push_model(model, base, record(metrics={"loss": float("inf")}, run="x")).version
    said = PushRecord.of(f"{base}/{version}")
    assert (said.run, said.metrics) == ("x", {"loss": None})


def test_a_number_that_was_taken_meanwhile_is_left_to_who_took_it(serving, tmp_path, monkeypatch):
    numbers = iter([101, 102])
    monkeypatch.setattr(version_store, "next_version", lambda base, now: next(numbers))
    assert push_model(str(write(tmp_path / "c", variables=b"c")), str(serving), record()).version == 102
    assert (serving / "101" / "v" / "variables").read_bytes() == b"b"


def test_without_locks_nothing_of_others_is_removed(serving, tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(version_store.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(version_store.fcntl, "flock", no_locks)
    (serving / ".pushing-other").mkdir()
    assert push_model(str(write(tmp_path / "c", variables=b"c")), str(serving), record()).version == 102
    assert leftovers(serving) == [".pushing-other"]


def test_a_rollback_is_a_copy_under_a_new_number_and_lasts(serving, tmp_path):
    before = content_digest(serving / "100")
    assert roll_back(str(serving)) == 102
    assert content_digest(serving / "102") == before
    assert differences(str(serving / "102")) == []
    said = PushRecord.of(str(serving / "102"))
    assert (said.copy_of, said.withdrawn.version) == (100, 101)
    refused = push_model(str(tmp_path / "b"), str(serving), record())
    assert refused.version is None
    assert refused.reason == "version 101, this model, was rolled back; `petseg models rollback 101` undoes that"
    assert push_model(str(write(tmp_path / "c", variables=b"c")), str(serving), record()).version == 103
    assert push_model(str(tmp_path / "b"), str(serving), record()).version is None, "also once another one was pushed"
    assert roll_back(str(serving), 101) == 104
    assert push_model(str(tmp_path / "b"), str(serving), record()).reason == f"{serving}/104 is this model already"
    assert push_model(str(write(tmp_path / "d", variables=b"d")), str(serving), record()).version == 105
    assert push_model(str(tmp_path / "b"), str(serving), record()).version == 106, "it was brought back"


def test_force_overrules_a_rollback(serving, tmp_path):
    roll_back(str(serving), 100)
    assert push_model(str(tmp_path / "b"), str(serving), record(forced_because="it was right")).version == 103


def test_what_cannot_be_brought_back_is_refused(serving, tmp_path):
    with pytest.raises(ModelError, match=r"no complete version 7 in .*; there are \[100, 101\]"):
        roll_back(str(serving), 7)
    with pytest.raises(ModelError, match=r"version 101, the newest in .*, is that model already"):
        roll_back(str(serving), 101)
    (serving / "100" / "v" / "variables").write_bytes(b"x")
    with pytest.raises(ModelError, match="is not as it was pushed, and is not brought back: v/variables has changed"):
        roll_back(str(serving))
    remove_version(str(serving), 100)
    with pytest.raises(ModelError, match=r"nothing to go back to in .*: \[101\]"):
        roll_back(str(serving))
    assert complete_versions(str(serving)) == [101]


def test_an_object_store_gets_the_graph_last_and_loses_it_first(tmp_path, clock, monkeypatch):
    """TensorFlow's file system in memory stands in: like an object store it has no locks and no atomic renames."""
    base, seen = f"ram://{tmp_path.name}/serving", []
    for name in ("copy", "remove", "rmtree"):
        original = getattr(tf.io.gfile, name)

        def spy(*args, _name=name, _original=original):
            seen.append((_name, args[-1].rpartition("/")[2], complete_versions(base)))
            return _original(*args)

        monkeypatch.setattr(tf.io.gfile, name, spy)
    model = str(write(tmp_path / "c"))
    assert push_model(model, base, record()).version == 100
    assert seen == [("copy", "variables", []), ("copy", "saved_model.pb", [])]
    assert differences(f"{base}/100") == []
    assert "is this model already" in push_model(model, base, record()).reason
    seen.clear()
    write(tmp_path / "c", variables=b"new")
    assert push_model(model, base, record(), keep=1).version == 101
    assert seen[2:] == [("remove", "saved_model.pb", [100, 101]), ("rmtree", "100", [101])]
    assert complete_versions(base) == [101]


def test_an_object_store_keeps_what_was_evaluated_on(tmp_path):
    base = f"ram://{tmp_path.name}/serving"
    tf.io.gfile.makedirs(base)
    assert (evaluated_images(base), record_identity(base)) == (frozenset(), "")
    add_evaluated(base, ["bb"])
    first = record_identity(base)
    add_evaluated(base, ["aa", "bb"])
    assert evaluated_images(base) == {"aa", "bb"}
    assert record_identity(base) not in ("", first)
    assert complete_versions(base) == []


def test_a_record_of_evaluated_images_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / EVALUATED_FILE).mkdir()
    with pytest.raises(ModelError, match=f"evaluated on before, '.*{EVALUATED_FILE}', cannot be read"):
        add_evaluated(str(tmp_path), ["aa"])


def test_an_object_store_fails_as_a_directory_does(tmp_path):
    base = f"ram://{tmp_path.name}/nowhere"
    with pytest.raises(FileNotFoundError), opened(f"{base}/file") as file:
        file.read()
    with pytest.raises(OSError, match="is not implemented"), remote_files():
        raise tf.errors.UnimplementedError(None, None, "it is not implemented")
    assert PushRecord.of(base) is None
    assert files_below(base) == []
    with pytest.raises(ModelError, match="cannot be verified"):
        differences(base)


def test_files_are_found_through_links_and_none_is_passed_over(tmp_path):
    write(tmp_path / "model")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "more").touch()
    (tmp_path / "model" / "w").symlink_to(tmp_path / "linked")
    assert files_below(f"{tmp_path}/model/") == ["saved_model.pb", "v/variables", "w/more"]
    assert files_below(str(tmp_path / "nowhere")) == files_below(f"{tmp_path}/model/saved_model.pb") == []


def test_a_directory_that_cannot_be_read_is_no_empty_one(tmp_path, monkeypatch):
    write(tmp_path / "model")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("/v"):
            raise PermissionError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        files_below(str(tmp_path / "model"))


def modes(directory) -> dict[str, str]:
    return {str(path.relative_to(directory)): oct(path.stat().st_mode & 0o777) for path in directory.rglob("*")}


@pytest.fixture
def private_umask():
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_everybody_may_read_a_version_whatever_the_umask(tmp_path, clock, private_umask, caplog):
    base = tmp_path / "closed" / "serving" / "pets"
    base.parents[1].mkdir()
    push_model(str(write(tmp_path / "a", variables=b"a")), str(base), record())
    clock.now += 1
    push_model(str(write(tmp_path / "b", variables=b"b")), str(base), record())
    roll_back(str(base))
    found = modes(base.parent)
    directories = ("", "/v", "/assets.extra")
    files = ("/saved_model.pb", "/v/variables", "/assets.extra/petseg_push.json", "/assets.extra/petseg_checksums.json")
    assert found.pop("pets") == "0o755"
    found.pop(f"pets/{LOCK_FILE}")
    assert found.pop(f"pets/{LEDGER_FILE}") == "0o644"
    assert found == {
        f"pets/{version}{name}": mode
        for version in complete_versions(str(base))
        for names, mode in ((directories, "0o755"), (files, "0o644"))
        for name in names
    }
    assert len(complete_versions(str(base))) == 3
    assert not any(differences(f"{base}/{version}") for version in complete_versions(str(base)))
    assert oct(base.parent.stat().st_mode & 0o777) == "0o755"
    assert oct(base.parents[1].stat().st_mode & 0o777) == "0o700", "what petseg did not make is left as it is"
    assert f"cannot enter {base.parents[1]}, which leads to {base}" in caplog.text


def test_more_than_reading_is_not_taken_away(tmp_path, clock):
    before = os.umask(0o002)
    try:
        push_model(str(write(tmp_path / "a")), str(tmp_path / "serving"), record())
    finally:
        os.umask(before)
    assert {*modes(tmp_path / "serving" / "100").values()} == {"0o775", "0o664"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_server_of_another_user_reads_what_was_pushed_under_a_private_umask(tmp_path, clock, private_umask):
    base = tmp_path / "serving"
    push_model(str(write(tmp_path / "a", variables=b"a")), str(base), record())
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    for file in ("saved_model.pb", "v/variables", "assets.extra/petseg_push.json"):
        # From there, since directories above, which pytest made, are closed.
        read = subprocess.run(["cat", f"100/{file}"], cwd=base, capture_output=True, check=True, **nobody)
        assert read.stdout == (base / "100" / file).read_bytes()
