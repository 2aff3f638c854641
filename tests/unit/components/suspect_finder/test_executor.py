"""The component over a network that answers the image's colours: what it contradicts follows from image and mask."""

import io
from pathlib import Path

import numpy as np
import pytest
from component_battery import artifact, execute, given
from PIL import Image
from tfx.types import standard_artifacts

from components.suspect_finder import ranking
from components.suspect_finder.component import SuspectFinder
from components.suspect_finder.suspects import Kind, Region, from_csv

pytestmark = pytest.mark.slow

SIDE = 16
NOTHING = 9
"""A mask value that stands for no class."""

HALVES = np.repeat([1, 2], SIDE // 2)[np.newaxis].repeat(SIDE, axis=0)
MASKS = {
    "train": {
        **{f"right{number}.png": HALVES for number in range(6)},
        "blank.png": np.full_like(HALVES, 2),
        "exchanged.png": 3 - HALVES,
        "also_exchanged.png": 3 - HALVES,
        "a_stripe.png": np.where(np.arange(SIDE) == 0, 2, HALVES),
        "nothing_known.png": np.where(HALVES == 1, NOTHING, HALVES),
    },
    "eval": {"right.png": HALVES, "corner.png": np.where(np.add.outer(range(SIDE), range(SIDE)) < 8, 3, HALVES)},
}
"""Split to file name to mask; the left half of every image is red, which the network takes for class 0, and the right
half green, class 1."""


def encoded(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    import tensorflow as tf

    directory = tmp_path_factory.mktemp("examples")
    image = encoded(np.array([[255, 0, 0], [0, 255, 0]])[HALVES - 1])
    for split, masks in MASKS.items():
        (directory / f"Split-{split}").mkdir()
        with tf.io.TFRecordWriter(str(directory / f"Split-{split}" / "data.gz"), "GZIP") as writer:
            for name, mask in masks.items():
                values = {
                    "image": image, "segmentation_mask": encoded(mask), "file_name": name.encode(),
                    "example_id": f"{split}/{name}".encode(),
                }  # fmt: skip
                feature = {
                    key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for key, value in values.items()
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    found = artifact(standard_artifacts.Examples, directory)
    found.split_names = '["train", "eval"]'
    return found


@pytest.fixture(scope="module")
def model(identity_export, tmp_path_factory):
    directory = tmp_path_factory.mktemp("model")
    (directory / "Format-Serving").symlink_to(identity_export)
    return artifact(standard_artifacts.Model, directory)


@pytest.fixture(scope="module")
def suspects(examples, model, tmp_path_factory):
    finder = SuspectFinder(examples=given(standard_artifacts.Examples), model=given(standard_artifacts.Model), shown=2)
    outputs = execute(finder, tmp_path_factory.mktemp("outputs"), {"examples": examples, "model": model})
    return outputs["suspects"]


@pytest.fixture(scope="module")
def found(suspects):
    return from_csv((Path(suspects.uri) / "suspects.csv").read_text(encoding="utf-8"))


def test_what_is_contradicted_is_listed_in_the_order_of_the_scores(found):
    by_name = {suspect.file_name: suspect for suspect in found}
    assert list(by_name) == ["exchanged.png", "also_exchanged.png", "blank.png", "corner.png"]
    exchanged, blank, corner = by_name["exchanged.png"], by_name["blank.png"], by_name["corner.png"]
    assert (exchanged.score, exchanged.contradicted, exchanged.kind) == (1, 1, Kind.EXCHANGED)
    # Class 0 is suggested for the left half: IoU 0; class 1 keeps the right half of all that it had: IoU 1/2.
    assert (blank.score, blank.contradicted, blank.kind) == (0.75, 0.5, Kind.BLANK)
    assert (blank.given_class, blank.suggested_class) == ("background", "pet")
    assert (blank.split, blank.example_id, corner.split) == ("train", "train/blank.png", "eval")
    assert blank.region == Region(left=0, top=0, width=8, height=16)
    assert corner.region == Region(left=0, top=0, width=8, height=8)


def test_the_numbers_are_properties(suspects, found):
    examined = sum(map(len, MASKS.values()))
    numbers = [suspects.get_int_custom_property(name) for name in ("suspects", "examined")]
    assert numbers == [len(found), examined]
    assert suspects.splits == ["train", "eval"]


def test_there_are_pictures_of_the_first_alone(suspects):
    files = sorted((Path(suspects.uri) / "pictures").iterdir())
    assert [file.name for file in files] == [
        f"{rank}_{name}" for rank in ("001", "002") for name in ("given.png", "image.jpg", "model.png")
    ]
    given_mask, photo, answer = (Image.open(file) for file in files[:3])
    assert photo.size == given_mask.size == answer.size == (SIDE, SIDE)
    np.testing.assert_array_equal(np.asarray(given_mask), 2 - HALVES)
    np.testing.assert_array_equal(np.asarray(answer), HALVES - 1)


def test_thresholds_of_a_sample_find_the_same(examples, model, monkeypatch, found):
    from components.suspect_finder.predictions import ExportedNetwork

    network = ExportedNetwork.load(str(Path(model.uri) / "Format-Serving"))
    files = {split: [f"{examples.uri}/Split-{split}/data.gz"] for split in MASKS}
    monkeypatch.setattr(ranking, "_SAMPLE", 5)
    assert [len(batch.examples) for batch in network.predictions(files["train"], every=3)] == [4]
    sampled = ranking.find_suspects(network, files, examples=13)
    assert [suspect.file_name for suspect in sampled.suspects] == [suspect.file_name for suspect in found]
    monkeypatch.setattr(ranking, "MOST_SUSPECTS", 2)
    assert [suspect.file_name for suspect in ranking.find_suspects(network, files, examples=13).suspects] == [
        "exchanged.png", "also_exchanged.png"
    ]  # fmt: skip
