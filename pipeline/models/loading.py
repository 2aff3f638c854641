"""A model directory that petseg pushed or exported, loaded to be asked, and what it answers as a picture.

This is the one place in `pipeline` that loads a SavedModel. ModelProbe has a loader of its own, which is TensorFlow
Serving's: it is there to find out what this one would not notice.
"""

import functools
import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from components.model_pusher.files import content_digest, file_digests, opened
from components.model_pusher.version_store import SAVED_MODEL_FILE, newest_version
from pipeline.config.paths import check_no_pattern
from trainer_module import features
from trainer_module.encoded_images import UNREADABLE, ImageRefusedError, read_header, without_orientation
from trainer_module.errors import DataError, ModelError
from trainer_module.flip_averaging import average_over_flip
from trainer_module.model_card import ModelCard, class_colors

UNTINTED_CLASS: Final = "background"
"""Of an overlay: the photo stays as it is there."""

OVERLAY_OPACITY: Final = 0.55

_ORIGINAL_SIGNATURES: Final = (features.SERVING_SIGNATURE, features.TENSOR_SIGNATURE, features.EVALUATION_SIGNATURE)
_ORIGINAL_FUNCTIONS: Final = ("network", "prepare")


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


def read_card(directory: str) -> ModelCard:
    """Returns what the model in a version directory says of itself.

    Raises:
      ModelError: petseg did not export it.
    """
    try:
        with opened(f"{directory}/{features.ASSETS_DIRECTORY}/{features.MODEL_CARD_ASSET}") as file:
            return ModelCard.parse(file.read())
    except (OSError, ValueError) as error:
        raise _no_model(directory, error) from error


def load_saved_model(directory: Path) -> tuple[ModelCard, Any]:
    """Loads a version directory: its card, and what TensorFlow made of it, whose variables live as long as that.

    Raises:
      ModelError: It cannot be loaded, or petseg did not export it.
    """
    card = read_card(str(directory))
    try:
        return card, tf.saved_model.load(str(directory))
    except Exception as error:  # whatever TensorFlow raises over broken files
        raise _no_model(str(directory), error) from error


def load_flip_averaged(directory: Path) -> tuple[ModelCard, Any]:
    """Loads a version directory as `load_saved_model` does, to answer with averages over image and mirror image.

    Raises:
      ModelError: It cannot be loaded, petseg did not export it, it is an optimized form, or it does so already.
    """
    card = read_card(str(directory))
    if card.flip_averaging:
        raise ModelError(
            f"the model in {str(directory)!r} averages over the mirror image already; leave out --flip-averaging."
        )
    if is_optimized(directory):
        raise ModelError(
            f"the model in {str(directory)!r} is an optimized one, whose network is one with its signatures; name the "
            "one it was made of."
        )
    with tempfile.TemporaryDirectory(prefix="petseg-flip-") as place:
        for entry in directory.iterdir():
            (Path(place) / entry.name).symlink_to(entry.absolute())
        changed = Path(place) / SAVED_MODEL_FILE
        content = average_over_flip(changed.read_bytes())
        changed.unlink()
        changed.write_bytes(content)
        _, loaded = load_saved_model(Path(place))
    return card.model_copy(update={"flip_averaging": True}), loaded


def is_optimized(directory: Path) -> bool:
    """Returns whether a version directory holds a form that `petseg export` made."""
    return (directory / features.ASSETS_DIRECTORY / features.EXPORT_ASSET).is_file()


class ServedModel:
    """A loaded SavedModel with petseg's signatures."""

    def __init__(self, directory: Path, card: ModelCard, loaded: Any) -> None:
        self.directory = directory
        self.card = card
        self.signatures: dict[str, Any] = dict(loaded.signatures)
        self._loaded = loaded  # its variables live as long as this

    @classmethod
    def load(cls, directory: str, *, flip_averaging: bool = False) -> Self:
        """Loads a version directory, or the newest version below a directory in TensorFlow Serving's layout.

        Args:
          directory: The directory.
          flip_averaging: Whether to have the model average its answers over image and mirror image.

        Raises:
          ModelError: There is no model, none of petseg's, or none that can be made to average.
        """
        version = Path(model_directory(directory))
        model = cls(version, *(load_flip_averaged if flip_averaging else load_saved_model)(version))
        for name in (features.SERVING_SIGNATURE, features.EVALUATION_SIGNATURE):
            if name not in model.signatures:
                raise ModelError(
                    f"the model in {str(version)!r} has no signature {name!r}; it has {[*model.signatures]}."
                )
        return model

    def check_predicts(self) -> None:
        """Checks that the model can answer `predict`, before much is done for it.

        Raises:
          ModelError: It was exported before it could.
        """
        if features.MASK_PNG not in self.signatures[features.SERVING_SIGNATURE].structured_outputs:
            raise ModelError(
                f"the model in {str(self.directory)!r} was exported by an earlier version of petseg: its signature "
                f"{features.SERVING_SIGNATURE!r} has no {features.MASK_PNG}. Export it again."
            )

    def predict(self, image: bytes, name: str) -> NDArray[np.uint8]:
        """Returns the class id of each pixel of one encoded image as viewers show it, at its size: [height, width].

        Raises:
          DataError: `image`, called `name` in the message, is no readable JPEG or PNG, or too large.
          ModelError: The model was exported before it could answer so.
        """
        self.check_predicts()
        signature = self.signatures[features.SERVING_SIGNATURE]
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
        return tuple(self.signatures[features.EVALUATION_SIGNATURE].structured_outputs)

    def evaluate(self, examples: Sequence[bytes]) -> Iterator[dict[str, NDArray[Any]]]:
        """Yields what the evaluation signature returns for each serialized raw example, by output name."""
        outputs = self.signatures[features.EVALUATION_SIGNATURE](examples=tf.constant(list(examples)))
        arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
        for index in range(len(examples)):
            yield {name: array[index] for name, array in arrays.items()}


