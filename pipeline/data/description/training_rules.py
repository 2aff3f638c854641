"""How a network is trained on what was seen: image size, batch, epochs, weights, augmentation."""

import math
from collections.abc import Iterator, Mapping
from typing import Final

from pipeline.data.description.config_text import Proposed
from pipeline.data.description.machine import Machine
from pipeline.data.description.survey import Survey, median
from pipeline.data.description.tables import share
from pipeline.terminal.tables import size_words
from trainer_module.encoder_catalogue import lite0_is_installed

_SIZES: Final = (32, 64, 96, 128, 192, 256, 320, 384, 512)
"""All that an encoder can take, and `unet` too."""

_USUAL_SIZE: Final = 128
_LARGEST_SIZE: Final = {True: 512, False: 256}
"""With a GPU, and without."""

_LEAST_PIXELS_ACROSS: Final = 4
"""Of a class: thinner ones are lost, or are all edge."""

_BYTES_PER_PIXEL: Final = 6_000
"""Of a training step of `unet`: its layers have 721 outputs a pixel, float32, kept on the way forward and met again on
the way back. `unet_lite0` has 559 and fits where `unet` does."""

_MEMORY_SHARE: Final = {True: 0.7, False: 0.25}
"""Of the GPU's memory, and of the machine's, that a step may take."""

_LARGEST_BATCH: Final = {True: 32, False: 16}
_LEAST_STEPS: Final = 2_000
"""Of a whole training: what the preset `pets` takes."""

_EPOCHS: Final = (10, 100)
_WARMUP_STEPS: Final = 100
_MANY_EPOCHS: Final = 15
_RARE: Final = 0.1
"""A class with less than this part of an equal share of the pixels is weighted."""

_LARGEST_WEIGHT: Final = 10.0


def training_settings(survey: Survey, names: Mapping[int, str], train: int, machine: Machine) -> list[Proposed]:
    """Returns the settings of the network's input and of its training.

    Args:
      survey: What was seen.
      names: Class id to name, of the classes to be told apart.
      train: Number of examples to train on.
      machine: What a batch has to fit into.
    """
    is_pretrained = lite0_is_installed()
    size = _image_size(survey, names, machine)
    batch = _batch_size(size.value, train, machine)
    steps = math.ceil(train / batch.value)
    least, most = _EPOCHS
    epochs = min(max(math.ceil(_LEAST_STEPS / steps), least), most)
    warmup = round(min(_WARMUP_STEPS, epochs * steps / 10) / steps, 1)
    return [
        size,
        *_network(survey, train, is_pretrained),
        batch,
        Proposed(
            "trainer.epochs",
            epochs,
            f"of {steps:,} steps for {train:,} images; {epochs * steps:,} in all, where the preset pets takes 2,070",
        ),
        Proposed("trainer.loss", "cross_entropy_dice", "Dice looks at each class alike, whatever its size"),
        _class_weights(survey, names),
        Proposed("trainer.optimizer", "adamw", "with this schedule and decay what won on the pets"),
        *_learning_rates(batch.value, is_pretrained),
        Proposed("trainer.learning_rate_schedule", "cosine", "falls to 0 at the last step"),
        Proposed(
            "trainer.warmup_epochs", warmup, f"{warmup * steps:.0f} steps in which the learning rate rises from 0"
        ),
        Proposed("trainer.weight_decay", 0.05, "of the preset pets"),
        Proposed("trainer.best_weights", True, "exports the epoch with the highest mean IoU on eval"),
        *_augmentation(epochs, train),
    ]


def _learning_rates(batch_size: int, is_pretrained: bool) -> Iterator[Proposed]:
    if is_pretrained:
        yield Proposed("trainer.learning_rate", 1e-3, "of the preset pets")
        yield Proposed("trainer.encoder_learning_rate", 4e-4, "of the preset pets: its weights are no longer random")
    else:
        rate = 2e-3 if batch_size >= 8 else 1e-3
        yield Proposed("trainer.learning_rate", rate, f"for AdamW and batches of {batch_size}")


def _network(survey: Survey, train: int, is_pretrained: bool) -> Iterator[Proposed]:
    """Yields the network: one whose encoder was trained before, where its weights are installed.

    Its encoder has a normalization of its own, for which nothing is to be set.
    """
    if is_pretrained:
        reason = f"its encoder has seen ImageNet, which helps the more the fewer images there are; here {train:,}"
        yield Proposed("trainer.model", "unet_lite0", reason)
        return
    luma = survey.whole.mean("brightness") or 0
    yield Proposed(
        "data.normalization", "standardize", f"mean luma is {luma:.2f}; the network gets mean 0, deviation 1"
    )
    yield Proposed(
        "trainer.model", "unet", "a third of the multiply-adds of `blog`, and the higher mean IoU on the pets"
    )


