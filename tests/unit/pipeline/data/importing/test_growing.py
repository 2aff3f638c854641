"""A source that grows, shrinks and changes: what is read again, what stays, and which version comes of it."""

import shutil

import pytest
from drawn_source import bring_in, draw, examples, numbered, splits_of

from components.tfds_example_gen.source import TfdsSource, open_dataset
from pipeline.data.formats.options import SourceOptions
from pipeline.data.importing import examples as reading_of_pictures
from pipeline.data.importing.classes import card_of_values
from pipeline.data.importing.splitting import SplitRule
from trainer_module.errors import ConfigError, DataError


@pytest.fixture
def read_images(monkeypatch):
    """Names of the image files that were opened."""
    names = []
    stored_image = reading_of_pictures.stored_image
    monkeypatch.setattr(reading_of_pictures, "stored_image", lambda path: names.append(path.stem) or stored_image(path))
    return names


@pytest.fixture
def grown(tmp_path, read_images):
    """A source of 40 pictures that was imported, and its data directory."""
    source = draw(tmp_path / "field", *numbered(1, 40), size=(6, 6))
    bring_in(source, tmp_path / "data")
    read_images.clear()
    return source, tmp_path / "data"


def test_only_new_files_are_read_and_the_minor_version_rises(grown, read_images):
    source, data_dir = grown
    before = splits_of(data_dir, "1.0.0")
    draw(source, *numbered(41, 46), size=(6, 6))
    report = bring_in(source, data_dir).report
    assert (report.version, report.kept, report.read) == ("1.1.0", 46, 6)
    assert sorted(read_images) == numbered(41, 46)
    after = splits_of(data_dir, "1.1.0")
    assert before.items() <= after.items(), "no old image changes its split"
    old, new = (min((data_dir / "tiles" / version).glob("tiles-train.*")) for version in ("1.0.0", "1.1.0"))
    assert old.samefile(new)
    assert len(splits_of(data_dir, "1.0.0")) == 40


def test_the_newest_version_is_what_a_range_reads(grown):
    source, data_dir = grown
    draw(source, *numbered(41, 46), size=(6, 6))
    bring_in(source, data_dir)
    fields = {"data_dir": str(data_dir), "download": False, "builder_modules": (), "slice_features": (),
              "image_feature": "image", "mask_feature": "segmentation_mask"}  # fmt: skip
    for dataset in ("tiles", "tiles:1.*.*"):
        builder = open_dataset(TfdsSource(dataset=dataset, **fields), {"train": "train"})
        assert builder.info.full_name == "tiles/1.1.0"


def test_removed_files_leave_and_their_neighbours_are_copied_unread(grown, read_images):
    source, data_dir = grown
    (source / "images" / "tile 007.jpg").unlink()
    (source / "masks" / "tile 007.png").unlink()
    report = bring_in(source, data_dir).report
    assert (report.version, report.kept, report.read, report.removed) == ("1.1.0", 39, 0, ("images/tile 007.jpg",))
    assert read_images == []
    before, after = examples(data_dir, "1.0.0"), examples(data_dir, "1.1.0")
    assert before.keys() - after.keys() == {"images/tile 007.jpg"}
    assert all(before[name]["image"] == example["image"] for name, example in after.items())
    assert sum(one.images for one in report.classes) == 2 * 39


def test_removed_files_can_stay(grown):
    source, data_dir = grown
    (source / "images" / "tile 007.jpg").unlink()
    (source / "masks" / "tile 007.png").unlink()
    assert not bring_in(source, data_dir, keep_removed=True).is_new


def test_a_changed_mask_is_read_again_and_a_touched_file_is_not(grown, read_images):
    source, data_dir = grown
    (source / "images" / "tile 001.jpg").touch()
    assert not bring_in(source, data_dir).is_new
    draw(source, "tile 002", size=(6, 6), values=(0, 0, 255))
    report = bring_in(source, data_dir).report
    assert read_images == ["tile 002"]
    assert report.changed == ("images/tile 002.jpg",)
    assert report.kept == 40
    assert report.met["1"] == 39 * 6


