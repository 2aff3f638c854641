"""A configuration for a data set, from what was seen in it and the memory there is: `describe --write-config`.

The same survey and memory give the same text. The rules are plain, and each value's reason states the figures that it
follows from, so that a reader can decide otherwise.
"""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import tensorflow_datasets as tfds

from components.segmentation_validator.kinds import Kind, counted
from pipeline.config.dataset_defaults import GENERAL_SCHEMA
from pipeline.data.description.config_text import Proposed, config_text
from pipeline.data.description.gate_rules import gate_settings
from pipeline.data.description.machine import Machine
from pipeline.data.description.opening import OpenedDataset
from pipeline.data.description.split_rules import proposed_splits
from pipeline.data.description.survey import Survey
from pipeline.data.description.tables import headline, share, sizes_line
from pipeline.data.description.training_rules import training_settings
from trainer_module.config import DataConfig, ValidationConfig
from trainer_module.errors import DataError
from trainer_module.features import NOT_LABELLED

_MOST_SLICES: Final = 50
_LEAST_IMAGES_PER_SLICE: Final = 2
_UNUSABLE: Final = (Kind.UNREADABLE_IMAGE, Kind.UNREADABLE_MASK, Kind.SIZE_MISMATCH)
_TWICE: Final = (Kind.DUPLICATE, Kind.SHARED_IMAGE)
_MOST_DROPPED: Final = 0.99
_CONVENTION: Final = "by the convention of Pascal VOC it marks what nobody labelled"


def proposed_config(survey: Survey, opened: OpenedDataset, machine: Machine) -> str:
    """Returns a configuration as TOML, with a reason beside each value.

    Args:
      survey: What was seen.
      opened: The data set.
      machine: What a batch has to fit into.

    Raises:
      DataError: The masks do not have two classes.
    """
    splits = proposed_splits(opened)
    classes = _classes(survey)
    train = opened.builder.info.splits[splits.value["train"]].num_examples
    data = [
        *_dataset(survey, opened),
        splits,
        *_validation(survey, opened, splits.value),
        *classes,
        *_slices(survey, opened),
        Proposed("data.schema_file", GENERAL_SCHEMA, "fits every data set"),
    ]
    names = dict(zip(_trained(survey), classes[0].value, strict=True))
    trained = training_settings(survey, names, train, machine)
    gate = gate_settings(survey, names, splits.value)
    slices = [
        Proposed("evaluation.slices", each.value, each.reason) for each in data if each.key == "data.slice_features"
    ]
    name = Proposed("pipeline.name", _pipeline_name(survey.name), "names runs and served models")
    return config_text(_heading(survey), [name, *data, *trained, *slices, *gate])


def _heading(survey: Survey) -> Iterator[str]:
    yield f"Proposed by `petseg data describe {survey.full_name}` from its content; change what you know better."
    yield f"{survey.full_name}: {headline(survey)}. {sizes_line(survey)}"
    if survey.finding_counts:
        found = ", ".join(counted(kind, count) for kind, count in sorted(survey.finding_counts.items()))
        yield f"Look at these before the training: {found}."


def _dataset(survey: Survey, opened: OpenedDataset) -> Iterator[Proposed]:
    name, major = survey.name, survey.version.partition(".")[0]
    yield Proposed(
        "data.dataset", f"{name}:{major}.*.*", f"{survey.version} was looked at; newer ones of its form are read"
    )
    is_uri = "://" in survey.data_dir
    directory = survey.data_dir if is_uri else str(Path(survey.data_dir).expanduser().absolute())
    yield Proposed("data.data_dir", directory, "where it is prepared")
    defaults = DataConfig()
    for key, reason in {
        "builder_modules": "hold the code of the data set",
        "image_feature": "holds the images",
        "mask_feature": "holds the masks",
    }.items():
        value = getattr(opened.source, key)
        if value != getattr(defaults, key):
            yield Proposed(f"data.{key}", value, reason)


