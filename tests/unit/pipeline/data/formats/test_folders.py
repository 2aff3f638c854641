"""Images find their masks in all the ways people lay them out; what does not find one is dropped by name."""

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from picture_files import put

from pipeline.data.formats.annotation import Annotations
from pipeline.data.formats.folders import read_folders
from pipeline.data.formats.masks import MaskFile
from pipeline.data.formats.options import SourceOptions
from trainer_module.errors import DataError


def touched(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        put(root / name, b"")
    return root


def read(root: Path, names: Iterable[str], **options: object) -> Annotations:
    return read_folders(touched(root, names), SourceOptions.model_validate(options))


def pairs(annotations: Annotations, root: Path) -> dict[str, tuple[str, str | None]]:
    """Returns image to mask and split."""
    found = {}
    for picture in annotations.pictures:
        assert isinstance(picture.mask, MaskFile)
        assert picture.image == root / picture.name
        found[picture.name] = (picture.mask.path.relative_to(root).as_posix(), picture.split)
    return found


def dropped(annotations: Annotations) -> dict[str, str]:
    return {each.name: each.reason for each in annotations.dropped}


LAYOUTS: dict[str, tuple[dict[str, object], dict[str, tuple[str, str | None]]]] = {
    "two folders": ({}, {"images/a.jpg": ("masks/a.png", None)}),
    "other names": ({}, {"JPEGImages/a.b.jpg": ("SegmentationClass/a.b.png", None)}),
    "splits above": (
        {},
        {"train/images/a.jpg": ("train/masks/a.png", "train"), "val/images/a.jpg": ("val/masks/a.png", "val")},
    ),
    "splits below": (
        {},
        {"img/Test/a.jpg": ("gt/Test/a.png", "test"), "img/train2017/b.jpg": ("gt/train2017/b.png", "train")},
    ),
    "splits in names": ({}, {"train_images/a.jpg": ("train_masks/a.png", "train")}),
    "masks beside": ({}, {"train/a.png": ("trainannot/a.png", "train"), "val/a.png": ("valannot/a.png", "val")}),
    "no word for images": ({}, {"raw scans/a.tif": ("raw scans/masks/a.tif", None)}),
    "inner word": ({}, {"images/a.jpg": ("annotations/trimaps/a.png", None)}),
    "a folder each": (
        {},
        {"images/1/image.jpg": ("masks/1/image.png", None), "images/2/image.jpg": ("masks/2/image.png", None)},
    ),
    "ending": ({}, {"images/a.jpg": ("labels/a_L.png", None), "images/b.jpg": ("labels/b_L.png", None)}),
    "names that only look like endings": (
        {},
        {"images/a.jpg": ("masks/a.png", None), "images/a_seg.jpg": ("masks/a_seg.png", None)},
    ),
    "one folder, ending": ({}, {"a.png": ("a_mask.png", None), "b.png": ("b_mask.png", None)}),
    "one folder, two endings": ({}, {"train/a_sat.jpg": ("train/a_mask.png", "train")}),
    "one folder, formats": ({}, {"a.jpg": ("a.png", None), "b.jpeg": ("b.png", None)}),
    "template": ({"mask_template": "{stem}-seg.png"}, {"x/a.png": ("x/a-seg.png", None)}),
    "template without extension": ({"mask_template": "m_{stem}"}, {"x/a.jpg": ("x/m_a.tif", None)}),
    "template in folders": (
        {"mask_template": "{stem}_road.png"},
        {"test/image/a.png": ("test/gt_image/a_road.png", "test")},
    ),
    "named": (
        {"images": "photos/2024", "masks": "drawn/final"},
        {"photos/2024/x/a.jpg": ("drawn/final/x/a.png", None)},
    ),
    "spaces and scripts": ({}, {"images/草地 1 [final].jpg": ("masks/草地 1 [final].png", None)}),
}


@pytest.mark.parametrize(("options", "expected"), LAYOUTS.values(), ids=LAYOUTS)
def test_pairs(tmp_path: Path, options: dict[str, object], expected: dict[str, tuple[str, str | None]]) -> None:
    annotations = read(tmp_path, [*expected, *(mask for mask, _ in expected.values())], **options)
    assert pairs(annotations, tmp_path) == expected
    assert not annotations.dropped


def test_folders_that_differ_pair_by_name_within_a_split(tmp_path: Path) -> None:
    expected = {
        f"{split}_Input/{stem}.jpg": (f"T1_{split}_GroundTruth/{stem}_segmentation.png", split)
        for split, stem in (("train", "a"), ("test", "a"), ("test", "b"))
    }
    annotations = read(tmp_path, [*expected, *(mask for mask, _ in expected.values())])
    assert pairs(annotations, tmp_path) == expected
    assert annotations.notes == ("Their folders differ, so images and masks are paired by their names alone.",)


def test_names_match_in_either_form_of_unicode(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Übersicht é") for form in ("NFC", "NFD"))
    annotations = read(tmp_path, [f"images/{composed}.jpg", f"masks/{decomposed}.png"])
    assert pairs(annotations, tmp_path) == {f"images/{composed}.jpg": (f"masks/{decomposed}.png", None)}


def test_whatever_has_no_single_partner_is_dropped_by_name(tmp_path: Path) -> None:
    names = [
        "images/good.jpg",
        "masks/good.png",
        "images/no mask.jpg",
        "masks/no image.png",
        "images/twice.jpg",
        "images/twice.png",
        "masks/twice.png",
        "images/two masks.jpg",
        "masks/two masks.png",
        "labels/two masks.png",
        "previews/good.jpg",
    ]
    annotations = read(tmp_path, names)
    assert list(pairs(annotations, tmp_path)) == ["images/good.jpg"]
    assert dropped(annotations) == {
        "images/no mask.jpg": "it has no mask",
        "masks/no image.png": "a mask without an image",
        "images/twice.jpg": "several images have this name: images/twice.jpg, images/twice.png",
        "images/twice.png": "several images have this name: images/twice.jpg, images/twice.png",
        "masks/twice.png": "the mask of several images: images/twice.jpg, images/twice.png",
        "images/two masks.jpg": "it has several masks: labels/two masks.png, masks/two masks.png",
        "masks/two masks.png": "one of several masks of images/two masks.jpg",
        "labels/two masks.png": "one of several masks of images/two masks.jpg",
        "previews/good.jpg": "in neither a folder of images nor one of masks",
    }
    assert len(annotations.pictures) * 2 + len(annotations.dropped) == len(names)


def test_what_is_outside_the_named_folders_is_left_alone(tmp_path: Path) -> None:
    names = ["photos/a.jpg", "final/a.png", "previews/a.jpg", "photos/lonely.jpg"]
    annotations = read(tmp_path, names, images="photos", masks="final")
    assert pairs(annotations, tmp_path) == {"photos/a.jpg": ("final/a.png", None)}
    assert dropped(annotations) == {"photos/lonely.jpg": "it has no mask"}


def test_what_systems_leave_behind_is_passed_over(tmp_path: Path) -> None:
    rubbish = ["images/Thumbs.db", "images/.DS_Store", "images/._a.jpg", "__MACOSX/images/a.jpg", ".git/images/a.jpg"]
    annotations = read(tmp_path, ["images/a.jpg", "masks/a.png", *rubbish, "README.md"])
    assert list(pairs(annotations, tmp_path)) == ["images/a.jpg"]
    assert not annotations.dropped


def test_links_are_followed_once(tmp_path: Path) -> None:
    root = touched(tmp_path / "root", ["masks/a.png"])
    touched(tmp_path / "elsewhere", ["a.jpg"])
    (root / "images").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(root)
    (root / "masks" / "self").symlink_to(root / "masks")
    annotations = read_folders(root, SourceOptions())
    assert pairs(annotations, root) == {"images/a.jpg": ("masks/a.png", None)}
    assert annotations.notes == (
        "masks/self is a link to a folder that is read already; it was not followed.",
        "images/back is a link to a folder that is read already; it was not followed.",
    )


def test_a_link_that_leads_nowhere_is_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    touched(tmp_path, ["images/a.jpg", "masks/a.png", "masks/b.png"])
    (tmp_path / "images" / "b.jpg").symlink_to(tmp_path / "gone.jpg")
    assert list(pairs(read_folders(tmp_path, SourceOptions()), tmp_path)) == ["images/a.jpg", "images/b.jpg"]


def test_a_name_that_is_no_text_is_dropped(tmp_path: Path) -> None:
    touched(tmp_path, ["images/a.jpg", "masks/a.png"])
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/images/caf\xe9.jpg")).write_bytes(b"")
    assert dropped(read_folders(tmp_path, SourceOptions())) == {
        "images/caf\ufffd.jpg": "its name is not UTF-8: rename it"
    }


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched(tmp_path, ["images/a.jpg", "masks/a.png"])
    scandir = os.scandir

    def refusing(folder: Path) -> object:
        if folder.name == "masks":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match=r"masks: the folder cannot be read: Permission denied\. Make it readable"):
        read_folders(tmp_path, SourceOptions())


@pytest.mark.parametrize("names", [["images/a.jpg", "masks/b.png"], ["a.jpg"], ["notes.txt"], ["masks/a.png"]])
def test_a_source_without_any_pair_is_refused(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(DataError, match=r"no image has a mask\. Found as images: .*; as masks: .*--mask-template"):
        read(tmp_path, names)
    with pytest.raises(DataError, match="no such folder"):
        read_folders(tmp_path / "nowhere", SourceOptions())


def test_lists_beside_the_images_say_the_splits(tmp_path: Path) -> None:
    names = [f"{folder}/{stem}.{kind}" for stem in "abcde" for folder, kind in (("images", "jpg"), ("masks", "png"))]
    put(tmp_path / "train.txt", "a\nimages/b.jpg masks/b.png\nd\n\n")
    put(tmp_path / "val.txt", "c.jpg\nd\ngone\nlonely")
    annotations = read(tmp_path, [*names, "images/lonely.jpg"])
    assert {picture.name: picture.split for picture in annotations.pictures} == {
        "images/a.jpg": "train",
        "images/b.jpg": "train",
        "images/c.jpg": "val",
    }
    assert dropped(annotations) == {
        "images/d.jpg": "it is in the lists of train and val",
        "images/e.jpg": "it is in no list of a split",
        "images/lonely.jpg": "it has no mask",
        "gone": "val.txt lists it, but there is no such image",
    }
    assert annotations.notes == ("The splits are those of train.txt, val.txt.",)


def test_lists_that_the_user_names_go_first(tmp_path: Path) -> None:
    put(tmp_path / "train.txt", "a\n")
    given = put(tmp_path / "mine.lst", "images/a\n")
    annotations = read(tmp_path, ["images/a.jpg", "masks/a.png"], split_lists={"held out": given})
    assert [picture.split for picture in annotations.pictures] == ["held out"]


def test_a_table_beside_the_masks_is_read(tmp_path: Path) -> None:
    colors = np.array([[[0, 0, 0], [128, 64, 128], [9, 9, 9]]], np.uint8)
    put(tmp_path / "class_dict.csv", "name,r,g,b\nsky,0,0,0\nroad,128,64,128\nvoid,9,9,9\n")
    put(tmp_path / "masks" / "a.png", colors)
    annotations = read(tmp_path, ["images/a.jpg"])
    assert annotations.card.class_names == ("sky", "road")
    assert annotations.notes == ("The classes are those of class_dict.csv.",)
    mask = annotations.pictures[0].mask.read((1, 3))
    assert mask.values.tolist() == [[0, 1, 255]]
    assert mask.met == {"#000000": 1, "#804080": 1, "#090909": 1}
