"""ServedModelResolver: what it takes for a baseline, and when TFX's cache must forget it."""

import json
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from tfx.orchestration.portable import data_types
from tfx.types import standard_artifacts

from components.served_model_resolver.component import ServedModelDriver, served_identity
from components.served_model_resolver.executor import Executor, ModelContract, find_baseline

CONTRACT = ModelContract(class_names=("pet", "background", "border"), mask_values=(1, 2, 3))
ANY = ModelContract()


@pytest.fixture
def serving(identity_export, tmp_path):
    """A push destination with the one version 17."""
    shutil.copytree(identity_export, tmp_path / "serving" / "17")
    return tmp_path / "serving"


def find(serving, contract=CONTRACT, *, reset=False):
    return find_baseline(str(serving), contract, reset=reset)


def edit_card(serving, **changes):
    card = serving / "17" / "assets.extra" / "petseg_model.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


def test_the_newest_complete_version_is_the_baseline(serving):
    (serving / "18").mkdir()
    found = find(serving)
    assert (found.found, found.version, found.path, found.reason) == (True, "17", str(serving / "17"), "")


def test_nothing_is_served(tmp_path):
    found = find(tmp_path / "nowhere")
    assert (found.found, found.version, found.path) == (False, "", "")
    assert found.reason == f"no model is served in {tmp_path / 'nowhere'}"


def test_a_reset_names_what_it_ignores(serving):
    found = find(serving, reset=True)
    assert (found.found, found.version, found.reason) == (False, "17", "the baseline was reset for this run")


def test_a_newer_model_that_is_broken_is_not_passed_over(serving):
    (serving / "18").mkdir()
    (serving / "18" / "saved_model.pb").write_bytes(b"")
    found = find(serving)
    assert (found.found, found.version) == (False, "18")
    assert found.reason == "it has no assets.extra/petseg_model.json: petseg did not export it"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"class_names": ["pet", "border"]}, "its class_names are ['pet', 'border'], those of this run ['pet', 'back"),
        (
            {"class_names": ["pet", "border", "background"]},
            "its class_names are ['pet', 'border', 'background'], those",
        ),
        ({"mask_values": [0, 1, 2]}, "its mask_values are [0, 1, 2], those of this run [1, 2, 3]"),
        (
            {"class_names": None},
            "its assets.extra/petseg_model.json cannot be read: ValueError: class_names: Input should be a",
        ),
    ],
)
def test_a_model_of_other_classes_is_no_baseline(serving, changes, reason):
    edit_card(serving, **changes)
    assert find(serving, ANY).found == (None not in changes.values()), "other classes are no obstacle to a warm start"
    found = find(serving)
    assert not found.found
    assert found.reason.startswith(reason)


@pytest.mark.parametrize(
    ("card", "contract", "is_compared"),
    [
        ({}, (), True),
        ({"ignore_values": [255]}, (), False),
        ({"ignore_values": [255, 0]}, (0, 255), True),
        ({"ignore_values": [255]}, (0, 255), False),
    ],
)
def test_a_model_that_counted_other_pixels_is_no_baseline(serving, card, contract, is_compared):
    """One that an earlier petseg exported says nothing of it, and knew of none."""
    path = serving / "17" / "assets.extra" / "petseg_model.json"
    content = {name: value for name, value in json.loads(path.read_text()).items() if name != "ignore_values"}
    path.write_text(json.dumps(content | card))
    found = find(serving, CONTRACT.model_copy(update={"ignore_values": contract}))
    assert found.found == is_compared
    if not is_compared:
        assert found.reason == f"its ignore_values are [255], those of this run {list(contract)}"


@pytest.mark.parametrize(
    ("file", "content"),
    [("saved_model.pb", b"no model"), ("variables/variables.index", None), ("variables/variables.index", b"")],
)
def test_a_model_that_cannot_be_loaded_is_no_baseline(serving, file, content):
    path = serving / "17" / file
    path.unlink() if content is None else path.write_bytes(content)
    found = find(serving)
    assert not found.found
    assert found.reason.startswith("it cannot be loaded: ")


def test_a_card_that_is_no_json(serving):
    (serving / "17" / "assets.extra" / "petseg_model.json").write_bytes(b"\xff")
    assert find(serving).reason.startswith("its assets.extra/petseg_model.json cannot be read: ")


