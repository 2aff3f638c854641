"""The data set of a configuration as it is: what a run would find, without anything being prepared for it."""

import tensorflow_datasets as tfds

from components.tfds_example_gen.reference import ReferenceSet
from components.tfds_example_gen.source import TfdsSource, find_builder, open_dataset
from pipeline.config.schema import Config


def open_unprepared(config: Config) -> tfds.core.DatasetBuilder:
    """Opens the data set with its features and splits, as a run does, but that nothing is downloaded or prepared.

    So it does the reference set, where there is one.

    Raises:
      ConfigError: It, its version, a feature or a split does not exist; or slices share examples that must not.
      NotPreparedError: It is not prepared, and may not be here.
      DataError: A split is empty.
    """
    source = _source(config, config.data.dataset)
    builder = open_dataset(source, config.data.splits)
    ReferenceSet.open(source, builder)
    return builder


def newest_version_of(config: Config) -> tfds.core.Version:
    """Returns the newest version of the data set, whichever of them the configuration names."""
    return find_builder(_source(config, config.data.dataset.partition(":")[0])).version


def _source(config: Config, dataset: str) -> TfdsSource:
    fields = config.data.model_dump(include=set(TfdsSource.model_fields))
    others = {"data_dir": config.data_dir, "download": False, "evaluation_split": config.evaluation.split}
    evaluation = config.evaluation
    reference = {"reference": evaluation.reference, "reference_slice": evaluation.reference_split}
    return TfdsSource(**fields | others | reference | {"dataset": dataset})
