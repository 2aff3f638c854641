"""The TFDS data set behind TfdsExampleGen: found, prepared and checked."""

import difflib
import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from pydantic import BaseModel, ConfigDict, Field
from tensorflow_datasets.core import naming, read_only_builder

import petseg
from components.tfds_example_gen.hash_split import HashSplit, check_parted_by
from components.tfds_example_gen.shards import first_line, shared_examples
from components.tfds_example_gen.splits import separate_splits
from trainer_module.errors import ConfigError, DataError
from trainer_module.features import DATE


class NotPreparedError(DataError):
    """The data set is known, but not in `data_dir`, and may not be prepared there."""


class TfdsSource(BaseModel):
    """Which data set to read, and which of its features.

    Travels through TFX as JSON. The fields mean what those of the same name in `trainer_module.config.DataConfig` mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    data_dir: str
    download: bool
    builder_modules: tuple[str, ...]
    image_feature: str
    mask_feature: str
    slice_features: tuple[str, ...]
    window: str | None = None
    window_splits: tuple[str, ...] = ()
    duplicates: Literal["error", "warn", "drop"] = "error"
    evaluation_split: str = ""
    """The split that decides, which must not share images with others (`separate_splits`); empty where none does."""

    hash_split: HashSplit | None = Field(None, exclude_if=lambda value: value is None)
    """Splits that a hash makes of one slice; None: each split is a slice of its own."""

    reference: str | None = Field(None, exclude_if=lambda value: value is None)
    """The data set of the frozen reference set, whose examples are one more split; None: there is none."""

    reference_slice: str = Field("", exclude_if=lambda value: not value)
    """TFDS slice that is the reference set."""

    code_digest: str = ""
    """Identifies the code that reads the data, so that a change to it re-runs the component."""


def open_dataset(source: TfdsSource, splits: Mapping[str, str]) -> tfds.core.DatasetBuilder:
    """Finds the data set, prepares it when it is absent and that is allowed, and checks features and splits.

    Args:
      source: The data set.
      splits: Split name to TFDS slice string (https://www.tensorflow.org/datasets/splits).

    Raises:
      ConfigError: The data set, its version, a feature or a split does not exist; or slices share examples that must
        not (`separate_splits`).
      DataError: The data set is not in `data_dir` and may not or cannot be prepared, or a split is empty.
    """
    builder = find_prepared(source)
    if source.hash_split is not None:
        check_parted_by(builder, source.hash_split)
        check_slice(builder, "data.hash_split.of", source.hash_split.of)
        return builder
    for name, slice_string in splits.items():
        check_slice(builder, f"data.splits.{name}", slice_string)
    for pair in separate_splits(source.evaluation_split):
        one, other = splits.get(pair.first), splits.get(pair.second)
        if one is None or other is None or (source.duplicates == "warn" and not pair.is_strict):
            continue
        if shared := shared_examples(builder, one, other):
            raise ConfigError(
                f"data.splits.{pair.first} is {one!r} and data.splits.{pair.second} is {other!r}: they share {shared} "
                f"of the examples of {builder.info.full_name}, and {pair.reason}. {pair.way_out}"
            )
    return builder


def find_prepared(source: TfdsSource) -> tfds.core.DatasetBuilder:
    """Finds the data set and prepares it when it is absent and that is allowed; checks its features.

    Raises:
      ConfigError, DataError: As `open_dataset` says of data set and features.
    """
    builder = find_builder(source)
    _check_features(builder, source)
    if not builder.info.splits.total_num_examples:
        _prepare(builder, source)
    return builder


def import_builder_modules(modules: Iterable[str]) -> None:
    """Imports the modules of one's own that hold builders, by their dotted names, so that TFDS knows the builders.

    Raises:
      ConfigError: One cannot be found, or something that it imports.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            missing, hint = (error.name or module).partition(".")[0], ""
            if missing in petseg.PACKAGES:
                hint = _hidden(missing)
            elif missing == module.partition(".")[0]:
                path = os.environ.get("PYTHONPATH")
                where = f"which is {path!r}" if path else "which is not set"
                hint = f". It has to be installed, or its directory on PYTHONPATH, {where}"
            raise ConfigError(f"data.builder_modules: cannot import {module!r}: {error}{hint}") from error
        if module in petseg.PACKAGES:
            raise ConfigError(f"data.builder_modules: {module!r} is petseg's own and has no builder{_hidden(module)}")


def _hidden(name: str) -> str:
    elsewhere = [entry for entry in sys.path if Path(entry).resolve() != petseg.ROOT]
    spec = PathFinder.find_spec(name, elsewhere)
    places = [spec.origin] if spec and spec.origin else [*((spec and spec.submodule_search_locations) or ())]
    yours = f"the one in {places[0]!r}" if places else "any other"
    return (
        f". petseg has a package {name!r} of its own, which hides {yours}: give yours another name, or keep what the "
        "builder needs of it in a module whose name is none of "
        f"{', '.join(petseg.PACKAGES)}"
    )


def find_builder(source: TfdsSource) -> tfds.core.DatasetBuilder:
    """Finds the data set, prepared or to be prepared: the newest version that fits.

    Raises:
      ConfigError: There is none, or the code that builds it cannot be used.
    """
    import_builder_modules(source.builder_modules)
    try:
        prepared = _prepared_builder(source)
        found = [builder for builder in (prepared, _builder_of_code(source, prepared)) if builder is not None]
        if not found:
            return tfds.builder(source.dataset, data_dir=source.data_dir)  # says best what is wrong
        return max(found, key=lambda builder: builder.version)
    except tfds.core.DatasetNotFoundError as error:
        name = source.dataset.split("/")[0].split(":")[0]
        close = difflib.get_close_matches(name, tfds.list_builders(with_community_datasets=False), n=1)
        raise ConfigError(
            f"data.dataset: TFDS knows no data set {source.dataset!r}, and none is prepared in {source.data_dir!r}. "
            "List what there is with tfds.list_builders(); name the module of your own builder in data.builder_modules."
            + (f" Did you mean {close[0]!r}?" if close else "")
        ) from error
    except (AssertionError, TypeError, ValueError) as error:
        raise ConfigError(f"data.dataset: {source.dataset!r} cannot be opened: {first_line(error)}") from error


def _prepared_builder(source: TfdsSource) -> tfds.core.DatasetBuilder | None:
    """Returns the newest version in `data_dir` that fits; None where there is none."""
    name, arguments = naming.parse_builder_name_kwargs(source.dataset, data_dir=source.data_dir)
    try:
        return read_only_builder.builder_from_files(str(name), **arguments)
    except tfds.core.DatasetNotFoundError:
        return None


def _builder_of_code(source: TfdsSource, prepared: tfds.core.DatasetBuilder | None) -> tfds.core.DatasetBuilder | None:
    """Returns the newest version that fits and that the registered builder prepares; None where there is none.

    `tfds.builder` is content with any version on disk that fits, so that a raised VERSION would never be prepared.
    Builders prepare VERSION and the greatest of SUPPORTED_VERSIONS; the others are there to be read. Code that cannot
    be used, as for want of what it reads, is passed over where there is something `prepared`.
    """
    name, arguments = naming.parse_builder_name_kwargs(source.dataset, data_dir=source.data_dir)
    version = arguments.pop("version", None)
    try:
        builder_class = tfds.builder_cls(str(name))
    except tfds.core.DatasetNotFoundError:
        return None
    if arguments.get("config", "") not in ("", *builder_class.builder_configs):
        return None
    try:
        builder = builder_class(**arguments)
    except Exception as error:
        if prepared is None:
            raise
        logging.warning("The code of %s cannot be used (%s); what is prepared is read.", source.dataset, error)
        return None
    if version is None:
        return builder
    fitting = [known for known in (builder.canonical_version, max(builder.versions)) if known.match(version)]
    return builder_class(version=str(max(fitting)), **arguments) if fitting else None


def _prepare(builder: tfds.core.DatasetBuilder, source: TfdsSource) -> None:
    """Downloads and prepares what `source` allows to; says what to do where it may not or cannot be."""
    name = builder.info.full_name
    if not source.download:
        raise NotPreparedError(
            f"data set {name} is not prepared in {source.data_dir!r} and data.download is false. {_ways_out(source)}"
        )
    try:
        builder.download_and_prepare(file_format="tfrecord")
    except Exception as error:
        if not isinstance(error, OSError) or error.errno is None:  # errors of the network have no number
            raise DataError(
                f"data set {name} could not be downloaded and prepared in {source.data_dir!r}: {first_line(error)}. "
                "Check the network, or set data.data_dir to a TFDS directory that holds it."
            ) from error
        data_dir, file = Path(source.data_dir).absolute(), Path(str(error.filename)).absolute()
        is_ours = file.is_relative_to(data_dir) or data_dir.is_relative_to(file)
        raise DataError(
            f"data set {name} could not be prepared in {source.data_dir!r}: {error.strerror}: {str(file)!r}. "
            + (
                "Make data.data_dir a directory that can be written, or set it to another one."
                if is_ours
                else "The builder uses it: mend the file or the builder."
            )
        ) from error


def _ways_out(source: TfdsSource) -> str:
    """Says what to do about a version that is not prepared and may not be."""
    older = _prepared_builder(source)
    if older is None:
        return "Set data.data_dir to a TFDS directory that holds it, or data.download = true."
    name = source.dataset.partition(":")[0]
    return (
        f"It is the newest version that fits data.dataset = {source.dataset!r}; the newest that is prepared there is "
        f'{older.version}. Set data.download = true to prepare it, or data.dataset = "{name}:{older.version}" to stay '
        "with what is there."
    )


def _check_features(builder: tfds.core.DatasetBuilder, source: TfdsSource) -> None:
    features = builder.info.features
    present = sorted(features.keys()) if isinstance(features, tfds.features.FeaturesDict) else []
    for setting, name in (("image_feature", source.image_feature), ("mask_feature", source.mask_feature)):
        if name not in present or not isinstance(features[name], tfds.features.Image):
            found = f"is a {type(features[name]).__name__}" if name in present else "does not exist"
            raise ConfigError(
                f"data.{setting}: feature {name!r} of {builder.info.full_name} {found}; semantic segmentation needs "
                f"an image and a mask image. Its features are: {', '.join(present)}."
            )
        dtype = np.dtype(features[name].np_dtype)
        if not np.issubdtype(dtype, np.integer):
            raise ConfigError(
                f"data.{setting}: {name!r} of {builder.info.full_name} is of {dtype}, which TFDS stores as the colours "
                "of a PNG; declare tfds.features.Image of whole numbers, such as dtype=np.uint8, and prepare it again."
            )
    if features[source.mask_feature].shape[-1] != 1:
        raise ConfigError(
            f"data.mask_feature: {source.mask_feature!r} of {builder.info.full_name} has shape "
            f"{features[source.mask_feature].shape}; a mask has one channel, whose values are the classes. Where "
            "colours stand for classes, map them to values where the builder makes the masks; a PNG with a palette, "
            "whose index is the class, is declared with one channel."
        )
    if source.window is not None and not has_dates(builder):
        raise ConfigError(
            f"data.window is {source.window!r}, and {builder.info.full_name} does not say what day its examples are "
            f"of: that takes a feature {DATE!r}, a tfds.features.Scalar of np.int64 with the days since 1970-01-01, as "
            f"petseg data import writes it. Its features are: {', '.join(present)}."
        )
    for name in source.slice_features:
        if name not in present or features[name].shape != ():
            raise ConfigError(
                f"data.slice_features: {name!r} is no scalar feature of {builder.info.full_name}. "
                f"Its features are: {', '.join(present)}."
            )


def has_dates(builder: tfds.core.DatasetBuilder) -> bool:
    """Returns whether the data set says, by `trainer_module.features.DATE`, what day its examples are of."""
    features = builder.info.features
    return DATE in features and features[DATE].shape == () and features[DATE].np_dtype == np.int64


def check_slice(builder: tfds.core.DatasetBuilder, setting: str, slice_string: str) -> None:
    """Checks that a TFDS slice has examples.

    Args:
      builder: The data set, prepared.
      setting: What names the slice.
      slice_string: The slice.

    Raises:
      ConfigError: There is no such split.
      DataError: There is nothing in the slice.
    """
    available = {split: info.num_examples for split, info in builder.info.splits.items()}
    try:
        num_examples = builder.info.splits[slice_string].num_examples
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"{setting}: {builder.info.full_name} has no split {slice_string!r}; it has {available}."
        ) from error
    if not num_examples:
        rounding = (
            " TFDS rounds percentages to whole examples: count them, as in 'train[-1:]'." if "%" in slice_string else ""
        )
        raise DataError(
            f"{setting}: {slice_string!r} of {builder.info.full_name} holds no example; "
            f"the data set has {available}.{rounding}"
        )
