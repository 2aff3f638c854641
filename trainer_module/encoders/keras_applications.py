"""The encoders of `keras.applications`: their maps by the names of layers, and the files of weights that Keras has."""

import inspect
import tempfile
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any, Final, NamedTuple

import h5py
import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from trainer_module.encoder_catalogue import ENCODER, ENCODERS, IMAGENET, NORMALIZATIONS, EncoderEntry
from trainer_module.errors import ConfigError, ModelError

_USUAL_SIZE: Final = 224
"""The image size that weights are given at; they are the same at any."""

_LARGEST_PIXEL: Final = 255


class ImagenetWeights(NamedTuple):
    """What Keras has for an encoder."""

    arrays: list[NDArray[Any]]
    """As the encoder's `set_weights` takes them."""

    origin: str
    licence: str


def application_encoder(name: str, image_size: int, *, synchronized: bool = False) -> keras.Model:
    """Builds an application up to its last map, without its classifier and its own normalization.

    Args:
      name: A key of `ENCODERS` that has a constructor.
      image_size: Side of the square input, in pixels: a multiple of 32.
      synchronized: Whether batch normalization is over all replicas.

    Returns:
      A model named `encoder`, from float32 [batch, image_size, image_size, 3], pixels normalized as the entry says, to
      five maps at a half, a quarter, … of the image's size.
    """
    entry = ENCODERS[name]
    encoder = _up_to_its_maps(_whole(entry, image_size), entry)
    for layer in encoder.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.synchronized = synchronized  # no constructor passes it on
    return encoder


def imagenet_weights(name: str) -> ImagenetWeights:
    """Returns the ImageNet weights of an application, which Keras downloads once into its cache.

    Raises:
      ConfigError: They are not there, and cannot be downloaded.
      ModelError: The application normalizes its input by other numbers than the catalogue says.
    """
    entry = ENCODERS[name]
    try:
        whole = _whole(entry, _USUAL_SIZE, weights=IMAGENET)
    except Exception as error:  # Keras raises it as it is
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"trainer.encoder_weights is {IMAGENET!r}, and Keras cannot get those of {name!r}: {reason}. Download that "
            "file where there is a network and set trainer.encoder_weights to its path, for pods on a volume or in "
            "their image; or leave it under its name in Keras' cache, ~/.keras/models or what KERAS_HOME says; or set "
            "trainer.encoder_weights to none"
        ) from error
    origin = f"keras.applications.{entry.constructor} of Keras {keras.__version__}"
    return ImagenetWeights(_arrays(whole, entry, origin), origin, entry.licence)


def file_weights(name: str, content: bytes) -> list[NDArray[Any]] | None:
    """Returns the weights of an encoder from a file of its whole application without classifier, as Keras offers it.

    Args:
      name: A key of `ENCODERS`, or of no encoder here.
      content: Of the file.

    Returns:
      What the encoder's `set_weights` takes; None where it is another file.

    Raises:
      ModelError: The application normalizes its input by other numbers than the catalogue says.
    """
    entry = ENCODERS.get(name)
    if entry is None or not entry.constructor or (held := _shapes(content)) is None:
        return None
    whole = _whole(entry, _USUAL_SIZE)
    if held != Counter(tuple(weight.shape) for weight in whole.weights):
        return None
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "application.h5" if _is_of_keras_2(content) else "application.weights.h5")
        file.write_bytes(content)
        whole.load_weights(file)
    return _arrays(whole, entry, f"the file of {entry.constructor}")


def _whole(entry: EncoderEntry, image_size: int, weights: str | None = None) -> keras.Model:
    constructor = getattr(keras.applications, entry.constructor)
    settings: dict[str, Any] = {"include_top": False, "input_shape": (image_size, image_size, 3), "weights": weights}
    if "include_preprocessing" in inspect.signature(constructor).parameters:
        settings["include_preprocessing"] = False
    model: keras.Model = constructor(**settings)
    return model


def _up_to_its_maps(whole: keras.Model, entry: EncoderEntry) -> keras.Model:
    image = whole.get_layer(entry.first).input if entry.first else whole.input
    return keras.Model(image, [whole.get_layer(skip).output for skip in entry.skips], name=ENCODER)


def _arrays(whole: keras.Model, entry: EncoderEntry, origin: str) -> list[NDArray[Any]]:
    _check_normalization(whole, entry, origin)
    arrays: list[NDArray[Any]] = _up_to_its_maps(whole, entry).get_weights()
    if entry.swaps_colours:
        arrays[0] = arrays[0][:, :, ::-1]
    return arrays


def _check_normalization(whole: keras.Model, entry: EncoderEntry, origin: str) -> None:
    """Checks that what is cut off at the beginning does what the preprocessing does in its place.

    EfficientNet's files have the deviations where the layer has variances; Keras makes up for the root that the layer
    takes of them (https://github.com/tensorflow/tensorflow/issues/49930).

    Raises:
      ModelError: It does not.
    """
    for layer in whole.layers:
        if isinstance(layer, layers.Normalization):
            found = np.array([np.ravel(layer.adapt_mean), np.ravel(layer.adapt_variance)])
            offset, scale = np.array(NORMALIZATIONS[entry.normalization])
            expected = np.array([offset / _LARGEST_PIXEL, 1 / (_LARGEST_PIXEL * scale)])
            if not np.allclose(found, expected, atol=1e-3):
                raise ModelError(
                    f"{origin} has the means and deviations {found.round(3).tolist()} of pixels, where "
                    f"{expected.round(3).tolist()} were expected, those of ImageNet: its weights were not trained on "
                    f"what data.normalization = {entry.normalization!r} gives; use weights that were"
                )


def _is_of_keras_2(content: bytes) -> bool:
    with h5py.File(BytesIO(content), "r") as file:
        return "layer_names" in file.attrs or "model_weights" in file


def _shapes(content: bytes) -> Counter[tuple[int, ...]] | None:
    """Returns how many arrays of each shape an HDF5 file has itself; None for a file that cannot be used."""
    found: Counter[tuple[int, ...]] = Counter()
    foreign = []

    def count(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[tuple(item.shape)] += 1
            if item.external or item.is_virtual:
                foreign.append(name)

    try:
        with h5py.File(BytesIO(content), "r") as file:
            file.visititems(count)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return None
    return None if foreign else found
