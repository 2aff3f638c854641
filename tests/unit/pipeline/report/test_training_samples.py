"""The section with the images before and after training, and a run's pictures as files."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import report_run
from PIL import Image

from pipeline.report.blocks import Gallery, Note
from pipeline.report.facts import Missing, run_facts
from pipeline.report.metric_sections import training_gallery, training_section
from pipeline.report.pictures import write_pictures
from trainer_module.errors import DataError, PetsegError
from trainer_module.model_card import mask_image


@pytest.fixture
def samples(record, tmp_path) -> Path:
    directory = tmp_path / "model_run" / "samples"
    directory.mkdir()
    for number in (1, 2):
        Image.new("RGB", (320, 320), "gray").save(directory / f"{number}_image.png")
        for index, name in enumerate(("truth", "epoch_0000", "epoch_0002", "epoch_0010")):
            mask_image(np.full((16, 16), index % 3, np.uint8), 3).save(directory / f"{number}_{name}.png")
    return directory


@pytest.mark.usefixtures("samples")
def test_the_gallery_has_image_truth_and_each_epoch_in_order(record):
    gallery = training_gallery(run_facts(record))
    assert isinstance(gallery, Gallery)
    labels = ["image", "truth", "before training", "epoch 2", "epoch 10"]
    assert [[picture.label for picture in row.pictures] for row in gallery.rows] == [labels, labels]
    kinds = [picture.uri.partition(";")[0] for picture in gallery.rows[0].pictures]
    assert kinds == ["data:image/jpeg", *["data:image/png"] * 4]


def test_a_run_without_samples_says_why(record, samples):
    for file in samples.iterdir():
        file.unlink()
    assert isinstance(training_gallery(run_facts(record)), Missing)
    [note] = training_section(run_facts(record)).blocks
    assert isinstance(note, Note)
    assert "left no pictures" in note.text


def test_a_picture_that_is_cut_is_named_as_missing(record, samples):
    (samples / "2_truth.png").write_bytes(b"\x89PNG")
    found = training_gallery(run_facts(record))
    assert isinstance(found, Missing)
    assert "cannot be read" in found.reason


@pytest.mark.usefixtures("samples")
def test_curves_and_sheets_are_files_that_stand_alone(record, tmp_path):
    output = tmp_path / "new" / "pictures"
    written = write_pictures(record, tmp_path, output)
    curves = [f"{metric}.{kind}" for metric in ("loss", "accuracy", "mean_iou") for kind in ("svg", "png")]
    assert [file.name for file in written.files] == [*curves, "before_and_after_training.png"]
    assert written.missing == ["No predictions.png. The record does not say where TfdsExampleGen left its examples."]
    svg = (output / "loss.svg").read_text()
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "#0b67b2" in svg
    assert "#040404" not in svg, "a colour that stands for one of the page"
    with Image.open(output / "loss.png") as curve:
        colors = {color for _, color in curve.convert("RGB").getcolors(1 << 20)}
    assert {(0x0B, 0x67, 0xB2), (0xC4, 0x50, 0x0A), (255, 255, 255)} <= colors
    with Image.open(output / "before_and_after_training.png") as sheet:
        colors = {color for _, color in sheet.convert("RGB").getcolors(1 << 20)}
        assert sheet.height > sheet.width, "two columns of five pictures"
    assert {(244, 124, 32), (38, 70, 120), (255, 224, 90)} <= colors


def test_a_run_that_left_nothing_is_an_error(tmp_path):
    record = report_run.early_failure(tmp_path)
    with pytest.raises(DataError, match=r"left nothing to draw: .*Trainer did not finish: it is pending"):
        write_pictures(record, tmp_path, tmp_path / "pictures")


def test_an_output_that_is_a_file_is_named(record, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PetsegError, match="name another --output"):
        write_pictures(record, tmp_path, tmp_path / "file")