def _image_size(survey: Survey, names: Mapping[int, str], machine: Machine) -> Proposed:
    """Returns the least usual size at which the thinnest class is still an area, within what images and memory have."""
    has_gpu = machine.gpu_bytes is not None
    width, height = median(survey.widths), median(survey.heights)
    limit = max([size for size in _SIZES if size <= max(width, height)], default=_SIZES[0])
    thin = {
        name: thickness
        for class_id, name in names.items()
        if (thickness := survey.median_thickness(survey.meaning.mask_values[class_id])) is not None
    }
    seen = f"median {width:,}×{height:,}"
    if not thin:
        size = min(_USUAL_SIZE, limit)
        return Proposed("data.image_size", size, f"{seen}; no class has a pixel")
    thinnest = min(thin, key=lambda name: thin[name])
    enough = next((size for size in _SIZES if size * thin[thinnest] >= _LEAST_PIXELS_ACROSS), _SIZES[-1])
    wanted = max(enough, _USUAL_SIZE)
    size = min(wanted, limit, _LARGEST_SIZE[has_gpu])
    reason = f"{seen}; at {size} the thinnest class, {thinnest}, is {size * thin[thinnest]:.1f} pixels across"
    if size < wanted:
        bound = "larger than most images" if size == limit else f"a lot to ask of {machine.words}"
        reason += f"; {wanted} would show {wanted * thin[thinnest]:.1f}, but is {bound}"
    return Proposed("data.image_size", size, reason)


def _batch_size(size: int, train: int, machine: Machine) -> Proposed:
    has_gpu = machine.gpu_bytes is not None
    one = _BYTES_PER_PIXEL * size**2
    memory = machine.gpu_bytes if machine.gpu_bytes is not None else machine.memory_bytes
    fitting = int(memory * _MEMORY_SHARE[has_gpu] / one)
    most = min(fitting, _LARGEST_BATCH[has_gpu], train // 8)
    batch = max(2, 2 ** max(most, 1).bit_length() // 2)
    reason = f"{size_words(batch * one)} a step, of {machine.words}"
    if train // 8 < min(fitting, _LARGEST_BATCH[has_gpu]):
        reason += f"; {train:,} images are too few for larger ones"
    return Proposed("trainer.batch_size", batch, reason)


def _class_weights(survey: Survey, names: Mapping[int, str]) -> Proposed:
    """Returns weights by the inverse square root of the shares, such that the mean weight of a pixel is 1."""
    pixels = {class_id: int(survey.whole.class_pixels[class_id]) for class_id in names}
    labelled = sum(pixels.values())
    present = {class_id: count / labelled for class_id, count in pixels.items() if count}
    key = "trainer.class_weights"
    if not present:
        return Proposed(key, "none", "no pixel is labelled")
    rarest = min(present, key=lambda class_id: present[class_id])
    has = f"the rarest class, {names[rarest]}, has {share(pixels[rarest], labelled)} of the labelled pixels"
    if present[rarest] >= _RARE / len(names):
        return Proposed(key, "none", f"{has}: not so few that cross-entropy overlooks it")
    norm = sum(math.sqrt(each) for each in present.values())
    weights = [
        round(min(1 / math.sqrt(present[class_id]) / norm, _LARGEST_WEIGHT), 2) if class_id in present else 1.0
        for class_id in names
    ]
    return Proposed(key, weights, f"{has}: weights are the inverse square roots of the shares")


def _augmentation(epochs: int, train: int) -> Iterator[Proposed]:
    """Yields changes of the images, more of them where each is seen often."""
    table = "trainer.augmentation"
    yield Proposed(f"{table}.horizontal_flip", True, "unless left and right mean something, as in writing")
    if epochs > _MANY_EPOCHS:
        yield Proposed(
            f"{table}.scale", [0.8, 1.25], f"{train:,} images are seen {epochs} times each: never twice alike"
        )
        yield Proposed(f"{table}.rotation", 10, "degrees to either side")
        yield Proposed(f"{table}.brightness", 0.15, "this and the next two: other light and cameras")
        yield Proposed(f"{table}.contrast", 0.2, "as a share, around the image's mean")
        yield Proposed(f"{table}.saturation", 0.3, "as a share")
