"""`petseg predict` and `petseg evaluate` on an exported model, and what they refuse."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipeline.cli import exit_code
from pipeline.models.loading import ServedModel
from trainer_module.errors import ModelError

pytestmark = pytest.mark.slow

PETS128 = Path(__file__).parents[5] / "shared" / "data" / "pets128"


@pytest.fixture
def photo(tmp_path):
    """Red at the left, green at the right: with channels for logits, class 0 and class 1."""
    pixels = np.zeros((30, 50, 3), np.uint8)
    pixels[:, :25, 0] = 255
    pixels[:, 25:, 1] = 255
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


def test_predict_writes_mask_and_overlay_at_the_size_of_the_photo(identity_export, photo, tmp_path, capfd):
    assert exit_code(["predict", str(photo), "--model", identity_export, "--out", str(tmp_path / "out")]) == 0
    mask = np.asarray(Image.open(tmp_path / "out" / "photo_mask.png"))
    assert mask.shape == (30, 50)
    assert (mask[:, :20] == 0).all()
    assert (mask[:, 30:] == 1).all()
    assert Image.open(tmp_path / "out" / "photo_overlay.png").size == (50, 30)
    assert "pet 50.0%, background 50.0%, border 0.0%" in capfd.readouterr().out


@pytest.mark.parametrize("turns_images", [True, False])
def test_predict_draws_on_what_a_viewer_shows(identity_export, photo, tmp_path, turns_images):
    """Orientation 6: the left of the stored pixels is the top. Models exported at first leave the turning to petseg."""
    model = shutil.copytree(identity_export, tmp_path / "model")
    card = model / "assets.extra" / "petseg_model.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"turns_images": turns_images}))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(photo).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    assert exit_code(["predict", str(tmp_path / "turned.jpg"), "--model", str(model), "--out", str(tmp_path)]) == 0
    mask = np.asarray(Image.open(tmp_path / "turned_mask.png"))
    assert mask.shape == (50, 30)
    assert (mask[:20] == 0).all()
    assert (mask[30:] == 1).all()
    overlay = np.asarray(Image.open(tmp_path / "turned_overlay.png")).astype(int)
    assert overlay.shape == (50, 30, 3)
    assert (overlay[:20, :, 0] > overlay[:20, :, 1]).all()
    assert (overlay[30:, :, 1] > overlay[30:, :, 0]).all()


def test_predict_says_what_a_file_is_in_truth(identity_export, photo, tmp_path, capfd):
    Image.open(photo).save(tmp_path / "photo.jpg", "BMP")
    Image.open(photo).save(tmp_path / "half.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "half.png").read_bytes()[:-40])
    for name, message in (
        ("photo.jpg", "it is a BMP image, whatever its name says"),
        ("half.png", "it is cut off or damaged"),
    ):
        assert exit_code(["predict", str(tmp_path / name), "--model", identity_export, "--out", str(tmp_path)]) == 1
        assert f"is no readable JPEG or PNG: {message}." in " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize(
    ("names", "message"),
    [(["text.jpg"], "is no readable JPEG or PNG"), (["gone.png"], "no image file"), (["a/x.png", "b/x.jpg"], "x_mask")],
)
def test_predict_refuses_what_it_cannot_write(identity_export, photo, tmp_path, capfd, names, message):
    for name in ("a/x.png", "b/x.jpg"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(photo, tmp_path / name)
    (tmp_path / "text.jpg").write_text("no image")
    paths = [str(tmp_path / name) for name in names]
    assert exit_code(["predict", *paths, "--model", identity_export, "--out", str(tmp_path / "out")]) == 1
    assert message in capfd.readouterr().err


def test_predict_names_the_limit(identity_export, tmp_path, capfd):
    Image.new("1", (6000, 6000)).save(tmp_path / "giant.png")
    arguments = ["predict", str(tmp_path / "giant.png"), "--model", identity_export, "--out", str(tmp_path)]
    assert exit_code(arguments) == 1
    assert (
        "bytes) has more than 33554432 pixels, or more than 65535 on a side: it has 6000×6000."
        in capfd.readouterr().err
    )


def test_newest_version_below_a_directory_is_taken(identity_export, tmp_path):
    for version in ("9", "10", "tmp"):
        shutil.copytree(identity_export, tmp_path / version)
    (tmp_path / "11").mkdir()
    assert ServedModel.load(str(tmp_path)).directory == tmp_path / "10"


def test_directory_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="there is no model in"):
        ServedModel.load(str(tmp_path / "nothing"))
    (tmp_path / "saved_model.pb").write_bytes(b"not one")
    with pytest.raises(ModelError, match="is no model that petseg exported"):
        ServedModel.load(str(tmp_path))


def test_saved_model_without_the_signatures_is_refused(identity_export, tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "foreign"))
    shutil.copytree(Path(identity_export, "assets.extra"), tmp_path / "foreign" / "assets.extra")
    with pytest.raises(ModelError, match="no signature 'serving_default'"):
        ServedModel.load(str(tmp_path / "foreign"))


def test_evaluate_refuses_the_model_of_an_earlier_version(identity_export, tmp_path, capfd):
    class Earlier(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def evaluation(self, examples):
            return {"confusion_matrix": tf.zeros([tf.size(examples), 9], tf.int64), "loss": tf.zeros_like(examples)}

    earlier = Earlier()
    signatures = {"serving_default": earlier.evaluation, "evaluation": earlier.evaluation}
    tf.saved_model.save(earlier, str(tmp_path / "1"), signatures=signatures)
    shutil.copytree(Path(identity_export, "assets.extra"), tmp_path / "1" / "assets.extra")
    arguments = ["--dataset", "synthetic_pets/tiny", "--data-dir", str(tmp_path), "--split", "test"]
    assert exit_code(["evaluate", "--model", str(tmp_path), *arguments]) == 1
    message = " ".join(capfd.readouterr().err.split())
    assert (
        "was exported by another version of petseg: its signature 'evaluation' has no boundary_intersection" in message
    )
    assert "Export it again" in message


@pytest.mark.skipif(not PETS128.is_dir(), reason="needs the real data in ../shared/data/pets128")
def test_evaluate_reports_real_data_by_species(identity_export, capfd):
    arguments = ["--dataset", "oxford_iiit_pet", "--data-dir", str(PETS128), "--split", "test[:40]", "--json"]
    assert exit_code(["evaluate", "--model", identity_export, *arguments, "--slice", "species"]) == 0
    result = json.loads(capfd.readouterr().out)
    assert result["dataset"] == {"name": "oxford_iiit_pet", "version": "4.0.0", "split": "test[:40]", "examples": 40}
    assert 0.4 < result["metrics"]["majority_share"] < 0.75
    assert sum(row["examples"] for row in result["slices"]) == 40
    assert result["metrics"]["accuracy_low"] < result["metrics"]["accuracy"] < result["metrics"]["accuracy_high"]
    assert sum(result["distributions"]["image_iou_histogram"]) == 40


def test_evaluate_names_the_data_set_that_is_not_there(identity_export, tmp_path, capfd):
    arguments = ["--dataset", "oxford_iiit_pet", "--data-dir", str(tmp_path), "--split", "test"]
    assert exit_code(["evaluate", "--model", identity_export, *arguments]) == 1
    assert "is not prepared in" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--by", "file_name"], "--shares and --by say how --of is parted, and there is no --of"),
        (["--of", "train", "--shares", "train=8,test=2"], "--split is 'val', and --shares has train, test"),
        (["--of", "train", "--shares", "val=none"], "--shares.val is 'none': Input should be a valid integer"),
        (["--of", "train", "--shares", "val"], "--shares.val is '': Input should be a valid integer"),
    ],
)
def test_evaluate_refuses_a_parting_that_is_none(options, message, tmp_path, capfd):
    asked = ["evaluate", "--model", "nowhere", "--dataset", "x", "--data-dir", str(tmp_path), "--split", "val"]
    assert exit_code([*asked, *options]) == 2
    assert message in " ".join(capfd.readouterr().err.split())
