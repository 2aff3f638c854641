"""Prediction averaged over an image and its mirror image: test-time augmentation by a horizontal flip.

A network answers an image and its mirror image with different errors, of which the mean of both has fewer, at twice
the cost.
"""

from collections.abc import Callable
from typing import Any, Final

import tensorflow as tf
from tensorflow.core.framework import function_pb2, op_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

from trainer_module.errors import ModelError

Network = Callable[[tf.Tensor], tf.Tensor]
"""From images [batch, height, width, channels] to logits [batch, height, width, num_classes]."""

_WIDTH: Final = 2
_NETWORK: Final = "network"
"""The function of `signatures.SegmentationModel` that all of its signatures call."""

_PLAIN_SUFFIX: Final = "_of_one_image"


def flip_averaged(network: Network) -> Network:
    """Returns a network that answers with the mean of two logits: the image's, and its mirror image's, turned back.

    The mean of logits is the geometric mean of probabilities, normalized. That of the probabilities themselves would
    need exponential and logarithm inside of the network, which 8 bits render poorly. The network is called twice, for
    a batch of both images would be no quicker and needs the memory for both.

    Args:
      network: The network.

    Example:
      >>> leftmost = flip_averaged(lambda image: image * [[1.0], [0.0]])
      >>> leftmost(tf.constant([[[[2.0], [8.0]]]])).numpy().ravel().tolist()
      [1.0, 4.0]
    """

    def averaged(image: tf.Tensor) -> tf.Tensor:
        mirrored = tf.reverse(network(tf.reverse(image, [_WIDTH])), [_WIDTH])
        return (network(image) + mirrored) / 2

    return averaged


def average_over_flip(saved_model: bytes) -> bytes:
    """Has an exported model answer in all of its signatures as `flip_averaged` says.

    They all call one function of the graph, which takes prepared images and the weights and returns logits. Another
    function takes its name, and calls it twice; nothing else changes.

    Args:
      saved_model: The content of `saved_model.pb`.

    Returns:
      The content that takes its place.

    Raises:
      ModelError: The model has no such function.
    """
    model = saved_model_pb2.SavedModel.FromString(saved_model)
    [graph] = model.meta_graphs
    name = _network_name(graph.object_graph_def)
    [plain] = [function for function in graph.graph_def.library.function if function.signature.name == name]
    plain.signature.name += _PLAIN_SUFFIX
    graph.graph_def.library.function.append(_averaged(plain.signature, name))
    content: bytes = model.SerializeToString()
    return content


def _network_name(objects: Any) -> str:
    """Returns what the network's function is called in the graph, of the objects that TensorFlow saved."""
    children = {child.local_name: objects.nodes[child.node_id] for child in objects.nodes[0].children}
    names = list(children[_NETWORK].function.concrete_functions) if _NETWORK in children else []
    if len(names) != 1:
        raise ModelError(
            f"the model was exported by another version of petseg: its function {_NETWORK!r} has {len(names)} forms "
            "and not one. Export it again: `petseg run --from Trainer --no-cache`."
        )
    return str(names[0])


def _averaged(plain: op_def_pb2.OpDef, name: str) -> function_pb2.FunctionDef:
    """Returns a function with the inputs of `plain` that calls it for its first one, the image, and its mirror image.

    The other inputs are the weights. They are taken over as `plain` declares them, with what TensorFlow knows of the
    shapes behind them.
    """
    inputs = [tf.TensorSpec(None, tf.as_dtype(one.type), name=one.name) for one in plain.input_arg]

    @tf.function(input_signature=inputs)
    def averaged(image: tf.Tensor, *weights: tf.Tensor) -> tf.Tensor:
        def network(image: tf.Tensor) -> tf.Tensor:
            # By its name alone: the function is in the model's library, not in this process.
            return tf.raw_ops.StatefulPartitionedCall(args=[image, *weights], Tout=[tf.float32], f=plain.name)[0]

        return flip_averaged(network)(image)

    definition: function_pb2.FunctionDef = averaged.get_concrete_function().function_def
    definition.signature.name = name
    del definition.signature.input_arg[:]
    definition.signature.input_arg.extend(plain.input_arg)
    return definition
