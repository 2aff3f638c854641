"""Pascal VOC, CVAT and Cityscapes: drawn, written as each prescribes, found, and read back to the pixel."""

from pathlib import Path

import numpy as np
import pytest
from picture_files import encoded, photo, put
from PIL import Image

from pipeline.data.formats.cityscapes import LABELS
from pipeline.data.formats.options import SourceOptions
from pipeline.data.formats.pascal_voc import VOC_CLASSES, palette_color
from pipeline.data.formats.reading import detect_format, read_annotations
from trainer_module.errors import ConfigError, DataError

IDS = np.zeros((24, 32), np.uint8)
IDS[4:12, 4:20] = 15
IDS[12:20, 10:30] = 20
VOID = IDS.copy()
VOID[3, 3:21] = VOID[20, 9:31] = 255
COLORS = np.array([palette_color(index) for index in range(256)], np.uint8)


def voc_mask() -> bytes:
    image = Image.fromarray(VOID, mode="P")
    image.putpalette(COLORS.ravel().tolist())
    return encoded(image)


def voc(root: Path) -> Path:
    for name in ("2007_1", "2007_2", "2007_3", "only_boxes"):
        put(root / "JPEGImages" / f"{name}.jpg", photo())
    for name in ("2007_1", "2007_2"):
        put(root / "SegmentationClass" / f"{name}.png", voc_mask())
        put(root / "SegmentationObject" / f"{name}.png", voc_mask())
    put(root / "ImageSets" / "Main" / "train.txt", "only_boxes\n")
    put(root / "ImageSets" / "Segmentation" / "train.txt", "2007_1\n")
    put(root / "ImageSets" / "Segmentation" / "val.txt", "2007_2\n2007_3\n")
    put(root / "ImageSets" / "Segmentation" / "trainval.txt", "2007_1\n2007_2\n2007_3\n")
    return root


@pytest.mark.parametrize("below", [".", "VOCdevkit/VOC2012"])
def test_pascal_voc_with_void(tmp_path: Path, below: str) -> None:
    voc(tmp_path / below)
    assert detect_format(tmp_path) == "voc"
    annotations = read_annotations(tmp_path, SourceOptions())
    assert {picture.name: picture.split for picture in annotations.pictures} == {
        "JPEGImages/2007_1.jpg": "train",
        "JPEGImages/2007_2.jpg": "val",
    }
    assert [(each.name, each.reason) for each in annotations.dropped] == [("JPEGImages/2007_3.jpg", "it has no mask")]
    assert "1 images have no mask and are in no list of ImageSets/Segmentation: they are not read." in annotations.notes
    card = annotations.card
    assert (card.class_names, card.mask_values, card.ignore_values) == (VOC_CLASSES, tuple(range(21)), (255,))
    assert card.class_colors[15] == (192, 128, 128)
    mask = annotations.pictures[0].mask.read((24, 32))
    np.testing.assert_array_equal(mask.values, VOID)
    assert mask.met == {
        str(value): int(count) for value, count in zip(*np.unique(VOID, return_counts=True), strict=True)
    }


def test_pascal_voc_by_colour_is_the_same(tmp_path: Path) -> None:
    voc(tmp_path)
    put(tmp_path / "SegmentationClass" / "2007_1.png", COLORS[VOID])
    annotations = read_annotations(tmp_path, SourceOptions(palette="color"))
    for picture in annotations.pictures:
        np.testing.assert_array_equal(picture.mask.read((24, 32)).values, VOID)
    assert annotations.card.class_colors[15] == (192, 128, 128)


def test_other_classes_in_the_folders_of_pascal_voc(tmp_path: Path) -> None:
    put(tmp_path / "JPEGImages" / "a.jpg", photo())
    put(tmp_path / "SegmentationClass" / "a.png", VOID)
    put(tmp_path / "ImageSets" / "Segmentation" / "train.txt", "a")
    options = SourceOptions(class_names=("soil", "crop", "weed"), mask_values=(0, 15, 20))
    annotations = read_annotations(tmp_path, options)
    assert (annotations.card.class_names, annotations.card.ignore_values) == (("soil", "crop", "weed"), (255,))
    np.testing.assert_array_equal(annotations.pictures[0].mask.read((24, 32)).values, VOID)


def cvat(root: Path) -> Path:
    put(
        root / "labelmap.txt",
        "# label:color_rgb:parts:actions\n"
        "background:0,0,0::\ncrop:192,128,128::\nvoid:224,224,192::\nweed:0,64,128::\n",
    )
    put(root / "JPEGImages" / "field 1" / "a.jpg", photo())
    put(root / "SegmentationClass" / "field 1" / "a.png", COLORS[VOID])
    put(root / "SegmentationObject" / "field 1" / "a.png", COLORS[VOID])
    put(root / "ImageSets" / "Segmentation" / "default.txt", "field 1/a\n")
    return root


