"""What an optimized form is worth, and what it costs: measured against the original on the same images, in one pass."""

import itertools
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from components.segmentation_validator.examination import MaskMeaning
from components.tfds_example_gen.hash_split import HashSplit, check_parted_by
from components.tfds_example_gen.parting import positions_of
from components.tfds_example_gen.source import TfdsSource, open_dataset
from pipeline.export.request import ExportData
from pipeline.models.evaluation import raw_examples
from pipeline.models.loading import Original, Prepared
from trainer_module import features
from trainer_module.segmentation_metrics import segmentation_metrics

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From one prepared image to its probabilities, both with a batch dimension."""

_BATCH_SIZE: Final = 32
_WARM_UP_CALLS: Final = 3
_METRICS: Final = ("accuracy", "mean_iou")


@dataclass(frozen=True)
class Examples:
    """A data set, opened, whose masks mean what the model's card says."""

    builder: tfds.core.DatasetBuilder
    source: TfdsSource
    data: ExportData
    original: Original

    @classmethod
    def open(cls, data: ExportData, original: Original) -> "Examples":
        """Opens the data set.

        Raises:
          ConfigError: It does not exist, or has no such split or feature.
          DataError: It is not prepared, or a split is empty.
        """
        settings = data.config.data
        source = TfdsSource(
            dataset=data.dataset,
            data_dir=data.data_dir,
            download=False,
            builder_modules=settings.builder_modules,
            image_feature=settings.image_feature,
            mask_feature=settings.mask_feature,
            slice_features=(),
        )
        builder = open_dataset(source, {"measured": data.split, "calibration": data.calibration_split})
        if settings.hash_split is not None:
            check_parted_by(builder, HashSplit(**settings.hash_split.model_dump()))
        return cls(builder, source, data, original)

    @property
    def _meaning(self) -> MaskMeaning:
        card = self.original.card
        return MaskMeaning(card.mask_values, card.ignore_values, card.class_names)

    def measured(self, on_progress: Callable[[int, int], None]) -> Iterator[Prepared]:
        """Yields the split to measure on, prepared, in batches; tells how many are done, of how many."""
        positions, done = self._positions(self.data.split, self.data.part), 0
        examples = raw_examples(self.builder, self.source, self.data.split, self._meaning, positions)
        for batch in iter(lambda: list(itertools.islice(examples, _BATCH_SIZE)), []):
            yield self.original.prepare([example.SerializeToString() for example in batch])
            done += len(batch)
            on_progress(done, len(positions))

    def calibration(self, count: int, seed: int) -> NDArray[np.float32]:
        """Returns prepared images that a generator with this seed draws: so many, or all where there are fewer."""
        split = self.data.calibration_split
        positions = sorted(self._positions(split, self.data.calibration_part))
        total = len(positions)
        drawn = np.random.default_rng(seed).choice(positions, size=min(count, total), replace=False)
        chosen = raw_examples(self.builder, self.source, split, self._meaning, set(drawn.tolist()))
        return self.original.prepare([example.SerializeToString() for example in chosen]).images

    def _positions(self, slice_string: str, part: str) -> Collection[int]:
        """Returns which examples of a slice are meant: all, or those of a split that a hash makes."""
        split = self.data.config.data.hash_split
        if not part or split is None:
            return range(self.builder.info.splits[slice_string].num_examples)
        return positions_of(self.builder, self.source, HashSplit(**split.model_dump()), slice_string, part)

    def describe(self, split: str, part: str = "") -> dict[str, Any]:
        """Returns name and version of the data set, the slice, and the split of it, if a hash made one."""
        described = {"name": self.builder.name, "version": str(self.builder.version), "split": split}
        return {**described, **({"part": part} if part else {})}


class FormMeasured(BaseModel):
    """One form on all images."""

    model_config = ConfigDict(frozen=True)

    metrics: dict[str, float]
    """`accuracy`, `mean_iou` and `iou_<class>` of all labelled pixels; a class that nowhere occurs has none."""

    differences: dict[str, float] = {}
    """The same, minus the original's."""

    changed_pixels: float = 0.0
    """Share of all pixels, labelled or not, that have another class than with the original."""

    latency_p50_ms: float
    """Of one image, prepared already; the other half took longer."""

    cpu_ms: float
    """Median time of all cores for one image."""

    latency_ratio: float = 1.0
    """To the original's, as the next."""

    cpu_ratio: float = 1.0


