"""`petseg export`: what it writes, what it says of it, and what it refuses."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.model_probe.checks import SessionModel
from components.model_pusher.push import pushed_statistics
from pipeline.cli import exit_code
from pipeline.export import exporting
from pipeline.export.forms import LiteNetwork
from pipeline.models.loading import Original
from trainer_module.errors import ModelError
from trainer_module.warm_start import read_weights

pytestmark = pytest.mark.slow


@pytest.fixture
def export(exported, tmp_path, capfd):
    """Calls the command for `exported` unless another model is named; returns exit code, output and errors."""

    def run(*arguments, model=exported, output=tmp_path / "out"):
        code = exit_code(["export", "--model", str(model), "--output", str(output), *map(str, arguments)])
        said = capfd.readouterr()
        return code, said.out, " ".join(said.err.split())

    return run


@pytest.fixture
def data(data_dir):
    return ["--dataset", "synthetic_pets/tiny", "--data-dir", data_dir, "--split", "test"]


def optimize(*names):
    return [argument for name in names for argument in ("--optimize", name)]


def test_every_form_is_written_and_measured(export, data, exported, tmp_path):
    forms = ["frozen", "float16", "int8", "int8_full"]
    settings = ["--calibration-examples", 5, "--calibration-split", "train", "--json"]
    code, out, _ = export(*optimize(*forms), *data, *settings)
    assert code == 0
    result = json.loads(out)
    assert [*result["written"]] == [*result["measured"]["forms"]] == forms
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.name[0] != ".") == sorted(
        Path(directory).name for directory in result["written"].values()
    )
    card = json.loads(Path(result["written"]["int8_full"], "model.json").read_text())
    assert card["source"]["version"] == Path(exported).name
    assert card["measured"]["optimized"] == result["measured"]["forms"]["int8_full"]
    assert card["calibration"] == {
        "name": "synthetic_pets", "version": "1.0.0", "split": "train", "examples": 5, "seed": 0
    }  # fmt: skip
    assert card["bytes"] == Path(result["written"]["int8_full"], "model.tflite").stat().st_size
    assert _accuracy(exported, card, result["written"]["int8_full"], data) == pytest.approx(
        result["measured"]["forms"]["int8_full"]["metrics"]["accuracy"]
    )
    assert result["measured"]["forms"]["frozen"]["changed_pixels"] < 0.001
    assert pushed_statistics(result["written"]["frozen"]) == b"{}", "what the original was trained on"
    assert exit_code(["models", "verify", "--model", str(tmp_path / "out")]) == 0
    assert SessionModel.load(result["written"]["frozen"]).signatures
    _check_that_the_frozen_form_is_known_for_one(export, result["written"]["frozen"])


def _accuracy(exported: str, card: dict, directory: str, data: list[str]) -> float:
    """Prepares the images of the split as the card says, without petseg, and counts the pixels that are right."""
    import tensorflow_datasets as tfds

    network = LiteNetwork(Path(directory, "model.tflite").read_bytes())
    size, right = card["image_size"], []
    for record in tfds.as_numpy(tfds.load(data[1], data_dir=data[3], split="test")):
        pixels = tf.round(tf.image.resize(record["image"], (size, size), antialias=True)).numpy()
        prepared = (pixels - np.float32(card["preparation"]["offset"])) * np.float32(card["preparation"]["scale"])
        mask = tf.image.resize(record["segmentation_mask"], (size, size), "nearest").numpy()[..., 0]
        right.append(np.array(card["mask_values"])[network(prepared[np.newaxis])[0].argmax(-1)] == mask)
    return float(np.mean(right))


def _check_that_the_frozen_form_is_known_for_one(export, directory):
    code, _, err = export(*optimize("frozen"), model=directory)
    assert (code, "is an optimized one already; name the one it was made of" in err) == (1, True)
    with pytest.raises(ModelError, match="has its weights as constants"):
        read_weights(directory)


def test_without_data_the_cost_is_unknown_and_it_says_so(export, tmp_path):
    code, out, _ = export(*optimize("int8"))
    assert code == 0
    assert "The cost in accuracy was not measured" in out
    assert json.loads((tmp_path / "out" / "int8" / "model.json").read_text())["measured"] is None


def test_the_table_says_what_was_measured(export, data):
    code, out, _ = export(*optimize("float16"), *data)
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert "synthetic_pets 1.0.0, test: 12 examples" in out
    assert [row[0] for row in rows if row] == ["synthetic_pets", "MB", "original", "float16", "IoU", "original",
                                               "float16", "wrote"]  # fmt: skip


def test_a_form_that_loses_too_much_leaves_nothing(export, data, tmp_path, monkeypatch):
    def pessimistic(*arguments):
        measured = exporting_measure(*arguments)
        form = measured.forms["int8"].model_copy(update={"differences": {"accuracy": -0.02}})
        return measured.model_copy(update={"forms": {**measured.forms, "int8": form}})

    exporting_measure = exporting.measure
    monkeypatch.setattr(exporting, "measure", pessimistic)
    code, _, err = export(*optimize("float16", "int8"), *data, "--max-accuracy-loss", 0.01)
    assert code == 3
    assert "nothing is written: int8 loses 0.0200 of the accuracy; --max-accuracy-loss allows 0.01" in err
    assert not (tmp_path / "out").exists()
    assert export(*optimize("int8"), *data, "--max-accuracy-loss", 0.02)[0] == 0


def test_an_earlier_export_stays_unless_it_is_to_be_replaced(export, tmp_path):
    (tmp_path / "out" / "int8").mkdir(parents=True)
    (tmp_path / "out" / "int8" / "earlier").touch()
    code, _, err = export(*optimize("int8"))
    assert (code, "there is an earlier export" in err, "--force" in err) == (2, True, True)
    assert export(*optimize("int8"), "--force")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["int8"]
    assert sorted(path.name for path in (tmp_path / "out" / "int8").iterdir()) == ["model.json", "model.tflite"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Missing option '--optimize'"),
        (optimize("int4"), 2, "'int4' is not one of"),
        (optimize("int8_full"), 2, "--optimize int8_full needs examples to calibrate on"),
        ([*optimize("int8"), "--max-accuracy-loss", "0.1"], 2, "--max-accuracy-loss needs examples"),
        ([*optimize("int8"), "--max-accuracy-loss", "2"], 2, "--max-accuracy-loss"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(export, tmp_path, arguments, code, message):
    found, _, err = export(*arguments)
    assert (found, message in err) == (code, True), err
    assert not (tmp_path / "out").exists()


def test_the_output_must_be_a_directory(export, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = export(*optimize("int8"), output=tmp_path / "file")
    assert (code, "--output must be a directory" in err) == (2, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--calibration-split": "train[:0]"}, "holds no example"),
        ({"--split": "gone"}, "has no split 'gone'"),
        ({"--data-dir": "nowhere"}, "is not prepared in"),
    ],
)
def test_data_that_cannot_be_used_leave_nothing(export, data, tmp_path, change, message):
    settings = dict(zip(data[::2], data[1::2], strict=True)) | change
    code, _, err = export(*optimize("int8_full"), *(part for setting in settings.items() for part in setting))
    assert (code in (1, 2), message in err) == (True, True), err
    assert not (tmp_path / "out").exists()


def test_data_of_other_classes_are_refused(export, exported, data, tmp_path):
    model = Path(shutil.copytree(exported, tmp_path / "1"))
    card = model / "assets.extra" / "petseg_model.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "mask_values": [1, 2, 7]}))
    code, _, err = export(*optimize("int8_full"), *data, model=model)
    assert (code, "has the values [3], not among data.mask_values = [1, 2, 7]" in err) == (1, True), err
    assert not (tmp_path / "out").exists()


def test_what_is_no_model_or_an_earlier_one_is_refused(export, exported, tmp_path):
    assert "there is no model in" in export(*optimize("int8"), model=tmp_path)[2]
    holder = tf.Module()
    holder.earlier = tf.saved_model.load(exported)
    tf.saved_model.save(holder, str(tmp_path / "1"), signatures=dict(holder.earlier.signatures))
    shutil.copytree(Path(exported, "assets.extra"), tmp_path / "1" / "assets.extra")
    code, _, err = export(*optimize("int8"), model=tmp_path)
    assert (code, "was exported by another version of petseg: it has no network, prepare" in err) == (1, True), err
    assert not (tmp_path / "out").exists()


def test_the_normalization_is_that_of_the_training(exported, transformed):
    offset, scale = Original.load(exported).normalization()
    np.testing.assert_array_equal(np.float32(offset), transformed.features["image_offset_xf"][0])
    np.testing.assert_array_equal(np.float32(scale), transformed.features["image_scale_xf"][0])
