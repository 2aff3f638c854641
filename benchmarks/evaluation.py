"""Times the Evaluator's pass over so many images in ratio to plain batched inference with the same model.

    .venv/bin/python benchmarks/evaluation.py --model MODEL_DIR --dataset NAME --data-dir DIR --images 250 1000

Each measurement has a process of its own, whose peak memory is reported. Plain and whole passes alternate, so that a
busy machine slows both; there, the time of the cores says more. Plain inference reads the same examples, decodes their
images and answers masks.
"""

import argparse
import dataclasses
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What one pass took: wall-clock time, time of all cores, and peak memory."""

    images: int
    seconds: float
    cpu_seconds: float
    peak_mib: float


@dataclasses.dataclass(frozen=True)
class Task:
    """What a pass is over."""

    model: str
    records: str
    images: int
    slices: tuple[str, ...]


def write_examples(dataset: str, data_dir: str, split: str, images: int, slices: tuple[str, ...]) -> str:
    """Writes the split's first images as the pipeline's raw examples, again from the start when there are fewer."""
    import itertools

    import tensorflow as tf
    import tensorflow_datasets as tfds

    from components.tfds_example_gen.conversion import ExampleConverter, encoded_reading
    from components.tfds_example_gen.source import TfdsSource, open_dataset
    from trainer_module.config import DataConfig

    defaults = DataConfig().model_dump(include=set(TfdsSource.model_fields))
    settings = {"dataset": dataset, "data_dir": data_dir, "slice_features": slices}
    source = TfdsSource(**defaults | settings)
    builder = open_dataset(source, {"evaluation": split})
    convert = ExampleConverter(source, builder.info.features)
    records = tfds.as_numpy(builder.as_dataset(split=split, **encoded_reading(source)))
    file = str(Path(tempfile.mkdtemp()) / f"{images}.tfrecord")
    with tf.io.TFRecordWriter(file) as writer:
        for number, record in enumerate(itertools.islice(itertools.cycle(records), images)):
            example = convert(record)
            example.features.feature["example_id"].bytes_list.value[0] = str(number).encode()
            writer.write(example.SerializeToString())
    return file


def plain_inference(task: Task) -> Measurement:
    """Answers every image with a mask, in batches, and throws the masks away."""
    import tensorflow as tf

    model = tf.saved_model.load(task.model).signatures["serving_default"]
    spec = {"image": tf.io.FixedLenFeature([], tf.string)}
    batches = (
        tf.data.TFRecordDataset(task.records).batch(_BATCH_SIZE).map(lambda batch: tf.io.parse_example(batch, spec))
    )
    for batch in batches.take(1):
        model(image=batch["image"])
    started = _now()
    for batch in batches:
        model(image=batch["image"])["mask"].numpy()
    return _measured(task, started)


def evaluator_pass(task: Task) -> Measurement:
    """Does what TFX's Evaluator does with the model and the records, the loading of the model included."""
    import tensorflow_model_analysis as tfma

    from components.model_evaluator.metric import eval_config
    from pipeline.models.loading import ServedModel

    card = ServedModel.load(task.model).card
    config = tfma.utils.update_eval_config_with_defaults(
        eval_config(card.class_names, card.image_size, task.slices, ""), has_baseline=False, rubber_stamp=True
    )
    started = _now()
    shared = tfma.default_eval_shared_model(task.model, eval_config=config)
    tfma.run_model_analysis(shared, eval_config=config, data_location=task.records, output_path=tempfile.mkdtemp())
    return _measured(task, started)


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _measured(task: Task, started: tuple[float, float]) -> Measurement:
    seconds, cpu_seconds = (now - before for now, before in zip(_now(), started, strict=True))
    return Measurement(task.images, seconds, cpu_seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _alone(function: Callable[[Task], Measurement], task: Task) -> Measurement:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, (task,))


def main() -> None:
    """Prints a table of the passes, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, help="a model version that petseg exported")
    parser.add_argument("--dataset", default="oxford_iiit_pet")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--images", type=int, nargs="+", default=[250, 1000], help="one pass each")
    parser.add_argument("--slice", dest="slices", action="append", default=[])
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    slices = tuple(arguments.slices)
    plain, whole = [], []
    for images in arguments.images:
        source = (arguments.model, arguments.dataset, arguments.data_dir, arguments.split, images, slices)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            records = pool.apply(write_examples, source)
        task = Task(arguments.model, records, images, slices)
        plain.append(_alone(plain_inference, task))
        whole.append(_alone(evaluator_pass, task))
        for name, measured in (("plain inference", plain[-1]), ("Evaluator", whole[-1])):
            times = f"{measured.seconds:8.1f} s {measured.cpu_seconds:8.1f} s of the cores"
            print(f"{name:15} {images:6} images {times} {measured.peak_mib:7.0f} MiB", flush=True)
        _print_ratio(f"at {images} images", plain[-1], whole[-1])
    if len(plain) > 1:
        _print_ratio("of each further image", _difference(plain[0], plain[-1]), _difference(whole[0], whole[-1]))


def _difference(few: Measurement, many: Measurement) -> Measurement:
    return Measurement(
        many.images - few.images,
        many.seconds - few.seconds,
        many.cpu_seconds - few.cpu_seconds,
        many.peak_mib - few.peak_mib,
    )


def _print_ratio(what: str, plain: Measurement, whole: Measurement) -> None:
    cores = whole.cpu_seconds / plain.cpu_seconds
    print(f"ratio {what}: {whole.seconds / plain.seconds:.2f}, of the cores' time {cores:.2f}", flush=True)


if __name__ == "__main__":
    main()