class Measured(BaseModel):
    """All forms on the same images."""

    model_config = ConfigDict(frozen=True)

    examples: int
    threads: int
    """Processors of the machine, all of which the networks may use."""

    original: FormMeasured
    forms: dict[str, FormMeasured]


@dataclass
class _Tally:
    """What is counted of one network."""

    confusion_matrix: NDArray[np.int64]
    pixels: int = 0
    """Labelled or not, as the next."""

    changed: int = 0
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)


def measure(
    original: Network, forms: Mapping[str, Network], batches: Iterable[Prepared], class_names: Sequence[str]
) -> Measured:
    """Compares forms with the original, one image at a time; they take turns, so that a busy machine slows all.

    Args:
      original: The network as it was exported.
      forms: Networks by name.
      batches: Prepared images with their class ids; at least one image.
      class_names: Names of the classes in the order of their ids.
    """
    networks = [original, *forms.values()]
    tallies = [_Tally(np.zeros((len(class_names),) * 2, np.int64)) for _ in networks]
    examples = 0
    for batch in batches:
        for image, class_ids in zip(batch.images, batch.class_ids, strict=True):
            if not examples:
                _warm_up(networks, image[np.newaxis])
            predicted = _take_turns(networks, tallies, image[np.newaxis], first=examples % len(networks))
            for tally, found in zip(tallies, predicted, strict=True):
                tally.confusion_matrix += _confusion_matrix(class_ids, found, len(class_names))
                tally.pixels += found.size
                tally.changed += int((found != predicted[0]).sum())
            examples += 1
    baseline, *others = (_summary(tally, tallies[0], class_names) for tally in tallies)
    return Measured(
        examples=examples,
        threads=os.cpu_count() or 1,
        original=baseline.model_copy(update={"differences": {}}),
        forms=dict(zip(forms, others, strict=True)),
    )


def _warm_up(networks: Sequence[Network], image: NDArray[np.float32]) -> None:
    for network, _ in itertools.product(networks, range(_WARM_UP_CALLS)):
        network(image)


def _take_turns(
    networks: Sequence[Network], tallies: Sequence[_Tally], image: NDArray[np.float32], first: int
) -> list[NDArray[np.int64]]:
    """Returns the class ids that each network finds in an image; `first` is the one that begins."""
    predicted: dict[int, NDArray[np.int64]] = {}
    for index in (*range(first, len(networks)), *range(first)):
        start, cpu_start = time.perf_counter(), time.process_time()
        probabilities = networks[index](image)
        tallies[index].cpu_seconds.append(time.process_time() - cpu_start)
        tallies[index].seconds.append(time.perf_counter() - start)
        predicted[index] = probabilities[0].argmax(-1)
    return [predicted[index] for index in range(len(networks))]


def _confusion_matrix(true: NDArray[np.uint8], predicted: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    is_labelled = true != features.NOT_LABELLED
    pairs = true[is_labelled].astype(np.int64) * num_classes + predicted[is_labelled]
    counts: NDArray[np.int64] = np.bincount(pairs, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def _summary(tally: _Tally, original: _Tally, class_names: Sequence[str]) -> FormMeasured:
    metrics, expected = _metrics(tally, class_names), _metrics(original, class_names)
    latency, cpu = float(np.median(tally.seconds)), float(np.median(tally.cpu_seconds))
    return FormMeasured(
        metrics=metrics,
        differences={name: value - expected[name] for name, value in metrics.items() if name in expected},
        changed_pixels=tally.changed / tally.pixels,
        latency_p50_ms=1000 * latency,
        cpu_ms=1000 * cpu,
        latency_ratio=latency / float(np.median(original.seconds)),
        cpu_ratio=cpu / float(np.median(original.cpu_seconds)),
    )


def _metrics(tally: _Tally, class_names: Sequence[str]) -> dict[str, float]:
    every = segmentation_metrics(tally.confusion_matrix, np.nan, class_names)
    names = (*_METRICS, *(f"iou_{name}" for name in class_names))
    return {name: every[name] for name in names if not np.isnan(every[name])}
