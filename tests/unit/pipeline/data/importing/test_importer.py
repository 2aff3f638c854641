"""A source becomes a data set that TFDS and petseg read, and is told of in numbers."""

import csv
import io
import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from drawn_source import HALVES, ask, bring_in, draw, examples, files_of, numbered
from PIL import Image

from components.dataset_card import DatasetCard, card_of
from components.tfds_example_gen.source import TfdsSource, open_dataset
from pipeline.data.formats.options import SourceOptions
from pipeline.data.importing.importer import plan_import
from pipeline.data.importing.splitting import SplitRule
from pipeline.data.importing.versions import Version
from trainer_module.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    directory = tmp_path_factory.mktemp("import")
    source = draw(directory / "field", *numbered(1, 10), "ünder 田")
    outcome = bring_in(source, directory / "data")
    return source, directory / "data", outcome.report


def test_bytes_of_images_pass_and_masks_are_8_bit_gray_of_the_same_pixels(imported):
    source, data_dir, _ = imported
    found = examples(data_dir, "1.0.0")
    assert set(found) == {f"images/{path.name}" for path in (source / "images").iterdir()}
    for name, example in found.items():
        assert example["image"] == (source / name).read_bytes()
        mask = Image.open(io.BytesIO(example["segmentation_mask"]))
        assert (mask.format, mask.mode) == ("PNG", "L")
        original = (source / name.replace("images", "masks")).with_suffix(".png")
        np.testing.assert_array_equal(np.asarray(mask), np.asarray(Image.open(original)))


def test_petseg_opens_it_and_it_says_what_it_holds(imported):
    _, data_dir, report = imported
    source = TfdsSource(
        dataset="tiles:1.*.*", data_dir=str(data_dir), download=False, builder_modules=(), image_feature="image",
        mask_feature="segmentation_mask", slice_features=(),
    )  # fmt: skip
    builder = open_dataset(source, {"train": "train", "eval": "eval"})
    counts = {split: info.num_examples for split, info in builder.info.splits.items()}
    assert (builder.info.full_name, counts) == ("tiles/1.0.0", report.splits)
    card = card_of(builder.info.metadata, "metadata.json")
    assert card == DatasetCard(
        class_names=("class_0", "class_1"), mask_values=(0, 1), ignore_values=(255,),
        splits={"train": "train", "eval": "eval"},
    )  # fmt: skip


def test_the_report_counts_what_the_masks_have(imported):
    _, _, report = imported
    assert (report.found, report.kept, report.dropped, report.read) == (11, 11, 0, 11)
    assert report.met == {"0": 11 * 10 * 16, "1": 11 * 16, "255": 11 * 16}
    assert [(one.name, one.pixels, one.images) for one in report.classes] == [
        ("class_0", 1760, 11),
        ("class_1", 176, 11),
    ]
    assert report.classes[1].share == pytest.approx(1 / 11)
    assert report.not_labelled_pixels == 176
    assert any("0, 1, and 255, taken as not labelled" in note for note in report.notes)


def test_given_again_it_changes_no_byte(imported):
    source, data_dir, report = imported
    before = files_of(data_dir)
    again = bring_in(source, data_dir)
    assert not again.is_new
    assert again.report == report
    assert files_of(data_dir) == before


