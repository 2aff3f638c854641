"""Gives an encoder the weights of a Keras file: `encoder.save_weights`, or the older HDF5 file of a whole model."""

import tempfile
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import h5py
import keras

from trainer_module.errors import ModelError

_BEGINNING: Final = b"\x89HDF\r\n\x1a\n"
_OLD_FORMAT: Final = "layer_names"
"""Attribute of a file's root, or of the group `model_weights`, by which Keras knows the format of Keras 2."""

_MOST_SHOWN: Final = 4


def is_keras_file(content: bytes) -> bool:
    """Returns whether a file begins as those of HDF5 do."""
    return content.startswith(_BEGINNING)


def load_keras_file(encoder: keras.Model, content: bytes, path: str, name: str) -> None:
    """Assigns the weights of a file that was written from an equal encoder.

    Args:
      encoder: To be given them.
      content: Of the file.
      path: Names the file in messages.
      name: Names the encoder in messages.

    Raises:
      ModelError: The file is damaged, or has other weights than the encoder.
    """
    try:
        with h5py.File(BytesIO(content), "r") as file:
            is_old = _OLD_FORMAT in file.attrs or "model_weights" in file
            shapes = _shapes(file)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    # Keras itself does not mind weights in the file that it has no place for.
    expected = Counter(tuple(weight.shape) for weight in encoder.weights)
    if expected != shapes:
        raise ModelError(
            f"{path!r} does not hold the weights of the encoder {name!r}: {_difference(expected, shapes)}. Write the "
            "file from an equal one, `keras.Model.save_weights('FILE.weights.h5')`, or set trainer.encoder to the "
            "encoder whose weights these are"
        )
    with tempfile.TemporaryDirectory() as directory:
        file_name = Path(directory, "encoder.h5" if is_old else "encoder.weights.h5")
        file_name.write_bytes(content)
        try:
            encoder.load_weights(str(file_name))
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            raise _damaged(path, error) from error


def _shapes(file: h5py.File) -> Counter[tuple[int, ...]]:
    """Returns how many arrays of each shape there are.

    Raises:
      ValueError: Values are not in the file itself.
    """
    found: Counter[tuple[int, ...]] = Counter()

    def count(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if item.external or item.is_virtual:
            raise ValueError(f"the values of {name!r} are in another file")
        if not name.startswith("top_level_model_weights"):
            found[tuple(item.shape)] += 1

    file.visititems(count)
    return found


def _difference(expected: Counter[tuple[int, ...]], found: Counter[tuple[int, ...]]) -> str:
    missing, superfluous = expected - found, found - expected
    parts = [f"it has {found.total()} arrays where the encoder has {expected.total()}"]
    parts += [f"none is left for those of {_listed(missing)}"] if missing else []
    parts += [f"those of {_listed(superfluous)} have no place"] if superfluous else []
    return ", ".join(parts)


def _listed(shapes: Counter[tuple[int, ...]]) -> str:
    texts = ["×".join(map(str, shape)) or "a single value" for shape in list(shapes)[:_MOST_SHOWN]]
    return " and ".join(texts) + (" and others" if len(shapes) > _MOST_SHOWN else "")


def _damaged(path: str, error: Exception) -> ModelError:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return ModelError(f"{path!r} cannot be read as a file of Keras' weights, it is damaged or no such file: {reason}")
