"""Every example of a prepared data set, examined on all cores, in order, a few at a time."""

import io
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray
from PIL import Image

from components.segmentation_validator.examination import Examination, Limits, MaskMeaning, examine
from components.tfds_example_gen.conversion import encoded_reading
from components.tfds_example_gen.source import TfdsSource
from pipeline.data.description.opening import VALUES
from trainer_module import features

_WAITING_PER_WORKER: Final = 4
_TFDS_ID: Final = "tfds_id"

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Example:
    """One example as it is stored."""

    example_id: str
    file_name: str
    labels: Mapping[str, str]
    """Slice feature to value, as a text."""

    image: bytes
    mask: bytes


@dataclass(frozen=True)
class Looked:
    """One example, and what was seen in it."""

    example: Example
    examination: Examination
    value_pixels: NDArray[np.int64]
    """[256]: pixels of each mask value; zeros where the mask cannot be used."""

    thickness: NDArray[np.float64]
    """[256]: mean thickness of each mask value's areas, as a share of the square root of the image's area; 0 where the
    value is not met."""


def scalar_features(builder: tfds.core.DatasetBuilder) -> tuple[str, ...]:
    """Returns the features that an evaluation could be sliced by: whole numbers and texts, but for the file name."""
    found = []
    for name, feature in builder.info.features.items():
        is_scalar = isinstance(feature, tfds.features.Tensor | tfds.features.ClassLabel) and feature.shape == ()
        if is_scalar and name != features.FILE_NAME and not np.issubdtype(feature.np_dtype, np.floating):
            found.append(name)
    return tuple(found)


def stored_examples(builder: tfds.core.DatasetBuilder, source: TfdsSource, split: str) -> Iterator[Example]:
    """Yields the examples of a TFDS slice in order, with their images and masks still encoded."""
    connectors = {name: builder.info.features[name] for name in source.slice_features}
    for record in tfds.as_numpy(builder.as_dataset(split=split, **encoded_reading(source))):
        example_id = record[_TFDS_ID].decode(errors="replace")
        name = record.get(features.FILE_NAME)
        yield Example(
            example_id=example_id,
            file_name=example_id if name is None else name.decode(errors="replace"),
            labels={feature: _label(connectors[feature], record[feature]) for feature in source.slice_features},
            image=record[source.image_feature],
            mask=record[source.mask_feature],
        )


def look(example: Example, meaning: MaskMeaning, limits: Limits) -> Looked:
    """Examines one example; nothing that an image or mask may be raises."""
    examination = examine(example.image, example.mask, meaning, limits)
    if examination.canonical_mask is None:
        return Looked(example, examination, np.zeros(VALUES, np.int64), np.zeros(VALUES))
    with Image.open(io.BytesIO(examination.canonical_mask)) as image:
        mask = np.asarray(image)
    pixels = np.bincount(mask.reshape(-1), minlength=VALUES)
    return Looked(example, examination, pixels, thickness(mask, pixels))


def thickness(mask: NDArray[np.uint8], pixels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns how thick the areas of each mask value are, as a share of the square root of the image's area.

    That is twice the area by the length of its outline: of a long stripe its width, of a square half its side. The
    outline is counted in sides of pixels, without the image's own border; an area without one is as thick as the image.

    Args:
      mask: [height, width].
      pixels: [256]: of each value.

    Example:
      >>> stripe = np.zeros((8, 8), np.uint8)
      >>> stripe[3:5] = 1
      >>> thickness(stripe, np.bincount(stripe.reshape(-1), minlength=256))[:2].tolist()
      [0.75, 0.25]
    """
    outline = np.zeros(VALUES, np.int64)
    for one, other in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1])):
        differs = one != other
        outline += np.bincount(one[differs], minlength=VALUES) + np.bincount(other[differs], minlength=VALUES)
    side = np.sqrt(mask.size)
    share: NDArray[np.float64] = np.minimum(2 * pixels / np.maximum(outline, 1) / side, 1)
    return share


def mapped_in_order(
    function: Callable[[_Given], _Made], values: Iterable[_Given], workers: int | None = None
) -> Iterator[_Made]:
    """Yields what a function makes of values, in their order, by several threads, with only a few in memory.

    Args:
      function: Leaves the interpreter to others for most of its time, as decoders of images do.
      values: What it takes.
      workers: None: as many as the process may use cores.
    """
    threads = workers or len(os.sched_getaffinity(0))
    remaining = iter(values)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[_Made]] = deque()
        for value in itertools.islice(remaining, threads * _WAITING_PER_WORKER):
            waiting.append(pool.submit(function, value))
        while waiting:
            made = waiting.popleft().result()
            for value in itertools.islice(remaining, 1):
                waiting.append(pool.submit(function, value))
            yield made


def _label(connector: tfds.features.FeatureConnector, value: Any) -> str:
    if isinstance(connector, tfds.features.ClassLabel):
        return str(connector.int2str(int(value)))
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
