"""A drawn data set of four classes that declares what it holds: fields from above, with what nobody labelled."""

import io
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from components.dataset_card import DatasetCard

CARD = DatasetCard(
    class_names=("water", "forest", "field", "road"),
    mask_values=(1, 2, 3, 9),
    ignore_values=(255,),
    class_colors=((40, 90, 200), (20, 110, 50), (220, 190, 90), (90, 90, 95)),
    slice_features=("site",),
    splits={"train": "train", "eval": "validation", "test": "test"},
)
COUNTS = {"train": 12, "validation": 4, "test": 6}
SITES = ("north", "south")


class SurveyTiles(tfds.core.GeneratorBasedBuilder):
    """Tiles of 48×64 and 96×72; every third has no road, and a stripe of each is not labelled."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar = []

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                    "segmentation_mask": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
                    "file_name": tfds.features.Text(),
                    "site": tfds.features.ClassLabel(names=list(SITES)),
                }
            ),
            metadata=tfds.core.MetadataDict(CARD.as_metadata()),
        )

    def _split_generators(self, dl_manager):
        starts = dict(zip(COUNTS, np.cumsum([0, *COUNTS.values()]).tolist(), strict=False))
        return {split: self._generate_examples(starts[split], count) for split, count in COUNTS.items()}

    def _generate_examples(self, start, count):
        for index in range(start, start + count):
            image, mask = draw_tile(index)
            name = f"tile_{index:02d}.jpg"
            yield (
                name,
                {
                    "image": encoded(image, "JPEG"),
                    "segmentation_mask": encoded(mask, "PNG"),
                    "file_name": name,
                    "site": SITES[index % 2],
                },
            )


def draw_tile(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns image, uint8 [height, width, 3], and mask, uint8 [height, width], in the values of the card."""
    rng = np.random.default_rng(index)
    height, width = ((48, 64), (96, 72))[index % 2]
    mask = np.full((height, width), 3, np.uint8)
    mask[:, : width // 4] = 1
    mask[: height // 3, width // 2 :] = 2
    if index % 3:
        mask[height // 2 : height // 2 + 2] = 9
    mask[-4:] = 255
    colors = np.zeros((256, 3), np.float32)
    colors[list(CARD.mask_values)] = CARD.class_colors
    image = colors[mask] + rng.normal(0, 12, (height, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8), mask


def encoded(pixels: np.ndarray, kind: str) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    file.seek(0)
    return file


class FlawedTiles(SurveyTiles):
    """The same tiles without a word on what they hold, and with what people's data has: see `FLAWS`."""

    VERSION = tfds.core.Version("2.1.0")

    def _info(self):
        info = super()._info()
        return tfds.core.DatasetInfo(builder=self, features=info.features)

    def _split_generators(self, dl_manager):
        del dl_manager
        return {"train": self._flawed(0, 12), "test": self._flawed(10, 6)}

    def _flawed(self, start, count):
        for name, example in self._generate_examples(start, count):
            if name in FLAWS:
                image, mask = draw_tile(int(name[5:7]))
                image, mask = FLAWS[name](image, mask)
                example |= {"image": image, "segmentation_mask": mask}
            yield name, example


def _cut(image, mask):
    return io.BytesIO(encoded(image, "JPEG").getvalue()[:300]), encoded(mask, "PNG")


def _cropped(image, mask):
    return encoded(image, "JPEG"), encoded(mask[1:], "PNG")


def _one_value(image, mask):
    return encoded(image, "JPEG"), encoded(np.full_like(mask, 3), "PNG")


FLAWS = {"tile_02.jpg": _cut, "tile_03.jpg": _cropped, "tile_04.jpg": _one_value}
"""File name to what is wrong with it; tile_10 and tile_11 are in both splits."""