def test_the_list_names_every_file(imported):
    _, data_dir, _ = imported
    with (data_dir / "tiles" / "1.0.0" / "import_files.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["name"] for row in rows} == set(examples(data_dir, "1.0.0"))
    assert {json.loads(row["pixels"])["1"] for row in rows} == {16}


def test_a_slice_is_a_sample(tmp_path):
    """TFDS' own writer shuffles, so that `train[:90%]` is one; so does the import."""
    names = numbered(1, 40)
    bring_in(draw(tmp_path / "field", *names, size=(4, 4)), tmp_path / "data")
    order = list(examples(tmp_path / "data", "1.0.0", "train"))
    assert len(order) > 10
    assert order != sorted(order)


def test_declared_classes_and_what_they_lack(tmp_path):
    source = draw(tmp_path / "field", *numbered(1, 8), values=(1, 4))
    draw(source, "odd", values=(1, 7))
    options = SourceOptions(class_names=("soil", "crop"), mask_values=(1, 4))
    report = bring_in(source, tmp_path / "data", options=options).report
    assert (report.found, report.kept, report.dropped) == (9, 8, 1)
    assert "7" in report.reasons[0].text
    assert report.reasons[0].names == ("images/odd.jpg",)
    builder = tfds.builder_from_directory(str(tmp_path / "data" / "tiles" / "1.0.0"))
    assert card_of(builder.info.metadata, "").class_names == ("soil", "crop")


def test_strict_refuses_and_makes_nothing_visible(tmp_path):
    source = draw(tmp_path / "field", *numbered(1, 8))
    (source / "images" / "tile 001.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"1 files would be dropped.*tile 001.jpg"):
        bring_in(source, tmp_path / "data", strict=True)
    assert [path.name for path in (tmp_path / "data" / "tiles").iterdir()] == [".import"]
    draw(source, "tile 001")
    report = bring_in(source, tmp_path / "data", strict=True).report
    assert (report.kept, report.dropped) == (8, 0)


@pytest.mark.parametrize("name", ["voc", "synthetic_pets"])
def test_a_name_that_tfds_gives_to_another_data_set_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=f"my_{name}"):
        bring_in(draw(tmp_path / "field", "a"), tmp_path / "data", name=name)


@pytest.mark.parametrize(("name", "data_dir"), [("Tiles 1", "data"), ("tiles", "gs://bucket/data")])
def test_what_can_be_no_place_is_refused(tmp_path, name, data_dir):
    with pytest.raises(ConfigError, match=r"'Tiles 1'|'gs://bucket/data'"):
        bring_in(draw(tmp_path / "field", "a"), data_dir, name=name)


def test_images_of_the_same_bytes_in_two_splits_are_named(tmp_path):
    source = draw(tmp_path / "field", *numbered(1, 12))
    names = numbered(1, 12)
    split_of = {name: HALVES.by_hash(f"images/{name}.jpg") for name in names}
    one = next(name for name in names if split_of[name] == "train")
    other = next(name for name in names if split_of[name] == "eval")
    (source / "images" / f"{other}.jpg").write_bytes((source / "images" / f"{one}.jpg").read_bytes())
    notes = " ".join(bring_in(source, tmp_path / "data").report.notes)
    assert "1 images are, byte for byte, in two splits" in notes
    assert one in notes
    assert other in notes


def test_a_dry_run_opens_no_image_and_writes_nothing(tmp_path):
    source = draw(tmp_path / "field", *numbered(1, 8))
    (source / "images" / "tile 001.jpg").write_bytes(b"")
    _, plan = plan_import(ask(source, tmp_path / "data"))
    assert (len(plan.tasks), plan.counts.total()) == (8, 8)
    assert not (tmp_path / "data").exists()


def test_an_empty_split_is_refused_with_the_counts(tmp_path):
    source = draw(tmp_path / "field", "a", "b")
    rule = SplitRule({"train": 0.9, "eval": 0.05, "test": 0.05})
    with pytest.raises(DataError, match=r"the split 'eval' would be empty: train 2, eval 0, test 0, of 2"):
        bring_in(source, tmp_path / "data", rule=rule)
    assert not (tmp_path / "data" / "tiles").exists()


def test_a_version_can_be_chosen(tmp_path):
    source = draw(tmp_path / "field", *numbered(1, 6))
    assert bring_in(source, tmp_path / "data", version=Version(2, 3, 0)).report.version == "2.3.0"
    with pytest.raises(ConfigError, match=r"has the version 2\.3\.0; give a later one"):
        bring_in(source, tmp_path / "data", version=Version(2, 0, 0))


@pytest.mark.slow
def test_several_processes_make_the_same_as_one(tmp_path):
    source = draw(tmp_path / "field", *numbered(1, 70), size=(8, 8))
    one = bring_in(source, tmp_path / "one")
    two = bring_in(source, tmp_path / "two", workers=2)
    assert one.report.splits == two.report.splits
    names = sorted(path.name for path in (tmp_path / "one" / "tiles" / "1.0.0").glob("*.tfrecord-*"))
    assert len(names) > 2
    for name in names:
        first, second = (tmp_path / place / "tiles" / "1.0.0" / name for place in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()
