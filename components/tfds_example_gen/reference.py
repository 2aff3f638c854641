"""The frozen reference set: examples of one version of a data set, by which every model is judged besides."""

from dataclasses import dataclass
from typing import Self

import tensorflow_datasets as tfds

from components.dataset_card import DatasetCard, card_of
from components.tfds_example_gen.conversion import ExampleConverter
from components.tfds_example_gen.parting import content_of_slice
from components.tfds_example_gen.source import TfdsSource, check_slice, find_prepared
from trainer_module.errors import ConfigError
from trainer_module.features import REFERENCE_SPLIT


@dataclass(frozen=True)
class ReferenceSet:
    """The data set, opened."""

    builder: tfds.core.DatasetBuilder
    source: TfdsSource
    """How it is read: as the data set that is trained on, but whole."""

    slice: str
    """TFDS slice."""

    @classmethod
    def open(cls, source: TfdsSource, trained_on: tfds.core.DatasetBuilder) -> Self | None:
        """Finds the reference set of a source, prepares it where that is wanted, and checks that it fits.

        Args:
          source: Says which; None is returned where it names none.
          trained_on: The data set that models are trained on, whose classes it must have.

        Raises:
          ConfigError: It does not exist, or has not the features, the split or the classes.
          DataError: It is not in `data_dir` and may not or cannot be prepared, or is empty.
        """
        if source.reference is None:
            return None
        own = {"dataset": source.reference, "window": None, "hash_split": None, "reference": None}
        of_reference = source.model_copy(update=own)
        try:
            builder = find_prepared(of_reference)
            check_slice(builder, "evaluation.reference_split", source.reference_slice)
        except ConfigError as error:
            raise ConfigError(f"evaluation.reference = {source.reference!r}: {error}") from error
        own_card, card = (card_of(each.info.metadata, each.info.full_name) for each in (trained_on, builder))
        _check_classes(own_card, card, source)
        return cls(builder, of_reference, source.reference_slice)

    @property
    def name(self) -> str:
        """Data set, version and slice: `tiles/1.0.0 test`."""
        return f"{self.builder.info.full_name} {self.slice}"

    @property
    def converter(self) -> ExampleConverter:
        """What makes examples of its records, whose ids are no other example's."""
        return ExampleConverter(self.source, self.builder.info.features, id_prefix=f"{REFERENCE_SPLIT}/")

    @property
    def count(self) -> int:
        return int(self.builder.info.splits[self.slice].num_examples)

    def digest(self) -> str:
        """Returns a digest of its examples, which reads them."""
        return content_of_slice(self.builder, self.source, self.slice)


def _check_classes(trained_on: DatasetCard, reference: DatasetCard, source: TfdsSource) -> None:
    """Refuses a reference set whose mask values mean something else, as far as the two data sets say what they mean.

    Values that it has and the other has not are found in its masks, by SegmentationValidator.
    """
    meaning, of_reference = (
        dict(zip(card.mask_values, card.class_names, strict=True)) for card in (trained_on, reference)
    )
    differing = [
        value for value in sorted(meaning.keys() & of_reference.keys()) if meaning[value] != of_reference[value]
    ]
    if differing:
        what = "; ".join(
            f"the value {value} is {of_reference[value]!r} there and {meaning[value]!r} in {source.dataset}"
            for value in differing
        )
        raise ConfigError(
            f"evaluation.reference = {source.reference!r} is of other classes: {what}. Name one of the same "
            "classes, or make one"
        )