def test_a_new_value_becomes_a_class_after_the_others(grown):
    source, data_dir = grown
    draw(source, "tile 041", size=(6, 6), values=(3, 0, 1))
    report = bring_in(source, data_dir).report
    assert (report.version, [one.value for one in report.classes]) == ("1.1.0", [0, 1, 3])
    draw(source, "tile 042", size=(6, 6), values=(2, 0))
    report = bring_in(source, data_dir).report
    assert (report.version, [one.value for one in report.classes]) == ("1.2.0", [0, 1, 3, 2])


def test_values_that_come_to_mean_something_else_raise_the_major_version(tmp_path):
    assert card_of_values({0, 255}).class_names == ("background", "foreground")
    source = draw(tmp_path / "field", *numbered(1, 10), values=(0, 255))
    bring_in(source, tmp_path / "data")
    draw(source, "tile 011", values=(0, 1, 255))
    report = bring_in(source, tmp_path / "data").report
    assert (report.version, report.not_labelled_pixels > 0) == ("2.0.0", True)


def test_other_options_read_everything_anew_as_the_next_major_version(grown, read_images):
    source, data_dir = grown
    report = bring_in(source, data_dir, rule=SplitRule({"train": 0.7, "eval": 0.3})).report
    assert (report.version, report.read, len(read_images)) == ("2.0.0", 40, 40)
    assert any("--split" in note for note in report.notes)


def test_names_for_the_classes_are_kept_when_they_are_not_given_again(tmp_path):
    source = draw(tmp_path / "field", *numbered(1, 10), values=(0, 1))
    options = SourceOptions(class_names=("soil", "crop"), mask_values=(0, 1))
    bring_in(source, tmp_path / "data", options=options)
    draw(source, *numbered(11, 12), values=(0, 1))
    report = bring_in(source, tmp_path / "data", options=options).report
    assert (report.version, [one.name for one in report.classes]) == ("1.1.0", ["soil", "crop"])


def test_a_further_folder_is_added_under_its_own_name(grown, tmp_path, read_images):
    source, data_dir = grown
    further = draw(tmp_path / "2026-11-30", *numbered(1, 6), size=(6, 6), values=(1, 0, 255))
    with pytest.raises(ConfigError, match=r"was made of .*field.*--add.*--replace"):
        bring_in(further, data_dir)
    report = bring_in(further, data_dir, mode="add").report
    assert (report.version, report.kept, report.read) == ("1.1.0", 46, 6)
    assert "2026-11-30/images/tile 001.jpg" in examples(data_dir, "1.1.0")
    assert not bring_in(further, data_dir, mode="add").is_new
    assert not bring_in(source, data_dir).is_new, "what another folder brought in is not missing from this one"
    namesake = draw(tmp_path / "other" / "2026-11-30", "tile 001", size=(6, 6))
    with pytest.raises(DataError, match=r"'2026-11-30/images/tile 001.jpg'.*is in the data set already"):
        bring_in(namesake, data_dir, mode="add")


def test_a_folder_that_moved_is_taken_in_place_of_the_former(grown, read_images):
    source, data_dir = grown
    moved = source.rename(source.with_name("moved"))
    assert not bring_in(moved, data_dir, mode="replace").is_new
    draw(moved, "tile 041", size=(6, 6))
    report = bring_in(moved, data_dir, mode="replace").report
    assert (report.version, report.read, report.removed) == ("1.1.0", 1, ())
    assert not bring_in(moved, data_dir).is_new


def test_what_was_dropped_is_not_read_again_until_it_changes(grown, read_images):
    source, data_dir = grown
    (source / "images" / "tile 003.jpg").write_bytes(b"\xff\xd8\xffcut off")
    report = bring_in(source, data_dir).report
    assert (report.kept, report.dropped, report.reasons[0].names) == (39, 1, ("images/tile 003.jpg",))
    read_images.clear()
    assert not bring_in(source, data_dir).is_new
    assert read_images == []
    draw(source, "tile 003", size=(6, 6))
    report = bring_in(source, data_dir).report
    assert (report.version, report.kept, report.dropped, report.read) == ("1.2.0", 40, 0, 1)


def test_a_version_stands_by_itself(grown):
    """Shards are shared by hard links: an old version can be removed."""
    source, data_dir = grown
    draw(source, "tile 041", size=(6, 6))
    bring_in(source, data_dir)
    shutil.rmtree(data_dir / "tiles" / "1.0.0")
    assert len(examples(data_dir, "1.1.0")) == 41
