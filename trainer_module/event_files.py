"""What TensorBoard shows of a training: curves of both splits, and predictions of the sample images.

TensorBoard's own package is not needed to write its files: TensorFlow has the format's messages and its writer.
"""

import io
from collections.abc import Mapping
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from trainer_module.class_colors import mask_image
from trainer_module.samples import Samples
from trainer_module.training_log import HistoryFile

DIRECTORY_NAME: Final = "tensorboard"

_EVAL_PREFIX: Final = "val_"
_NO_CURVES: Final = ("epoch", "seconds")


class EventFiles(keras.callbacks.Callback):
    """Writes `train/` and `eval/` below a directory: two runs of TensorBoard, whose curves it lays over each other.

    The step is the epoch. A training that is resumed writes its earlier epochs anew, so no point is there twice. It
    comes after the history and the samples in the list of callbacks.
    """

    def __init__(self, directory: str, history: HistoryFile, samples: Samples) -> None:
        super().__init__()
        self._directory = directory
        self._history = history
        self._samples = samples
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts the files, with what is known from before."""
        if tf.io.gfile.exists(self._directory):
            tf.io.gfile.rmtree(self._directory)
        self._writers = {
            split: tf.summary.create_file_writer(f"{self._directory}/{split}") for split in ("train", "eval")
        }
        for epoch in self._history.epochs:
            self._write_curves(epoch)
        for number in self._samples.predictions:
            self._write_samples(number)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the epoch."""
        self._write_curves(self._history.epochs[-1])
        if epoch + 1 in self._samples.predictions:
            self._write_samples(epoch + 1)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()

    def _write_curves(self, epoch: Mapping[str, float | None]) -> None:
        step = int(epoch["epoch"] or 0)
        for name, value in epoch.items():
            if name in _NO_CURVES or value is None:
                continue
            split = "eval" if name.startswith(_EVAL_PREFIX) else "train"
            message = tf.compat.v1.Summary.Value(tag=name.removeprefix(_EVAL_PREFIX), simple_value=value)
            self._write(split, message, step)
        for writer in self._writers.values():
            writer.flush()

    def _write_samples(self, epoch: int) -> None:
        """Writes each sample as one picture: image, truth and prediction side by side."""
        samples = self._samples
        rows = zip(samples.examples.pixels, samples.examples.class_ids, samples.predictions[epoch], strict=True)
        for number, (pixels, truth, predicted) in enumerate(rows, start=1):
            masks = [np.asarray(mask_image(ids, samples.num_classes).convert("RGB")) for ids in (truth, predicted)]
            strip = Image.fromarray(np.concatenate([pixels, *masks], axis=1))
            buffer = io.BytesIO()
            strip.save(buffer, "png")
            image = tf.compat.v1.Summary.Image(
                height=strip.height, width=strip.width, colorspace=3, encoded_image_string=buffer.getvalue()
            )
            tag = f"image, truth, prediction/{number}"
            self._write("eval", tf.compat.v1.Summary.Value(tag=tag, image=image), epoch)
        self._writers["eval"].flush()

    def _write(self, split: str, value: tf.compat.v1.Summary.Value, step: int) -> None:
        with self._writers[split].as_default():
            message = tf.compat.v1.Summary(value=[value])
            tf.summary.experimental.write_raw_pb(message.SerializeToString(), step)
