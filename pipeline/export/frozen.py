"""The frozen form: a SavedModel with the same signatures and assets, whose weights are constants of its graph.

All signatures are in one graph, so that they share the constants; a copy in each would be three times as large.
"""

import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from components.model_pusher.checksums import WRITTEN_AT_PUSH
from pipeline.export.original import Original
from trainer_module import features


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
    assets = features.ASSETS_DIRECTORY
    shutil.copytree(original.directory / assets, directory / assets, ignore=ignored)


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
