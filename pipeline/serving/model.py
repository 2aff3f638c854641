"""A version of a model in memory: its signatures, called with arrays, and the first requests, before it serves.

TensorFlow is slow at the first call of each signature: a version that brings no requests to warm up with is asked about
a drawn picture, one of those that the page offers.
"""

import functools
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from numpy.typing import NDArray
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from components.datasets.pet_drawing import draw_pet
from components.model_pusher.files import CHECKSUMS_FILE, differences
from components.model_pusher.version_store import SAVED_MODEL_FILE
from pipeline.models.loading import load_saved_model
from trainer_module import features
from trainer_module.errors import ModelError

Arrays = Mapping[str, NDArray[Any]]

SAMPLES: Final = 6
"""How many pictures there are to try a model with."""

_SEED: Final = 2024
_SIDES: Final = (220, 320)
_BAD_IMAGE: Final = re.compile(r"image (\d+) of the batch ([^\]\n]+)")
_MAX_MESSAGE: Final = 300


class InvalidInputError(Exception):
    """The model refused what it was given; the message says why, as far as the model does."""


@dataclass(frozen=True)
class TensorShape:
    """Type and shape of an input or output; None stands for any size."""

    dtype: np.dtype[Any]
    """Strings have the type object."""

    shape: tuple[int | None, ...] | None
    """None: any rank."""

    @classmethod
    def of(cls, spec: tf.TensorSpec) -> Self:
        return cls(
            np.dtype(spec.dtype.as_numpy_dtype), None if spec.shape.rank is None else tuple(spec.shape.as_list())
        )

    @property
    def is_batched(self) -> bool:
        """Whether the first axis is one of rows."""
        return bool(self.shape) and self.shape is not None and self.shape[0] is None


@dataclass(frozen=True)
class Signature:
    """What a signature takes and returns, by name."""

    inputs: Mapping[str, TensorShape]
    outputs: Mapping[str, TensorShape]

    @classmethod
    def of(cls, function: Any) -> Self:
        _, inputs = function.structured_input_signature
        return cls(
            inputs={name: TensorShape.of(spec) for name, spec in inputs.items()},
            outputs={name: TensorShape.of(tensor) for name, tensor in function.structured_outputs.items()},
        )

    @property
    def is_batched(self) -> bool:
        """Whether rows of several requests can pass together."""
        return all(tensor.is_batched for tensor in (*self.inputs.values(), *self.outputs.values()))


class LoadedModel:
    """A SavedModel that petseg exported.

    Attributes:
      version: Its number.
      directory: Where it was loaded from.
      card: What it says of itself.
      signatures: What can be called, by name.
      signature_definitions: The same as TensorFlow Serving's metadata has it, ready for JSON.
    """

    def __init__(self, directory: str, version: int) -> None:
        """Loads a version directory; takes seconds.

        Raises:
          ModelError: It cannot be loaded, or is none of petseg's.
        """
        self.version = version
        self.directory = directory
        self.card, self._loaded = load_saved_model(Path(directory))
        self.signature_definitions = _signature_definitions(Path(directory))
        self._functions = dict(self._loaded.signatures)
        self.signatures = {name: Signature.of(function) for name, function in self._functions.items()}
        if features.SERVING_SIGNATURE not in self.signatures:
            raise ModelError(
                f"the model in {directory!r} has no signature {features.SERVING_SIGNATURE!r}; it has "
                f"{[*self.signatures]}."
            )

    def run(self, signature: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Calls a signature; blocks while the model computes.

        Raises:
          InvalidInputError: The model refuses the values, such as a corrupt image.
        """
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        try:
            outputs = self._functions[signature](**tensors)
        except tf.errors.InvalidArgumentError as error:
            raise InvalidInputError(_reason(str(error))) from error
        return {name: tensor.numpy() for name, tensor in outputs.items()}


def load_and_warm_up(directory: str, version: int) -> LoadedModel:
    """Returns a version that has answered its warm-up requests, or a drawn picture where it brings none.

    Raises:
      ModelError: Its files are not those that were pushed, it cannot be loaded, or it does not answer.
    """
    if Path(directory, CHECKSUMS_FILE).is_file() and (changes := differences(directory)):
        raise ModelError(f"{directory!r} is not as it was pushed: {'; '.join(changes)}. Push it again.")
    model = LoadedModel(directory, version)
    try:
        for signature, inputs in _warm_up_requests(model):
            model.run(signature, inputs)
    except (InvalidInputError, tf.errors.OpError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the model in {directory!r} does not answer its warm-up requests: {error}") from error
    return model


@functools.cache
def sample_picture(index: int) -> bytes:
    """Returns a drawn cat or dog as PNG, the same for the same index."""
    least, most = _SIDES
    pixels, _, _ = draw_pet(_SEED, index, split="samples", min_side=least, max_side=most)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _signature_definitions(directory: Path) -> dict[str, Any]:
    saved_model = saved_model_pb2.SavedModel.FromString((directory / SAVED_MODEL_FILE).read_bytes())
    definitions = saved_model.meta_graphs[0].signature_def
    return {
        name: json_format.MessageToDict(
            definition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        for name, definition in definitions.items()
    }


def _reason(message: str) -> str:
    """Returns what TensorFlow's message says of the input, without the names of nodes."""
    bad_image = _BAD_IMAGE.search(message)
    if bad_image:
        return f"image {bad_image[1]} of the request {bad_image[2]}"
    said = (line.strip() for line in message.splitlines())
    boilerplate = ("Graph execution error", "Detected at node", "File ", "<stack traces", "[[")
    lines = [line for line in said if line and not line.startswith(boilerplate)]
    return (lines[-1] if lines else message.strip()).partition("\n")[0].rstrip(".")[:_MAX_MESSAGE]


def _warm_up_requests(model: LoadedModel) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """Yields signature and inputs of each request."""
    file = Path(model.directory, features.ASSETS_DIRECTORY, features.WARMUP_ASSET)
    if not file.is_file():
        image = np.array([sample_picture(0)], object)
        yield features.SERVING_SIGNATURE, {features.IMAGE: image}
        return
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        signature = request.model_spec.signature_name or features.SERVING_SIGNATURE
        if signature in model.signatures:
            yield signature, {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
