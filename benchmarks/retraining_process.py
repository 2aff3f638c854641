"""What the processes of the simulated year do: commands of petseg at another time, from libraries that are loaded.

A process of a firing loads TensorFlow and TFX first, which takes as long as the rest of one that has nothing to do.
Here each is forked from a server that has them; what else it does is what a process of its own does.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

_LIBRARIES: Final = (
    "tensorflow",
    "tensorflow_datasets",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
    "tensorflow_transform.beam",
    "tfx.v1",
    "time_machine",
)

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*_LIBRARIES])


def start(
    arguments: Sequence[str], at: datetime, environment: Mapping[str, str], directory: str, log: Path
) -> ForkServerProcess:
    """Starts `petseg` with arguments, as if it were another time.

    Args:
      arguments: Of `petseg`.
      at: When it starts; from there on time goes on.
      environment: All that it has.
      directory: Its working directory.
      log: File that what it prints is added to.
    """
    given = ([*arguments], at, dict(environment), directory, str(log))
    process = _context.Process(target=_petseg, args=given)
    process.start()
    return process


def run(arguments: Sequence[str], at: datetime, environment: Mapping[str, str], directory: str, log: Path) -> int:
    """Does that, and waits for the end; returns the exit code."""
    process = start(arguments, at, environment, directory, log)
    process.join()
    return int(process.exitcode or 0)


def replicates(version: str, data_dir: str, dataset: str) -> tuple[tuple[float, float], list[list[float]]]:
    """Returns accuracy and mean IoU of a model on the test split of a data set, and of the bootstrap's replicates.

    It is done in a process of its own, since one that has used TensorFlow cannot be forked.
    """
    with _context.Pool(1) as pool:
        return pool.apply(_replicates, (version, data_dir, dataset))


def _petseg(arguments: list[str], at: datetime, environment: dict[str, str], directory: str, log: str) -> None:
    import time_machine

    os.setsid()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    time_machine.travel(at, tick=True).start()
    from retraining_network import small_network

    from pipeline.cli import exit_code
    from trainer_module import networks

    networks.MODELS["unet"] = small_network

    code = exit_code(arguments)
    sys.stdout.flush()
    os._exit(code)


def _replicates(version: str, data_dir: str, dataset: str) -> tuple[tuple[float, float], list[list[float]]]:
    from components.model_evaluator.sums import EvaluationSums, replicate_metrics
    from components.segmentation_validator.examination import MaskMeaning
    from components.tfds_example_gen.source import TfdsSource, open_dataset
    from pipeline.models.evaluation import raw_examples
    from pipeline.models.loading import ServedModel

    model = ServedModel.load(version)
    source = TfdsSource(
        dataset=dataset,
        data_dir=data_dir,
        download=False,
        builder_modules=(),
        image_feature="image",
        mask_feature="segmentation_mask",
        slice_features=(),
    )
    card = model.card
    meaning = MaskMeaning(card.mask_values, card.ignore_values, card.class_names)
    sums = EvaluationSums(len(card.class_names))
    examples = raw_examples(open_dataset(source, {"test": "test"}), source, "test", meaning)
    for outputs in model.evaluate([example.SerializeToString() for example in examples]):
        sums.add(outputs)
    metrics = sums.metrics(card.class_names, card.image_size**2)
    return (metrics["accuracy"], metrics["mean_iou"]), replicate_metrics(sums.replicates).tolist()
