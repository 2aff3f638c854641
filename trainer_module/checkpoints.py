"""Checkpoints of a training on disk: one file, replaced in one step, in a directory that belongs to that training.

    <PETSEG_CHECKPOINT_DIR>/training-<digest>/checkpoint.npz

The digest is of everything that determines the training, so that no other one takes it up. The place is no setting: it
changes no result. Local paths and what else `tf.io.gfile` knows will do; only local ones were tried.
"""

import hashlib
import io
import json
import os
import time
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from numpy.typing import NDArray

CHECKPOINT_DIR_VARIABLE: Final = "PETSEG_CHECKPOINT_DIR"
"""Environment variable that names the directory of all checkpoints; unset, none are written."""

_FORMAT: Final = 2
_FILE_NAME: Final = "checkpoint.npz"
_PREFIX: Final = "training-"
_POSITION_KEY: Final = "position"
_GROUPS: Final = ("variables", "optimizer", "metrics", "best_weights", "samples")
_ABANDONED_SECONDS: Final = 30 * 24 * 3600
_UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    OSError,
    tf.errors.OpError,
)

Arrays = list[NDArray[Any]]
Shapes = list[tuple[tuple[int, ...], str]]
"""Shape and name of the type of each array."""


@dataclass(frozen=True)
class Position:
    """Where a training stands, but for its numbers."""

    epoch: int = 0
    """Finished epochs."""

    step: int = 0
    """Finished steps of the epoch after them."""

    is_stopped: bool = False
    """Whether the training ended before its last epoch."""

    history: Sequence[dict[str, float | None]] = ()
    """Of the finished epochs, as `training_log.HistoryFile` keeps it."""

    selection: dict[str, float | int | None] | None = None
    """State of the callback that stops early and keeps the best weights; None when there is none."""

    sampled_epochs: Sequence[int] = ()
    """Finished epochs, 0 for before training, of which there are predictions of sample images."""


@dataclass(frozen=True)
class Checkpoint:
    """All that a training needs to go on as if nothing had been."""

    position: Position
    variables: Arrays
    """Weights of the network, and states of its random generators."""

    optimizer: Arrays
    metrics: Arrays
    """Running sums of the epoch's loss and metrics; none between epochs."""

    best_weights: Arrays
    samples: Arrays = field(default_factory=list)
    """Predictions of the sample images, as of each of the sampled epochs."""

    @property
    def is_finite(self) -> bool:
        """Whether a training can go on from it."""
        return all(np.isfinite(array).all() for array in [*self.variables, *self.optimizer, *self.metrics])

    def to_bytes(self) -> bytes:
        """Returns the file's content: a NumPy archive, whose members carry checksums."""
        groups = {group: getattr(self, group) for group in _GROUPS}
        position = json.dumps({"format": _FORMAT, **asdict(self.position)}).encode()
        members = {f"{group}/{index}": array for group, arrays in groups.items() for index, array in enumerate(arrays)}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **{_POSITION_KEY: np.frombuffer(position, np.uint8)}, **members)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Reads a file's content.

        Raises:
          ValueError, KeyError and what zip files raise: It is damaged, or of another version of petseg.
        """
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            position: dict[str, Any] = json.loads(archive[_POSITION_KEY].tobytes())
            if position.pop("format") != _FORMAT:
                raise ValueError(f"expected format {_FORMAT}")
            members = sorted(
                ((*name.split("/"), archive[name]) for name in archive.files if name != _POSITION_KEY),
                key=lambda member: int(member[1]),
            )
        groups = {group: [array for name, _, array in members if name == group] for group in _GROUPS}
        return cls(Position(**position), **groups)


class CheckpointStore:
    """The checkpoint of one training."""

    def __init__(self, root: str, determinants: Mapping[str, Any]) -> None:
        """Finds the directory of the training that the determinants, JSON values, describe completely."""
        versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
        text = json.dumps({"versions": versions, **determinants}, sort_keys=True, ensure_ascii=True)
        self._root = root.rstrip("/")
        self._directory = f"{self._root}/{_PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        self._path = f"{self._directory}/{_FILE_NAME}"

    @classmethod
    def from_environment(cls, determinants: Mapping[str, Any]) -> Self | None:
        """Returns the store below `PETSEG_CHECKPOINT_DIR`; None when it is unset."""
        root = os.environ.get(CHECKPOINT_DIR_VARIABLE)
        return cls(root, determinants) if root else None

    def load(self, expected: Mapping[str, Shapes]) -> Checkpoint | None:
        """Returns the checkpoint, if there is one that fits; says in the log why another one is left alone.

        Args:
          expected: Shapes and types of `variables`, `optimizer`, and the `metrics` of a checkpoint within an epoch.
        """
        try:
            if not tf.io.gfile.exists(self._path):
                return None
            with tf.io.gfile.GFile(self._path, "rb") as file:
                checkpoint = Checkpoint.from_bytes(file.read())
        except _UNREADABLE as error:
            self._refuse(f"cannot be read ({type(error).__name__}: {error})")
            return None
        for group, shapes in expected.items():
            found = [(array.shape, array.dtype.name) for array in getattr(checkpoint, group)]
            if found != shapes and (group != "metrics" or checkpoint.position.step):
                self._refuse(f"is of another network: its {group} have other shapes")
                return None
        return checkpoint

    def _refuse(self, reason: str) -> None:
        logging.warning("The checkpoint %s %s; the training starts from its beginning.", self._path, reason)

    def save(self, checkpoint: Checkpoint) -> None:
        """Replaces the checkpoint in one step; a disk that cannot take it is no reason to end the training.

        A state that is not finite does not replace one from which the training can go on.
        """
        if not checkpoint.is_finite:
            logging.warning("The weights are not finite; %s stays as it is.", self._path)
            return
        partial = f"{self._path}.partial"
        try:
            tf.io.gfile.makedirs(self._directory)
            with tf.io.gfile.GFile(partial, "wb") as file:
                file.write(checkpoint.to_bytes())
            tf.io.gfile.rename(partial, self._path, overwrite=True)
        except (OSError, tf.errors.OpError) as error:
            logging.warning("No checkpoint could be written to %s (%s); the training goes on.", self._path, error)

    def remove(self) -> None:
        """Removes the checkpoint of a training that is done, and those of trainings that nobody took up for 30 days."""
        for directory in [self._directory, *self._abandoned()]:
            try:
                tf.io.gfile.rmtree(directory)
            except (OSError, tf.errors.OpError):  # there is none, or somebody else was faster
                continue

    def _abandoned(self) -> list[str]:
        oldest = time.time() - _ABANDONED_SECONDS
        found = []
        for path in tf.io.gfile.glob(f"{self._root}/{_PREFIX}*/{_FILE_NAME}*"):
            if tf.io.gfile.stat(path).mtime_nsec / 1e9 < oldest:
                found.append(path.rpartition("/")[0])
        return found
