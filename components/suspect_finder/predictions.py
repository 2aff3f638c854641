"""What an exported model says of the raw examples that it was trained on, batch by batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer_module import features
from trainer_module.errors import ModelError
from trainer_module.model_card import ModelCard

_LARGEST_BATCH: Final = 32
_BATCH_PROBABILITIES: Final = 2**22
"""A batch has no more probabilities than this, so that memory does not grow with the size of the network's images."""


@dataclass(frozen=True)
class PredictedBatch:
    """Some examples, with what the masks and the model say of each pixel at the network's resolution."""

    examples: Sequence[bytes]
    """Serialized raw examples."""

    class_ids: NDArray[np.uint8]
    """[examples, image_size, image_size], of the masks."""

    probabilities: NDArray[np.float32]
    """[examples, image_size, image_size, num_classes], of the model."""

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return self.class_ids.nbytes + self.probabilities.nbytes + sum(map(len, self.examples))


class ExportedNetwork:
    """The functions of an exported model that its signatures consist of."""

    def __init__(self, card: ModelCard, loaded: Any) -> None:
        self.card = card
        self._loaded = loaded

    @classmethod
    def load(cls, directory: str) -> Self:
        """Loads a SavedModel that the Trainer exported.

        Raises:
          ModelError: It has no `prepare` and `network`.
        """
        with tf.io.gfile.GFile(f"{directory}/{features.ASSETS_DIRECTORY}/{features.MODEL_CARD_ASSET}", "rb") as file:
            card = ModelCard.parse(file.read())
        loaded = tf.saved_model.load(directory)
        if not hasattr(loaded, "prepare") or not hasattr(loaded, "network"):
            raise ModelError(
                f"the model in {directory!r} was exported by another version of petseg: it has no functions "
                "'prepare' and 'network'. Train again: `petseg run --from Trainer --no-cache`."
            )
        return cls(card, loaded)

    def predictions(self, files: Sequence[str], every: int = 1) -> Iterator[PredictedBatch]:
        """Yields the examples of TFRecord files, gzipped, in their order, with what the model says of them.

        Args:
          files: The files.
          every: Of so many examples the first alone.
        """
        card = self.card
        fitting = _BATCH_PROBABILITIES // (card.image_size**2 * len(card.class_names))
        records = tf.data.TFRecordDataset(list(files), compression_type="GZIP").shard(every, 0)
        for batch in records.batch(max(1, min(_LARGEST_BATCH, fitting))).prefetch(1):
            yield self.predict(batch.numpy().tolist())

    def predict(self, examples: Sequence[bytes]) -> PredictedBatch:
        """Returns what the model says of some examples."""
        prepared = self._loaded.prepare(tf.constant(examples))
        probabilities = tf.nn.softmax(self._loaded.network(prepared[features.IMAGE]))
        return PredictedBatch(examples, prepared[features.SEGMENTATION_MASK].numpy(), probabilities.numpy())
