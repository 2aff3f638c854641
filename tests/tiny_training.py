"""A training of seconds: three layers, seven images of 16×16, three epochs of three steps.

As a script it trains once, in a process of its own, to be killed or to be one worker of two:

    python tiny_training.py DATA_DIRECTORY OUTPUT_DIRECTORY [MOMENT NUMBER]

With a moment it kills itself there: before the n-th checkpoint is written (`step`), with half of its bytes on the disk
(`writing`), or before it is in its place (`renaming`). `PETSEG_TEST_DEVICES` mirrors the network over so many
devices of the CPU; `PETSEG_TEST_SETTINGS` holds further settings of the trainer as JSON.
"""

import functools
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from absl import logging

from trainer_module import checkpoints, networks, resumption, trainer
from trainer_module.config import DataConfig
from trainer_module.encoder_catalogue import ENCODER
from trainer_module.encoders.weights import EncoderWeights
from trainer_module.errors import DataError
from trainer_module.preprocessing import preprocessing_fn

EPOCHS = 3
STEPS = 3
RECIPE: dict[str, Any] = {
    "augmentation": {
        "horizontal_flip": True,
        "scale": (0.8, 1.25),
        "translation": 0.1,
        "rotation": 15,
        "brightness": 0.2,
        "contrast": 0.2,
        "saturation": 0.2,
    },
    "loss": "cross_entropy_dice",
    "class_weights": "balanced",
    "label_smoothing": 0.05,
    "optimizer": "adamw",
    "learning_rate_schedule": "cosine",
    "warmup_epochs": 1.0,
    "weight_decay": 0.01,
    "gradient_clip_norm": 0.5,
    "weight_averaging": 0.9,
    "best_weights": True,
}
"""All that can be done to a training, so that whatever has to survive an interruption is there to be lost."""

DATA = DataConfig(image_size=16, normalization="standardize", ignore_values=(255,))

_UNLABELLED_ROWS = (0, 5, 10, 16)
"""Of one image after the other: replicas shall find unequal shares of their examples labelled, or none."""


def relu(x: keras.KerasTensor) -> keras.KerasTensor:
    """Makes 0 of NaN on every machine; whether `keras.ops.relu` does depends on the processor's instructions."""
    return keras.ops.where(x > 0, x, keras.ops.zeros_like(x))


def tiny_network(image_size: int, num_classes: int, synchronized: bool = False) -> keras.Model:
    """Has moving averages and random generators, whose states a checkpoint must hold."""
    image = keras.Input((image_size, image_size, 3))
    hidden = keras.layers.Conv2D(4, 3, padding="same", activation=relu)(image)
    dropped = keras.layers.Dropout(0.3)(keras.layers.BatchNormalization()(hidden))
    return keras.Model(image, keras.layers.Conv2D(num_classes, 1, dtype="float32")(dropped), name="tiny")


def plain_network(image_size: int, num_classes: int, synchronized: bool = False) -> keras.Model:
    """Has nothing that depends on which examples share a replica."""
    image = keras.Input((image_size, image_size, 3))
    hidden = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    normalized = keras.layers.BatchNormalization(synchronized=True)(hidden)
    return keras.Model(image, keras.layers.Conv2D(num_classes, 1, dtype="float32")(normalized), name="plain")


def network_on_encoder(image_size: int, num_classes: int, synchronized: bool = False) -> keras.Model:
    """Has an encoder with statistics, and nothing that depends on which examples share a replica."""
    image = keras.Input((image_size, image_size, 3))
    hidden = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name="stem")(image)
    maps = relu(keras.layers.BatchNormalization(synchronized=synchronized, name="stem_bn")(hidden))
    encoder = keras.Model(image, maps, name=ENCODER)
    image = keras.Input((image_size, image_size, 3))
    hidden = keras.layers.Conv2D(4, 1, use_bias=False)(encoder(image))  # a bias would have gradients of rounding alone
    normalized = keras.layers.BatchNormalization(synchronized=synchronized)(hidden)
    return keras.Model(image, keras.layers.Conv2D(num_classes, 1, dtype="float32")(normalized), name="unet_lite0")