def test_a_model_that_is_out_of_reach_ends_the_run(serving, monkeypatch):
    """No baseline would do away with bounds, and caches would keep it."""

    def unavailable(path):
        raise tf.errors.UnavailableError(None, None, "the bucket does not answer")

    monkeypatch.setattr(tf.saved_model, "load", unavailable)
    with pytest.raises(tf.errors.UnavailableError):
        find(serving)
    card = serving / "17" / "assets.extra" / "petseg_model.json"
    card.unlink()
    card.mkdir()
    with pytest.raises(IsADirectoryError):
        find(serving)


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("serving_default", "it has no signature 'evaluation'"),
        ("evaluation", "its signature 'evaluation' has no boundary_intersection, boundary_union"),
    ],
)
def test_a_model_with_another_signature_is_no_baseline(serving, signature, reason):
    module = tf.Module()
    module.answer = tf.function(lambda examples: {"loss": examples}, [tf.TensorSpec([None], tf.float32)])
    card = (serving / "17" / "assets.extra" / "petseg_model.json").read_bytes()
    shutil.rmtree(serving / "17")
    tf.saved_model.save(module, str(serving / "17"), signatures={signature: module.answer})
    (serving / "17" / "assets.extra").mkdir()
    (serving / "17" / "assets.extra" / "petseg_model.json").write_bytes(card)
    assert find(serving).reason.startswith(reason)


def properties(serving, *, reset=0.0):
    destination = json.dumps({"filesystem": {"base_directory": str(serving)}})
    return {"push_destination": destination, "model_contract": CONTRACT.model_dump_json(), "reset": reset}


@pytest.mark.parametrize("reset", [0, 1])
def test_there_is_one_model_always_and_a_file_in_it(serving, tmp_path, reset):
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "model")
    Executor().Do({}, {"model": [model]}, properties(serving, reset=float(reset)))
    said = json.loads(Path(model.uri, "baseline.json").read_text())
    assert said == {
        "found": not reset, "version": "17", "path": str(serving / "17"),
        "reason": "the baseline was reset for this run" if reset else "", "incomparable": False,
    }  # fmt: skip
    assert model.get_int_custom_property("found") == 1 - reset
    assert {name: model.get_string_custom_property(name) for name in ("version", "path", "reason")} == {
        name: said[name] for name in ("version", "path", "reason")
    }
    assert Path(model.uri, "Format-Serving", "saved_model.pb").is_file() is not bool(reset)


@pytest.mark.parametrize(
    ("changes", "reset", "incomparable"),
    [({}, 0, 0), ({"class_names": ["pet", "sky"]}, 0, 1), ({"class_names": ["pet", "sky"]}, 1, 0), (None, 0, 0)],
)
def test_what_is_served_and_cannot_be_compared_with_is_told_from_nothing_and_from_what_is_not_wanted(
    serving, tmp_path, changes, reset, incomparable
):
    if changes is None:
        shutil.rmtree(serving / "17")
    elif changes:
        edit_card(serving, **changes)
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "model")
    Executor().Do({}, {"model": [model]}, properties(serving, reset=float(reset)))
    assert model.get_int_custom_property("incomparable") == incomparable


def test_the_identity_is_that_of_the_newest_version_by_number_and_content(serving):
    first = served_identity(str(serving))
    assert first == served_identity(str(serving))
    shutil.copytree(serving / "17", serving / "18")
    second = served_identity(str(serving))
    assert second != first
    shutil.rmtree(serving / "18")
    assert served_identity(str(serving)) == first
    edit_card(serving, image_size=17)
    assert served_identity(str(serving)) not in (first, second)
    assert served_identity(str(serving / "nowhere")) == ""


def test_the_driver_adds_the_identity_to_what_the_cache_looks_at(serving):
    def added(reset):
        info = data_types.ExecutionInfo(exec_properties=properties(serving, reset=reset))
        return {name: value.string_value for name, value in ServedModelDriver(None).run(info).exec_properties.items()}

    assert added(0) == {"served_model": served_identity(str(serving))}
    assert added(1) == {"served_model": ""}
