"""Metrics for people: a line of the foremost ones, tables of all."""

import io

import pytest
from rich.console import Console

from pipeline.terminal.tables import headline, labelled_area, metric_tables, readable_metric
from trainer_module.segmentation_metrics import metric_names

NAMES = ("pet", "border")


@pytest.fixture
def metrics():
    return {name: round(0.01 * index, 2) for index, name in enumerate(metric_names(NAMES))}


def _printed(metrics, class_names):
    console = Console(width=100, file=io.StringIO())
    for table in metric_tables(metrics, class_names):
        console.print(table)
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_headline_is_short(metrics):
    expected = "accuracy 0.0000, mean IoU 0.0100, loss 0.0300, IoU pet 0.0600, IoU border 0.0700"
    assert headline(metrics | {"labelled_share": 1.0}) == expected
    assert headline(metrics | {"labelled_share": 0.5}) == f"{expected}, labelled share 0.5000"
    assert headline({"mean_iou": 0.6, "iou_border": None, "ece": 0.1}) == "mean IoU 0.6000, IoU border undefined"


def test_abbreviations_are_written_as_such_and_class_names_as_they_are():
    assert readable_metric("ece") == "ECE"
    assert readable_metric("image_iou_p05") == "image IoU p05"
    assert readable_metric("dice_piece") == "dice piece"


def test_every_metric_is_in_a_table_once(metrics):
    numbers = [word for line in _printed(metrics, NAMES) for word in line if word.startswith("0.")]
    assert sorted(numbers) == sorted(f"{value:.4f}" for name, value in metrics.items() if name != "unlabelled_images")


def test_how_much_is_labelled_is_told_where_not_all_is(metrics):
    lines = _printed(metrics | {"labelled_share": 0.5, "unlabelled_images": 1200.0}, NAMES)
    assert ["labelled", "share", "0.5000"] in lines
    assert ["unlabelled", "images", "1,200"] in lines
    words = {word for line in _printed(metrics | {"labelled_share": 1.0}, NAMES) for word in line}
    assert not {"labelled", "unlabelled"} & words
    assert labelled_area(0.99999) == "99.9%"


def test_intervals_stand_beside_what_they_are_of(metrics):
    lines = _printed(metrics, NAMES)
    low, high = (f"{metrics[f'accuracy_{end}']:.4f}" for end in ("low", "high"))
    assert ["accuracy", "0.0000", low, "to", high] in lines
    assert ["loss", "0.0300"] in lines


def test_a_row_of_each_class_and_undefined_ones_say_so(metrics):
    del metrics["precision_border"]
    assert _printed(metrics, NAMES)[-2:] == [
        ["pet", *(f"{metrics[f'{kind}_pet']:.4f}" for kind in ("iou", "dice", "precision", "recall", "boundary_iou"))],
        ["border", "0.0700", "0.0900", "undefined", "0.1300", f"{metrics['boundary_iou_border']:.4f}"],
    ]


def test_metrics_of_earlier_runs_are_shown_as_far_as_they_go():
    assert _printed({"accuracy": 0.5, "iou_pet": 0.4}, NAMES) == [
        ["metric", "value", "95", "%", "interval"],
        ["accuracy", "0.5000"],
        ["class", "IoU"],
        ["pet", "0.4000"],
        ["border", "undefined"],
    ]
    assert len(metric_tables({"accuracy": 0.5, "iou_pet": 0.4}, ())) == 1
