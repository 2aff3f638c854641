"""What to call an example in messages, tables and galleries. Nothing here imports TensorFlow."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

_TFDS_ID: Final = re.compile(r"(?:.*/)?.+?-(?P<split>[^-/]+)\.\w+-(?P<shard>\d+)-of-\d+__(?P<position>\d+)")
"""`shapes-train.tfrecord-00003-of-00008__42`, with a directory before it where a data set has several."""


def shown_names(file_names: Mapping[str, str]) -> dict[str, str]:
    """Returns names for people, by which the examples can be told apart.

    That is the file name where one example alone has it, else the file name with the shortest thing that tells the
    examples of that name apart: `image.jpg (test 00000__5)`, the split, its shard and the position in the shard.

    Args:
      file_names: Example id to file name, of all examples that a reader might take for each other.

    Returns:
      Example id to name.

    Example:
      >>> ids = [f"pets-{split}.tfrecord-00000-of-00008__5" for split in ("train", "test")]
      >>> list(shown_names(dict.fromkeys(ids, "a.jpg")).values())
      ['a.jpg (train 00000__5)', 'a.jpg (test 00000__5)']
    """
    counts = Counter(file_names.values())
    places = {example_id: _place(example_id) for example_id, name in file_names.items() if counts[name] > 1}
    of_place = Counter((file_names[example_id], place) for example_id, place in places.items())
    names = dict(file_names)
    for example_id, place in places.items():
        name = file_names[example_id]
        names[example_id] = f"{name} ({place if of_place[name, place] == 1 else example_id})"
    return names


def is_tfds_id(name: str) -> bool:
    """Returns whether a file name is TFDS' id of the example, as examples of data sets without file names have it.

    Such a name is a position in the files of one preparation: in those of another it is another image's.
    """
    return _TFDS_ID.fullmatch(name) is not None


def _place(example_id: str) -> str:
    match = _TFDS_ID.fullmatch(example_id)
    return f"{match['split']} {match['shard']}__{match['position']}" if match else example_id
