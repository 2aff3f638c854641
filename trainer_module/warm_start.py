"""Starts a training from the weights of an earlier model."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

import keras
import tensorflow as tf
from absl import logging

from trainer_module import features
from trainer_module.config import SERVED
from trainer_module.errors import ConfigError, ModelError
from trainer_module.exported_weights import ExportedWeights, read_weights, weight_names

FILE_NAME: Final = "warm_start.json"
_SHOWN_NAMES: Final = 6


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
        with tf.io.gfile.GFile(f"{directory}/{FILE_NAME}", "w") as file:
            json.dump(asdict(self), file, indent=2)


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
    logging.warning("No warm start: %s; the training starts from new weights.", served["reason"])
    return None


def start_from(network: keras.Model, earlier: ExportedWeights) -> WarmStart:
    """Gives the network the earlier model's weights, each by its layer's name and its shape.

    Raises:
      ModelError: It is a model of another architecture, or none of its weights fit.
    """
    if earlier.model != network.name:
        raise ModelError(
            f"the model in {earlier.directory!r} is a {earlier.model!r}, and trainer.model is {network.name!r}; a warm "
            f"start needs the same: set trainer.model = {earlier.model!r}, or trainer.warm_start to another model or "
            "to none"
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
