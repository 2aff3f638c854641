"""Encoded images to ask a served model about: of a folder, or of a split of the data set."""

import itertools
from pathlib import Path
from typing import Final

from components.kserve_deployer.canary.verdict import MIN_IMAGES
from pipeline.config.schema import Config
from trainer_module import features
from trainer_module.errors import ConfigError

_ENDINGS: Final = (".jpg", ".jpeg", ".png")


def images_of_folder(folder: Path, count: int) -> list[bytes]:
    """Returns the JPEG and PNG files of a folder and of those in it, by name, encoded.

    Args:
      folder: The folder.
      count: How many at most.

    Raises:
      ConfigError: There are too few, or one cannot be read.
    """
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _ENDINGS and file.is_file())
    if len(files) < MIN_IMAGES:
        raise ConfigError(
            f"--images {str(folder)!r} has {len(files)} JPEG or PNG files, and a canary is compared on {MIN_IMAGES} at "
            "least"
        )
    try:
        return [file.read_bytes() for file in files[:count]]
    except OSError as error:
        raise ConfigError(f"--images: cannot read {error.filename!r}: {error.strerror}") from error


def images_of_split(config: Config, count: int) -> list[bytes]:
    """Returns the first images of `evaluation.split` of the data set, encoded; nothing is prepared.

    Args:
      config: Says which data set.
      count: How many at most.

    Raises:
      ConfigError: The data set does not exist, or has no such split or feature, or too few examples.
      DataError: It is not prepared.
    """
    from components.tfds_example_gen.hash_split import HashSplit
    from components.tfds_example_gen.reading import SplitReader
    from components.tfds_example_gen.source import TfdsSource, open_dataset
    from components.tfds_example_gen.window import DatesRead

    data, name = config.data, config.evaluation.split
    source = TfdsSource(
        dataset=data.dataset,
        data_dir=config.data_dir,
        download=False,
        builder_modules=data.builder_modules,
        image_feature=data.image_feature,
        mask_feature=data.mask_feature,
        slice_features=(),
        hash_split=data.hash_split and HashSplit(**data.hash_split.model_dump()),
    )
    splits = {name: data.splits[name]}
    read = SplitReader(open_dataset(source, splits), source, splits, DatesRead({}, {}))
    images = [
        example.features.feature[features.IMAGE].bytes_list.value[0]
        for example in itertools.islice(read.examples(name), count)
    ]
    if len(images) < MIN_IMAGES:
        raise ConfigError(
            f"the split {name!r} of {data.dataset!r} has {len(images)} examples, and a canary is compared on "
            f"{MIN_IMAGES} at least; name a folder of others by --images"
        )
    return images
