"""A prepared data set, opened to be looked at, and what is known of its masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import tensorflow_datasets as tfds

from components.dataset_card import DatasetCard, card_of
from components.segmentation_validator.examination import MaskMeaning
from components.tfds_example_gen.source import TfdsSource, open_dataset
from pipeline.config.loading import Resolution
from pipeline.config.schema import Config
from trainer_module.config import ValidationConfig

VALUES: Final = 256
_BACKGROUND: Final = "background"


@dataclass(frozen=True)
class Meaning:
    """What the values of the masks mean, as far as anybody says."""

    class_names: tuple[str, ...]
    mask_values: tuple[int, ...]
    ignore_values: tuple[int, ...]
    class_colors: tuple[tuple[int, int, int], ...] = ()
    is_known: bool = True

    @classmethod
    def unknown(cls) -> "Meaning":
        """Returns every value as a class of its own."""
        return cls(tuple(f"value {value}" for value in range(VALUES)), tuple(range(VALUES)), (), is_known=False)

    def of_masks(self, background: str | None) -> MaskMeaning:
        """Returns what an examination goes by.

        Args:
          background: The class that a blank mask has alone; None: the one that is called so.
        """
        name = background or _BACKGROUND
        found = self.class_names.index(name) if name in self.class_names else None
        return MaskMeaning(self.mask_values, self.ignore_values, self.class_names if self.is_known else (), found)


@dataclass(frozen=True)
class OpenedDataset:
    """A data set, ready to be read."""

    builder: tfds.core.DatasetBuilder
    source: TfdsSource
    card: DatasetCard
    """What it says of itself; empty where it says nothing."""

    meaning: Meaning
    validation: ValidationConfig
    """From where on something is odd."""

    splits: tuple[str, ...]
    """TFDS slices."""

    @property
    def examples(self) -> int:
        """In all the splits."""
        return sum(self.builder.info.splits[split].num_examples for split in self.splits)

    @property
    def name(self) -> str:
        """With its configuration, without its version."""
        config = self.builder.builder_config
        return "/".join(filter(None, (self.builder.name, config.name if config else "")))


def open_to_look(resolution: Resolution, splits: Sequence[str]) -> OpenedDataset:
    """Opens the data set that settings name; it is prepared as a run would, where that is allowed.

    Args:
      resolution: The settings; nobody has to say what the classes are.
      splits: TFDS slices; none: all splits that the data set has.

    Raises:
      ConfigError: It, a feature or a split does not exist.
      DataError: It is not prepared and may not or cannot be.
    """
    config = resolution.config
    fields = config.data.model_dump(include=set(TfdsSource.model_fields))
    source = TfdsSource(**fields | {"data_dir": config.data_dir, "slice_features": ()})
    builder = open_dataset(source, {split: split for split in splits})
    card = card_of(builder.info.metadata, builder.info.full_name)
    meaning = Meaning.unknown() if resolution.unknown_classes else _meaning(config, card)
    chosen = tuple(splits) or tuple(name for name, info in builder.info.splits.items() if info.num_examples)
    return OpenedDataset(builder, source, card, meaning, config.data.validation, chosen)


def _meaning(config: Config, card: DatasetCard) -> Meaning:
    data = config.data
    of_card = dict(zip(card.mask_values, card.class_colors, strict=False))
    colors = tuple(of_card[value] for value in data.mask_values if value in of_card)
    return Meaning(
        class_names=data.class_names,
        mask_values=data.mask_values,
        ignore_values=data.ignore_values,
        class_colors=colors if len(colors) == data.num_classes else (),
    )
