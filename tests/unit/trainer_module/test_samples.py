"""Sample predictions as picture files and for TensorBoard, and TensorBoard's curves."""

import io
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tiny_training import DATA, EPOCHS, STEPS, fn_args, train_until

from trainer_module import checkpoints, resumption, trainer
from trainer_module.preprocessing import decode_image_xf, decode_mask_xf

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tiny_unet", "weights_alone")]


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


def test_four_images_have_truth_and_predictions_before_in_between_and_at_the_end(unbroken, data):
    names = [f"{number}_{name}.png" for number in range(1, 5) for name in ("image", "truth", *_epochs(0, 1, EPOCHS))]
    assert sorted(pictures(unbroken)) == sorted(names)
    [first, *_] = _records(data)
    side = DATA.image_size
    image = decode_image_xf(first["image_xf"], side).numpy()
    np.testing.assert_array_equal(np.asarray(Image.open(unbroken / "samples" / "1_image.png")), image)
    truth = np.asarray(Image.open(unbroken / "samples" / "1_truth.png"))
    np.testing.assert_array_equal(truth, decode_mask_xf(first["segmentation_mask_xf"], side))


def test_the_last_prediction_is_that_of_the_exported_model(trained, data):
    [first, *_] = _records(data)
    side = DATA.image_size
    image = decode_image_xf(first["image_xf"], side).numpy()
    serve = tf.saved_model.load(str(trained / "model")).signatures["serving_default"]
    mask = serve(image=tf.constant([tf.io.encode_png(image).numpy()]))["mask"].numpy()[0]
    predicted = np.asarray(Image.open(trained / "samples" / "1_epoch_0001.png"))
    np.testing.assert_array_equal(predicted, mask)


def test_curves_have_each_epoch_once_with_the_numbers_of_the_history(unbroken):
    epochs = json.loads((unbroken / "history.json").read_text())["epochs"]
    train, evaluated = points(unbroken, "train"), points(unbroken, "eval")
    assert {"loss", "accuracy", "learning_rate", "images_per_second"} <= set(train)
    for tag in ("loss", "accuracy"):
        for found, prefix in ((train, ""), (evaluated, "val_")):
            assert [step for step, _ in found[tag]] == [1, 2, 3]
            assert [value for _, value in found[tag]] == pytest.approx([epoch[prefix + tag] for epoch in epochs])


def test_tensorboard_has_the_samples_side_by_side(unbroken):
    strips = points(unbroken, "eval")["image, truth, prediction/2"]
    assert [step for step, _ in strips] == [0, 1, EPOCHS]
    for position, name in enumerate(("image", "truth", f"epoch_{EPOCHS:04d}")):
        picture = Image.open(unbroken / "samples" / f"2_{name}.png").convert("RGB")
        np.testing.assert_array_equal(strips[-1][1][:, 16 * position : 16 * (position + 1)], np.asarray(picture))


def test_a_resumed_training_has_all_pictures_and_no_point_twice(unbroken, data, tmp_path, monkeypatch):
    """In the directory of the training that was killed, and in another one."""
    monkeypatch.setenv(checkpoints.CHECKPOINT_DIR_VARIABLE, str(tmp_path / "checkpoints"))
    killed, elsewhere = tmp_path / "killed", tmp_path / "elsewhere"
    train_until(
        fn_args(data, killed, sample_epochs=[0, 1, 10]),
        resumption.Resumption,
        "on_train_batch_end",
        2 * STEPS + 1,
        after=True,
    )
    shutil.copytree(tmp_path / "checkpoints", tmp_path / "copy")
    for resumed in (killed, elsewhere):
        trainer.run_fn(fn_args(data, resumed, sample_epochs=[0, 1, 10]))
        assert pictures(resumed) == pictures(unbroken)
        for split in ("train", "eval"):
            steps = {tag: [step for step, _ in found] for tag, found in points(resumed, split).items()}
            assert steps == {tag: [step for step, _ in found] for tag, found in points(unbroken, split).items()}
        monkeypatch.setenv(checkpoints.CHECKPOINT_DIR_VARIABLE, str(tmp_path / "copy"))
    assert not [*(tmp_path / "copy").iterdir()], "the second went on from the checkpoint, too"


def test_a_training_that_stops_early_is_sampled_after_its_last_epoch(data, tmp_path):
    settings = {"early_stopping_patience": 1, "epochs": 9, "learning_rate": 0.5, "sample_epochs": []}
    trainer.run_fn(fn_args(data, tmp_path, **settings))
    last = json.loads((tmp_path / "history.json").read_text())["epochs"][-1]["epoch"]
    assert last < 9, "the test needs a training that stops early"
    assert [name for name in pictures(tmp_path) if name.startswith("1_epoch")] == [f"1_epoch_{last:04d}.png"]


def _epochs(*numbers):
    return [f"epoch_{number:04d}" for number in numbers]


def _records(data):
    for record in tf.data.TFRecordDataset(str(data / "eval.gz"), "GZIP").as_numpy_iterator():
        example = tf.train.Example.FromString(record).features.feature
        yield {name: example[name].bytes_list.value[0] for name in ("image_xf", "segmentation_mask_xf")}
