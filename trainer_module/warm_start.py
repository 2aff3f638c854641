"""Starts a training from the weights of an earlier model.

The exported SavedModel holds its weights as a plain list; `assets.extra/petseg_model.json` names each, in that order.
"""

import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from numpy.typing import NDArray

from trainer_module import features
from trainer_module.config import SERVED
from trainer_module.encoder_catalogue import ENCODERS, MODEL_ENCODERS, UNET_ENCODER
from trainer_module.errors import ConfigError, ModelError
from trainer_module.model_card import EncoderWeights

_FILE_NAME: Final = "warm_start.json"
_LIST: Final = "_weights"
"""The attribute of `signatures.SegmentationModel` that holds them."""

_TRAINER_OUTPUT: Final = "Format-Serving"
"""Where TFX's Trainer leaves a model, below its `model` output."""

_SHOWN_NAMES: Final = 6

_ON_ENCODER: Final = "unet_"
"""What the names of networks begin with that `trainer_module.networks` builds on an encoder; its name follows."""


@dataclass(frozen=True)
class ExportedWeights:
    """The weights of an exported model."""

    directory: str
    model: str
    """Name of the network's variant."""

    arrays: Mapping[str, NDArray[Any]]
    """By the names that `weight_names` gives."""

    encoder: EncoderWeights | None = None
    """Where those of its encoder came from, as far as its card says."""

    @property
    def digest(self) -> str:
        """Identifies names and values."""
        digest = hashlib.sha256()
        for name, array in self.arrays.items():
            digest.update(f"{name}{array.shape}{array.dtype};".encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class WarmStart:
    """What a training started from."""

    directory: str
    taken: int
    """Weights that were taken over."""

    fresh: tuple[str, ...]
    """Weights that start as in a new network, because the earlier model has none of the name and shape."""

    def write(self, directory: str) -> None:
        """Leaves it as JSON."""
        with tf.io.gfile.GFile(f"{directory}/{_FILE_NAME}", "w") as file:
            json.dump(asdict(self), file, indent=2)


def read_weights(directory: str) -> ExportedWeights:
    """Reads the weights of a pushed version, or of what the Trainer left.

    Raises:
      ModelError: There is no model, none of petseg's, or one whose weights have no names.
    """
    places = (directory.rstrip("/"), f"{directory.rstrip('/')}/{_TRAINER_OUTPUT}")
    path = next((place for place in places if tf.io.gfile.exists(f"{place}/saved_model.pb")), None)
    if path is None:
        raise ModelError(
            f"there is no model in {directory!r}: it has no saved_model.pb. Name a version directory, as "
            "<push destination>/<number>, or a `model` output of the Trainer."
        )
    card_path = f"{path}/{features.ASSETS_DIRECTORY}/{features.MODEL_CARD_ASSET}"
    try:
        with tf.io.gfile.GFile(card_path) as file:
            card: dict[str, Any] = json.loads(file.read())
        if "weights" not in card:
            raise ModelError(
                f"the model in {path!r} was exported by an earlier version of petseg, which did not name its weights; "
                "start from a model that this version trained"
            )
        if tf.io.gfile.exists(f"{path}/{features.ASSETS_DIRECTORY}/{features.EXPORT_ASSET}"):
            raise ModelError(
                f"the model in {path!r} is an optimized one (`petseg export`) and has its weights as constants of the "
                "graph; start from the model that it was made of"
            )
        reader = tf.train.load_checkpoint(f"{path}/variables/variables")
        arrays = {
            name: reader.get_tensor(f"{_LIST}/{index}/.ATTRIBUTES/VARIABLE_VALUE")
            for index, name in enumerate(card["weights"])
        }
        encoder = EncoderWeights.model_validate(card["encoder"]) if card.get("encoder") else None
        return ExportedWeights(path, str(card["model"]), arrays, encoder)
    except (tf.errors.OpError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        raise ModelError(f"{path!r} is no model that petseg exported, or it is damaged: {reason}") from error


def find_weights(warm_start: str | None, base_model: str | None) -> ExportedWeights | None:
    """Reads the weights to start from; says in the log when there are none as yet.

    Args:
      warm_start: The setting: None, `served`, or a directory.
      base_model: Directory of the model that the pipeline brought, if it brought one.

    Raises:
      ConfigError: The served model is asked for where the pipeline brings none.
      ModelError: The model cannot be read.
    """
    if warm_start is None:
        return None
    if warm_start != SERVED:
        return read_weights(warm_start)
    if base_model is None:
        raise ConfigError(
            f"trainer.warm_start is {SERVED!r}, but the Trainer was given no base_model; run it in the pipeline, or "
            "name a directory"
        )
    if tf.io.gfile.exists(base_model):
        return read_weights(base_model)
    with tf.io.gfile.GFile(f"{base_model.rpartition('/')[0]}/{features.BASELINE_FILE}") as file:
        served: dict[str, Any] = json.loads(file.read())
    if served["version"]:
        raise ModelError(
            f"trainer.warm_start is {SERVED!r}, but the served version {served['version']} cannot be started from: "
            f"{served['reason']}. Set trainer.warm_start to the directory of another version, or to none."
        )
    logging.warning("No warm start: %s; the training starts as one without it.", served["reason"])
    return None


def start_from(network: keras.Model, earlier: ExportedWeights) -> WarmStart:
    """Gives the network the earlier model's weights, each by its layer's name and its shape.

    Raises:
      ModelError: It is a model of another architecture, or none of its weights fit.
    """
    if earlier.model != network.name:
        raise ModelError(
            f"the model in {earlier.directory!r} is a {earlier.model!r}, and the network of this training is a "
            f"{network.name!r}; a warm start needs the same: set {_settings(earlier.model)}, or trainer.warm_start to "
            "another model or to none"
        )
    fresh = []
    for name, weight in zip(weight_names(network), network.weights, strict=True):
        array = earlier.arrays.get(name)
        if array is not None and array.shape == tuple(weight.shape):
            weight.assign(array)
        else:
            fresh.append(name)
    start = WarmStart(earlier.directory, len(network.weights) - len(fresh), tuple(fresh))
    if not start.taken:
        raise ModelError(
            f"none of the {len(earlier.arrays)} weights in {earlier.directory!r} has name and shape of one of the "
            f"{len(fresh)} of this network, which are {', '.join(fresh[:_SHOWN_NAMES])}, …; set trainer.warm_start to "
            "none"
        )
    logging.info("The training starts from %d weights of %s.", start.taken, start.directory)
    if fresh:
        logging.warning("These do not fit and start anew: %s.", ", ".join(fresh))
    return start


def _settings(network: str) -> str:
    """Returns what to set for a network of that name."""
    encoder = network.removeprefix(_ON_ENCODER)
    if network not in MODEL_ENCODERS and encoder in ENCODERS:
        return f"trainer.model = {UNET_ENCODER!r} and trainer.encoder = {encoder!r}"
    return f"trainer.model = {network!r}"


def weight_names(model: keras.Model) -> list[str]:
    """Returns `<layer>/<weight>` for each of `model.weights`, the same in every process.

    Keras numbers the layers that were given no name (`conv2d_7`) through all models of the process; here they are
    numbered within their model, in the order of its layers. Exported models have these names.
    """
    names = {id(weight): name for name, weight in _named_weights(model)}
    return [names[id(weight)] for weight in model.weights]


def _named_weights(model: keras.Model) -> Iterator[tuple[str, Any]]:
    numbers: dict[str, Iterator[int]] = defaultdict(itertools.count)
    for layer in model.layers:
        name, kind = layer.name, layer.name.rstrip("_0123456789")
        if kind.replace("_", "") == type(layer).__name__.lower():  # Keras named it, after its class
            name = f"{kind}_{next(numbers[kind])}"
        if isinstance(layer, keras.Model):
            yield from ((f"{name}/{inner}", weight) for inner, weight in _named_weights(layer))
        else:
            yield from ((f"{name}/{weight.path.rpartition('/')[2]}", weight) for weight in layer.weights)
