"""DriftDetector: what it compares with, what it says, and what it refuses."""

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from component_battery import artifact, execute, given
from data_samples import made_statistics
from tfx.proto import pusher_pb2
from tfx.utils import import_utils

from components.data_statistics import STATISTICS_FILE
from components.drift_detector.artifact import DataDrift
from components.drift_detector.component import DriftDetector, DriftDriver
from components.drift_detector.report import DriftReport
from components.drift_detector.served import DriftSettings, drift_from_served
from components.image_digests import IMAGES_FILE, KnownImage, images_csv
from components.model_pusher.evaluated import EVALUATED_FILE, add_evaluated
from components.model_pusher.ledger import Trial, TrialOutcome, append
from components.model_pusher.origin import Origin
from components.model_pusher.push import PushRecord, push
from components.segmentation_validator.artifact import SegmentationFindings
from trainer_module.drift_config import DriftThresholds
from trainer_module.errors import DataError

THRESHOLDS = DriftThresholds().model_dump()
DARK = made_statistics(seed=2, brightness=0.3)


@pytest.fixture
def serving(tmp_path):
    """A push destination whose one version was trained on `made_statistics()`."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"graph")
    pushed(tmp_path, made_statistics())
    return tmp_path / "serving"


def pushed(tmp_path, statistics):
    content = None if statistics is None else statistics.to_json().encode()
    record = PushRecord(pushed_at=datetime.now(UTC))
    return push(str(tmp_path / "model"), str(tmp_path / "serving"), record, statistics=content).version


IMAGES = {
    "train": [KnownImage(f"aa{number}", f"train {number}.jpg") for number in range(9)],
    "eval": [KnownImage("bb", "watched.jpg")],
    "test": [KnownImage("cc", "asked.jpg")],
}


def detected(tmp_path, statistics, *, action="warn", reset=False, properties=None, **settings):
    """Runs the component and returns the report that it leaves."""
    findings = tmp_path / "findings"
    findings.mkdir()
    (findings / STATISTICS_FILE).write_text(statistics.to_json())
    (findings / IMAGES_FILE).write_text(images_csv(IMAGES))
    destination = pusher_pb2.PushDestination()
    destination.filesystem.base_directory = str(tmp_path / "serving")
    settings = DriftSettings(action=action, thresholds=THRESHOLDS, **{"evaluation_split": "test"} | settings)
    channel = given(SegmentationFindings)
    component = DriftDetector(findings=channel, push_destination=destination, settings=settings, reset=reset)
    found = execute(
        component, tmp_path / "run", {"findings": artifact(SegmentationFindings, findings, **properties or {})}
    )
    return DriftReport.parse(Path(found["drift"].uri, "drift.json").read_bytes())


def test_the_same_data_does_not_drift(serving, tmp_path):
    report = detected(tmp_path, made_statistics(seed=1), action="refuse")
    [version] = serving.glob("[0-9]*")
    assert (report.model, report.reason, report.comparison.drifted) == (str(version), "", [])
    assert report.summary.startswith(f"no drift from version {version.name}: nearest to its bound is ")


def test_other_data_is_told_of(serving, tmp_path):
    report = detected(tmp_path, DARK)
    [version] = serving.glob("[0-9]*")
    [brightness] = report.comparison.drifted
    assert (
        report.summary
        == f"drifted from version {version.name}: brightness {brightness.distance:.3f} > {brightness.bound:.3g}"
    )


def test_other_data_is_refused_with_what_drifted_and_what_to_do(serving, tmp_path):
    with pytest.raises(DataError) as raised:
        detected(tmp_path, DARK, action="refuse")
    [version] = serving.glob("[0-9]*")
    [brightness] = drift_from_served(str(serving), DARK, THRESHOLDS, reset=False).comparison.drifted
    assert str(raised.value).startswith(
        f"the data is not what {version} was trained on: brightness {brightness.distance:.3f} > {brightness.bound:.3g} "
        f"({brightness.before:.3g} → {brightness.now:.3g}). "
    )
    assert 'data.drift.action = "warn"' in str(raised.value)
    left = tmp_path / "refused" / "run-1" / "drift.json"
    assert DriftReport.parse(left.read_bytes()).refusal == str(raised.value)


def test_a_baseline_that_is_reset_is_not_compared_with(serving, tmp_path):
    report = detected(tmp_path, DARK, action="refuse", reset=True)
    assert report.summary == "not compared: the baseline was reset for this run"


@pytest.mark.parametrize("action", ["warn", "refuse"])
def test_nothing_is_served(tmp_path, action):
    report = detected(tmp_path, DARK, action=action)
    assert (report.model, report.summary) == ("", f"not compared: no model is served in {tmp_path / 'serving'}")


def test_a_version_that_keeps_no_statistics_is_not_compared_with(serving, tmp_path):
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"of an earlier petseg")
    version = pushed(tmp_path, None)
    report = drift_from_served(str(serving), DARK, THRESHOLDS, reset=False)
    assert report.model == f"{serving}/{version}"
    assert report.reason == (
        f"{serving}/{version} keeps no statistics of what it was trained on; an earlier version of petseg pushed it"
    )


@pytest.mark.parametrize(("content", "reason"), [("{", "no statistics of data"), ('{"version": 99}', "in version 99")])
def test_statistics_that_cannot_be_read_are_not_compared_with(serving, content, reason):
    [version] = serving.glob("[0-9]*")
    (version / "assets.extra" / "petseg_statistics.json").write_text(content)
    report = drift_from_served(str(serving), DARK, THRESHOLDS, reset=False)
    assert reason in report.reason
    assert not report.comparison.quantities


def test_data_without_the_split_is_not_compared(serving):
    report = drift_from_served(str(serving), made_statistics(split="other"), THRESHOLDS, reset=False)
    assert report.summary == "not compared: there are no examples"


def test_the_report_survives_its_file(serving):
    report = drift_from_served(str(serving), DARK, THRESHOLDS, reset=False)
    assert DriftReport.parse(report.model_dump_json()) == report
    assert json.loads(report.model_dump_json())["comparison"]["reference_examples"] == 200


def evaluated_before(tmp_path, *digests):
    (tmp_path / "serving").mkdir(exist_ok=True)
    add_evaluated(str(tmp_path / "serving"), digests)


def test_images_that_were_evaluated_on_are_not_learnt_from(tmp_path):
    evaluated_before(tmp_path, "cc", "bb", *(f"aa{number}" for number in range(2, 9)), "gone")
    with pytest.raises(DataError) as raised:
        detected(tmp_path, DARK)
    message = str(raised.value)
    names = "'train 2.jpg', 'train 3.jpg', 'train 4.jpg', 'train 5.jpg', 'train 6.jpg', …"
    assert f": 7 of train ({names}); 1 of eval ('watched.jpg'). " in message
    for way_out in ("data.hash_split", 'data.duplicates = "warn"', "--reset-baseline", EVALUATED_FILE):
        assert way_out in message
    left = DriftReport.parse((tmp_path / "refused" / "run-1" / "drift.json").read_bytes())
    assert left.relearnt == {"train": 7, "eval": 1}


@pytest.mark.parametrize("accepted", [{"duplicates": "warn"}, {"reset": True}])
def test_images_that_were_evaluated_on_are_learnt_from_on_demand(tmp_path, accepted):
    evaluated_before(tmp_path, "aa1", "bb")
    report = detected(tmp_path, DARK, **accepted)
    assert report.summary.endswith("; 1 images of train and 1 images of eval were evaluated on before")


@pytest.mark.parametrize("drift", ["off", "refuse"])
def test_they_are_looked_for_whatever_is_to_become_of_drift(tmp_path, drift):
    evaluated_before(tmp_path, "aa1")
    with pytest.raises(DataError, match="1 of train"):
        detected(tmp_path, DARK, action=drift, duplicates="drop")


def test_what_is_evaluated_on_still_is_no_finding(tmp_path):
    evaluated_before(tmp_path, "bb", "cc")
    assert detected(tmp_path, DARK, action="off", evaluation_split="eval").relearnt == {}


def test_a_record_that_grew_has_the_component_look_again(tmp_path, monkeypatch):
    monkeypatch.setattr("components.drift_detector.component.push_directory", lambda _: str(tmp_path / "serving"))
    monkeypatch.setattr(
        "components.served_model_resolver.component.push_directory", lambda _: str(tmp_path / "serving")
    )
    given_info = SimpleNamespace(exec_properties={"reset": 0})
    found = [DriftDriver(None).added_properties(given_info)]
    for digest in ("aa", "bb", "bb"):
        evaluated_before(tmp_path, digest)
        found.append(DriftDriver(None).added_properties(given_info))
    assert [one == other for one, other in itertools.pairwise(found)] == [False, False, True]


REFERENCE = "tiles/1.0.0 test"


@pytest.mark.parametrize(
    ("judged", "is_refused"),
    [
        ([], False),
        ([(REFERENCE, "old")], True),
        ([(REFERENCE, "now")], False),
        ([(REFERENCE, "old"), (REFERENCE, "now"), ("", "old")], False),
        ([(REFERENCE, "now"), (REFERENCE, "old"), ("tiles/1.1.0 test", "now")], True),
    ],
)
def test_a_reference_set_that_has_changed_is_not_frozen(tmp_path, judged, is_refused):
    (tmp_path / "serving").mkdir()
    for reference, digest in judged:
        origin = Origin(reference=reference, digests={"reference": digest})
        at = datetime(2026, 5, 17, tzinfo=UTC)
        event = Trial(at=at, run="run-0", origin=origin, outcome=TrialOutcome.NOT_BLESSED)
        append(str(tmp_path / "serving"), event)
    properties = {"reference_dataset": REFERENCE, "split_digests": json.dumps({"reference": "now", "train": "any"})}

    def look():
        return detected(tmp_path, DARK, action="off", duplicates="warn", reset=True, properties=properties)

    if not is_refused:
        look()
        return
    with pytest.raises(DataError, match=r"tiles/1\.0\.0 test has other .* of run run-0 .* on 2026-05-17.*of its own"):
        look()


def test_kubeflow_finds_the_artifact_type_by_its_name():
    assert import_utils.import_class_by_path(DataDrift.TYPE_NAME) is DataDrift


RETRAIN = {"refuse_lost_classes": True, "evaluation_split": "test"}
BLANK = {"shares": (0, 1, 0)}


@pytest.mark.parametrize("action", ["warn", "refuse", "off"])
def test_data_that_lost_a_class_is_refused_whatever_drift_does(serving, tmp_path, action):
    lost = made_statistics(seed=1, examples=150, shares=(0.3, 0.7, 0))
    with pytest.raises(DataError) as raised:
        detected(tmp_path, lost, action=action, **RETRAIN)
    [version] = serving.glob("[0-9]*")
    assert str(raised.value).startswith(
        "the data has lost what masks are for: no pixel of 'border' is in the 150 images of 'train', and version "
        f"{version.name} had 20,000 in 200 of 200 images there. Nothing is trained on it"
    )
    assert "petseg run --reset-baseline" in str(raised.value)
    assert ("is not what" in str(raised.value)) == (action == "refuse"), "drift is told, too, where it is refused"
    report = DriftReport.parse((tmp_path / "refused" / "run-1" / "drift.json").read_bytes())
    assert report.loss in str(raised.value)
    assert bool(report.comparison.quantities) == (action != "off")


def test_a_run_by_hand_is_not_asked_for_lost_classes(serving, tmp_path):
    assert detected(tmp_path, made_statistics(seed=1, **BLANK)).losses == ()


def test_where_drift_is_off_nothing_but_classes_is_compared(serving, tmp_path):
    report = detected(tmp_path, DARK, action="off", **RETRAIN)
    assert report.summary == 'not compared: data.drift.action is "off"'
    assert (report.losses, report.comparison.quantities) == ((), ())


@pytest.mark.parametrize("served", [True, False])
def test_blank_masks_are_refused_even_where_nothing_is_served(tmp_path, request, served):
    if served:
        request.getfixturevalue("serving")
    with pytest.raises(DataError) as raised:
        detected(tmp_path, made_statistics(examples=50, **BLANK), reset=served, **RETRAIN)
    said = "lost what masks are for: all 50,000 labelled pixels of the 50 images of 'train' are 'background'. Nothing"
    assert said in str(raised.value)


def test_a_baseline_that_is_reset_has_no_classes_to_lose(serving, tmp_path):
    report = detected(tmp_path, made_statistics(shares=(0.3, 0.7, 0)), reset=True, **RETRAIN)
    assert report.summary == "not compared: the baseline was reset for this run"
