"""COCO: rectangles become the pixels that one counts by hand, and all else what COCO's own library makes of it."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_files import photo, put
from pycocotools import mask as coco_mask

from pipeline.data.formats.annotation import Annotations, MaskRefusedError
from pipeline.data.formats.options import SourceOptions
from pipeline.data.formats.reading import detect_format, read_annotations
from trainer_module.errors import ConfigError, DataError

HEIGHT, WIDTH = SIZE = (24, 32)
CATEGORIES = [{"id": 7, "name": "weed"}, {"id": 3, "name": "crop"}, {"id": 9, "name": "stone"}]
CROP, WEED, STONE = 1, 2, 3


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def filled(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    pixels = np.zeros(SIZE, bool)
    pixels[top:bottom, left:right] = True
    return pixels


def uncompressed(pixels: np.ndarray) -> dict[str, Any]:
    """Counts runs by columns, zeros first."""
    changes = np.flatnonzero(np.diff(pixels.ravel(order="F"), prepend=False))
    return {"size": list(pixels.shape), "counts": np.diff([0, *changes, pixels.size]).tolist()}


def compressed(pixels: np.ndarray) -> dict[str, Any]:
    encoded = coco_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def content(annotations: list[dict[str, Any]], names: tuple[str, ...] = ("a.jpg",), **more: Any) -> dict[str, Any]:
    """Makes an annotation file whose annotations are of the first image unless they say otherwise."""
    images = [
        {"id": 10 + index, "file_name": name, "height": HEIGHT, "width": WIDTH} for index, name in enumerate(names)
    ]
    annotated = [{"id": index, "image_id": 10, "iscrowd": 0, **each} for index, each in enumerate(annotations)]
    return {"images": images, "annotations": annotated, "categories": CATEGORIES} | more


def source(root: Path, *annotations: dict[str, Any]) -> Path:
    put(root / "images" / "a.jpg", photo())
    put(root / "annotations" / "instances_train2017.json", json.dumps(content(list(annotations))))
    return root


def values(annotations: Annotations) -> np.ndarray:
    return annotations.pictures[0].mask.read(SIZE).values


def test_polygons_and_run_lengths_with_the_smaller_object_on_top(tmp_path: Path) -> None:
    source(
        tmp_path,
        {"category_id": 3, "segmentation": box(10, 10, 14, 14)},
        {"category_id": 7, "segmentation": box(4, 6, 20, 18)},
        {"category_id": 9, "segmentation": uncompressed(filled(18, 16, 30, 22))},
        {"category_id": 3, "segmentation": compressed(filled(0, 0, 3, 2))},
    )
    assert detect_format(tmp_path) == "coco"
    annotations = read_annotations(tmp_path, SourceOptions())
    expected = np.zeros(SIZE, np.uint8)
    expected[filled(4, 6, 20, 18)] = WEED
    expected[filled(18, 16, 30, 22)] = STONE
    expected[filled(10, 10, 14, 14) | filled(0, 0, 3, 2)] = CROP
    mask = annotations.pictures[0].mask.read(SIZE)
    np.testing.assert_array_equal(mask.values, expected)
    names = ("background", "crop", "weed", "stone")
    assert mask.met == {name: np.count_nonzero(expected == index) for index, name in enumerate(names)}
    assert annotations.card.class_names == names
    assert (annotations.card.mask_values, annotations.card.ignore_values) == ((0, 1, 2, 3), ())
    assert annotations.pictures[0].split == "train"


def test_a_crooked_polygon_of_several_parts_is_what_the_library_makes_of_it(tmp_path: Path) -> None:
    parts = [[1.5, 2.25, 20.75, 4.5, 9.1, 21.9], [22.0, 3.0, 31.9, 3.4, 27.2, 12.6, 24.4, 11.0]]
    source(tmp_path, {"category_id": 7, "segmentation": [*parts, [1, 2, 3, 4]]})
    expected = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(parts, HEIGHT, WIDTH))) * WEED
    np.testing.assert_array_equal(values(read_annotations(tmp_path, SourceOptions())), expected)


def test_crowds_are_not_labelled_but_for_the_objects_in_them(tmp_path: Path) -> None:
    crowd = {"category_id": 3, "segmentation": uncompressed(filled(0, 0, 20, 20)), "iscrowd": 1}
    source(tmp_path, {"category_id": 7, "segmentation": box(2, 2, 30, 22)}, crowd)
    annotations = read_annotations(tmp_path, SourceOptions())
    expected = np.where(filled(2, 2, 30, 22), WEED, np.where(filled(0, 0, 20, 20), 255, 0))
    np.testing.assert_array_equal(values(annotations), expected)
    assert annotations.card.ignore_values == (255,)
    assert annotations.pictures[0].mask.read(SIZE).met["not labelled"] == np.count_nonzero(expected == 255)
    counted = read_annotations(tmp_path, SourceOptions(crowds="object"))
    np.testing.assert_array_equal(values(counted), np.where(expected == 255, CROP, expected))
    assert counted.card.ignore_values == ()


def test_chosen_categories_and_a_background_that_is_not_labelled(tmp_path: Path) -> None:
    source(
        tmp_path,
        {"category_id": 9, "segmentation": box(0, 0, 8, 8)},
        {"category_id": 7, "segmentation": box(8, 0, 16, 8)},
        {"category_id": 3, "segmentation": box(16, 0, 24, 8)},
    )
    chosen = read_annotations(tmp_path, SourceOptions(class_names=("stone", "crop")))
    assert chosen.card.class_names == ("background", "stone", "crop")
    assert values(chosen)[0, ::8].tolist() == [1, 0, 2, 0]
    assert "Background, for no class is declared for them: weed." in chosen.notes
    ignoring = read_annotations(tmp_path, SourceOptions(background="ignore", ignore=("weed",)))
    assert ignoring.card.class_names == ("crop", "stone")
    assert (ignoring.card.mask_values, ignoring.card.ignore_values) == ((1, 2), (255,))
    assert values(ignoring)[0, ::8].tolist() == [2, 255, 1, 255]
    with pytest.raises(ConfigError, match=r"no category 'stoned'; did you mean 'stone'\?"):
        read_annotations(tmp_path, SourceOptions(class_names=("stoned",)))


def test_images_without_annotations_are_background_and_those_that_are_not_there_are_dropped(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", photo())
    put(tmp_path / "sub" / "b.jpg", photo())
    put(tmp_path / "unlisted.jpg", photo())
    put(tmp_path / "anno.json", json.dumps(content([], ("a.jpg", "other/b.jpg", "gone.jpg"))))
    annotations = read_annotations(tmp_path / "anno.json", SourceOptions())
    assert [picture.name for picture in annotations.pictures] == ["a.jpg", "sub/b.jpg"]
    assert not values(annotations).any()
    assert [(each.name, each.reason) for each in annotations.dropped] == [
        ("gone.jpg", "anno.json: there is no such image below the source")
    ]
    assert "1 images are in no annotation file: they are not read." in annotations.notes
    assert "2 images have no annotation: they are background." in annotations.notes


def test_files_and_folders_of_splits(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        put(tmp_path / split / "0001.jpg", photo())
        put(tmp_path / split / "_annotations.coco.json", json.dumps(content([], ("0001.jpg",))))
    annotations = read_annotations(tmp_path, SourceOptions())
    assert {picture.name: picture.split for picture in annotations.pictures} == {
        "train/0001.jpg": "train",
        "valid/0001.jpg": "valid",
    }
    put(tmp_path / "more" / "0001.jpg", photo())
    put(tmp_path / "extra.json", json.dumps(content([], ("0001.jpg",))))
    (dropped,) = read_annotations(tmp_path, SourceOptions()).dropped
    assert dropped.name == "0001.jpg"
    assert dropped.reason.startswith("extra.json: several images have this name: more/0001.jpg, train/0001.jpg")


def test_an_image_that_is_annotated_twice_is_dropped(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path / "images" / name, photo())
    put(tmp_path / "instances_train.json", json.dumps(content([], ("a.jpg", "b.jpg"))))
    put(tmp_path / "instances_val.json", json.dumps(content([], ("a.jpg",))))
    put(tmp_path / "captions_val.json", json.dumps(content([], ("b.jpg",))))
    annotations = read_annotations(tmp_path, SourceOptions())
    assert [picture.name for picture in annotations.pictures] == ["images/b.jpg"]
    assert [(each.name, each.reason) for each in annotations.dropped] == [("images/a.jpg", "it is annotated 2 times")]


@pytest.mark.parametrize("seed", range(20))
def test_compressed_run_lengths_are_read_as_the_library_writes_them(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    pixels = np.kron(random.random((6, 8)) < 0.4, np.ones((4, 4))) > random.random(SIZE) * (seed % 3) * 0.4
    source(tmp_path, {"category_id": 3, "segmentation": compressed(pixels)})
    np.testing.assert_array_equal(values(read_annotations(tmp_path, SourceOptions())), pixels * CROP)


UNUSABLE = {
    "a box alone": ({"category_id": 3, "bbox": [0, 0, 4, 4]}, "annotation 0 has no outline, only a box"),
    "no such category": ({"category_id": 4, "segmentation": box(0, 0, 4, 4)}, "category 4, which is not declared"),
    "an odd polygon": ({"category_id": 3, "segmentation": [[0, 0, 4, 4, 8]]}, "no list of x, y"),
    "far away": ({"category_id": 3, "segmentation": [[0, 0, 4, 4, 8, 1e9]]}, "annotation 0 has points .* pixels away"),
    "not a number": ({"category_id": 3, "segmentation": [[0, 0, 4, 4, 8, math.nan]]}, "points that are no numbers"),
    "no numbers": ({"category_id": 3, "segmentation": [[0, 0, 4, 4, 8, "x"]]}, "could not convert"),
}


@pytest.mark.parametrize(("annotation", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_image_with_an_annotation_that_is_no_mask_is_dropped(
    tmp_path: Path, annotation: dict[str, Any], reason: str
) -> None:
    source(tmp_path, annotation)
    with pytest.raises(DataError, match=f"none of the annotated images can be used.*images/a.jpg: .*{reason}"):
        read_annotations(tmp_path, SourceOptions())


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ({"size": [5, 5], "counts": [25]}, "run lengths for 5×5 pixels"),
        ({"size": [24, 32], "counts": [3, 4]}, "run lengths of 7 pixels together, not 24×32"),
        ({"size": [24, 32], "counts": [800, -64, 32]}, "run lengths of 768"),
        ({"size": [24, 32], "counts": "5"}, "run lengths of 5 pixels together"),
        ({"size": [24, 32], "counts": "zzzzzzzz"}, "run lengths of"),
    ],
)
def test_run_lengths_that_do_not_fill_the_image_are_refused(
    tmp_path: Path, segmentation: dict[str, Any], reason: str
) -> None:
    source(tmp_path, {"category_id": 3, "segmentation": segmentation})
    with pytest.raises(MaskRefusedError, match=reason):
        values(read_annotations(tmp_path, SourceOptions()))


BROKEN = {
    "cut off": ('{"images": [{"id": 1,', r"line 1, column 22: it is no readable JSON .*cut off"),
    "a list": ("[]", "no COCO annotation file: there is no list images and no list annotations"),
    "no categories": ('{"images": [], "annotations": []}', "no list categories"),
    "a list of numbers": ('{"images": [1], "annotations": [], "categories": []}', "lists of objects"),
    "a nameless category": ('{"images": [], "annotations": [], "categories": [{"id": 1}]}', "no id and name"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=f"instances.json.*{message}"):
        read_annotations(put(tmp_path / "instances.json", text), SourceOptions())


def test_files_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "instances_a.json", json.dumps(content([])))
    put(tmp_path / "instances_b.json", json.dumps(content([], categories=[{"id": 7, "name": "tree"}])))
    with pytest.raises(DataError, match="category 7 is 'tree' here and 'weed' before"):
        read_annotations(tmp_path, SourceOptions())


def test_more_categories_than_a_mask_can_tell_are_refused(tmp_path: Path) -> None:
    many = [{"id": index, "name": f"c{index}"} for index in range(255)]
    put(tmp_path / "instances.json", json.dumps(content([], categories=many)))
    put(tmp_path / "a.jpg", photo())
    with pytest.raises(ConfigError, match=r"255 categories.*choose some with --class"):
        read_annotations(tmp_path, SourceOptions())
    assert len(read_annotations(tmp_path, SourceOptions(class_names=("c200",))).card.class_names) == 2


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'petseg\[import\]'"):
        read_annotations(source(tmp_path), SourceOptions(format="coco"))
