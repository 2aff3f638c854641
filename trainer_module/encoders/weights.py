"""Gives an encoder weights that were trained before.

A PyTorch file is read anew for every training and not kept in another form: reading, checking and assigning those of
EfficientNet-Lite0 takes 0.2 s on a core of a CPU.
"""

import hashlib
import importlib.metadata
import json
from pathlib import PurePosixPath
from typing import Final

import keras
import tensorflow as tf

from trainer_module.encoder_catalogue import ENCODERS, IMAGENET, INSTALL_LITE0, LITE0, LITE0_PACKAGE, why_not_at_hand
from trainer_module.encoders.keras_applications import file_weights, imagenet_weights
from trainer_module.encoders.keras_file import is_keras_file, load_keras_file
from trainer_module.encoders.lite0_tensors import assign_lite0
from trainer_module.encoders.torch_file import is_torch_file, read_torch_file
from trainer_module.errors import ConfigError, ModelError
from trainer_module.model_card import EncoderWeights

PROVENANCE_FILE_NAME: Final = "encoder_weights.json"

_FILE: Final = "efficientnet-lite0-57934424.pth"
_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_LICENCE: Final = "Apache-2.0"
"""By the LICENSE in the package; its metadata says `UNKNOWN`."""


def load_weights(encoder: keras.Model, name: str, weights: str) -> EncoderWeights:
    """Gives the encoder its weights.

    Args:
      encoder: What `build_encoder` returns.
      name: Its key in `trainer_module.encoder_catalogue.ENCODERS`.
      weights: `imagenet`, or a file, local or remote: one that Keras wrote from an equal encoder or from its whole
        application without classifier, or for EfficientNet-Lite0 a PyTorch file with the names that its package has.

    Returns:
      Where they came from.

    Raises:
      ConfigError: The weights of ImageNet are not installed, or there are none.
      ModelError: The file cannot be read, or has other weights than the encoder.
    """
    if weights != IMAGENET:
        return _from_file(encoder, name, weights)
    if name == LITE0:
        return _from_package(encoder)
    if name in ENCODERS:
        found = imagenet_weights(name)
        encoder.set_weights(found.arrays)
        return EncoderWeights(encoder=name, weights=weights, origin=found.origin, licence=found.licence)
    raise ConfigError(
        f"trainer.encoder_weights is {IMAGENET!r}, and there are no such weights for the encoder {name!r}; set it to a "
        "file or to none"
    )


def write_provenance(weights: EncoderWeights, directory: str) -> None:
    """Leaves as JSON where an encoder's weights came from."""
    with tf.io.gfile.GFile(f"{directory}/{PROVENANCE_FILE_NAME}", "w") as file:
        json.dump(weights.model_dump(), file, indent=2)


def _from_package(encoder: keras.Model) -> EncoderWeights:
    try:
        package = importlib.metadata.distribution(LITE0_PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise ConfigError(why_not_at_hand(LITE0, IMAGENET)) from error
    origin = f"{LITE0_PACKAGE} {package.version}"
    file = next((file for file in package.files or () if file.name == _FILE), None)
    try:
        content = file.read_binary() if file else b""
    except OSError:
        content = b""
    digest = hashlib.sha256(content).hexdigest()
    if digest != _SHA256:
        state = f"has the SHA-256 {digest}" if content else "is missing"
        raise ModelError(
            f"the file {_FILE} of the package {origin} {state}, where {_SHA256} was expected; uninstall the package "
            f"and install it anew, with {INSTALL_LITE0}"
        )
    assign_lite0(encoder, read_torch_file(content, _FILE), _FILE)
    return EncoderWeights(encoder=LITE0, weights=IMAGENET, origin=origin, licence=_LICENCE, sha256=digest)


def _from_file(encoder: keras.Model, name: str, path: str) -> EncoderWeights:
    content = _content(path)
    if is_keras_file(content) and (arrays := file_weights(name, content)) is not None:
        encoder.set_weights(arrays)
    elif is_keras_file(content):
        load_keras_file(encoder, content, path, name)
    elif is_torch_file(content) and name != LITE0:
        raise ModelError(
            f"{path!r} is a PyTorch file, and of those only {LITE0}'s are read; for the encoder {name!r} set "
            "trainer.encoder_weights to a file that Keras wrote, `keras.Model.save_weights('FILE.weights.h5')`"
        )
    elif is_torch_file(content):
        assign_lite0(encoder, read_torch_file(content, path), path)
    else:
        raise ModelError(
            f"trainer.encoder_weights is {path!r}, which begins with {content[:8]!r} and is neither a PyTorch file nor "
            "one that Keras' save_weights writes (.weights.h5); set it to one that is, to 'imagenet' or to none"
        )
    digest = hashlib.sha256(content).hexdigest()
    return EncoderWeights(encoder=name, weights=path, origin=PurePosixPath(path).name, sha256=digest)


def _content(path: str) -> bytes:
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            content: bytes = file.read()
            return content
    except (tf.errors.OpError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"trainer.encoder_weights is {path!r}, which cannot be read: {reason}. Set it to a file that is there, to "
            f"{IMAGENET!r} or to none"
        ) from error
