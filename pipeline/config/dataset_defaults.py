"""Settings that a data set knows better than petseg: its classes, their mask values, its splits and slices.

They stand above the presets, which know no data set but the pets, and below what the user says. A data set says them in
its card (`components.dataset_card`), on disk where it is prepared, else in the code of its builder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from components.dataset_card import DatasetCard, card_of
from components.prepared_dataset import prepared_card, prepared_directory
from pipeline.config.schema import DEFAULT_PIPELINE_ROOT
from trainer_module.config import DataConfig
from trainer_module.errors import ConfigError

PET_DATASETS: Final = ("oxford_iiit_pet", "synthetic_pets")
"""The data sets whose classes, values and slices are the defaults of the settings."""

GENERAL_SCHEMA: Final = "segmentation"
"""The curated schema that fits every data set."""

_WHICH_DATASET: Final = ("dataset", "data_dir", "builder_modules")
_GATE_SPLIT: Final = "test"


@dataclass(frozen=True)
class DatasetDefaults:
    """What a data set says instead of the defaults and presets."""

    values: Mapping[tuple[str, ...], Any] = field(default_factory=dict)
    """Path of a setting to its value."""

    source: str = ""
    """What to call the place that they come from."""

    unknown_classes: str = ""
    """Why nothing says what the masks mean, and how to find out; empty where something does."""


def dataset_defaults(settings: Mapping[str, Any], given: Mapping[str, Any]) -> DatasetDefaults:
    """Asks the data set that settings name.

    Args:
      settings: What defaults, preset and user say together, not yet checked.
      given: What the user says alone.

    Returns:
      Its values, which fit what the user says and stand below that. Nothing for the pets, whose values are the
      defaults, and for settings that cannot be used, which is somebody else's to say.

    Raises:
      ConfigError: The data set cannot be asked, or only a part of its classes is named.
      DataError: What it says cannot be used.
    """
    named = {key: value for key, value in _table(settings, "data").items() if key in _WHICH_DATASET}
    try:
        data = DataConfig.model_validate(named)
    except ValidationError:
        return DatasetDefaults()
    if data.dataset.partition(":")[0].partition("/")[0] in PET_DATASETS:
        return DatasetDefaults()
    data_dir = data.data_dir or f"{_table(settings, 'pipeline').get('root', DEFAULT_PIPELINE_ROOT)}/data"
    given_data = _table(given, "data")
    says_classes = {"class_names", "mask_values"} <= given_data.keys()
    directory = prepared_directory(data.dataset, data_dir)
    if directory is not None:
        card, where = prepared_card(directory), str(directory)
    elif says_classes:
        return DatasetDefaults()
    else:
        card, where = _card_of_builder(data, data_dir)
    if card.class_names:
        values = _values(card, given_data)
        return DatasetDefaults(values, f"what the data set says of itself, in {where}")
    return DatasetDefaults(unknown_classes="" if says_classes else _unknown(data, data_dir, where))


def _table(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = settings.get(name)
    return table if isinstance(table, Mapping) else {}


def _card_of_builder(data: DataConfig, data_dir: str) -> tuple[DatasetCard, str]:
    """Asks TFDS for a data set that is not prepared on a local disk, which imports it and what builds the data set."""
    import os
    from pathlib import Path

    from pipeline.terminal.streams import captured_output

    with captured_output(Path(os.devnull)):
        from components.tfds_example_gen.source import TfdsSource, find_builder

        fields = data.model_dump(include=set(TfdsSource.model_fields)) | {"data_dir": data_dir}
        try:
            builder = find_builder(TfdsSource(**fields))
        except ConfigError as error:
            raise ConfigError(
                f"{error} It is asked because nothing else says what its classes are: where it cannot be found from "
                "here, name them in data.class_names, and their values in data.mask_values"
            ) from error
    return card_of(builder.info.metadata, builder.info.full_name), f"the code of {builder.info.full_name}"


def _unknown(data: DataConfig, data_dir: str, where: str) -> str:
    return (
        f"nothing says what the classes of data.dataset = {data.dataset!r} are: data.class_names and data.mask_values "
        f"are not set, and the data set does not declare them ({where}). "
        f"`petseg data describe {data.dataset} --data-dir {data_dir}` lists the values that its masks have; name a "
        "class for each, or import the files with `petseg data import`, which keeps the classes with the data set"
    )


def _values(card: DatasetCard, data: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Returns the values of all settings that a card knows."""
    names, mask_values = _classes(card, data)
    ignored = [value for value in card.ignore_values if value not in mask_values]
    slice_features = data.get("slice_features", card.slice_features)
    settings: dict[str, Any] = {
        "class_names": names,
        "mask_values": mask_values,
        "ignore_values": ignored,
        "slice_features": slice_features,
        "schema_file": GENERAL_SCHEMA,
    }
    has_own_splits = bool(card.splits) and not data.get("hash_split")
    if has_own_splits:
        settings["splits"] = dict(card.splits)
    values: dict[tuple[str, ...], Any] = {("data", key): _plain(value) for key, value in settings.items()}
    values["evaluation", "slices"] = _plain(slice_features)
    if has_own_splits and _GATE_SPLIT not in card.splits and "splits" not in data:
        values["evaluation", "split"] = "eval"
    return values


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _classes(card: DatasetCard, data: Mapping[str, Any]) -> tuple[Any, Any]:
    """Returns class names and mask values; where the user gives one of the two, the card has the other to each.

    Raises:
      ConfigError: The user names a class or value that the data set has not, or leaves one out and does not ignore it.
    """
    names, values = data.get("class_names"), data.get("mask_values")
    is_lists = all(isinstance(given, list) for given in (names, values) if given is not None)
    if (names is None and values is None) or not is_lists:
        return card.class_names, card.mask_values
    if names is not None and values is not None:
        return names, values
    key, other = ("class_names", "mask_values") if values is None else ("mask_values", "class_names")
    chosen: list[Any] = data[key]
    own: Sequence[Any] = getattr(card, key)
    counterpart = dict(zip(own, getattr(card, other), strict=True))
    if unknown := [entry for entry in chosen if entry not in own]:
        raise ConfigError(
            f"data.{key} has {unknown}, which the data set does not: it has {list(own)}. Set data.{other} too, where "
            "it means something else than the data set says"
        )
    found = [counterpart[entry] for entry in chosen]
    of_user = data.get("ignore_values")
    covered = [*chosen, *found, *(of_user if isinstance(of_user, list) else card.ignore_values)]
    pairs = zip(card.class_names, card.mask_values, strict=True)
    if left := [f"{name} ({value})" for name, value in pairs if name not in covered and value not in covered]:
        raise ConfigError(
            f"data.{key} leaves out what the data set's masks have: {', '.join(left)}. Add them, or add their values "
            "to data.ignore_values, so that those pixels are not labelled"
        )
    return (chosen, found) if values is None else (found, chosen)
