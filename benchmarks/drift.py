"""Measures which changes of real data are found to be drift, and how often chance alone is.

    .venv/bin/python benchmarks/drift.py --data-dir DIR

The examples of Oxford-IIIT Pet's split `train` are dealt out to two samples of some size, again and again; the second
is left as it is, or all its images are changed. Prints two tables in Markdown.
"""

import argparse
import io
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from components.data_statistics import SplitSummary
from components.drift_detector.comparison import Sample, compare
from components.drift_detector.report import Comparison
from components.segmentation_validator.examination import Examination, MaskMeaning, examine
from trainer_module.config import DataConfig, DriftThresholds

_CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "brightness −15 %": lambda image: ImageEnhance.Brightness(image).enhance(0.85),
    "brightness −30 %": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "contrast −30 %": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "blurred (Gaussian, deviation of 1 pixel)": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
}
_CATS = "cats only"
_SPECIES = ("Cat", "Dog")


class Example(NamedTuple):
    """One image and mask, measured, as it is and changed."""

    measured: dict[str, Examination]
    """Change to what was measured; as it is under the empty name."""

    species: str


def read(data_dir: str, meaning: MaskMeaning) -> Iterator[Example]:
    """Yields every example of the split `train`."""
    import tensorflow_datasets as tfds

    decoders = {"image": tfds.decode.SkipDecoding(), "segmentation_mask": tfds.decode.SkipDecoding()}
    for record in tfds.as_numpy(tfds.load("oxford_iiit_pet", data_dir=data_dir, split="train", decoders=decoders)):
        image, mask = Image.open(io.BytesIO(record["image"])).convert("RGB"), record["segmentation_mask"]
        measured = {"": examine(record["image"], mask, meaning)}
        for name, change in _CHANGES.items():
            file = io.BytesIO()
            change(image).save(file, "PNG", compress_level=1)
            measured[name] = examine(file.getvalue(), mask, meaning)
        yield Example(measured, _SPECIES[record["species"]])


def sample(examples: Sequence[Example], change: str, class_names: tuple[str, ...]) -> Sample:
    """Returns the statistics of some examples."""
    summary = SplitSummary(len(class_names))
    for example in examples:
        summary.add(example.measured["" if change == _CATS else change], {"species": example.species})
    return Sample(class_names, summary)


def comparisons(examples: Sequence[Example], change: str, size: int, rounds: int) -> Iterator[Comparison]:
    """Yields comparisons of two samples of a size that have no example in common."""
    names, thresholds = DataConfig().class_names, DriftThresholds().model_dump()
    random = np.random.default_rng(0)
    for _ in range(rounds):
        dealt = [examples[index] for index in random.permutation(len(examples))]
        others = [example for example in dealt[size:] if change != _CATS or example.species == _SPECIES[0]]
        yield compare(sample(dealt[:size], "", names), sample(others[:size], change, names), thresholds)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=(40, 160, 600, 1840))
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    data = DataConfig()
    examples = list(read(arguments.data_dir, MaskMeaning(data.mask_values, (), data.class_names)))
    print("| examples | drift found | largest distance, median | chance of it, median |\n| ---: | ---: | ---: | ---: |")
    for size in arguments.sizes:
        found = list(comparisons(examples, "", size, arguments.rounds))
        largest = [max(one.quantities, key=lambda each: each.distance) for one in found]
        distance, chance = (statistics.median(getattr(one, name) for one in largest) for name in ("distance", "chance"))
        share = sum(bool(one.drifted) for one in found) / len(found)
        print(f"| {size} | {share:.0%} | {distance:.3f} | {chance:.3f} |", flush=True)
    print(f"\n| change | {' | '.join(map(str, arguments.sizes))} |\n| --- |{' --- |' * len(arguments.sizes)}")
    for change in (*_CHANGES, _CATS):
        cells = []
        for size in arguments.sizes:
            found = list(comparisons(examples, change, size, arguments.rounds // 5))
            share = sum(bool(one.drifted) for one in found) / len(found)
            by_name = {each.name: [] for each in found[0].quantities}
            for each in (each for one in found for each in one.quantities):
                by_name[each.name].append(each.distance)
            farthest = max(by_name, key=lambda name: statistics.median(by_name[name]))
            cells.append(f"{share:.0%}: {farthest} {statistics.median(by_name[farthest]):.2f}")
        print(f"| {change} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
