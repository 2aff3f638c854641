"""Times training in images per second: petseg's Trainer, a plain script, and the same network in PyTorch.

    petseg run --preset blog --set data.data_dir=DIR --set pipeline.root=ROOT --to Transform
    .venv/bin/python benchmarks/training.py --root ROOT --data-dir DIR --torch-python PYTHON

The contenders take turns, each in a process of its own, so that a busy machine slows all; the ratios are between
neighbours in time. The first steps, in which TensorFlow traces and allocates, are not counted. `--torch-python` is an
interpreter that has PyTorch and NumPy; without it PyTorch is left out. The input pipeline is timed without a network.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_WARM_UP_STEPS = 3
_INPUT_BATCHES = 60
_HERE = Path(__file__).parent


def transformed(root: str) -> tuple[list[str], str]:
    """Returns the files of the train split and the transform graph of the newest run of a pipeline root."""
    from pipeline.report.facts import output_directory
    from pipeline.runs.store import RunStore

    store = RunStore(root)
    record = store.record(store.run_ids()[0])
    examples, graph = (
        output_directory(record, "Transform", name) for name in ("transformed_examples", "transform_graph")
    )
    return [str(Path(str(examples)) / "Split-train" / "*.gz")], str(graph)


def trainer_batches(root: str, image_size: int, batch_size: int, *, augmented: bool = False) -> Iterable[Any]:
    """Returns the batches that petseg's Trainer trains on."""
    import tensorflow_transform as tft

    from trainer_module.config import AugmentationConfig
    from trainer_module.dataset import count_examples, train_dataset

    augmentation = AugmentationConfig()
    if augmented:
        augmentation = AugmentationConfig(
            horizontal_flip=True, scale=(0.8, 1.4), rotation=15, brightness=0.2, contrast=0.2, saturation=0.3
        )
    files, graph = transformed(root)
    return train_dataset(
        files,
        tft.TFTransformOutput(graph),
        image_size,
        batch_size,
        seed=0,
        num_examples=count_examples(files),
        augmentation=augmentation,
    )


def time_trainer(arguments: argparse.Namespace) -> float:
    """Trains as petseg's Trainer does; returns images per second."""
    import tensorflow as tf

    from trainer_module.config import TrainerConfig
    from trainer_module.losses import training_loss
    from trainer_module.networks import build_model
    from trainer_module.optimization import build_optimizer
    from trainer_module.trained_model import TrainedModel

    network = build_model(arguments.model, arguments.image_size, 3)
    config = TrainerConfig(model=arguments.model, batch_size=arguments.batch_size)
    optimizer = build_optimizer(config, network, arguments.steps)
    model = TrainedModel(network, tf.distribute.get_strategy(), optimizer, training_loss(config, None))
    return _time_fit(model, trainer_batches(arguments.root, arguments.image_size, arguments.batch_size), arguments)


def time_plain(arguments: argparse.Namespace) -> float:
    """Trains as a tutorial does: `tfds.load`, `map`, `batch`, `model.fit`; returns images per second."""
    import keras
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from trainer_module.networks import build_model

    size = (arguments.image_size, arguments.image_size)

    def prepare(example: dict[str, Any]) -> tuple[Any, Any]:
        image = tf.image.resize(example["image"], size) / 255.0
        return image, tf.image.resize(example["segmentation_mask"], size, method="nearest") - 1

    data = tfds.load(arguments.dataset, split="train", data_dir=arguments.data_dir, download=False)
    batches = (
        data.map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        .shuffle(1000)
        .batch(arguments.batch_size)
        .repeat()
        .prefetch(tf.data.AUTOTUNE)
    )
    model = build_model(arguments.model, arguments.image_size, 3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    return _time_fit(model, batches, arguments)


def time_input(arguments: argparse.Namespace, *, augmented: bool) -> float:
    """Reads batches and throws them away; returns images per second."""
    batches = iter(trainer_batches(arguments.root, arguments.image_size, arguments.batch_size, augmented=augmented))
    for _ in range(_WARM_UP_STEPS):
        next(batches)
    started = time.perf_counter()
    for _ in range(_INPUT_BATCHES):
        next(batches)
    return _INPUT_BATCHES * arguments.batch_size / (time.perf_counter() - started)


CONTENDERS = {
    "trainer": time_trainer,
    "plain": time_plain,
    "input": lambda arguments: time_input(arguments, augmented=False),
    "augmented input": lambda arguments: time_input(arguments, augmented=True),
}


def _time_fit(model: Any, batches: Any, arguments: argparse.Namespace) -> float:
    import keras

    ends: list[float] = []
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: ends.append(time.perf_counter()))
    steps = _WARM_UP_STEPS + arguments.steps
    model.fit(batches, epochs=1, steps_per_epoch=steps, callbacks=[note], verbose=0)
    return arguments.steps * arguments.batch_size / (ends[-1] - ends[_WARM_UP_STEPS - 1])


def _arrays(arguments: argparse.Namespace, file: str) -> None:
    """Writes the first images and class ids that the Trainer would see, for PyTorch."""
    batches = iter(trainer_batches(arguments.root, arguments.image_size, arguments.batch_size))
    images, class_ids = zip(*(next(batches) for _ in range(4)), strict=True)
    np.savez(file, images=np.concatenate(images), class_ids=np.concatenate(class_ids))


def _run(command: Sequence[str]) -> float:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(_HERE.parent)}
    finished = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(finished.stdout.splitlines()[-1]))


def main() -> None:
    """Prints images per second of each round, the medians, and the Trainer's ratio to the others."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", required=True, help="pipeline root in which a run has passed Transform")
    parser.add_argument("--dataset", default="oxford_iiit_pet")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--model", default="blog")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--torch-python", help="interpreter with PyTorch and NumPy; it knows the network `blog`")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        print(json.dumps(CONTENDERS[arguments.contender](arguments)))
        return
    commands = {name: [sys.executable, *sys.argv, "--contender", name] for name in CONTENDERS}
    with tempfile.TemporaryDirectory() as directory:
        if arguments.torch_python:
            file = str(Path(directory) / "batches.npz")
            _arrays(arguments, file)
            script = [arguments.torch_python, str(_HERE / "torch_training.py"), file]
            commands["pytorch"] = [*script, str(arguments.batch_size), str(_WARM_UP_STEPS), str(arguments.steps)]
        rounds = []
        for number in range(arguments.rounds):
            rounds.append({name: _run(command) for name, command in commands.items()})
            speeds = ", ".join(f"{name} {speed:.1f}" for name, speed in rounds[-1].items())
            print(f"round {number + 1}, images/s: {speeds}", flush=True)
    for name in commands:
        ratio = statistics.median(each["trainer"] / each[name] for each in rounds)
        median = statistics.median(each[name] for each in rounds)
        print(
            f"{name:16} {median:8.1f} images/s"
            + (f", trainer / {name}: {ratio:.2f}" if name in ("plain", "pytorch") else "")
        )


if __name__ == "__main__":
    main()
