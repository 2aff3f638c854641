"""Assigns the tensors of EfficientNet-Lite0 in PyTorch to the layers of `trainer_module.encoders.efficientnet_lite`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from trainer_module.encoder_catalogue import IMAGENET, LITE0
from trainer_module.errors import ModelError

_CLASSIFIER: Final = ("_conv_head.", "_bn1.", "_fc.")
"""What the tensors of its classifier begin with, which an encoder does not have."""

_STEPS_SEEN: Final = ".num_batches_tracked"
"""Ends a tensor that PyTorch's batch normalization counts in, and Keras' does not."""

_NORMALIZATIONS: Final = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
_KERNEL_ORDER: Final = (2, 3, 1, 0)
_DEPTHWISE_ORDER: Final = (2, 3, 0, 1)
_MOST_SHOWN: Final = 4


class _Place(NamedTuple):
    variable: Any
    order: tuple[int, ...]
    """The axes of the tensor in the order of the variable's."""

    @property
    def tensor_shape(self) -> tuple[int, ...]:
        return tuple(self.variable.shape[self.order.index(axis)] for axis in range(len(self.order)))


def assign_lite0(encoder: keras.Model, tensors: Mapping[str, NDArray[Any]], path: str) -> None:
    """Assigns the tensors of a state dict, once all are known to fit; those of a classifier are left out.

    Args:
      encoder: What `efficientnet_lite0` returns.
      tensors: By the names that they have in efficientnet_lite_pytorch
        (https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch).
      path: Names the file in messages.

    Raises:
      ModelError: A tensor is missing, superfluous, of another shape or type, or not finite.
    """
    places = dict(_places(encoder))
    given = {name for name in tensors if not name.startswith(_CLASSIFIER) and not name.endswith(_STEPS_SEEN)}
    unlike = [
        f"{name}, {_shape(tensors[name].shape)} for {_shape(place.tensor_shape)}"
        for name, place in places.items()
        if name in given and tensors[name].shape != place.tensor_shape
    ]
    unusable = [
        name
        for name in places
        if name in given and (tensors[name].dtype != np.float32 or not np.isfinite(tensors[name]).all())
    ]
    problems = [
        f"{len(names)} {what} ({_listed(names)})"
        for what, names in {
            "are missing": [name for name in places if name not in given],
            "are superfluous": sorted(given - {*places}),
            "have another shape": unlike,
            "are no finite float32 values": unusable,
        }.items()
        if names
    ]
    if problems:
        raise ModelError(
            f"{path!r} does not hold the weights of {LITE0}: of its tensors, {', '.join(problems)}. Set "
            "trainer.encoder_weights to the state dict of an EfficientNet-Lite0 with the names of "
            f"efficientnet_lite_pytorch, to {IMAGENET!r} or to none"
        )
    for name, (variable, order) in places.items():
        variable.assign(np.transpose(tensors[name], order))


def _places(encoder: keras.Model) -> Iterator[tuple[str, _Place]]:
    """Yields the name of each tensor with the variable that it is for."""
    for layer in encoder.layers:
        block, _, kind = layer.name.removesuffix("_bn").removeprefix("block").partition("_")
        is_stem = block == "stem"
        if isinstance(layer, keras.layers.BatchNormalization):
            prefix = "_bn0" if is_stem else f"_blocks.{block}.{_NORMALIZATIONS[kind]}"
            yield f"{prefix}.weight", _Place(layer.gamma, (0,))
            yield f"{prefix}.bias", _Place(layer.beta, (0,))
            yield f"{prefix}.running_mean", _Place(layer.moving_mean, (0,))
            yield f"{prefix}.running_var", _Place(layer.moving_variance, (0,))
        elif layer.weights:
            is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            prefix = "_conv_stem" if is_stem else f"_blocks.{block}._{kind}_conv"
            yield f"{prefix}.weight", _Place(layer.kernel, _DEPTHWISE_ORDER if is_depthwise else _KERNEL_ORDER)


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "a single value"


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*names[:_MOST_SHOWN], *(["…"] if len(names) > _MOST_SHOWN else [])])
