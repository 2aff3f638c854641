"""A pushed or exported model directory, loaded to be asked."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict

from components.model_pusher.versions import SAVED_MODEL_FILE, newest_version
from pipeline.path_names import check_no_pattern
from trainer_module import features
from trainer_module.encoded_images import UNREADABLE, ImageRefusedError, read_header, without_orientation
from trainer_module.errors import DataError, ModelError


class ModelCard(BaseModel):
    """What an exported model says of itself (`assets.extra/petseg_model.json`)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    class_names: tuple[str, ...]
    mask_values: tuple[int, ...]
    image_size: int
    turns_images: bool = False
    """Whether it turns images by their EXIF orientation; those that petseg exported at first do not."""


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
        version = Path(model_directory(directory))
        try:
            card = ModelCard.model_validate_json(
                (version / features.ASSETS_DIRECTORY / features.MODEL_CARD_ASSET).read_text(encoding="utf-8")
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

    def predict(self, image: bytes, name: str) -> NDArray[np.uint8]:
        """Returns the class id of each pixel of one encoded image as viewers show it, at its size: [height, width].

        Raises:
          DataError: `image`, called `name` in the message, is no readable JPEG or PNG, or too large.
          ModelError: The model was exported before it could answer so.
        """
        signature = self._signatures[features.SERVING_SIGNATURE]
        if features.MASK_PNG not in signature.structured_outputs:
            raise ModelError(
                f"the model in {str(self.directory)!r} was exported by an earlier version of petseg: its signature "
                f"{features.SERVING_SIGNATURE!r} has no {features.MASK_PNG}. Export it again."
            )
        try:
            asked = image if self.card.turns_images else without_orientation(image)
            outputs = signature(image=tf.constant([asked]))
        except ImageRefusedError as error:
            raise DataError(f"{name!r} ({len(image)} bytes) {error}.") from error
        except tf.errors.InvalidArgumentError as error:
            reason = str(error).partition("of the batch ")[2].partition("]")[0] or "cannot be decoded"
            raise DataError(f"{name!r} ({len(image)} bytes) {_explained(image, reason)}.") from error
        with Image.open(io.BytesIO(outputs[features.MASK_PNG].numpy()[0])) as mask:
            return np.asarray(mask)

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


def _explained(image: bytes, reason: str) -> str:
    """Returns why a model refused an image, with what the image is in truth, where its header says so."""
    try:
        read_header(image)
    except ImageRefusedError as error:
        return str(error)
    return f"{reason}: it is cut off or damaged" if reason == UNREADABLE else reason


def model_directory(directory: str) -> str:
    """Returns where the model is that a directory names: there, or in the newest of the versions below.

    Raises:
      ConfigError: TensorFlow cannot load from a directory of that name.
      ModelError: There is none.
    """
    check_no_pattern("the model directory", directory)
    if (Path(directory) / SAVED_MODEL_FILE).is_file():
        return directory
    version = newest_version(directory)
    if version is None:
        raise ModelError(
            f"there is no model in {directory!r}: neither {SAVED_MODEL_FILE} nor numbered version directories "
            "that hold one. Name a directory that `petseg run` pushed."
        )
    return version
