"""The charts, by what they say."""

import re
from xml.etree import ElementTree

import report_run

from pipeline.report import charts


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def titles(svg: str) -> list[str]:
    return [element.text for element in parsed(svg).iter("title")]


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in parsed(svg).iter("text")]


def test_a_learning_curve_has_every_epoch_of_both_splits_and_the_best():
    svg = charts.learning_curve("c", "loss", report_run.EPOCHS, 2)
    expected = [f"train, epoch {n}: {value}" for n, value in ((1, "0.9000"), (2, "0.5000"), (3, "0.4000"))]
    assert titles(svg) == expected + [
        f"eval, epoch {n}: {value}" for n, value in ((1, "0.8000"), (2, "0.4000"), (3, "0.6000"))
    ]
    assert "best epoch: 2" in texts(svg)


def test_a_history_without_an_eval_split_is_drawn():
    assert titles(charts.learning_curve("c", "loss", [{"epoch": 1, "loss": 0.5}], None)) == ["train, epoch 1: 0.5000"]


def test_a_confusion_matrix_says_counts_and_shares_of_the_true_class():
    svg = charts.confusion_chart("m", [[80, 20, 0], [10, 190, 0], [0, 0, 0]], ("pet", "background", "border"))
    assert "true pet, predicted background: 20 pixels, 20.00% of pet" in titles(svg)
    assert "true border, predicted pet: 0 pixels, 0.00% of border" in titles(svg)
    assert len(titles(svg)) == 9
    assert {"95.0%", "190"} <= set(texts(svg))


def test_a_large_confusion_matrix_has_its_numbers_in_titles_only():
    names = [f"class{index}" for index in range(20)]
    svg = charts.confusion_chart("m", [[1] * 20] * 20, names)
    assert len(titles(svg)) == 400
    assert "5.0%" not in texts(svg)


def test_a_reliability_diagram_has_the_bins_that_hold_pixels():
    svg = charts.reliability_chart("r", [0, 100, 300], [0.0, 55.0, 270.0], [0, 60, 240])
    assert titles(svg) == [
        "confidence 55.0% on average, right 60.0%; 100 pixels (25.0%)",
        "confidence 90.0% on average, right 80.0%; 300 pixels (75.0%)",
    ]


def test_the_other_charts_say_their_numbers():
    assert titles(charts.image_iou_chart("i", [1, 3]))[1] == "mean IoU 0.50 to 1.00: 3 images"
    assert titles(charts.seconds_chart("s", [("Trainer", 12.34, "cached")])) == ["Trainer: 12.3 s, cached"]
    assert titles(charts.label_chart("l", "species", {"train": {"Dog": 0.75}})) == ["train: 75.0% Dog"]
    assert titles(charts.class_iou_chart("k", ["pet"], [0.5], [0.25])) == [
        "IoU of pet: 0.5000",
        "boundary IoU of pet: 0.2500",
    ]
    runs = {"first": report_run.EPOCHS, "second": [{"epoch": 1, "loss": 0.3}]}
    assert titles(charts.compared_curves("d", "loss", runs))[-2:] == [
        "first, epoch 3: 0.6000",
        "second, epoch 1: 0.3000",
    ]


def test_colours_follow_the_page_and_nothing_is_fetched():
    svg = charts.learning_curve("c", "loss", report_run.EPOCHS, 2)
    assert not re.findall(r"#0[1-8]0[1-8]0[1-8]\b", svg)
    assert {"var(--first)", "var(--second)", "var(--ink)", "var(--muted)"} <= set(re.findall(r"var\(--\w+\)", svg))
    assert "http" not in svg


def test_names_from_the_data_are_escaped_and_no_formula():
    svg = charts.label_chart("l", "a<b", {"train": {"<script>$x$": 1.0}})
    assert "<script>" not in svg
    assert "train: 100.0% <script>$x$" in titles(svg)
    assert "<script>$x$" in texts(svg)


def test_two_charts_of_a_page_share_no_id():
    first, second = (charts.image_iou_chart(name, [1, 2]) for name in ("one", "two"))
    ids = [set(re.findall(r'id="([^"]+)"', svg)) for svg in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert all(set(re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", svg)) for svg in (first, second))
    for svg, own in zip((first, second), ids, strict=True):
        referenced = {name for pair in re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", svg) for name in pair if name}
        assert referenced <= own
