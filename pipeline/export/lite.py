"""The forms for TensorFlow Lite: a file with the network alone, for prepared images, one at a time."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from pipeline.export.optimization import Optimization
from pipeline.export.original import Original
from trainer_module.errors import ModelError


def convert(original: Original, optimization: Optimization, calibration: NDArray[np.float32] | None) -> bytes:
    """Returns the content of a `.tflite` file: float32 [1, image_size, image_size, 3], prepared → probabilities.

    Args:
      original: The model.
      optimization: One of the forms for TensorFlow Lite.
      calibration: Prepared images, [images, image_size, image_size, 3], which the ranges of what passes between layers
        are taken from; None where the form needs none.

    Raises:
      ModelError: The network has an operation that TensorFlow Lite lacks.
    """
    size = original.image_size
    image = tf.TensorSpec([1, size, size, 3], tf.float32, name="image")
    answer = tf.function(lambda image: tf.nn.softmax(original.network(image)), input_signature=[image])
    # With variables, the calibration cannot run the network.
    frozen = convert_variables_to_constants_v2(answer.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], tf.Module())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if optimization is Optimization.FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if calibration is not None:
        converter.representative_dataset = lambda: _one_by_one(calibration)
    try:
        content: bytes = converter.convert()
    except Exception as error:  # whatever the converter raises over an operation that it lacks
        raise ModelError(
            f"TensorFlow Lite cannot take the network {original.card['model']!r} as {optimization}: "
            f"{str(error).strip().partition(chr(10))[0]}"
        ) from error
    return content


class LiteNetwork:
    """A `.tflite` file behind TensorFlow Lite's interpreter."""

    def __init__(self, content: bytes) -> None:
        self._interpreter = tf.lite.Interpreter(model_content=content, num_threads=os.cpu_count())
        self._interpreter.allocate_tensors()
        [self._image], [self._answer] = self._interpreter.get_input_details(), self._interpreter.get_output_details()

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the probabilities of one prepared image, both with a batch dimension."""
        self._interpreter.set_tensor(self._image["index"], image)
        self._interpreter.invoke()
        probabilities: NDArray[np.float32] = self._interpreter.get_tensor(self._answer["index"])
        return probabilities

    @property
    def tensors(self) -> dict[str, dict[str, Any]]:
        """Name, type and shape of input and output, as the interpreter shows them."""
        return {
            role: {"name": found["name"], "type": np.dtype(found["dtype"]).name, "shape": found["shape"].tolist()}
            for role, found in (("input", self._image), ("output", self._answer))
        }


def _one_by_one(images: NDArray[np.float32]) -> Iterator[list[NDArray[np.float32]]]:
    for index in range(len(images)):
        yield [images[index : index + 1]]
