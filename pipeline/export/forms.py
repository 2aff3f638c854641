"""Makes the optimized forms of a model in a directory where nobody looks yet.

- The frozen form: a SavedModel with the same signatures and assets, whose weights are constants of its graph. All
  signatures are in one graph, so that they share the constants; a copy in each would be three times as large.
- The forms for TensorFlow Lite: a file with the network alone, for prepared images, one at a time.
"""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from components.model_probe.checks import TOLERANCE, SessionModel, odd_images
from components.model_probe.executor import run_probe
from components.model_probe.findings import WorkDirectory
from components.model_pusher.files import WRITTEN_AT_PUSH, model_files
from pipeline.export.measurement import Network
from pipeline.export.request import CALIBRATED, Optimization
from pipeline.models.loading import Original
from pipeline.terminal.streams import json_text
from trainer_module import features
from trainer_module.errors import ModelError

LITE_FILE: Final = "model.tflite"
_PROBE_TIMEOUT_SECONDS: Final = 1800


@dataclass(frozen=True)
class Form:
    """One form, made and able to answer."""

    optimization: Optimization
    directory: Path
    network: Network
    tensors: dict[str, dict[str, Any]] | None
    """Of the forms for TensorFlow Lite: name, type and shape of input and output."""

    bytes: int

    @classmethod
    def make(
        cls, original: Original, optimization: Optimization, directory: Path, calibration: NDArray[np.float32] | None
    ) -> Self:
        """Makes a form of a model.

        Args:
          original: The model.
          optimization: The form.
          directory: Where to write; must not exist.
          calibration: Prepared images, for the forms that need some.

        Raises:
          ModelError: The form does not answer as it must.
        """
        if optimization is Optimization.FROZEN:
            write_frozen(original, directory)
            _check_frozen(original, directory)
            return cls(optimization, directory, session_network(directory), None, size(directory))
        content = convert(original, optimization, calibration if optimization in CALIBRATED else None)
        directory.mkdir()
        (directory / LITE_FILE).write_bytes(content)
        network = LiteNetwork(content)
        return cls(optimization, directory, network, network.tensors, len(content))


class LiteNetwork:
    """A `.tflite` file behind LiteRT's interpreter."""

    def __init__(self, content: bytes) -> None:
        self._interpreter = Interpreter(model_content=content, num_threads=os.cpu_count())
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


def session_network(directory: Path) -> Network:
    """Returns the network of a SavedModel, loaded as TensorFlow Serving does."""
    model = SessionModel.load(str(directory))
    return lambda image: model.call(features.TENSOR_SIGNATURE, image)[features.PROBABILITIES]


def size(directory: Path) -> int:
    """Returns the bytes of all files of a model."""
    return sum((directory / file).stat().st_size for file in model_files(str(directory)))


def write_frozen(original: Original, directory: Path) -> None:
    """Writes the frozen form of a model: a SavedModel, with the original's assets but those of its push.

    Args:
      original: The model.
      directory: Where to write; must not exist.
    """
    whole = tf.compat.v1.wrap_function(_call_each(original.signatures), _inputs(original.signatures))
    # Loops become those of TensorFlow 1, into whose bodies TensorFlow propagates the constants, to fold them there.
    frozen = convert_variables_to_constants_v2(whole)
    outputs = tf.nest.pack_sequence_as(whole.structured_outputs, [tensor.name for tensor in frozen.outputs])
    inputs = {tensor.op.name: tensor.name for tensor in frozen.inputs}
    builder = tf.compat.v1.saved_model.Builder(str(directory))
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        tf.import_graph_def(frozen.graph.as_graph_def(), name="")
        tensor = graph.get_tensor_by_name
        signatures = {
            name: tf.compat.v1.saved_model.predict_signature_def(
                {_argument(signature): tensor(inputs[name])},
                # Such a loop does not tell the shape of what it returns.
                {
                    output: tf.ensure_shape(tensor(found), signature.structured_outputs[output].shape)
                    for output, found in outputs[name].items()
                },
            )
            for name, signature in original.signatures.items()
        }
        builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], signature_def_map=signatures)
    builder.save()
    ignored = shutil.ignore_patterns(*(Path(file).name for file in WRITTEN_AT_PUSH))
    assets = directory / features.ASSETS_DIRECTORY
    shutil.copytree(original.directory / features.ASSETS_DIRECTORY, assets, ignore=ignored)
    card = json.loads((assets / features.MODEL_CARD_ASSET).read_text("utf-8"))
    card["flip_averaging"] = original.card.flip_averaging
    (assets / features.MODEL_CARD_ASSET).write_text(json_text(card), "utf-8")


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
    size = original.card.image_size
    image = tf.TensorSpec([1, size, size, 3], tf.float32, name="image")
    answer = tf.function(lambda image: tf.nn.softmax(original.network(image)), input_signature=[image])
    # With variables, the calibration cannot run the network.
    frozen = convert_variables_to_constants_v2(answer.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], tf.Module())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if optimization is Optimization.FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if calibration is not None:
        converter.representative_dataset = lambda: ([image[np.newaxis]] for image in calibration)
    try:
        content: bytes = converter.convert()
    except Exception as error:  # whatever the converter raises over an operation that it lacks
        raise ModelError(
            f"TensorFlow Lite cannot take the network {original.card.model!r} as {optimization}: "
            f"{str(error).strip().partition(chr(10))[0]}"
        ) from error
    return content


def _check_frozen(original: Original, directory: Path) -> None:
    """Has the frozen model probed as every pushed one is, and compares its answers with the original's."""
    names, images = zip(*odd_images().items(), strict=True)
    prepared = original.prepare_images(images)
    with tempfile.TemporaryDirectory(prefix="petseg-probe-") as place:
        work = WorkDirectory(Path(place))
        work.write_examples(images, names, prepared)
        refusals = list(run_probe(str(directory), work, _PROBE_TIMEOUT_SECONDS).refusals)
    expected = tf.nn.softmax(original.network(tf.constant(prepared))).numpy()
    difference = np.abs(session_network(directory)(prepared) - expected).max()
    if not difference <= TOLERANCE:
        refusals.append(f"its probabilities differ from the original's by up to {difference:.2g}")
    if refusals:
        raise ModelError(f"the frozen form of {str(original.directory)!r} cannot be served: {'; '.join(refusals)}.")


def _call_each(signatures: dict[str, Any]) -> Any:
    def whole(*tensors: tf.Tensor) -> dict[str, dict[str, tf.Tensor]]:
        return {
            name: signature(**{_argument(signature): tensor})
            for (name, signature), tensor in zip(signatures.items(), tensors, strict=True)
        }

    return whole


def _inputs(signatures: dict[str, Any]) -> list[tf.TensorSpec]:
    """Returns the input of each signature, by the signature's name: two of them have the same name."""
    specs = {name: signature.structured_input_signature[1] for name, signature in signatures.items()}
    return [tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, of in specs.items() for spec in of.values()]


def _argument(signature: Any) -> str:
    [name] = signature.structured_input_signature[1]
    return str(name)
