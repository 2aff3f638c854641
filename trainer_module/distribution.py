"""Over which devices and machines a training is spread.

One worker trains on one device or mirrors the network over its GPUs; several workers, which find each other by
`TF_CONFIG`, mirror it over all of theirs. Every replica takes an equal share of each batch and all apply the same sum
of gradients, so `trainer.batch_size` is that of all replicas together, and the learning rate is used as it is set.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import tensorflow as tf

from trainer_module.errors import ConfigError, DataError

_CLUSTER_VARIABLE: Final = "TF_CONFIG"
_WORKER_TYPES: Final = ("chief", "worker")


@dataclass(frozen=True)
class Cluster:
    """The workers of a training, and which of them this process is."""

    num_workers: int = 1
    is_chief: bool = True
    """Whether this process is the one that writes: history, checkpoints, model."""

    @classmethod
    def from_environment(cls) -> Self:
        """Reads `TF_CONFIG`; without it there is one worker.

        Raises:
          ConfigError: It is no JSON of TensorFlow's form, or has tasks other than chief and workers.
        """
        text = os.environ.get(_CLUSTER_VARIABLE)
        if not text:
            return cls()
        try:
            declared = json.loads(text)
            addresses: dict[str, list[str]] = declared.get("cluster", {})
            num_workers = sum(len(addresses.get(kind, ())) for kind in _WORKER_TYPES)
            task: dict[str, Any] = declared["task"] if num_workers > 1 else {"type": "worker", "index": 0}
            kind, index = task["type"], int(task["index"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f'{_CLUSTER_VARIABLE} is expected to be JSON as {{"cluster": {{"worker": ["host:port", …]}}, "task": '
                f'{{"type": "worker", "index": 0}}}}, but is {text!r} ({type(error).__name__}: {error})'
            ) from error
        others = sorted({kind, *addresses} - {*_WORKER_TYPES})
        if others:
            raise ConfigError(
                f"{_CLUSTER_VARIABLE} has {', '.join(others)}, but a training has only chief and workers, all of which "
                "train; leave the others out of the job"
            )
        return cls(max(num_workers, 1), kind == "chief" or ("chief" not in addresses and index == 0))


def choose_strategy(gpus: int | None, cluster: Cluster) -> tf.distribute.Strategy:
    """Returns how to train on what there is; with several workers to be called before any operation of TensorFlow.

    Args:
      gpus: How many GPUs of this machine to use; None: all that TensorFlow sees, 0: the CPU.
      cluster: The workers.

    Raises:
      ConfigError: There are fewer GPUs.
    """
    available = tf.config.get_visible_devices("GPU")
    if gpus is not None and gpus > len(available):
        raise ConfigError(
            f"trainer.gpus is {gpus}, but TensorFlow sees {len(available)} GPUs on this machine; give the node more, "
            "or set trainer.gpus lower (none: all that there are)"
        )
    chosen = available[:gpus]
    _allow_memory_growth(available)
    if cluster.num_workers > 1:
        tf.config.set_visible_devices(chosen, "GPU")
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(chosen) > 1:
        return tf.distribute.MirroredStrategy([f"GPU:{index}" for index in range(len(chosen))])
    if available and not chosen:
        return tf.distribute.OneDeviceStrategy("CPU:0")
    return tf.distribute.get_strategy()


def check_batch_size(batch_size: int, num_replicas: int) -> None:
    """Refuses a batch that cannot be shared equally.

    Raises:
      ConfigError: It cannot.
    """
    if batch_size % num_replicas:
        lower = batch_size - batch_size % num_replicas
        nearest = [size for size in (lower, lower + num_replicas) if size]
        raise ConfigError(
            f"trainer.batch_size is {batch_size}, the batch of all {num_replicas} replicas together, and each needs an "
            f"equal share; set it to {' or '.join(map(str, nearest))}"
        )


def check_compilation(xla: bool, num_replicas: int) -> None:
    """Refuses XLA on several replicas, which Keras cannot compile the training step for.

    Raises:
      ConfigError: Both are asked for.
    """
    if xla and num_replicas > 1:
        raise ConfigError(
            f"trainer.xla is true, but the training has {num_replicas} replicas, and XLA compiles the step of one "
            "only; set trainer.xla = false, or trainer.gpus = 1"
        )


def check_agreement(strategy: tf.distribute.Strategy, numbers: Mapping[str, int], remedy: str) -> None:
    """Makes sure that all workers came to the same numbers, and so waits for all of them.

    Args:
      strategy: Spreads the training over the workers; each of them calls this.
      numbers: What is to be the same, as where the training goes on, to its value here; the same names on each worker.
      remedy: What to do when it is not, for the message.

    Raises:
      DataError: The workers differ; the message has what each of them found.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return

    @tf.function
    def gathered() -> tf.Tensor:
        replica: Any = tf.distribute.get_replica_context()
        return replica.all_gather(tf.constant([[*numbers.values()]], tf.int64), axis=0)

    found = np.asarray(strategy.experimental_local_results(strategy.run(gathered))[0])
    differing = [
        f"{name} is {' or '.join(map(str, np.unique(values)))}, here {own}"
        for (name, own), values in zip(numbers.items(), found.T, strict=True)
        if np.ptp(values)
    ]
    if differing:
        raise DataError(f"the workers of the training do not agree: {'; '.join(differing)}. {remedy}")


def _allow_memory_growth(gpus: list[Any]) -> None:
    """Leaves memory of the GPUs to other processes, as Beam's workers; too late where TensorFlow already uses them."""
    try:
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:  # then an earlier component of this process has claimed them, and the memory is shared
        pass
