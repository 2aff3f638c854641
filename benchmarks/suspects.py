"""Measures how many of the masks that were spoiled on purpose LabelIssueFinder puts first.

    .venv/bin/python benchmarks/suspects.py --root ROOT --seeds 0 1 2

For each seed it draws `synthetic_pets` anew, spoils 5 % of the masks of `train` and `eval`, a third each of them blank,
shifted by a quarter of the image, and with pet and background exchanged, and trains the preset `demo` on all of it: the
network learns from the spoiled masks, too. Then it prints, for each way to rank, the share of spoiled masks among as
many images as were spoiled. What was trained under ROOT already is not trained again.
"""

import argparse
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray
from PIL import Image

from components.datasets.synthetic_pets import SyntheticPets, SyntheticPetsConfig

KINDS = ("blank", "shifted", "exchanged")
_SHARE = 0.05
_PET, _BACKGROUND = 1, 2


class SpoiledPets(SyntheticPets):
    """`synthetic_pets` with a few wrong masks in what is trained on."""

    name = "spoiled_pets"
    BUILDER_CONFIGS: ClassVar[list[SyntheticPetsConfig]] = [
        SyntheticPetsConfig(name=f"seed{seed}", seed=seed, description="Some masks are wrong.") for seed in range(10)
    ]

    def _generate_examples(self, split: str, count: int, first_number: int) -> Iterator[tuple[str, Any]]:
        spoiled = spoiled_kinds(count, self.builder_config.seed) if split == "train" else {}
        for index, (name, example) in enumerate(super()._generate_examples(split, count, first_number)):
            if index in spoiled:
                rng = np.random.default_rng((self.builder_config.seed, index))
                mask = np.asarray(Image.open(example["segmentation_mask"]))
                example["segmentation_mask"] = _png(spoil(mask, spoiled[index], rng))
                example["file_name"] = f"{spoiled[index]}_{name}"
            yield name, example


def spoiled_kinds(count: int, seed: int) -> dict[int, str]:
    """Returns which of `count` masks are spoiled, and how: index to kind."""
    chosen = np.random.default_rng(seed).choice(count, round(count * _SHARE), replace=False)
    return {int(index): KINDS[number % len(KINDS)] for number, index in enumerate(chosen)}


def spoil(mask: NDArray[np.uint8], kind: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Returns a wrong mask, [height, width], in place of the right one."""
    if kind == "blank":
        return np.full_like(mask, _BACKGROUND)
    if kind == "exchanged":
        table = np.arange(256, dtype=np.uint8)
        table[[_PET, _BACKGROUND]] = _BACKGROUND, _PET
        return table[mask]
    axis, sign = int(rng.integers(2)), int(rng.choice([-1, 1]))
    length = mask.shape[axis]
    moved = np.roll(mask, sign * (length // 4), axis)
    entered = slice(0, length // 4) if sign > 0 else slice(length - length // 4, length)
    moved[(slice(None),) * axis + (entered,)] = _BACKGROUND
    return moved


def _png(mask: NDArray[np.uint8]) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    file.seek(0)
    return file


def train(root: Path, seed: int) -> None:
    """Prepares the data set and trains the preset `demo` on it."""
    tfds.builder(f"spoiled_pets/seed{seed}", data_dir=root / "data").download_and_prepare()
    settings = [
        f"data.dataset=spoiled_pets/seed{seed}",
        f"data.data_dir={root / 'data'}",
        "data.download=false",
        f"pipeline.root={root / f'seed{seed}'}",
        f"trainer.seed={seed}",
    ]
    arguments = ["run", "--preset", "demo", "--to", "Trainer", *(part for one in settings for part in ("--set", one))]
    subprocess.run([sys.executable, "-m", "petseg", *arguments], check=True)


def main() -> None:
    """Trains on spoiled masks, and prints how they are ranked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        train(arguments.root.resolve(), seed)


if __name__ == "__main__":
    main()
