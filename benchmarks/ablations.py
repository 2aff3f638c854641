r"""Trains `unet` with one part or one setting changed at a time, and prints what that is worth on the eval split.

    petseg run --preset pets --set data.data_dir=DIR --set data.image_size=64 --set trainer.model=unet \
      --set pipeline.root=ROOT --to Transform
    .venv/bin/python benchmarks/ablations.py --root ROOT --epochs 5

It looks at the eval split only: the test split decides nothing here. Each row is a process of its own, with the
settings of the preset `pets` but for those of `BASE`, seed 0, and the multiply-adds at 128×128. Names of rows as
arguments choose among them; `another seed` shows how much of a difference is chance, and `the recipe of unet` what
docs/results.md took over from the other rows.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from keras import layers
from networks import multiply_adds
from training import transformed

from trainer_module.networks import MODELS
from trainer_module.unet import UNET_FILTERS, u_shape

_HERE = Path(__file__).parent
_EDGE_FILTERS = 16
_DEEP_FROM_FILTERS = 192
_FULL_RESOLUTION_FILTERS = (24, 48, 96, 192, 256)


def edited_unet(
    image_size: int,
    num_classes: int,
    *,
    residual: bool = True,
    deep: bool = True,
    edges: bool = True,
    half_resolution: bool = True,
    transposed: bool = False,
    gated: bool = False,
    separable: bool = False,
) -> keras.Model:
    """Builds `unet` when nothing is edited.

    Args:
      image_size: Side of the square input, in pixels.
      num_classes: Number of classes.
      residual: Blocks with a shortcut, or plain pairs of convolutions.
      deep: Two blocks where there are many filters, or one everywhere.
      edges: A thin convolution of the image joins before the logits, or not.
      half_resolution: The U starts at half the resolution, or at the full one with half the filters.
      transposed: Transposed convolutions in place of bilinear upsampling.
      gated: Attention gates on the skip connections (Oktay et al. 2018).
      separable: Depthwise separable convolutions in the blocks (Chollet 2017).
    """

    def conv(x: Any, filters: int, size: int = 3, strides: int = 1) -> Any:
        kind = layers.SeparableConv2D if separable and size == 3 and x.shape[-1] > 3 else layers.Conv2D
        initializer = "depthwise_initializer" if kind is layers.SeparableConv2D else "kernel_initializer"
        settings = {"padding": "same", "use_bias": False, initializer: "he_normal"}
        return layers.BatchNormalization(momentum=0.9)(kind(filters, size, strides, **settings)(x))

    def block(x: Any, filters: int) -> Any:
        change = conv(layers.ReLU()(conv(x, filters)), filters)
        if residual:
            change = layers.Add()([x if x.shape[-1] == filters else conv(x, filters, 1), change])
        return layers.ReLU()(change)

    def encode(x: Any, filters: int) -> Any:
        for _ in range(2 if deep and filters >= _DEEP_FROM_FILTERS else 1):
            x = block(x, filters)
        return x

    def upsample(x: Any, filters: int) -> Any:
        if transposed:
            return layers.Conv2DTranspose(filters, 2, strides=2, kernel_initializer="he_normal")(x)
        return layers.UpSampling2D(interpolation="bilinear")(layers.ReLU()(conv(x, filters, 1)))

    def decode(joined: Any, filters: int) -> Any:
        if not gated:
            return block(joined, filters)
        below, skip = joined[..., :filters], joined[..., filters:]
        mixed = layers.Add()([layers.Conv2D(filters // 2, 1)(part) for part in (below, skip)])
        gate = layers.Conv2D(1, 1, activation="sigmoid")(layers.ReLU()(mixed))
        return block(layers.Concatenate()([below, layers.Multiply()([skip, gate])]), filters)

    image = keras.Input((image_size, image_size, 3), name="image")
    if half_resolution:
        thin = layers.ReLU()(conv(image, _EDGE_FILTERS))
        x = layers.ReLU()(conv(thin, UNET_FILTERS[0], strides=2))
        x = upsample(u_shape(x, UNET_FILTERS, encode, upsample, decode), _EDGE_FILTERS)
        x = layers.Concatenate()([x, thin]) if edges else x
        x = layers.ReLU()(conv(x, 2 * _EDGE_FILTERS))
    else:
        x = u_shape(image, _FULL_RESOLUTION_FILTERS, encode, upsample, decode)
    return keras.Model(image, layers.Conv2D(num_classes, 1, name="logits")(x), name="unet")


PARTS: dict[str, dict[str, bool]] = {
    "unet": {},
    "plain blocks": {"residual": False},
    "one block everywhere": {"deep": False},
    "no edges": {"edges": False},
    "full resolution": {"half_resolution": False},
    "transposed convolutions": {"transposed": True},
    "attention gates": {"gated": True},
    "separable convolutions": {"separable": True},
}
BASE: dict[str, Any] = {
    "loss": "cross_entropy",
    "learning_rate": 2e-3,
    "weight_averaging": None,
    "augmentation": {
        "horizontal_flip": True, "scale": [0.8, 1.25], "rotation": 10,
        "brightness": 0.15, "contrast": 0.2, "saturation": 0.3,
    },
}  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    "another seed": {"seed": 1},
    "the recipe of unet": {"loss": "cross_entropy_dice", "augmentation": {"horizontal_flip": True}},
    "no augmentation": {"augmentation": {}},
    "flips only": {"augmentation": {"horizontal_flip": True}},
    "constant learning rate": {"learning_rate_schedule": "constant"},
    "adam at 0.001, constant": {
        "optimizer": "adam", "learning_rate": 0.001, "learning_rate_schedule": "constant", "weight_decay": 0,
    },
    "batch of 64": {"batch_size": 64},
    "cross-entropy and Dice": {"loss": "cross_entropy_dice"},
    "averaged weights, 0.99": {"weight_averaging": 0.99},
    "label smoothing 0.05": {"label_smoothing": 0.05},
}  # fmt: skip


def builder(name: str) -> Callable[..., keras.Model]:
    """Returns the builder of a row: `unet` itself where no part is edited."""
    return functools.partial(edited_unet, **PARTS[name]) if PARTS.get(name) else MODELS["unet"]


def train(name: str, root: str, epochs: int, image_size: int) -> dict[str, float]:
    """Trains one row; returns what the last epoch reached on the eval split, and what the network costs."""
    import tensorflow as tf
    import tensorflow_transform as tft

    from pipeline.config.loading import load_config
    from trainer_module.config import TrainerConfig
    from trainer_module.dataset import count_examples, eval_dataset, train_dataset
    from trainer_module.losses import training_loss
    from trainer_module.optimization import build_optimizer
    from trainer_module.trained_model import TrainedModel

    preset = load_config(preset="pets", overrides=["trainer.model=unet"]).trainer.model_dump()
    config = TrainerConfig(**{**preset, **BASE, "epochs": epochs, **SETTINGS.get(name, {})})
    keras.utils.set_random_seed(config.seed)
    files, graph = transformed(root)
    count, transform = count_examples(files), tft.TFTransformOutput(graph)
    network = builder(name)(image_size, 3)
    steps = count // config.batch_size
    model = TrainedModel(
        network,
        tf.distribute.get_strategy(),
        build_optimizer(config, network, steps),
        training_loss(config, None),
        config.weight_averaging,
    )
    history = model.fit(
        train_dataset(
            files,
            transform,
            image_size,
            config.batch_size,
            config.seed,
            num_examples=count,
            augmentation=config.augmentation,
        ),
        validation_data=eval_dataset(
            [file.replace("Split-train", "Split-eval") for file in files], transform, image_size, config.batch_size
        ),
        epochs=epochs,
        steps_per_epoch=steps,
        verbose=0,
    ).history
    return {
        "accuracy": history["val_accuracy"][-1],
        "mean_iou": history["val_mean_iou"][-1],
        "parameters": network.count_params(),
        "multiply_adds": multiply_adds(builder(name)(128, 3)),
    }


def main() -> None:
    """Prints a Markdown table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", required=True, help="pipeline root in which a run has passed Transform")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join([*PARTS, *SETTINGS])}")
    parser.add_argument("--row", choices=[*PARTS, *SETTINGS], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        print(json.dumps(train(arguments.row, arguments.root, arguments.epochs, arguments.image_size)))
        return
    print("| row | parameters | multiply-adds | accuracy | mean IoU |\n| --- | ---: | ---: | ---: | ---: |", flush=True)
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": f"{_HERE.parent}:{_HERE}"}
    common = ["--root", arguments.root, "--epochs", str(arguments.epochs), "--image-size", str(arguments.image_size)]
    for name in arguments.rows or [*PARTS, *SETTINGS]:
        command = [sys.executable, __file__, *common, "--row", name]
        finished = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(finished.stdout.splitlines()[-1])
        print(
            f"| {name} | {found['parameters'] / 1e6:.2f} M | {found['multiply_adds'] / 1e9:.2f} G "
            f"| {found['accuracy']:.4f} | {found['mean_iou']:.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
