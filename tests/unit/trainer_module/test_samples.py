"""Sample predictions as picture files and for TensorBoard, and TensorBoard's curves."""

import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tiny_training import DATA, EPOCHS, STEPS, fn_args, tiny_network

from trainer_module import checkpoints, resumption, trainer, unet
from trainer_module.preprocessing import decode_image_xf, decode_mask_xf

pytestmark = pytest.mark.usefixtures("tiny_unet")


class Killed(BaseException):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    output = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(unet.MODELS, "unet", tiny_network)
        trainer.run_fn(fn_args(data, output, sample_epochs=[0, 1, 10], best_weights=False))
    return output


def pictures(output):
    return {path.name: path.read_bytes() for path in (output / "samples").iterdir()}


def points(output, split):
    """Returns tag to steps and values of the event files; a picture's value is its array."""
    found = {}
    for file in sorted((output / "tensorboard" / split).iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                content = (
                    np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)))
                    if value.HasField("image")
                    else value.simple_value
                )
                found.setdefault(value.tag, []).append((event.step, content))
    return found


def test_four_images_have_truth_and_predictions_before_in_between_and_at_the_end(run, data):
    names = [f"{number}_{name}.png" for number in range(1, 5) for name in ("image", "truth", *_epochs(0, 1, EPOCHS))]
    assert sorted(pictures(run)) == sorted(names)
    [first, *_] = _records(data)
    side = DATA.image_size
    image = decode_image_xf(first["image_xf"], side).numpy()
    np.testing.assert_array_equal(np.asarray(Image.open(run / "samples" / "1_image.png")), image)
    truth = np.asarray(Image.open(run / "samples" / "1_truth.png"))
    np.testing.assert_array_equal(truth, decode_mask_xf(first["segmentation_mask_xf"], side))


def test_the_last_prediction_is_that_of_the_exported_model(run, data):
    [first, *_] = _records(data)
    side = DATA.image_size
    image = decode_image_xf(first["image_xf"], side).numpy()
    serve = tf.saved_model.load(str(run / "model")).signatures["serving_default"]
    mask = serve(image=tf.constant([tf.io.encode_png(image).numpy()]))["mask"].numpy()[0]
    predicted = np.asarray(Image.open(run / "samples" / f"1_epoch_{EPOCHS:04d}.png"))
    np.testing.assert_array_equal(predicted, mask)


def test_curves_have_each_epoch_once_with_the_numbers_of_the_history(run):
    epochs = json.loads((run / "history.json").read_text())["epochs"]
    train, evaluated = points(run, "train"), points(run, "eval")
    assert {"loss", "accuracy", "learning_rate", "images_per_second"} <= set(train)
    for tag in ("loss", "accuracy"):
        for found, prefix in ((train, ""), (evaluated, "val_")):
            assert [step for step, _ in found[tag]] == [1, 2, 3]
            assert [value for _, value in found[tag]] == pytest.approx([epoch[prefix + tag] for epoch in epochs])


def test_tensorboard_has_the_samples_side_by_side(run):
    strips = points(run, "eval")["image, truth, prediction/2"]
    assert [step for step, _ in strips] == [0, 1, EPOCHS]
    image, truth = (np.asarray(Image.open(run / "samples" / f"2_{name}.png").convert("RGB")) for name in _named(EPOCHS))
    np.testing.assert_array_equal(strips[-1][1][:, :16], np.asarray(Image.open(run / "samples" / "2_image.png")))
    np.testing.assert_array_equal(strips[-1][1][:, 16:32], image)
    np.testing.assert_array_equal(strips[-1][1][:, 32:], truth)


@pytest.mark.parametrize("same_directory", [True, False], ids=["same directory", "another directory"])
def test_a_resumed_training_has_all_pictures_and_no_point_twice(same_directory, run, data, tmp_path, monkeypatch):
    monkeypatch.setenv(checkpoints.CHECKPOINT_DIR_VARIABLE, str(tmp_path / "checkpoints"))
    original, calls = resumption.Resumption.on_train_batch_end, iter(range(1, 1000))

    def dying(self, batch, logs=None):
        original(self, batch, logs)
        if next(calls) == 2 * STEPS + 1:
            raise Killed

    resumed = tmp_path / ("killed" if same_directory else "resumed")
    with monkeypatch.context() as patch:
        patch.setattr(resumption.Resumption, "on_train_batch_end", dying)
        with pytest.raises(Killed):
            trainer.run_fn(fn_args(data, tmp_path / "killed", sample_epochs=[0, 1, 10]))
    trainer.run_fn(fn_args(data, resumed, sample_epochs=[0, 1, 10]))
    assert pictures(resumed) == pictures(run)
    for split in ("train", "eval"):
        steps = {tag: [step for step, _ in found] for tag, found in points(resumed, split).items()}
        assert steps == {tag: [step for step, _ in found] for tag, found in points(run, split).items()}


def test_a_training_that_stops_early_is_sampled_after_its_last_epoch(data, tmp_path):
    settings = {"early_stopping_patience": 1, "epochs": 9, "learning_rate": 0.5, "sample_epochs": []}
    trainer.run_fn(fn_args(data, tmp_path, **settings))
    last = json.loads((tmp_path / "history.json").read_text())["epochs"][-1]["epoch"]
    assert last < 9, "the test needs a training that stops early"
    assert [name for name in pictures(tmp_path) if name.startswith("1_epoch")] == [f"1_epoch_{last:04d}.png"]


def _epochs(*numbers):
    return [f"epoch_{number:04d}" for number in numbers]


def _named(epoch):
    return "truth", f"epoch_{epoch:04d}"


def _records(data):
    for record in tf.data.TFRecordDataset(str(data / "eval.gz"), "GZIP").as_numpy_iterator():
        example = tf.train.Example.FromString(record).features.feature
        yield {name: example[name].bytes_list.value[0] for name in ("image_xf", "segmentation_mask_xf")}
