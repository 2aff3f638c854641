"""Counts how many of the masks that were spoiled on purpose SuspectFinder ranks first.

    .venv/bin/python benchmarks/suspects.py --root ROOT --seeds 0 1 2

For each seed it draws `synthetic_pets` anew, spoils 5 % of the masks of `train` and `eval` (20 of 400), a third each of
them blank, shifted by a quarter of the image, and with pet and background exchanged, and trains the preset `demo` on
all of it: the network learns from the spoiled masks, too. Then it prints, for each way to rank, how many of the first
20 are spoiled. What was trained under ROOT already is not trained again.
"""

import argparse
import io
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from numpy.typing import NDArray
from PIL import Image

from components.datasets.synthetic_pets import SyntheticPets, SyntheticPetsConfig
from components.suspect_finder.confidence import SelfConfidence, contradiction_scores, suggested_classes
from components.suspect_finder.predictions import ExportedNetwork, PredictedBatch
from components.suspect_finder.ranking import find_suspects
from trainer_module import features
from trainer_module.features import NOT_LABELLED

KINDS = ("blank", "shifted", "exchanged")
OURS = "1 − mean IoU of mask and mended mask"
TOLD = "of ours, kinds that are told"
TRUE = "spoiled"
_SHARE = 0.05
_TEMPERATURE = 0.1  # of softmin, as Lad and Mueller have it
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


def train(root: Path, seed: int) -> Path:
    """Prepares the data set and trains the preset `demo` on it; returns the root of the run."""
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
    return root / f"seed{seed}"


def scores_of(batch: PredictedBatch, thresholds: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Returns ways to score the masks of a batch, [images] each; the more is wrong, the higher."""
    masks, probabilities = batch.class_ids, batch.probabilities.astype(np.float64)
    num_classes = probabilities.shape[-1]
    own = np.take_along_axis(probabilities, masks[..., np.newaxis], axis=-1)[..., 0]
    softmin = np.exp((1 - own) / _TEMPERATURE)
    suggested = suggested_classes(batch.probabilities, masks, thresholds)
    predicted = probabilities.argmax(axis=-1).astype(np.uint8)
    differing = np.where(predicted == masks, np.uint8(NOT_LABELLED), predicted)
    pixels = (1, 2)
    return {
        OURS: contradiction_scores(masks, suggested, num_classes),
        "confidently contradicted pixels": (suggested != NOT_LABELLED).mean(axis=pixels),
        "1 − mean IoU of mask and prediction": contradiction_scores(masks, differing, num_classes),
        "mean loss": -np.log(np.maximum(own, 1e-7)).mean(axis=pixels),
        "1 − mean self-confidence": 1 - own.mean(axis=pixels),
        "softmin": 1 - (own * softmin).sum(axis=pixels) / softmin.sum(axis=pixels),
    }


def measure(root: Path) -> dict[str, Counter[str]]:
    """Returns how many masks of each kind are among the first, by score; and of ours, how many kinds are told."""
    model = _newest(root, "Trainer/model") / "Format-Serving"
    examples = _newest(root, "TfdsExampleGen/examples")
    files = {split: sorted(map(str, examples.glob(f"Split-{split}/*.gz"))) for split in ("train", "eval")}
    network = ExportedNetwork.load(str(model))
    batches = [batch for of_split in files.values() for batch in network.predictions(of_split)]
    confidence = SelfConfidence(len(network.card.class_names))
    for batch in batches:
        confidence.add(batch.probabilities, batch.class_ids)
    of_batches = [scores_of(batch, confidence.thresholds) for batch in batches]
    truth = np.array([_truth(example) for batch in batches for example in batch.examples])
    count = int((truth != "").sum())
    found = {}
    for name in of_batches[0]:
        first = np.argsort(-np.concatenate([scores[name] for scores in of_batches]), kind="stable")[:count]
        found[name] = Counter(truth[first].tolist())
    suspects = find_suspects(network, files, examples=len(truth)).suspects[:count]
    kinds = [(suspect.file_name.partition("_")[0], suspect.kind.value) for suspect in suspects]
    found[TOLD] = Counter(true for true, told in kinds if true == told)
    found[TRUE] = Counter(truth[truth != ""].tolist())
    return found


def _newest(root: Path, output: str) -> Path:
    return max(root.glob(f"artifacts/*/{output}/*"), key=lambda directory: int(directory.name))


def _truth(example: bytes) -> str:
    feature = tf.train.Example.FromString(example).features.feature
    kind: str = feature[features.FILE_NAME].bytes_list.value[0].decode().partition("_")[0]
    return kind if kind in KINDS else ""


def print_table(found: dict[int, dict[str, Counter[str]]]) -> None:
    """Prints what was found for each seed, a row each way to score."""
    print(f"| score | {' | '.join(f'seed {seed}' for seed in found)} | {' | '.join(KINDS)} |")
    print("| --- |" + " ---: |" * (len(found) + len(KINDS)))
    true = sum((of_seed.pop(TRUE) for of_seed in found.values()), Counter())
    for name in next(iter(found.values())):
        hits = [of_seed[name] for of_seed in found.values()]
        shares = [f"{sum(of_seed[kind] for kind in KINDS)}" for of_seed in hits]
        kinds = [f"{sum(of_seed[kind] for of_seed in hits)} of {true[kind]}" for kind in KINDS]
        print(f"| {name} | {' | '.join([*shares, *kinds])} |")


def main() -> None:
    """Trains on spoiled masks, and prints how they are ranked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    print_table({seed: measure(train(arguments.root.resolve(), seed)) for seed in arguments.seeds})


if __name__ == "__main__":
    main()
