"""The TFDS data set `synthetic_pets`: drawn cats and dogs with the features of `oxford_iiit_pet`, with no download."""

import dataclasses
import io
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray
from PIL import Image

from components.dataset_card import DatasetCard
from components.datasets.pet_anatomy import BREEDS
from components.datasets.pet_drawing import draw_pet

SPECIES = ("Cat", "Dog")
JPEG_QUALITY = 92
CARD = DatasetCard(
    class_names=("pet", "background", "border"), mask_values=(1, 2, 3), slice_features=("species", "label")
)


@dataclasses.dataclass(eq=False)
class SyntheticPetsConfig(tfds.core.BuilderConfig):
    """How many pictures to draw, and how large; sides are in pixels."""

    train_examples: int = 400
    test_examples: int = 100
    min_side: int = 120
    max_side: int = 320
    seed: int = 0


class SyntheticPets(tfds.core.GeneratorBasedBuilder):
    """Drawn cats and dogs with trimaps: 1 pet, 2 background, 3 border. Equal bytes whenever it is prepared."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First drawings."}
    BUILDER_CONFIGS: ClassVar[list[SyntheticPetsConfig]] = [
        SyntheticPetsConfig(name="demo", description="Enough to train a small network in minutes."),
        SyntheticPetsConfig(
            name="tiny",
            description="For tests: a few small pictures.",
            train_examples=24,
            test_examples=12,
            min_side=64,
            max_side=120,
        ),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Drawn cats and dogs of 37 breeds with trimaps, in the form of the Oxford-IIIT Pet data set.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(names=[breed.name for breed in BREEDS]),
                    "species": tfds.features.ClassLabel(names=SPECIES),
                    "file_name": tfds.features.Text(),
                    "segmentation_mask": tfds.features.Image(shape=(None, None, 1), use_colormap=True),
                    "head_bbox": tfds.features.BBoxFeature(),
                }
            ),
            supervised_keys=("image", "label"),
            metadata=tfds.core.MetadataDict(CARD.as_metadata()),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[tuple[str, Any]]]:
        del dl_manager  # nothing to download
        config = self.builder_config
        return {
            "train": self._generate_examples("train", config.train_examples, first_number=1),
            "test": self._generate_examples("test", config.test_examples, 2 + config.train_examples // len(BREEDS)),
        }

    def _generate_examples(self, split: str, count: int, first_number: int) -> Iterator[tuple[str, Any]]:
        """Yields file name and example; files are numbered within their breed, from `first_number` on."""
        config = self.builder_config
        for index in range(count):
            image, trimap, pet = draw_pet(
                config.seed, index, split=split, min_side=config.min_side, max_side=config.max_side
            )
            file_name = f"{pet.breed}_{first_number + index // len(BREEDS)}.jpg"
            yield (
                file_name,
                {
                    "image": _encoded(image, "JPEG", quality=JPEG_QUALITY),
                    "label": pet.breed,
                    "species": pet.species,
                    "file_name": file_name,
                    "segmentation_mask": _encoded(trimap, "PNG"),
                    "head_bbox": tfds.features.BBox(*pet.head_box),
                },
            )


def _encoded(pixels: NDArray[np.uint8], file_format: str, **options: int) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, file_format, **options)
    file.seek(0)
    return file
