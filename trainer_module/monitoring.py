"""What is to be seen of a training: predictions of a few images of the `eval` split in its course, and its curves.

<model_run>/samples/1_image.png         pixels, at the network's size
                    1_truth.png         class ids, with the classes' colours as palette; 255 where not labelled
                    1_epoch_0000.png    predicted class ids before training, likewise
                    1_epoch_0010.png    after epoch 10
                    2_image.png         …
<model_run>/tensorboard/train, eval     event files: curves of both splits, and the samples

TensorBoard's own package is not needed to write its files: TensorFlow has the format's messages and its writer.
"""

import io
from collections.abc import Collection, Mapping
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from trainer_module.dataset import Examples
from trainer_module.model_card import hatched, mask_image
from trainer_module.training_log import HistoryFile

SAMPLE_COUNT: Final = 4
SAMPLES_DIRECTORY: Final = "samples"
EVENTS_DIRECTORY: Final = "tensorboard"

_EVAL_PREFIX: Final = "val_"
_NO_CURVES: Final = ("epoch", "seconds")

Predictions = Mapping[int, NDArray[np.uint8]]
"""Epoch (0: before training) to predicted class ids, [examples, image_size, image_size]."""


class Samples(keras.callbacks.Callback):
    """Predicts the examples after chosen epochs and after the last, and writes them as picture files."""

    def __init__(
        self,
        examples: Examples,
        num_classes: int,
        epochs: Collection[int],
        directory: str | None,
        earlier: Predictions | None,
    ) -> None:
        """Takes what to predict, and when.

        Args:
          examples: The images.
          num_classes: Number of classes.
          epochs: After which to predict; 0 is before training.
          directory: Where the files go; None: nowhere.
          earlier: The predictions of a training that is resumed; None for one that begins.
        """
        super().__init__()
        self.examples = examples
        self.num_classes = num_classes
        self._epochs = epochs
        self._directory = directory
        self._is_new = earlier is None
        self._predictions = dict(earlier or {})

    @property
    def predictions(self) -> Predictions:
        """What was predicted so far."""
        return dict(self._predictions)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Writes images, truth and earlier predictions; predicts for the first time."""
        if self._directory:
            tf.io.gfile.makedirs(self._directory)
        for number, (pixels, class_ids) in enumerate(
            zip(self.examples.pixels, self.examples.class_ids, strict=True), start=1
        ):
            self._write(f"{number}_image", Image.fromarray(pixels))
            self._write(f"{number}_truth", mask_image(class_ids, self.num_classes))
        for epoch in self._predictions:
            self._write_predictions(epoch)
        if self._is_new and 0 in self._epochs:
            self._predict(0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Predicts when the epoch is one of those chosen, or the last."""
        is_last = epoch + 1 == self.params["epochs"] or self.model.stop_training
        if is_last or epoch + 1 in self._epochs:
            self._predict(epoch + 1)

    def _predict(self, epoch: int) -> None:
        logits = self.model(self.examples.images, training=False)
        self._predictions[epoch] = np.argmax(logits, axis=-1).astype(np.uint8)
        self._write_predictions(epoch)

    def _write_predictions(self, epoch: int) -> None:
        for number, class_ids in enumerate(self._predictions[epoch], start=1):
            self._write(f"{number}_epoch_{epoch:04d}", mask_image(class_ids, self.num_classes))

    def _write(self, name: str, image: Image.Image) -> None:
        if self._directory:
            with tf.io.gfile.GFile(f"{self._directory}/{name}.png", "wb") as file:
                file.write(_png(image))


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
            masks = [
                np.asarray(hatched(mask_image(ids, samples.num_classes)).convert("RGB")) for ids in (truth, predicted)
            ]
            strip = Image.fromarray(np.concatenate([pixels, *masks], axis=1))
            image = tf.compat.v1.Summary.Image(
                height=strip.height, width=strip.width, colorspace=3, encoded_image_string=_png(strip)
            )
            tag = f"image, truth, prediction/{number}"
            self._write("eval", tf.compat.v1.Summary.Value(tag=tag, image=image), epoch)
        self._writers["eval"].flush()

    def _write(self, split: str, value: tf.compat.v1.Summary.Value, step: int) -> None:
        with self._writers[split].as_default():
            message = tf.compat.v1.Summary(value=[value])
            tf.summary.experimental.write_raw_pb(message.SerializeToString(), step)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()
