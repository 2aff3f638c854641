"""Whether as many examples came out of Beam as went in.

What a runner lost by the way it may not know itself, and reports success. So what is compared are numbers that do not
come from the runner: those of the data set, of records on the disk, and of examples in the results.
"""

import json
from collections.abc import Iterable

import numpy as np
import tensorflow as tf
from tfx import types

from components.artifact_properties import SPLIT_COUNTS
from trainer_module.errors import DataError


def check_count(what: str, found: int, expected: int) -> None:
    """Checks that nothing was lost, and nothing came twice.

    Args:
      what: What was done with the examples, to begin the message with.
      found: The number of examples that came out.
      expected: The number that went in.

    Raises:
      DataError: They differ.
    """
    if found != expected:
        kind = "lost some" if found < expected else "worked on some more than once"
        raise DataError(
            f"{what}: {found} examples, of {expected} that are in the data. Beam's workers {kind}, though their runner "
            "reported success; nothing of it is kept. Run again; where it happens again, use another runner "
            "(docs/beam_runners.md)"
        )


def expected_count(examples: types.Artifact, splits: Iterable[str]) -> int | None:
    """Returns how many examples splits have by their artifact; None of examples that do not say."""
    counts = json.loads(examples.get_string_custom_property(SPLIT_COUNTS) or "{}")
    numbers = [counts.get(split) for split in splits]
    return None if None in numbers else sum(numbers)


def count_records(directory: str) -> int:
    """Returns the number of TFRecords in the files of a directory, gzipped where a name ends in `.gz`."""
    total = np.int64(0)
    for file in sorted(tf.io.gfile.glob(f"{directory}/*")):
        records = tf.data.TFRecordDataset(file, compression_type="GZIP" if file.endswith(".gz") else "")
        total += records.reduce(np.int64(0), lambda number, _: number + 1).numpy()
    return int(total)
