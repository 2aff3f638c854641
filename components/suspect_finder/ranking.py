"""The suspects among the examples, ranked: one pass of the model, and one over a sample for the thresholds."""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import ndimage

from components.suspect_finder.confidence import SelfConfidence, contradiction_scores, suggested_classes
from components.suspect_finder.kinds import kind_of
from components.suspect_finder.predictions import ExportedNetwork, PredictedBatch
from components.suspect_finder.suspects import Region, Suspect
from trainer_module import features
from trainer_module.encoded_images import read_header
from trainer_module.features import NOT_LABELLED

LEAST_SCORE: Final = 0.25
"""What is contradicted less is not listed."""

MOST_SUSPECTS: Final = 1000
_SAMPLE: Final = 1024
"""The thresholds are means over at most so many examples, evenly spread; over all where there are no more."""

_KEPT_BYTES: Final = 2**28
"""What the model said of a data set is kept up to this size; of a larger one it is asked again."""


@dataclass(frozen=True)
class Ranking:
    """What was found."""

    suspects: list[Suspect]
    """The strongest contradiction first."""

    examined: int
    """The number of examples."""


def find_suspects(network: ExportedNetwork, files: Mapping[str, Sequence[str]], examples: int) -> Ranking:
    """Ranks the masks that the model contradicts, in memory that does not grow with the data.

    Args:
      network: The trained model.
      files: Split to its TFRecord files.
      examples: How many examples they hold.
    """
    names = network.card.class_names
    confidence, kept = _first_pass(network, files, -(-examples // _SAMPLE))
    ranked: list[Suspect] = []
    examined = 0
    for split, batch in kept or _batches(network, files):
        found = batch_suspects(batch, split, confidence.thresholds, names)
        ranked = heapq.nlargest(MOST_SUSPECTS, [*ranked, *found], key=lambda suspect: suspect.score)
        examined += len(batch.examples)
    return Ranking(ranked, examined)


_Batches = Iterable[tuple[str, PredictedBatch]]


def _batches(network: ExportedNetwork, files: Mapping[str, Sequence[str]], every: int = 1) -> _Batches:
    """Yields the batches of each split under its name."""
    for split, of_split in files.items():
        for batch in network.predictions(of_split, every):
            yield split, batch


def _first_pass(
    network: ExportedNetwork, files: Mapping[str, Sequence[str]], every: int
) -> tuple[SelfConfidence, list[tuple[str, PredictedBatch]]]:
    """Returns the thresholds, and all batches, as far as they are few enough to be kept; else none."""
    confidence = SelfConfidence(len(network.card.class_names))
    kept: list[tuple[str, PredictedBatch]] = []
    room = _KEPT_BYTES if every == 1 else 0
    for split, batch in _batches(network, files, every):
        confidence.add(batch.probabilities, batch.class_ids)
        room -= batch.nbytes
        kept = [*kept, (split, batch)] if room >= 0 else []
    return confidence, kept


def batch_suspects(
    batch: PredictedBatch, split: str, thresholds: NDArray[np.float64], class_names: Sequence[str]
) -> Iterator[Suspect]:
    """Yields the examples of a batch whose masks the model contradicts, in their order.

    Args:
      batch: The examples, and what the model says.
      split: Where they are from.
      thresholds: [num_classes], of `SelfConfidence`.
      class_names: Names of the classes in the order of their ids.
    """
    suggested = suggested_classes(batch.probabilities, batch.class_ids, thresholds)
    predicted = batch.probabilities.argmax(axis=-1).astype(np.uint8)
    scores = contradiction_scores(batch.class_ids, suggested, len(class_names))
    for index in map(int, np.flatnonzero(scores >= LEAST_SCORE)):
        given, other = batch.class_ids[index], suggested[index]
        part = largest_part(other != NOT_LABELLED)
        pairs, counts = np.unique(np.stack([given[part], other[part]]), axis=1, return_counts=True)
        given_class, suggested_class = pairs[:, counts.argmax()]
        feature = tf.train.Example.FromString(batch.examples[index]).features.feature
        file_name, example_id, mask = (
            feature[name].bytes_list.value[0]
            for name in (features.FILE_NAME, features.EXAMPLE_ID, features.SEGMENTATION_MASK)
        )
        yield Suspect(
            file_name=file_name.decode(errors="replace"),
            split=split,
            example_id=example_id.decode(),
            score=float(scores[index]),
            contradicted=float(np.mean(other[given != NOT_LABELLED] != NOT_LABELLED)),
            given_class=class_names[given_class],
            suggested_class=class_names[suggested_class],
            kind=kind_of(given, predicted[index], len(class_names)),
            region=region_around(part, *read_header(mask).size),
        )


def largest_part(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns the largest of the parts of a mask that are connected by the sides of pixels, [height, width]."""
    parts, _ = ndimage.label(pixels)
    return parts == np.bincount(parts[pixels]).argmax()


def region_around(part: NDArray[np.bool_], width: int, height: int) -> Region:
    """Returns the rectangle around some pixels, in the pixels of an image of another size, rounded outwards.

    Args:
      part: [height, width] at the network's resolution; some are true.
      width: Of the image, as its height, in pixels.
      height: See there.

    Example:
      >>> region_around(np.array([[False, True], [False, False]]), width=100, height=50)
      Region(left=50, top=0, width=50, height=25)
    """
    spans = []
    for axis, length in ((1, width), (0, height)):
        occupied = np.flatnonzero(part.any(axis=1 - axis))
        scale = length / part.shape[axis]
        first, end = int(np.floor(occupied[0] * scale)), int(np.ceil((occupied[-1] + 1) * scale))
        spans.append((first, end - first))
    (left, region_width), (top, region_height) = spans
    return Region(left=left, top=top, width=region_width, height=region_height)