def test_cvat(tmp_path: Path) -> None:
    assert detect_format(cvat(tmp_path)) == "cvat"
    annotations = read_annotations(tmp_path, SourceOptions())
    card = annotations.card
    assert (card.class_names, card.mask_values) == (("background", "crop", "weed"), (0, 1, 2))
    assert (card.class_colors, card.ignore_values) == (((0, 0, 0), (192, 128, 128), (0, 64, 128)), (255,))
    (picture,) = annotations.pictures
    assert (picture.name, picture.split) == ("JPEGImages/field 1/a.jpg", None)
    mask = picture.mask.read((24, 32))
    np.testing.assert_array_equal(mask.values, np.select([VOID == 255, VOID == 15, VOID == 20], [255, 1, 2]))


def test_an_export_without_images_says_so(tmp_path: Path) -> None:
    (cvat(tmp_path) / "JPEGImages" / "field 1" / "a.jpg").unlink()
    with pytest.raises(DataError, match=r"no image in JPEGImages. Export the data set with its images"):
        read_annotations(tmp_path, SourceOptions())


def test_folders_that_are_not_there_or_twice_are_named(tmp_path: Path) -> None:
    put(tmp_path / "a" / "SegmentationClass" / "a.png", VOID)
    with pytest.raises(DataError, match="no masks in a folder SegmentationClass"):
        read_annotations(tmp_path / "a" / "SegmentationClass", SourceOptions(format="voc"))
    put(tmp_path / "b" / "SegmentationClass" / "a.png", VOID)
    with pytest.raises(DataError, match=r"several folders have a SegmentationClass: .*a, .*b; import them one by one"):
        read_annotations(tmp_path, SourceOptions(format="voc"))
    with pytest.raises(DataError, match=r"labelmap.txt: there is no such file"):
        read_annotations(tmp_path / "a", SourceOptions(format="cvat"))
    with pytest.raises(DataError, match=r"0 images .* and 0 masks .*Unpack both archives"):
        read_annotations(tmp_path, SourceOptions(format="cityscapes"))


LICENCE_PLATE = 255
LABEL_IDS = np.append(np.arange(34, dtype=np.uint8).repeat(4)[:-1], np.uint8(LICENCE_PLATE)).reshape(8, 17)
TRAIN_IDS = np.append([label.train_id for label in LABELS], np.full(222, 255)).astype(np.uint8)[LABEL_IDS]


def cityscapes(root: Path, kind: str, ids: np.ndarray) -> Path:
    for split, city in (("train", "aachen"), ("val", "ulm")):
        stem = f"{city}_000000_000019"
        put(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", Image.new("RGB", (17, 8)))
        put(root / "gtFine" / split / city / f"{stem}_gtFine_{kind}.png", ids)
        put(root / "gtFine" / split / city / f"{stem}_gtFine_color.png", Image.new("RGB", (17, 8)))
    return root


@pytest.mark.parametrize(("kind", "ids"), [("labelIds", LABEL_IDS), ("labelTrainIds", TRAIN_IDS)])
def test_cityscapes_by_either_ids(tmp_path: Path, kind: str, ids: np.ndarray) -> None:
    assert detect_format(cityscapes(tmp_path, kind, ids)) == "cityscapes"
    annotations = read_annotations(tmp_path, SourceOptions())
    assert [(picture.split, picture.labels) for picture in annotations.pictures] == [
        ("train", {"city": "aachen"}),
        ("val", {"city": "ulm"}),
    ]
    card = annotations.card
    assert card.class_names[:3] + card.class_names[-2:] == ("road", "sidewalk", "building", "motorcycle", "bicycle")
    assert (len(card.class_names), card.slice_features, card.ignore_values) == (19, ("city",), (255,))
    assert (card.class_colors[0], card.class_colors[18]) == ((128, 64, 128), (119, 11, 32))
    values = annotations.pictures[0].mask.read((8, 17)).values
    class_ids = np.full(256, 255)
    class_ids[list(card.mask_values)] = np.arange(19)
    np.testing.assert_array_equal(class_ids[values], TRAIN_IDS)


def test_cityscapes_of_chosen_labels(tmp_path: Path) -> None:
    cityscapes(tmp_path, "labelIds", LABEL_IDS)
    annotations = read_annotations(tmp_path, SourceOptions(class_names=("parking", "road")))
    assert annotations.card.mask_values == (9, 7)
    values = annotations.pictures[0].mask.read((8, 17)).values
    np.testing.assert_array_equal(values, np.where(np.isin(LABEL_IDS, (7, 9)), LABEL_IDS, 255))
    with pytest.raises(ConfigError, match="--class raod: Cityscapes has no such label here; did you mean 'road'"):
        read_annotations(tmp_path, SourceOptions(class_names=("raod",)))


def test_the_train_ids_of_cityscapes_are_the_published_ones() -> None:
    assert [index for index, label in enumerate(LABELS) if label.train_id != 255] == [
        7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33,
    ]  # fmt: skip
    assert sorted(label.train_id for label in LABELS if label.train_id != 255) == list(range(19))


def test_whatever_is_nothing_else_is_folders(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.jpg", photo())
    assert detect_format(tmp_path) == "folders"
    archive = put(tmp_path / "data.zip", b"PK")
    with pytest.raises(DataError, match="a source is a folder, or a JSON file of COCO; unpack it"):
        detect_format(archive)
    with pytest.raises(DataError, match="no such folder"):
        detect_format(tmp_path / "nowhere")
