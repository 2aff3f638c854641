"""LabelMe: each kind of shape becomes the pixels that were meant, in the order of the file."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_files import encoded, photo, put

from pipeline.data.formats.annotation import MaskRefusedError
from pipeline.data.formats.options import SourceOptions
from pipeline.data.formats.reading import detect_format, read_annotations
from trainer_module.errors import DataError

SIZE = (24, 32)


def shape(label: str, points: list[list[float]], kind: str | None = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}} | more


def labelled(*shapes: dict[str, Any], image: str = "a.jpg", **more: Any) -> str:
    return json.dumps(
        {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": None}
        | {"imageHeight": 24, "imageWidth": 32}
        | more
    )


def values(root: Path, **options: Any) -> np.ndarray:
    return read_annotations(root, SourceOptions.model_validate(options)).pictures[0].mask.read(SIZE).values


def filled(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """Of corners that both belong to the shape."""
    pixels = np.zeros(SIZE, bool)
    pixels[top : bottom + 1, left : right + 1] = True
    return pixels


def test_shapes_in_the_order_of_the_file(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", photo())
    polygon = shape("weed", [[2, 2], [12, 2], [12, 10], [2, 10]], None)
    rectangle = shape("crop", [[20, 8], [8, 4]], "rectangle")
    put(tmp_path / "a.json", labelled(polygon, rectangle))
    assert detect_format(tmp_path) == "labelme"
    annotations = read_annotations(tmp_path, SourceOptions())
    assert (annotations.card.class_names, annotations.card.mask_values) == (("background", "crop", "weed"), (0, 1, 2))
    expected = np.where(filled(8, 4, 20, 8), 1, np.where(filled(2, 2, 12, 10), 2, 0))
    mask = annotations.pictures[0].mask.read(SIZE)
    np.testing.assert_array_equal(mask.values, expected)
    assert mask.met == {
        name: np.count_nonzero(expected == value) for value, name in enumerate(("background", "crop", "weed"))
    }


def test_circles_lines_and_points(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", photo())
    circle, point = shape("x", [[10, 10], [10, 16]], "circle"), shape("y", [[25, 18]], "point")
    put(tmp_path / "a.json", labelled(circle, point))
    rows, columns = np.indices(SIZE)
    drawn = values(tmp_path)
    for (x, y), radius, value in (((10, 10), 6, 1), ((25, 18), 5, 2)):
        distance = np.hypot(rows - y, columns - x)
        assert (drawn[distance <= radius - 0.5] == value).all()
        assert (drawn == value)[distance > radius + 0.75].sum() == 0
    put(tmp_path / "a.json", labelled(shape("x", [[2, 12], [29, 12]], "linestrip")))
    rows = np.flatnonzero(values(tmp_path)[:, 16])
    assert (len(rows), abs(rows.mean() - 12) <= 1) == (10, True)


def test_a_mask_is_placed_and_cut_off_at_the_border(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", photo())
    drawn = np.zeros((6, 8), bool)
    drawn[1:5, 1:7] = True
    content = base64.b64encode(encoded(drawn)).decode()
    shapes = [shape("x", [[x, y], [x + 7, y + 5]], "mask", mask=content) for x, y in ((10, 4), (-4, -3), (28, 21))]
    put(tmp_path / "a.json", labelled(*shapes))
    expected = np.zeros((44, 52), bool)
    for x, y in ((10, 4), (-4, -3), (28, 21)):
        expected[10 + y : 16 + y, 10 + x : 18 + x] |= drawn
    np.testing.assert_array_equal(values(tmp_path), expected[10:34, 10:42])
    put(tmp_path / "a.json", labelled(shape("x", [[0, 0]], "mask", mask=base64.b64encode(b"no PNG").decode())))
    with pytest.raises(MaskRefusedError, match="shape 'x' whose mask is no PNG"):
        values(tmp_path)


def test_labels_that_mean_not_labelled_and_the_chosen_classes(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", photo())
    shapes = [
        shape(label, [[8 * index, 0], [8 * index + 7, 7]], "rectangle")
        for index, label in enumerate(["weed", "__ignore__", "crop", "_background_"])
    ]
    put(tmp_path / "a.json", labelled(*shapes))
    assert values(tmp_path)[0, ::8].tolist() == [2, 255, 1, 0]
    assert values(tmp_path, class_names=["weed"])[0, ::8].tolist() == [1, 255, 0, 0]
    assert values(tmp_path, ignore=["weed"])[0, ::8].tolist() == [255, 1, 2, 0]


def test_images_are_found_from_where_the_file_is(tmp_path: Path) -> None:
    put(tmp_path / "train" / "images" / "a.jpg", photo())
    put(tmp_path / "val" / "b.png", photo())
    put(
        tmp_path / "train" / "labels" / "a.json",
        labelled(shape("x", [[0, 0], [4, 4]], "rectangle"), image="..\\images\\a.jpg"),
    )
    put(tmp_path / "val" / "b.json", labelled(image="C:\\Users\\me\\b.png", imageHeight=None, imageWidth=None))
    annotations = read_annotations(tmp_path, SourceOptions())
    assert {picture.name: picture.split for picture in annotations.pictures} == {
        "train/images/a.jpg": "train",
        "val/b.png": "val",
    }
    assert annotations.pictures[1].mask.read((5, 6)).values.shape == (5, 6)


def test_what_cannot_be_used_is_dropped_by_name(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", photo())
    put(tmp_path / "lonely.jpg", photo())
    put(tmp_path / "a.json", labelled(shape("x", [[0, 0], [4, 4]], "rectangle")))
    put(tmp_path / "b.json", labelled(image="b.jpg", imageData="/9j/4AA"))
    put(tmp_path / "c.json", '{"shapes": [')
    put(tmp_path / "d.json", labelled(shape("x", [[0, 0]], "polygon")))
    put(tmp_path / "e.json", labelled(shape("x", [[0, 0]], "tube")))
    put(tmp_path / "f.json", "[]")
    put(tmp_path / "g.jpg", photo())
    for name in ("g.json", "again.json"):
        put(tmp_path / name, labelled(shape("x", [[0, 0], [4, 4]], "rectangle"), image="g.jpg"))
    annotations = read_annotations(tmp_path, SourceOptions())
    assert [picture.name for picture in annotations.pictures] == ["a.jpg"]
    reasons = {each.name: each.reason for each in annotations.dropped}
    assert reasons["lonely.jpg"] == "it has no LabelMe file"
    assert reasons["b.json"] == (
        "its image 'b.jpg' is not there; the copy in the JSON file (imageData) is not read: export it"
    )
    assert reasons["c.json"].startswith("line 1, column 13: it is no readable JSON")
    assert "the shape 'x' is a polygon with 1 points" in reasons["d.json"]
    assert "the shape 'x' is a tube with 1 points" in reasons["e.json"]
    assert "no readable LabelMe file" in reasons["f.json"]
    assert reasons["g.jpg"] == "it is annotated 2 times"
    assert len(reasons) == 7


def test_a_source_without_a_shape_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "a.json", labelled())
    with pytest.raises(DataError, match=r"no LabelMe file has an image and a shape; 1 cannot be used\. .*a.json"):
        read_annotations(tmp_path, SourceOptions())