def _validation(survey: Survey, opened: OpenedDataset, splits: Mapping[str, str]) -> Iterator[Proposed]:
    """Yields what lets a run go on that would refuse the data as it is."""
    counts = survey.finding_counts
    twice = [counted(kind, counts[kind]) for kind in _TWICE if counts[kind]]
    if twice:
        yield Proposed("data.duplicates", "drop", f"{' and '.join(twice)}: refused where they are in two of the splits")
    dropped = {kind: counts[kind] for kind in _UNUSABLE if counts[kind]}
    for kind, count in dropped.items():
        yield Proposed(f"data.validation.{kind}", "drop", f"{counted(kind, count)} would be refused: left out")
    shares = {name: _troubled_share(survey, opened, slice_string) for name, slice_string in splits.items()}
    worst = max(shares, key=lambda name: shares[name])
    if shares[worst] > ValidationConfig().max_dropped_share:
        most = min(math.ceil(100 * shares[worst]) / 100, _MOST_DROPPED)
        reason = f"{shares[worst]:.1%} of {worst} are there twice or cannot be used: find out why first"
        yield Proposed("data.validation.max_dropped_share", most, reason)


def _troubled_share(survey: Survey, opened: OpenedDataset, slice_string: str) -> float:
    """Returns the share of a slice's examples that a run may drop; 0 where it is of a split that was not looked at."""
    counts = {name: info.num_examples for name, info in opened.builder.info.splits.items()}
    ranges = tfds.core.ReadInstruction.from_spec(slice_string).to_absolute(counts)
    examples = sum(each.to - each.from_ for each in ranges)
    troubled = sum(
        each.from_ <= position < each.to for each in ranges for position in survey.troubled.get(each.splitname, ())
    )
    return troubled / examples


def _trained(survey: Survey) -> list[int]:
    """Returns the ids of the classes that a model is to tell apart."""
    meaning = survey.meaning
    return [each for each in survey.classes if meaning.is_known or meaning.mask_values[each] != NOT_LABELLED]


def _classes(survey: Survey) -> list[Proposed]:
    """Returns class names, mask values, and the values that are to be ignored.

    Raises:
      DataError: There are fewer than two classes.
    """
    meaning, trained = survey.meaning, _trained(survey)
    values = [meaning.mask_values[each] for each in trained]
    if len(values) < 2:
        raise DataError(
            f"no configuration can be proposed for {survey.full_name}: its masks have the values {values}, and a "
            "segmentation needs two classes. Look at the masks with `petseg data show`"
        )
    images = sum(survey.splits.values())
    names = [
        meaning.class_names[each] if meaning.is_known else f"class_{value}"
        for each, value in zip(trained, values, strict=True)
    ]
    why_names = "as the data set or the settings say" if meaning.is_known else "nobody says what they are: rename them"
    ignored = [*meaning.ignore_values, *survey.undeclared]
    reasons = [
        f"{value}: {share(int(survey.value_pixels[value]), int(survey.value_pixels.sum()))} of all pixels, not labelled"
        for value in meaning.ignore_values
    ]
    reasons += [
        f"{value} is no class, and is met in {int(survey.value_images[value]):,} images: ignored, not refused"
        for value in survey.undeclared
    ]
    if not meaning.is_known and survey.value_images[NOT_LABELLED]:
        ignored.append(NOT_LABELLED)
        reasons.append(
            f"{NOT_LABELLED} is in {int(survey.value_images[NOT_LABELLED]):,} of {images:,} images: {_CONVENTION}"
        )
    return [
        Proposed("data.class_names", names, why_names),
        Proposed("data.mask_values", values, "the value of each class in the masks, in the same order"),
        Proposed("data.ignore_values", ignored, "; ".join(reasons) or "every pixel of every mask is labelled"),
    ]


def _slices(survey: Survey, opened: OpenedDataset) -> Iterator[Proposed]:
    """Yields the labels and texts that group the examples; whole numbers are as often dates and counts."""
    chosen, reasons = [], []
    for name, counts in sorted(survey.whole.values.items()):
        feature = opened.builder.info.features[name]
        is_text = isinstance(feature, tfds.features.ClassLabel | tfds.features.Text)
        if is_text and 2 <= len(counts) <= min(_MOST_SLICES, counts.total() // _LEAST_IMAGES_PER_SLICE):
            rarest, images = counts.most_common()[-1]
            chosen.append(name)
            reasons.append(f"{name} has {len(counts)} values, the rarest, {rarest}, in {images:,} images")
    reason = "; ".join(reasons) or "no feature of the examples groups them by a few values"
    yield Proposed("data.slice_features", chosen, reason)


def _pipeline_name(dataset: str) -> str:
    """Returns a label of DNS.

    >>> _pipeline_name("My_Data/large")
    'my-data-large'
    """
    name = re.sub("[^a-z0-9]+", "-", dataset.lower()).strip("-")
    return (name if name[:1].isalpha() else f"data-{name}")[:63].rstrip("-")
