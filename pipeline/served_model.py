"""A pushed or exported model directory, loaded to be asked."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from trainer_module import features
from trainer_module.errors import DataError, ModelError

_SAVED_MODEL_FILE = "saved_model.pb"


class ModelCard(BaseModel):
    """What an exported model says of itself (`assets.extra/petseg_model.json`)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    class_names: tuple[str, ...]
    mask_values: tuple[int, ...]
    image_size: int


class ServedModel:
    """A loaded SavedModel with petseg's signatures."""

    def __init__(self, directory: Path, card: ModelCard, signatures: Any) -> None:
        self.directory = directory
        self.card = card
        self._signatures = signatures

    @classmethod
    def load(cls, directory: str) -> Self:
        """Loads a version directory, or the newest version below a directory in TensorFlow Serving's layout.

        Raises:
          ModelError: There is no model, or none of petseg's.
        """
        version = _version_directory(Path(directory))
        try:
            card = ModelCard.model_validate_json(
                (version / "assets.extra" / features.MODEL_CARD_ASSET).read_text(encoding="utf-8")
            )
            signatures = tf.saved_model.load(str(version)).signatures
        except Exception as error:  # whatever TensorFlow raises over broken files
            raise ModelError(
                f"{str(version)!r} is no model that petseg exported: {str(error).strip().partition(chr(10))[0]}. "
                "Name a directory that `petseg run` pushed."
            ) from error
        for name in (features.SERVING_SIGNATURE, features.EVALUATION_SIGNATURE):
            if name not in signatures:
                raise ModelError(f"the model in {str(version)!r} has no signature {name!r}; it has {[*signatures]}.")
        return cls(version, card, signatures)

    def predict(self, image: bytes, name: str) -> NDArray[np.float32]:
        """Returns the class probabilities of one encoded image: [image_size, image_size, num_classes].

        Raises:
          DataError: `image`, called `name` in the message, is no readable JPEG or PNG.
        """
        try:
            outputs = self._signatures[features.SERVING_SIGNATURE](image=tf.constant([image]))
        except tf.errors.InvalidArgumentError as error:
            raise DataError(f"{name!r} ({len(image)} bytes) is no readable JPEG or PNG image.") from error
        return outputs[features.PROBABILITIES].numpy()[0]

    @property
    def evaluation_outputs(self) -> tuple[str, ...]:
        """The names of what the evaluation signature returns."""
        return tuple(self._signatures[features.EVALUATION_SIGNATURE].structured_outputs)

    def evaluate(self, examples: Sequence[bytes]) -> Iterator[dict[str, NDArray[Any]]]:
        """Yields what the evaluation signature returns for each serialized raw example, by output name."""
        outputs = self._signatures[features.EVALUATION_SIGNATURE](examples=tf.constant(list(examples)))
        arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
        for index in range(len(examples)):
            yield {name: array[index] for name, array in arrays.items()}


def _version_directory(directory: Path) -> Path:
    if (directory / _SAVED_MODEL_FILE).is_file():
        return directory
    versions = [path.parent for path in directory.glob(f"*/{_SAVED_MODEL_FILE}") if path.parent.name.isdigit()]
    if not versions:
        raise ModelError(
            f"there is no model in {str(directory)!r}: neither {_SAVED_MODEL_FILE} nor numbered version directories "
            "that hold one. Name a directory that `petseg run` pushed."
        )
    return max(versions, key=lambda version: int(version.name))
