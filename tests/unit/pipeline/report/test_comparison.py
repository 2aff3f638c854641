"""Two runs side by side."""

import json
import re

import numpy as np
import pytest
import report_run

from pipeline.cli import exit_code
from pipeline.report.comparison import compare_runs, headline, unpaired_note
from pipeline.report.comparison_page import comparison_page
from pipeline.report.facts import Missing
from pipeline.report.image_scores import SCORES_FILE, ImageScore
from pipeline.report.page import html


def scores(shift: int, count: int = 60) -> list[ImageScore]:
    """Images of two classes of 100 pixels each; `shift` more of each are right."""
    rights = np.random.default_rng(0).integers(40, 80, count) + shift
    return [score(index, f"{index}.jpg", int(right)) for index, right in enumerate(rights)]


def score(index: int, name: str, right: int) -> ImageScore:
    return ImageScore(name, f"pets-test.tfrecord-00000-of-00001__{index}", index, (right, right, 200, 200))


@pytest.fixture
def runs(tmp_path):
    """Two runs and their directories; `write` gives them scores."""
    records, directories = [], []
    for number, overrides in enumerate((["trainer.seed=1"], ["trainer.seed=2"])):
        directory = tmp_path / "runs" / f"run{number}"
        directory.mkdir(parents=True)
        record = report_run.finished_run(directory, *overrides)
        record.run_id = f"run{number}"
        records.append(record)
        directories.append(directory)
    return records, tuple(directories)


def write(directories, *all_scores):
    for directory, of_run in zip(directories, all_scores, strict=True):
        (directory / SCORES_FILE).write_text("".join(score.to_json() + "\n" for score in of_run))


def metric(comparison, name):
    return next(found for found in comparison.metrics if found.name == name)


@pytest.mark.parametrize("change", [0.02, -0.02])
def test_a_small_change_of_every_image_is_more_than_noise_when_paired(runs, change):
    records, directories = runs
    write(directories, scores(0), scores(round(change * 100)))
    records[1].metrics["accuracy"] = records[0].metrics["accuracy"] + change
    found = metric(compare_runs(*records, directories), "accuracy")
    assert found.difference == pytest.approx(change)
    assert found.difference_interval == pytest.approx((change, change))
    assert found.within_noise is False


def test_changes_that_cancel_out_are_within_noise(runs):
    records, directories = runs
    mixed = [up if index % 2 else down for index, (up, down) in enumerate(zip(scores(5), scores(-5), strict=True))]
    write(directories, scores(0), mixed)
    found = metric(compare_runs(*records, directories), "mean_iou")
    assert found.within_noise is True
    assert found.difference_interval[0] < 0 < found.difference_interval[1]


def test_without_common_images_the_intervals_of_the_runs_decide(runs):
    records, directories = runs
    records[1].metrics |= {"accuracy": 0.9, "accuracy_low": 0.88, "accuracy_high": 0.92}
    comparison = compare_runs(*records, directories)
    assert metric(comparison, "accuracy").within_noise is False
    assert metric(comparison, "mean_iou").within_noise is True
    assert metric(comparison, "loss").within_noise is None
    assert metric(comparison, "iou_border").difference is None


def test_settings_and_images_that_changed_are_told(runs):
    records, directories = runs
    second = scores(0)
    second[7] = score(7, "7.jpg", 0)
    write(directories, scores(0), second)
    comparison = compare_runs(*records, directories)
    assert [(found.key, found.first, found.second) for found in comparison.settings] == [("trainer.seed", "1", "2")]
    changed, *others = comparison.images
    assert (changed.name, changed.second) == ("7.jpg", 0)
    assert changed.difference == -changed.first < 0
    assert {image.difference for image in others} == {0}
    assert comparison.same_data


def test_images_without_labels_are_paired_and_not_compared(runs):
    records, directories = runs
    nothing = ImageScore("none.jpg", "pets-test.tfrecord-00000-of-00001__60", 60, (0, 0, 0, 0))
    assert nothing.mean_iou is None
    write(directories, [*scores(0), nothing], [*scores(2), nothing])
    comparison = compare_runs(*records, directories)
    assert comparison.unpaired == (0, 0)
    assert len(comparison.images) == 60
    assert metric(comparison, "accuracy").difference_interval == pytest.approx((0.02, 0.02))
    assert "NaN" not in json.dumps(comparison.as_json(100))


def test_how_much_is_labelled_is_compared_where_not_all_is(runs):
    records, directories = runs
    for record in records:
        record.metrics |= {"labelled_share": 1.0, "unlabelled_images": 0.0}
    assert "labelled_share" not in [found.name for found in compare_runs(*records, directories).metrics]
    records[1].metrics |= {"labelled_share": 0.75, "unlabelled_images": 2.0}
    assert metric(compare_runs(*records, directories), "labelled_share").difference == -0.25


