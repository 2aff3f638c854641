"""Images that two splits share, byte by byte: a model must not be judged by what it was trained on.

Eight bytes an image are kept of the one split, and of the other the names. Two different images among a million times a
million have the same eight bytes once in 18 million such pairs of splits.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from components.tfds_example_gen.example_names import shown_names
from trainer_module import features

_DIGEST_BYTES = 8


def shared_images(trained: str, evaluated: str) -> list[str]:
    """Returns the names (`shown_names`) of the examples in `evaluated` whose encoded image is in `trained`, too.

    Args:
      trained: Directory of gzipped TFRecords with examples of the data contract.
      evaluated: Another.
    """
    known = np.fromiter((digest for digest, *_ in _images(trained)), np.uint64)
    known.sort()
    file_names, shared = {}, []
    for digest, example_id, file_name in _images(evaluated):
        file_names[example_id] = file_name
        if _contains(known, digest):
            shared.append(example_id)
    names = shown_names(file_names)
    return [names[example_id] for example_id in shared]


def _contains(values: np.ndarray, value: int) -> bool:
    """Returns whether a value is among sorted ones."""
    wanted = np.uint64(value)
    position = np.searchsorted(values, wanted)
    return bool(position < len(values) and values[position] == wanted)


def _images(directory: str) -> Iterator[tuple[int, str, str]]:
    """Yields the digest of each encoded image, and id and file name of its example."""
    files = sorted(tf.io.gfile.glob(f"{directory}/*"))
    for record in tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator():
        feature = tf.train.Example.FromString(record).features.feature
        image, *names = (
            feature[key].bytes_list.value[0] for key in (features.IMAGE, features.EXAMPLE_ID, features.FILE_NAME)
        )
        digest = hashlib.blake2b(image, digest_size=_DIGEST_BYTES).digest()
        example_id, file_name = (name.decode(errors="replace") for name in names)
        yield int.from_bytes(digest, "little"), example_id, file_name