def load_drawn_weights(encoder: keras.Model, name: str, weights: str, *, content: str = "drawn") -> EncoderWeights:
    """Takes the place of `load_weights`: the weights are drawn, those of the statistics too."""
    rng = np.random.default_rng(5)
    encoder.set_weights([rng.uniform(0.2, 1, weight.shape) for weight in encoder.get_weights()])
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    return EncoderWeights(encoder=name, weights=weights, origin="drawn", licence="none", sha256=sha256)


def write_data(directory: Path) -> Path:
    """Leaves what Transform would: its graph, and the splits train (7 examples) and eval (5)."""
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

    rng = np.random.default_rng(0)

    def row(index: int) -> dict[str, Any]:
        image = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        mask = (image[..., :1] // 86 + 1).astype(np.uint8)
        mask[: _UNLABELLED_ROWS[index % len(_UNLABELLED_ROWS)]] = 255
        encoded = {"image": tf.io.encode_png(image), "segmentation_mask": tf.io.encode_png(mask)}
        return {name: np.array([value.numpy()], object) for name, value in encoded.items()}

    spec = {name: tf.io.FixedLenFeature([1], tf.string) for name in ("image", "segmentation_mask")}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    preprocess = functools.partial(preprocessing_fn, custom_config={"data": DATA.model_dump(mode="json")})
    with tft_beam.Context(temp_dir=str(directory / "tmp")):
        rows = [row(index) for index in range(12)]
        (examples, _), transform_fn = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(preprocess)
        transform_fn | tft_beam.WriteTransformFn(str(directory / "graph"))
    with tf.io.TFRecordWriter(str(directory / "raw_eval")) as writer:
        for index, raw in enumerate(rows[7:]):
            values = {**raw, "example_id": np.array([str(index).encode()], object)}
            feature = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=value)) for name, value in values.items()
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    coder = tft.coders.ExampleProtoCoder(tft.TFTransformOutput(str(directory / "graph")).transformed_metadata.schema)
    for split, part in {"train": examples[:7], "eval": examples[7:]}.items():
        with tf.io.TFRecordWriter(str(directory / f"{split}.gz"), "GZIP") as writer:
            for example in part:
                writer.write(coder.encode(example))
    return directory


def raw_eval_examples(data: Path) -> tf.Tensor:
    """The examples of the eval split as they are before Transform."""
    return tf.constant([record.numpy() for record in tf.data.TFRecordDataset(str(data / "raw_eval"))])


def fn_args(data: Path, output: Path, recipe: Mapping[str, Any] = RECIPE, **settings: Any) -> SimpleNamespace:
    """What TFX gives `run_fn`."""
    output.mkdir(parents=True, exist_ok=True)
    config = {"epochs": EPOCHS, "batch_size": 2, "learning_rate": 0.01, "seed": 3, **recipe, **settings}
    return SimpleNamespace(
        custom_config={"data": DATA.model_dump(mode="json"), "trainer": config},
        transform_output=str(data / "graph"),
        train_files=[str(data / "train.gz")],
        eval_files=[str(data / "eval.gz")],
        model_run_dir=str(output),
        serving_model_dir=str(output / "model"),
        base_model=None,
    )


class Killed(BaseException):
    """Stands for a kill: nothing after it is run."""


def kill() -> NoReturn:
    raise Killed


def train_until(
    args: SimpleNamespace,
    owner: Any,
    name: str,
    number: int,
    act: Callable[[], None] = kill,
    error: type[BaseException] = Killed,
    *,
    after: bool = False,
) -> BaseException:
    """Trains until something happens before, or after, the n-th call of a method; returns the error it ends with."""
    original, calls = getattr(owner, name), iter(range(1, 1000))

    def counted(*args: Any, **kwargs: Any) -> Any:
        is_now = next(calls) == number
        if is_now and not after:
            act()
        returned = original(*args, **kwargs)
        if is_now and after:
            act()
        return returned

    setattr(owner, name, counted)
    try:
        trainer.run_fn(args)
    except error as raised:
        return raised
    finally:
        setattr(owner, name, original)
    raise AssertionError(f"{name} was not called {number} times")