def test_other_data_is_not_paired_and_said(runs):
    records, directories = runs
    write(directories, scores(0), scores(2))
    records[1].dataset.version = "9.9.9"
    comparison = compare_runs(*records, directories)
    assert not comparison.same_data
    assert metric(comparison, "accuracy").difference_interval is None
    page = html(comparison_page(comparison, Missing("No model.")))
    assert "They evaluated different data" in page
    assert "No model." in page
    assert not re.search(r"https?://", page)


def with_digests(records, first, second):
    for record, digest in zip(records, (first, second), strict=True):
        record.dataset.digests = {"test": digest}


def test_images_of_one_file_name_are_paired_by_their_ids(runs):
    records, directories = runs
    with_digests(records, "d1", "d1")
    equal = [[score(index, "image.jpg", 40 + shift + index % 9) for index in range(12)] for shift in (0, 3)]
    write(directories, equal[0], equal[1][::-1])
    comparison = compare_runs(*records, directories)
    assert {image.name for image in comparison.images} == {f"image.jpg (test 00000__{index})" for index in range(12)}
    assert comparison.unpaired == (0, 0)
    assert metric(comparison, "accuracy").difference_interval == pytest.approx((0.03, 0.03))
    assert unpaired_note(comparison) == ""


def test_images_of_other_data_are_paired_by_names_that_one_alone_has(runs):
    """Ids are positions in the files of one preparation: in other data the same id is another image."""
    records, directories = runs
    with_digests(records, "d1", "d2")
    without_name = ImageScore(*["pets-test.tfrecord-00000-of-00001__9"] * 2, 9, (1, 1, 200, 200))
    names = ["a", "b", "b", "c", "d"], ["x", "c", "a", "b", "d", "d"]
    of_runs = [[score(index, f"{name}.jpg", 40 + index) for index, name in enumerate(run)] for run in names]
    write(directories, *([*of_run, without_name] for of_run in of_runs))
    comparison = compare_runs(*records, directories)
    assert not comparison.same_data, "the version is the same, and what was read is not"
    found = {image.name: (image.first, image.second) for image in comparison.images}
    assert found == {
        "a.jpg": (of_runs[0][0].mean_iou, of_runs[1][2].mean_iou),
        "c.jpg": (of_runs[0][3].mean_iou, of_runs[1][1].mean_iou),
    }
    assert comparison.unpaired == (4, 5)
    assert metric(comparison, "accuracy").difference_interval is None
    assert "4 of the 6 images of the first run and 5 of the 7 of the second" in unpaired_note(comparison)
    assert unpaired_note(comparison) in html(comparison_page(comparison, Missing("No model.")))


def test_scores_of_earlier_versions_are_paired_by_names_that_one_alone_has(runs):
    records, directories = runs
    of_runs = scores(0), scores(2)
    write(directories, *of_runs)
    lines = [
        {"file_name": s.file_name, "example_id": -5 - s.fingerprint, "statistics": s.statistics} for s in of_runs[0]
    ]
    (directories[0] / SCORES_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    comparison = compare_runs(*records, directories)
    assert (len(comparison.images), comparison.unpaired) == (60, (0, 0))
    assert metric(comparison, "accuracy").difference_interval == pytest.approx((0.02, 0.02))
    lines = [line | {"file_name": "image.jpg"} for line in lines]
    (directories[0] / SCORES_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    comparison = compare_runs(*records, directories)
    assert (comparison.images, comparison.unpaired) == ([], (60, 60))
    assert metric(comparison, "accuracy").difference_interval is None


def test_a_run_without_an_evaluation_is_compared_as_far_as_it_goes(runs, tmp_path):
    records, directories = runs
    comparison = compare_runs(report_run.early_failure(tmp_path), records[1], directories)
    assert headline(comparison) == "The mean IoU cannot be compared: it is not known of both runs."
    assert "the first run has no history" in html(comparison_page(comparison, Missing("none")))


def test_the_command_prints_json_and_writes_the_page(runs, tmp_path, capfd):
    records, directories = runs
    for record, directory in zip(records, directories, strict=True):
        record.save(directory / "run.json")
    write(directories, scores(0), scores(2))
    page = tmp_path / "out" / "comparison.html"
    code = exit_code(["compare", "run0", "run1", "--pipeline-root", str(tmp_path), "--json", "--html", str(page)])
    printed = json.loads(capfd.readouterr().out)
    assert code == 0
    assert printed["runs"] == ["run0", "run1"]
    assert {"name", "first", "second", "difference", "within_noise"} <= set(printed["metrics"][0])
    assert len(printed["images"]) == 8
    assert "TfdsExampleGen" in page.read_text()
    assert exit_code(["compare", "run0", "run1", "--pipeline-root", str(tmp_path)]) == 0
    assert "more than noise" in capfd.readouterr().out