@dataclass(frozen=True)
class Prepared:
    """Raw examples as the network takes them."""

    images: NDArray[Any]
    """float32 [examples, image_size, image_size, 3]."""

    class_ids: NDArray[Any]
    """uint8 [examples, image_size, image_size]."""


class Original(ServedModel):
    """The model that other forms are made of: one that petseg exported, with what its signatures consist of."""

    @classmethod
    def load(cls, directory: str, *, flip_averaging: bool = False) -> Self:
        """Loads a version directory, or the newest version below a directory in TensorFlow Serving's layout.

        Args:
          directory: The directory.
          flip_averaging: Whether to have the model average its answers over image and mirror image.

        Raises:
          ModelError: There is no model, none of petseg's, an optimized one, one of an earlier version, or one that
            averages already.
        """
        version = Path(model_directory(directory))
        if is_optimized(version):
            raise ModelError(f"the model in {str(version)!r} is an optimized one already; name the one it was made of.")
        model = cls(version, *(load_flip_averaged if flip_averaging else load_saved_model)(version))
        missing = [name for name in _ORIGINAL_SIGNATURES if name not in model.signatures]
        missing += [name for name in _ORIGINAL_FUNCTIONS if not hasattr(model._loaded, name)]
        if missing:
            raise ModelError(
                f"the model in {str(version)!r} was exported by another version of petseg: it has no "
                f"{', '.join(missing)}. Export it again: `petseg run --from Trainer --no-cache`."
            )
        return model

    @property
    def network(self) -> Any:
        """The function from prepared images to logits."""
        return self._loaded.network

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """What tells this model from others: its version's number and a digest of its files, which are read for it."""
        return {"version": self.directory.name, "sha256": content_digest(file_digests(str(self.directory)))}

    def prepare(self, examples: Sequence[bytes]) -> Prepared:
        """Returns serialized raw examples as training prepares them."""
        prepared = self._loaded.prepare(tf.constant(list(examples)))
        return Prepared(prepared[features.IMAGE].numpy(), prepared[features.SEGMENTATION_MASK].numpy())

    def prepare_images(self, images: Sequence[bytes]) -> NDArray[Any]:
        """Returns encoded images as training prepares them: float32 [images, image_size, image_size, 3]."""
        return self.prepare([self._example(image) for image in images]).images

    def normalization(self) -> tuple[list[float], list[float]]:
        """Returns offset and scale of each channel: the network takes (pixel - offset) · scale, of pixels to 255."""
        prepared = self._loaded.prepare(tf.constant([self._example(_png(0))]))
        offset, scale = (prepared[name][0].numpy() for name in (features.IMAGE_OFFSET_XF, features.IMAGE_SCALE_XF))
        return offset.tolist(), scale.tolist()

    def _example(self, image: bytes) -> bytes:
        """Returns a raw example of an image that has no mask."""
        values = {
            features.IMAGE: image,
            features.SEGMENTATION_MASK: _png(self.card.mask_values[0]),
            features.FILE_NAME: b"",
        }
        feature = {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in values.items()
        }
        serialized: bytes = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
        return serialized


def overlay_image(photo: Image.Image, class_ids: NDArray[np.uint8], class_names: Sequence[str]) -> Image.Image:
    """Returns the photo with each class but the background tinted in its colour."""
    pixels = np.asarray(photo.convert("RGB"), np.float32)
    opacity = np.array([0.0 if name == UNTINTED_CLASS else OVERLAY_OPACITY for name in class_names], np.float32)
    alpha = opacity[class_ids][..., np.newaxis]
    tint = class_colors(len(class_names))[class_ids].astype(np.float32)
    return Image.fromarray(np.round(pixels * (1 - alpha) + tint * alpha).astype(np.uint8))


def _no_model(directory: str, error: Exception) -> ModelError:
    return ModelError(
        f"{directory!r} is no model that petseg exported: {str(error).strip().partition(chr(10))[0]}. "
        "Name a directory that `petseg run` pushed."
    )


def _explained(image: bytes, reason: str) -> str:
    """Returns why a model refused an image, with what the image is in truth, where its header says so."""
    try:
        read_header(image)
    except ImageRefusedError as error:
        return str(error)
    return f"{reason}: it is cut off or damaged" if reason == UNREADABLE else reason


def _png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (1, 1), value).save(file, "PNG")
    return file.getvalue()