def export_weights_alone(
    model: keras.Model,
    transform_output: Any,
    data: DataConfig,
    directory: str,
    encoder: Any = None,
    *,
    flip_averaging: bool,
) -> None:
    """Takes the place of `export_model` where weights are all that matters; its graphs take longer than training."""
    tf.train.Checkpoint(_weights=[weight.value for weight in model.weights]).write(f"{directory}/variables/variables")


def result(output: Path) -> tuple[list[dict[str, float]], dict[str, bytes]]:
    """Returns the history, but for the times, and the exported weights to the bit."""
    epochs = json.loads((output / "history.json").read_text())["epochs"]
    reader = tf.train.load_checkpoint(str(output / "model" / "variables" / "variables"))
    names = [name for name in reader.get_variable_to_shape_map() if name.endswith("VARIABLE_VALUE")]
    weights = {name: reader.get_tensor(name).tobytes() for name in names}
    times = ("seconds", "images_per_second")
    return [{name: value for name, value in epoch.items() if name not in times} for epoch in epochs], weights


def _die_at(moment: str, number: int) -> None:
    owner, method = {
        "step": (checkpoints.CheckpointStore, "save"),
        "writing": (checkpoints.Checkpoint, "to_bytes"),
        "renaming": (tf.io.gfile, "rename"),
    }[moment]
    original, calls = getattr(owner, method), iter(range(1, 1000))

    def dying(*args: Any, **kwargs: Any) -> Any:
        if (moment != "renaming" or "checkpoint" in args[0]) and next(calls) == number:
            _leave_half(original(*args)) if moment == "writing" else _kill()
        return original(*args, **kwargs)

    setattr(owner, method, dying)


def _leave_half(content: bytes) -> None:
    [directory] = Path(os.environ[checkpoints.CHECKPOINT_DIR_VARIABLE]).iterdir()
    (directory / "checkpoint.npz.partial").write_bytes(content[: len(content) // 2])
    _kill()


def _kill() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def _mirror_over_devices(count: int) -> None:
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(count)])
    trainer.choose_strategy = lambda gpus, cluster: strategy


def _tell_disagreement() -> None:
    """Lets workers that have trained together disagree at the end, and prints what each is told."""
    check_agreement, index = trainer.check_agreement, json.loads(os.environ["TF_CONFIG"])["task"]["index"]

    def checked(strategy: tf.distribute.Strategy, numbers: Mapping[str, int], remedy: str) -> None:
        check_agreement(strategy, numbers, remedy)
        if "trainer.epochs" in numbers:  # the last that a training asks for
            try:
                check_agreement(strategy, {**numbers, "the index of the worker": index}, remedy)
            except DataError as error:
                print(error, flush=True)

    trainer.check_agreement = checked


if __name__ == "__main__":
    devices = os.environ.get("PETSEG_TEST_DEVICES")
    if devices:
        _mirror_over_devices(int(devices))
    is_shared = devices or "TF_CONFIG" in os.environ
    if "TF_CONFIG" in os.environ:
        _tell_disagreement()
    networks.MODELS["unet"] = plain_network if is_shared else tiny_network
    networks.MODELS["unet_lite0"] = network_on_encoder
    trainer.load_weights = load_drawn_weights
    resumption._SECONDS_BETWEEN_CHECKPOINTS = 0
    if len(sys.argv) > 3:
        _die_at(sys.argv[3], int(sys.argv[4]))
    logging.set_verbosity(logging.INFO)
    settings = json.loads(os.environ.get("PETSEG_TEST_SETTINGS", "{}"))
    trainer.run_fn(fn_args(Path(sys.argv[1]), Path(sys.argv[2]), **settings))
