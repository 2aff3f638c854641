"""The page and the model card of a run."""

import html.parser
import json
import re
from pathlib import Path

import pytest
import report_run

from pipeline.report.blocks import HATCHED
from pipeline.report.page import write_report
from pipeline.runs.record import EvaluatedReference, RunState
from pipeline.terminal.tables import metric_value

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Outline(html.parser.HTMLParser):
    """Checks that elements nest, and keeps ids, links and what would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "srcset", "action", "poster", "data"):
                self.links.append(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


def written(record, directory: Path) -> tuple[Outline, str, str]:
    report = write_report(record, directory)
    page, card = (file.read_text(encoding="utf-8") for file in (report.page, report.model_card))
    outline = Outline()
    outline.feed(page)
    outline.close()
    assert not outline.open
    return outline, page, card


def test_the_page_is_whole_and_fetches_nothing(record, tmp_path):
    outline, page, _ = written(record, tmp_path)
    assert len(outline.ids) == len(set(outline.ids))
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)
    assert all(link.startswith(("#", "data:")) for link in outline.links)
    assert not re.search(r"https?://|@import|url\((?!#)", page)
    assert len(page.encode()) < 5_000_000
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_the_verdict_comes_first_with_its_reason(record, tmp_path):
    outline, _, card = written(record, tmp_path)
    text = " ".join(" ".join(outline.text).split())
    reason = "Accuracy is 0.7123, below the least allowed 0.85. Nothing was pushed."
    assert text.index("Not blessed") < text.index(reason) < text.index("≥ 0.85") < text.index("Metrics")
    assert "−0.1377" in text
    assert f"**Not blessed.** {reason}" in card


def test_every_number_of_the_record_is_in_page_and_model_card(record, tmp_path):
    outline, _, card = written(record, tmp_path)
    text = " ".join(outline.text)
    for value in report_run.METRICS.values():
        assert metric_value(value) in text
        assert metric_value(value) in card
    for found in record.slices:
        for value in found["metrics"].values():
            assert metric_value(value) in card
    numbers = {float(number) for number in re.findall(r"\b0\.\d{4}\b", card)}
    known = [
        *filter(None, report_run.METRICS.values()),
        *(value for s in record.slices for value in s["metrics"].values()),
    ]
    margins = [abs(bound.value - bound.bound) for bound in record.thresholds]
    assert numbers <= {round(value, 4) for value in (*known, *margins)}


def test_data_settings_and_machine_are_told(record, tmp_path):
    outline, _, card = written(record, tmp_path)
    text = " ".join(outline.text)
    for words in (
        "made_up_pets 1.2.3: 30 train, 12 test",
        "0123456789abcdef",
        "Made-up CPU, 2 cores",
        "trainer.epochs",
    ):
        assert words in text
        assert words in card
    assert "Examples contain Ferret | and more." in text
    assert r"Examples contain Ferret \| and more." in card
    assert "1 *" in text
    assert "11 *" not in text


def test_where_the_weights_of_the_encoder_came_from_is_told(record, tmp_path):
    _, page, card = written(record, tmp_path / "without")
    assert "ImageNet" not in card
    assert "encoder's weights" not in page
    file = Path(record.node("Trainer").outputs["model_run"], "encoder_weights.json")
    source = {"encoder": "efficientnet_lite0", "weights": "imagenet", "origin": "package 0.1", "licence": "Apache-2.0"}
    file.write_text(json.dumps(source | {"sha256": "5793" * 16}))
    outline, _, card = written(record, tmp_path / "imagenet")
    summary = f"ImageNet, from package 0.1, Apache-2.0, sha256 {'5793' * 16}"
    assert f"| encoder's weights | {summary} |" in card
    assert "| encoder | efficientnet_lite0 |" in card
    assert summary in " ".join(outline.text)
    assert "whether ImageNet's terms of use" in card
    file.write_text(json.dumps(source | {"weights": "/a.pth", "origin": "a.pth", "licence": None}))
    *_, card = written(record, tmp_path / "file")
    assert "| encoder's weights | from the file a.pth, licence not known |" in card
    assert "ImageNet" not in card


def test_classes_that_a_split_lacks_are_shown(record, tmp_path):
    record.dataset.class_pixels = {"train": [25, 75, 0], "test": [50, 49, 1]}
    outline, *_ = written(record, tmp_path)
    words = " ".join(" ".join(outline.text).split())
    assert "pet 25.00% 50.00% background 75.00% 49.00% border none 1.00%" in words


def test_what_is_not_labelled_is_told_beside_classes_bounds_metrics_and_slices(record, tmp_path):
    fully, *_ = written(record, tmp_path)
    assert not re.search("labelled (area|share)|(not |un)labelled", " ".join(fully.text))
    record.dataset.class_pixels = {"train": [20, 60, 0], "test": [50, 49, 1]}
    record.dataset.not_labelled_pixels = {"train": 20, "test": 0}
    record.metrics |= {"labelled_share": 0.61115, "unlabelled_images": 3.0}
    record.thresholds = [bound.model_copy(update={"labelled_share": 0.61115}) for bound in record.thresholds]
    for one, share in zip(record.slices, (1.0, 0.51116), strict=True):
        one["metrics"] |= {"labelled_share": share, "unlabelled_images": 0.0}
    outline, page, card = written(record, tmp_path)
    words = " ".join(" ".join(outline.text).split())
    assert "pet 25.00% 50.00% background 75.00% 49.00% border none 1.00% not labelled 20.00% 0.00%" in words
    assert "labelled share share of the area that all other numbers are of 0.6111" in words
    assert "images without any labelled pixel, which no mean or interval knows of 3 On" in words
    for text in (words, card):
        assert text.count("61.1%") == len(record.thresholds)
        assert "51.1%" in text
        assert "100.0%" in text
    assert page.count(f"background: {HATCHED}") == 1 + page.count('class="legend"')


def test_slices_are_sorted_with_the_worst_first(record, tmp_path):
    _, page, card = written(record, tmp_path)
    assert page.index("0.4111") < page.index("0.6111")
    assert card.index("0.4111") < card.index("0.6111")


def test_a_baseline_and_a_slice_of_a_bound_get_their_columns(record, tmp_path):
    for bound, of_slice, baseline in zip(record.thresholds, ({"species": "Cat"}, {}), (0.70111, None), strict=True):
        object.__setattr__(bound, "__dict__", bound.__dict__ | {"slice": of_slice, "baseline": baseline})
    outline, _, _ = written(record, tmp_path)
    text = " ".join(outline.text)
    assert "species Cat" in text
    assert "all images" in text
    assert "0.7011" in text
    assert "Accuracy of species Cat is 0.7123, below" in text


def test_the_metrics_of_the_served_model_stand_beside_those_of_the_new_one(record, tmp_path):
    assert "served" not in written(record, tmp_path)[2]
    record.served_metrics = {"mean_iou": 0.66661, "iou_pet": 0.77772}
    _, page, card = written(record, tmp_path)
    assert "| metric | value | 95 % interval | served model |" in card
    assert "mean over the classes) | 0.5124 | 0.4912 to 0.5312 | 0.6666 |" in card
    assert "| pet | 0.4124 (served 0.7777) |" in card
    assert "served 0.7777" in page


def test_a_blessed_model_says_where_it_is(record, tmp_path):
    record.blessed, record.pushed_model = True, "/serving/pets/7"
    record.thresholds = [bound.model_copy(update={"passed": True}) for bound in record.thresholds]
    outline, page, _ = written(record, tmp_path)
    assert "The model keeps both bounds. It was pushed to /serving/pets/7." in " ".join(outline.text)
    assert 'class="verdict good"' in page


def test_a_run_that_failed_early_says_so_in_every_section(tmp_path):
    record = report_run.early_failure(tmp_path)
    outline, page, card = written(record, tmp_path)
    text = " ".join(" ".join(outline.text).split())
    assert "Failed in TfdsExampleGen split 'train' is <empty> & gone" in text
    assert "&lt;empty&gt; &amp; gone" in page
    for words in (
        "The run ended before its model was evaluated.",
        "No predictions to show. TfdsExampleGen did not finish: it is failed.",
        "No history of the training. Trainer did not finish: it is pending.",
        "No statistics of the data. StatisticsGen did not finish: it is pending.",
        "The run ended before its data was read.",
        "not recorded",
    ):
        assert words in text
    assert "The run ended before its model was evaluated." in card


def test_a_run_without_components_or_settings_has_a_report(tmp_path):
    record = report_run.early_failure(tmp_path)
    record.nodes, record.settings, record.state = [], {}, RunState.INTERRUPTED
    outline, _, _ = written(record, tmp_path)
    assert "The run ended before its first component." in " ".join(outline.text)


def test_a_run_that_does_not_say_its_evaluated_split_has_a_report(record, tmp_path):
    del record.settings["evaluation"]
    outline, _, card = written(record, tmp_path)
    assert "On the evaluated split." in " ".join(outline.text)
    assert "images like those of the evaluated split" in card


def test_pictures_that_cannot_be_made_do_not_cost_the_report(record, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("broken image\nand much more")

    monkeypatch.setattr("pipeline.report.page.pictures_section", fail)
    outline, _, card = written(record, tmp_path)
    assert "No predictions to show. They could not be predicted: broken image" in " ".join(outline.text)
    assert card


def test_a_place_that_cannot_be_written_to_is_named(record, tmp_path):
    from trainer_module.errors import PetsegError

    (tmp_path / "file").touch()
    with pytest.raises(PetsegError, match=r"cannot write the report .*name another --output"):
        write_report(record, tmp_path, tmp_path / "file" / "report.html")


def test_the_reference_set_stands_beside_the_evaluated_split(record, tmp_path):
    assert "Reference set" not in written(record, tmp_path)[1]
    metrics = {"accuracy": 0.61111, "mean_iou": 0.42222, "accuracy_low": 0.6, "accuracy_high": 0.62, "iou_pet": 0.3}
    record.reference = EvaluatedReference(dataset="tiles/1.0.0 test", examples=33, metrics=metrics, blessed=True)
    outline, *_ = written(record, tmp_path)
    text = " ".join(" ".join(outline.text).split())
    caption = text.index("tiles/1.0.0 test, 33 images")
    section = text[text.rindex("Reference set", 0, caption) : text.index("Where it errs", caption)]
    for number in ("0.6111", "0.7123", "0.4222", "0.3000", "0.4124"):
        assert number in section, number
