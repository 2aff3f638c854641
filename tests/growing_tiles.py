"""A data set that grows from version to version: the same drawings, and more of them; and another preparation of it."""

import io
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds
from own_data import drawings
from PIL import Image

from components.dataset_card import DatasetCard

COUNTS = {"1.0.0": 40, "1.1.0": 52, "1.2.0": 80}
CARD = DatasetCard(class_names=("ground", "thing"), mask_values=(0, 1), splits={"train": "train", "eval": "test"})
SITES = ("north", "south", "west")
SIZE = 48


class GrowingTiles(tfds.core.GeneratorBasedBuilder):
    """Tiles of two classes, five of six in the split `train`, the others in `test`; each has a site and a patient."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar = []
    CARD = CARD
    SEED = 0

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                    "segmentation_mask": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
                    "file_name": tfds.features.Text(),
                    "site": tfds.features.ClassLabel(names=list(SITES)),
                    "patient": tfds.features.Scalar(np.int64),
                    "date": tfds.features.Scalar(np.int64),
                    "sharpness": tfds.features.Scalar(np.float32),
                }
            ),
            metadata=tfds.core.MetadataDict(self.CARD.as_metadata()),
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        return {
            "train": self._generate_examples(lambda number: number % 6),
            "test": self._generate_examples(lambda number: number % 6 == 0),
        }

    def _generate_examples(self, is_wanted):
        for number, (image, mask) in enumerate(drawings(COUNTS[str(self.version)], 2, size=SIZE, seed=self.SEED)):
            if is_wanted(number):
                yield number, self._tile(number, image, mask)

    def _tile(self, number, image, mask):
        return {
            "image": encoded(image, "JPEG"),
            "segmentation_mask": encoded(mask, "PNG"),
            "file_name": f"tile_{number:03}.jpg",
            "site": SITES[number % 3],
            "patient": number // 4,
            "date": 20_000 + number,
            "sharpness": number / 7,
        }


class OtherTiles(GrowingTiles):
    """The same pictures, in which the values of the two classes mean each other."""

    CARD = CARD.model_copy(update={"class_names": ("thing", "ground")})


class FrozenTiles(GrowingTiles):
    """Other pictures of the same kind."""

    SEED = 9


def prepared(data_dir, *versions: str, builder: type[GrowingTiles] = GrowingTiles) -> str:
    """Prepares versions, as code whose VERSION was raised each time, and returns the directory."""
    for version in versions:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(builder, "VERSION", tfds.core.Version(version))
            builder(data_dir=data_dir).download_and_prepare()
    return str(data_dir)


def encoded(pixels: np.ndarray, kind: str) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    file.seek(0)
    return file
