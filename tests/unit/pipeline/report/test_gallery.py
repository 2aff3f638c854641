"""Which images a gallery shows, and how."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from pipeline.report.blocks import Gallery
from pipeline.report.comparison import ImageDifference
from pipeline.report.gallery import BEST_COUNT, RANDOM_COUNT, WORST_COUNT, error_image, picture_row, select, write_sheet
from pipeline.report.image_scores import ImageScore, read_scores, saved_scores
from trainer_module.errors import DataError, PetsegError
from trainer_module.model_card import HATCH_COLORS, class_colors


class Scored:
    def __init__(
        self, index: int, right: int = 50, before: float | None = None, name: str = "", pixels: int = 100
    ) -> None:
        self.score = ImageScore(
            name or f"{index}.jpg", f"pets-test.tfrecord-00000-of-00001__{index}", index, (right, 0, pixels, 0)
        )
        self.file_name, self.example_id = self.score.file_name, self.score.example_id
        self.mean_iou = self.score.mean_iou
        self.labels = ("Cat",)
        names = (self.file_name, self.file_name, self.example_id)
        self.change = None if before is None else ImageDifference(*names, before, self.mean_iou)


def images(rights):
    return [Scored(index, right) for index, right in enumerate(rights)]


def names(chosen):
    return [image.file_name for image in chosen]


def test_the_extremes_are_found_and_the_first_of_equals_comes_first():
    rights = [25] * 40
    rights[7], rights[30], rights[11], rights[12] = 0, 5, 50, 49
    selection = select(iter(images(rights)))
    assert names(selection.worst) == ["7.jpg", "30.jpg", *(f"{index}.jpg" for index in range(6))]
    assert names(selection.best) == ["11.jpg", "12.jpg", "0.jpg", "1.jpg"]


def test_the_sample_does_not_depend_on_the_model_and_is_not_the_beginning():
    first, second = (select(iter(images(rights))) for rights in ([10] * 500, [40] * 500))
    assert names(first.random) == names(second.random)
    assert len(set(names(first.random))) == RANDOM_COUNT
    assert max(int(name.removesuffix(".jpg")) for name in names(first.random)) > 100


def test_names_tell_all_images_apart_not_those_shown_alone():
    twelve = [Scored(index, 100 - index, name=f"{index // 2}.jpg") for index in range(24)]
    selection = select(iter([*twelve, Scored(99, 0)]))
    shown = [selection.names[image.example_id] for image in selection.worst[:3]]
    assert shown == ["99.jpg", "11.jpg (test 00000__23)", "11.jpg (test 00000__22)"]


def test_fewer_images_than_places_are_all_shown():
    selection = select(iter(images([10, 20, 30])))
    assert [len(part) for part in (selection.random, selection.worst, selection.best)] == [3, 3, 3]
    assert (WORST_COUNT, BEST_COUNT) == (8, 4)


def test_the_largest_changes_are_found_in_either_direction():
    before = [Scored(0, 25).mean_iou] * 30
    before[3], before[20], before[9] = 0.6, 0.9, 0.34
    before[4], before[5], before[6], before[7], before[28] = 0.1, 0.2, 0.3, 0.0, 0.33
    changed = (Scored(index, 25, iou) for index, iou in enumerate(before))
    selection = select(changed)
    assert names(selection.fallen) == ["20.jpg", "3.jpg", "9.jpg"]
    assert names(selection.risen) == ["7.jpg", "4.jpg", "5.jpg", "6.jpg"]
    without = select(iter(images([10, 20])))
    assert (without.fallen, without.risen) == ([], [])


def test_an_image_without_labels_is_neither_good_nor_bad():
    selection = select(iter([Scored(0, 10), Scored(1, 0, pixels=0), Scored(2, 30)]))
    assert names(selection.random) == ["0.jpg", "1.jpg", "2.jpg"]
    assert names(selection.worst) == names(selection.best)[::-1] == ["0.jpg", "2.jpg"]


def test_wrong_pixels_alone_have_the_colour():
    wrong = np.array([[True, False]])
    pixels = np.asarray(error_image(Image.new("RGB", (2, 1), (200, 200, 200)), wrong))
    assert pixels.tolist() == [[[255, 45, 120], [90, 90, 90]]]


class Model:
    def predict(self, image, name):
        return np.full((320, 640), 2, np.uint8)


def encoded(image, kind):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def decoded(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2]))))


def test_a_row_has_truth_prediction_and_errors_as_small_pictures():
    image = Scored(0, 50, 0.25)
    image.image = encoded(Image.new("RGB", (640, 320), "gray"), "jpeg")
    mask = np.full((320, 640), 10, np.uint8)
    mask[:, 320:] = 30
    image.mask = encoded(Image.fromarray(mask), "png")
    row = picture_row(image, "this one", {"prediction": Model()}, (10, 20, 30))
    assert row.name == "this one"
    assert [picture.label for picture in row.pictures] == ["image", "truth", "prediction", "errors"]
    assert row.detail == "mean IoU 1.000 · Cat"
    photo, truth, prediction, errors = (decoded(picture.uri) for picture in row.pictures)
    assert photo.shape == errors.shape == (80, 160, 3)
    assert (truth[:, :80] == 0).all()
    assert (truth[:, 80:] == 2).all()
    assert (prediction == 2).all()
    assert errors[40, 20, 0] > 200 > errors[40, 140, 0]
    two = picture_row(image, "0.jpg", {"prediction first": Model(), "prediction second": Model()}, (10, 20, 30))
    assert [picture.label for picture in two.pictures][2:] == [
        "prediction first",
        "errors first",
        "prediction second",
        "errors second",
    ]
    assert two.detail == "mean IoU 0.250 → 1.000 (+0.750) · Cat"


def test_an_image_is_shown_as_a_viewer_shows_it():
    image, exif = Scored(0), Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (320, 640), "gray").save(buffer, "jpeg", exif=exif)
    image.image, image.mask = buffer.getvalue(), encoded(Image.fromarray(np.full((320, 640), 10, np.uint8)), "png")
    for picture in picture_row(image, "0.jpg", {"prediction": Model()}, (10, 20, 30)).pictures:
        assert decoded(picture.uri).shape[:2] == (80, 160)


class Refusing:
    def predict(self, image, name):
        raise DataError(f"{name!r} is no readable JPEG or PNG.")


def test_a_picture_that_cannot_be_shown_is_a_gap_with_its_reason(tmp_path):
    photo, mask = encoded(Image.new("RGB", (64, 32)), "jpeg"), encoded(Image.new("L", (64, 32), 10), "png")
    rows = []
    for content, of_mask, model in (
        (encoded(Image.new("RGB", (64, 32)), "gif"), mask, Model()),
        (photo[:-300], mask, Model()),
        (photo, b"", Model()),
        (photo, mask, Refusing()),
        (photo, mask, Model()),
    ):
        image = Scored(len(rows))
        image.image, image.mask = content, of_mask
        rows.append(picture_row(image, image.file_name, {"prediction": model}, (10, 20, 30)))
    assert [len(row.pictures) for row in rows] == [0, 0, 0, 0, 4]
    assert rows[0].detail == "cannot be shown: is no readable JPEG or PNG: it is a GIF image, whatever its name says"
    assert rows[3].detail == "cannot be shown: '3.jpg' is no readable JPEG or PNG."
    write_sheet([Gallery("some", "", rows), Gallery("none", "", rows[:1])], tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_scores_are_read_back_and_a_broken_pass_leaves_none(tmp_path):
    file = tmp_path / "scores.jsonl"
    found = images([10, 20])
    for _ in zip(saved_scores(iter(found), file), range(1), strict=False):
        pass
    assert not file.exists()
    assert list(saved_scores(iter(found), file)) == found
    assert read_scores(file) == [image.score for image in found]
    file.write_text('{"file_name": "x"}\n')
    with pytest.raises(PetsegError, match="is no file of image scores"):
        read_scores(file)


def test_what_is_not_labelled_is_hatched_and_no_error():
    image = Scored(0, 0, pixels=0)
    image.image = encoded(Image.new("RGB", (640, 320), "gray"), "jpeg")
    mask = np.full((320, 640), 255, np.uint8)
    mask[:, 480:] = 10
    image.mask = encoded(Image.fromarray(mask), "png")
    row = picture_row(image, "this one", {"prediction": Model()}, (10, 20, 30))
    assert row.detail == "not labelled · Cat"
    _, truth, _, errors = (decoded(picture.uri) for picture in row.pictures)
    assert {*map(tuple, truth[:, :120].reshape(-1, 3).tolist())} == {*HATCH_COLORS}
    assert (truth[:, 120:] == class_colors(3)[0]).all()
    assert (errors[:, 4:110, 0] < 100).all()
    assert (errors[:, 130:, 0] > 200).all()
