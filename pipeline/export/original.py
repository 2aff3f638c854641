"""The model that other forms are made of: a SavedModel that petseg exported, with what its signatures consist of."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from components.model_pusher.checksums import content_digest
from pipeline.served_model import model_directory
from trainer_module import features
from trainer_module.errors import ModelError

SIGNATURES: Final = (features.SERVING_SIGNATURE, features.TENSOR_SIGNATURE, features.EVALUATION_SIGNATURE)
_FUNCTIONS: Final = ("network", "prepare")


@dataclass(frozen=True)
class Prepared:
    """Raw examples as the network takes them."""

    images: NDArray[Any]
    """float32 [examples, image_size, image_size, 3]."""

    class_ids: NDArray[Any]
    """uint8 [examples, image_size, image_size]."""


class Original:
    """A loaded model, and what its card says."""

    def __init__(self, directory: Path, card: dict[str, Any], loaded: Any) -> None:
        self.directory = directory
        self.card = card
        self.signatures: dict[str, Any] = {name: loaded.signatures[name] for name in SIGNATURES}
        self.network = loaded.network
        self._prepare = loaded.prepare
        self._loaded = loaded  # its variables live as long as this

    @classmethod
    def load(cls, directory: str) -> Self:
        """Loads a version directory, or the newest version below a directory in TensorFlow Serving's layout.

        Raises:
          ModelError: There is no model, none of petseg's, an optimized one, or one of an earlier version.
        """
        version = Path(model_directory(directory))
        assets = version / features.ASSETS_DIRECTORY
        if (assets / features.EXPORT_ASSET).is_file():
            raise ModelError(f"the model in {str(version)!r} is an optimized one already; name the one it was made of.")
        try:
            card = json.loads((assets / features.MODEL_CARD_ASSET).read_text(encoding="utf-8"))
            loaded = tf.saved_model.load(str(version))
        except Exception as error:  # whatever TensorFlow raises over broken files
            raise ModelError(
                f"{str(version)!r} is no model that petseg exported: {str(error).strip().partition(chr(10))[0]}. "
                "Name a directory that `petseg run` pushed."
            ) from error
        missing = [name for name in SIGNATURES if name not in loaded.signatures]
        missing += [name for name in _FUNCTIONS if not hasattr(loaded, name)]
        if missing:
            raise ModelError(
                f"the model in {str(version)!r} was exported by another version of petseg: it has no "
                f"{', '.join(missing)}. Export it again: `petseg run --from Trainer --no-cache`."
            )
        return cls(version, card, loaded)

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.card["class_names"])

    @property
    def image_size(self) -> int:
        return int(self.card["image_size"])

    def prepare(self, examples: Sequence[bytes]) -> Prepared:
        """Returns serialized raw examples as training prepares them."""
        prepared = self._prepare(tf.constant(list(examples)))
        return Prepared(prepared[features.IMAGE].numpy(), prepared[features.SEGMENTATION_MASK].numpy())

    def prepare_images(self, images: Sequence[bytes]) -> NDArray[Any]:
        """Returns encoded images as training prepares them: float32 [images, image_size, image_size, 3]."""
        return self.prepare([self._example(image) for image in images]).images

    def normalization(self) -> tuple[list[float], list[float]]:
        """Returns offset and scale of each channel: the network takes (pixel - offset) · scale, of pixels to 255."""
        prepared = self._prepare(tf.constant([self._example(_png(0))]))
        offset, scale = (prepared[name][0].numpy() for name in (features.IMAGE_OFFSET_XF, features.IMAGE_SCALE_XF))
        return offset.tolist(), scale.tolist()

    def identity(self) -> dict[str, Any]:
        """Returns what tells this model from others: its version's number and a digest of its files."""
        return {"version": self.directory.name, "sha256": content_digest(str(self.directory))}

    def _example(self, image: bytes) -> bytes:
        """Returns a raw example of an image that has no mask."""
        values = {
            features.IMAGE: image,
            features.SEGMENTATION_MASK: _png(self.card["mask_values"][0]),
            features.FILE_NAME: b"",
        }
        feature = {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in values.items()
        }
        serialized: bytes = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
        return serialized


def _png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (1, 1), value).save(file, "PNG")
    return file.getvalue()
