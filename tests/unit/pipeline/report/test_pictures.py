"""The pictures of a run, and those that its model does better or worse on than the served one.

Every model here answers one class everywhere, so that the mean IoU of an image follows from its mask.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.models.loading import ServedModel
from pipeline.report.blocks import Gallery, Note
from pipeline.report.facts import run_facts
from pipeline.report.image_scores import SCORES_FILE, read_scores
from pipeline.report.pictures import pictures_section, write_pictures
from pipeline.runs.record import BaselineRecord, NodeRecord, NodeState
from trainer_module.errors import ModelError
from trainer_module.signatures import export_model

pytestmark = pytest.mark.slow

SIDE = 16
PIXELS = SIDE * SIDE
COUNT = 70
"""More than two batches."""


@pytest.fixture(scope="module")
def answering(transformed, tmp_path_factory):
    """Returns a function from a class to an exported model that always answers it."""
    made = {}

    def directory(class_id: int) -> Path:
        if class_id not in made:
            image = keras.Input((SIDE, SIDE, 3))
            bias = keras.initializers.Constant(5.0 * np.eye(3)[class_id])
            logits = keras.layers.Dense(3, kernel_initializer="zeros", bias_initializer=bias)(image)
            made[class_id] = tmp_path_factory.mktemp("export") / "1"
            export_model(
                keras.Model(image, logits), transformed.transform_output, transformed.data, str(made[class_id])
            )
        return made[class_id]

    return directory


def _mask(index: int) -> np.ndarray:
    """Has `index` pixels of the first class and `2 * index` of the second, the others of the third."""
    ids = np.repeat([1, 2, 3], [index, 2 * index, PIXELS - 3 * index]).astype(np.uint8)
    return ids.reshape(SIDE, SIDE, 1)


def _mean_iou(index: int, answer: int) -> float:
    classes = set(np.unique(_mask(index)).tolist()) | {answer + 1}
    return float((_mask(index) == answer + 1).mean()) / len(classes)


def _write_examples(directory: Path, name: Callable[[int], str] = "{}.png".format) -> None:
    (directory / "Split-test").mkdir(parents=True)
    photo = tf.io.encode_png(np.zeros((SIDE, SIDE, 3), np.uint8)).numpy()
    for part in range(2):
        with tf.io.TFRecordWriter(str(directory / "Split-test" / f"{part}.gz"), "GZIP") as writer:
            for index in range(part, COUNT, 2):
                mask = tf.io.encode_png(_mask(index)).numpy()
                values = {
                    "image": photo,
                    "segmentation_mask": mask,
                    "example_id": f"shapes-test.tfrecord-0000{part}-of-00002__{index // 2}".encode(),
                    "file_name": name(index).encode(),
                }
                feature = {
                    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                    for name, value in values.items()
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


@pytest.fixture
def evaluated(record, answering, tmp_path):
    """Returns a function that gives the run a model and a served one, and returns the section."""
    record.settings["data"]["slice_features"] = []
    directories = {"TfdsExampleGen": "examples", "Trainer": "model", "ServedModelResolver": "model"}
    record.nodes = [
        NodeRecord(id=node, state=NodeState.COMPLETE, outputs={output: str(tmp_path / node)})
        for node, output in directories.items()
    ]
    _write_examples(tmp_path / "TfdsExampleGen")

    def place(model: int, served: int | None):
        for node, answer in (("Trainer", model), ("ServedModelResolver", served)):
            if answer is not None:
                shutil.copytree(answering(answer), tmp_path / node / "Format-Serving")
        found = BaselineRecord(found=served is not None, version="7", path="/gone/7", reason=None)
        record.baseline = found
        return lambda: pictures_section(run_facts(record), tmp_path)

    return place


def galleries(section) -> dict[str, Gallery]:
    return {block.title: block for block in section.blocks if isinstance(block, Gallery)}


def notes(section) -> list[str]:
    return [block.text for block in section.blocks if isinstance(block, Note)]


def test_the_images_that_fell_and_rose_the_most_are_shown_with_both_models(evaluated):
    section = evaluated(model=1, served=2)()
    assert [*galleries(section)] == [
        "A random sample", "The worst", "The best", "The largest changes against the served model"
    ]  # fmt: skip
    found = galleries(section)["The largest changes against the served model"]
    changes = {index: _mean_iou(index, 1) - _mean_iou(index, 2) for index in range(COUNT)}
    ordered = sorted(changes, key=lambda index: changes[index])
    expected = [*ordered[:4], *reversed(ordered[-4:])]
    assert [row.name for row in found.rows] == [f"{index}.png" for index in expected]
    index = expected[0]
    before, after = _mean_iou(index, 2), _mean_iou(index, 1)
    assert found.rows[0].detail == f"mean IoU {before:.3f} → {after:.3f} (−{before - after:.3f})"
    assert "(+" in found.rows[-1].detail
    assert [picture.label for picture in found.rows[0].pictures] == [
        "image", "truth", "prediction served", "errors served", "prediction new", "errors new"
    ]  # fmt: skip
    assert "the 4 images whose mean IoU fell" in found.caption
    assert notes(section) == []


def test_images_of_one_file_name_are_told_apart(evaluated, tmp_path):
    shutil.rmtree(tmp_path / "TfdsExampleGen")
    _write_examples(tmp_path / "TfdsExampleGen", lambda index: "image.png" if index else "other.png")
    found = galleries(evaluated(model=1, served=2)())["The worst"]
    names = [row.name for row in found.rows]
    assert names == ["other.png", *(f"image.png (test 0000{index % 2}__{index // 2})" for index in range(1, 8))]
    assert len({score.fingerprint for score in read_scores(tmp_path / SCORES_FILE)}) == COUNT


def test_a_run_whose_images_have_no_ids_is_told_to_run_again(evaluated, tmp_path):
    section_of_run = evaluated(model=1, served=2)
    for file in (tmp_path / "TfdsExampleGen" / "Split-test").iterdir():
        records = [record.numpy() for record in tf.data.TFRecordDataset(str(file), "GZIP")]
        with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
            for record in records:
                example = tf.train.Example.FromString(record)
                del example.features.feature["example_id"]
                writer.write(example.SerializeToString())
    [note] = notes(section_of_run())
    assert "an earlier version of petseg, which knew images by their file names alone; run it again" in note


def test_a_model_of_an_earlier_version_is_told_before_anything_is_predicted(evaluated, record, tmp_path, monkeypatch):
    section_of_run = evaluated(model=1, served=None)
    monkeypatch.setattr("trainer_module.features.MASK_PNG", "what_only_later_versions_answer")
    monkeypatch.setattr(ServedModel, "evaluate", lambda *_: pytest.fail("an image was scored"))
    for draw in (section_of_run, lambda: write_pictures(record, tmp_path, tmp_path / "pictures")):
        with pytest.raises(ModelError, match=r"exported by an earlier version of petseg.*Export it again"):
            draw()


def test_a_served_model_of_an_earlier_version_costs_the_comparison_alone(evaluated, monkeypatch):
    section_of_run = evaluated(model=1, served=2)

    def check_predicts(model: ServedModel) -> None:
        if "ServedModelResolver" in str(model.directory):
            raise ModelError("Export it again.")

    monkeypatch.setattr(ServedModel, "check_predicts", check_predicts)
    section = section_of_run()
    assert len(galleries(section)) == 3
    assert notes(section) == ["No comparison with the served model. Its copy cannot be used: Export it again."]


def test_the_same_model_gets_a_note_and_no_empty_gallery(evaluated):
    section = evaluated(model=1, served=1)()
    assert len(galleries(section)) == 3
    [note] = notes(section)
    assert "Both models have the same mean IoU on every image." in note


def test_without_a_served_model_there_is_no_comparison(evaluated):
    section = evaluated(model=1, served=None)()
    assert len(galleries(section)) == 3
    assert notes(section) == []


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda directory: shutil.rmtree(directory), "is gone"),
        (lambda directory: shutil.rmtree(directory / "Format-Serving"), "there is no model in"),
        (
            lambda directory: next(directory.glob("*/variables/variables.data*")).write_bytes(b""),
            "is no model that petseg exported",
        ),
    ],
)
def test_a_served_model_that_is_gone_or_broken_is_told(evaluated, tmp_path, spoil, reason):
    section_of_run = evaluated(model=1, served=2)
    spoil(tmp_path / "ServedModelResolver")
    section = section_of_run()
    assert len(galleries(section)) == 3
    [note] = notes(section)
    assert note.startswith("No comparison with the served model.")
    assert reason in note
