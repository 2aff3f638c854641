"""Times SegmentationValidator in ratio to a bare decode of the same examples, and its memory.

    .venv/bin/python benchmarks/data_validation.py --data-dir DIR --examples 500 8000

All read the same gzipped examples of the data set `--dataset`, repeated to so many (some bytes behind the end of each
image keep them from being duplicates). The bare decode is TensorFlow's, of image and mask, one after the other in one
process; so is the examination alone; the component is what a run executes, with Beam in its process. Each pass has a
process of its own, whose peak memory is reported, and they alternate, so that a busy machine slows all; there, the time
of the cores says more.
"""

import argparse
import itertools
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple


class Measurement(NamedTuple):
    """What one pass took."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


def write_examples(dataset: str, data_dir: str, count: int) -> str:
    """Writes the training images as TfdsExampleGen does, again from the start when there are fewer; returns where."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from components.tfds_example_gen.conversion import ExampleConverter, encoded_reading
    from components.tfds_example_gen.source import TfdsSource, open_dataset
    from trainer_module.config import DataConfig

    defaults = DataConfig().model_dump(include=set(TfdsSource.model_fields))
    source = TfdsSource(**defaults | {"dataset": dataset, "data_dir": data_dir})
    builder = open_dataset(source, {"train": "train"})
    convert = ExampleConverter(source, builder.info.features)
    records = tfds.as_numpy(builder.as_dataset(split="train", **encoded_reading(source)))
    directory = Path(tempfile.mkdtemp()) / "Split-train"
    directory.mkdir()
    with tf.io.TFRecordWriter(str(directory / "data_tfrecord-00000-of-00001.gz"), "GZIP") as writer:
        for number, record in enumerate(itertools.islice(itertools.cycle(records), count)):
            values = (example := convert(record)).features.feature
            values["image"].bytes_list.value[0] += number.to_bytes(4, "big")
            values["example_id"].bytes_list.value[0] = str(number).encode()
            writer.write(example.SerializeToString())
    return str(directory.parent)


def bare_decode(examples: str, count: int) -> None:
    """Decodes all images and masks."""
    import tensorflow as tf

    for record in itertools.islice(_records(examples), count):
        values = tf.train.Example.FromString(record).features.feature
        tf.io.decode_image(values["image"].bytes_list.value[0], channels=3, expand_animations=False)
        tf.io.decode_png(values["segmentation_mask"].bytes_list.value[0])


def examination(examples: str, count: int) -> None:
    """Examines all examples."""
    from components.segmentation_validator.records import Examiner

    examine = Examiner(_settings())
    for record in itertools.islice(_records(examples), count):
        examine(record)


def component(examples: str, count: int) -> None:
    """Executes SegmentationValidator."""
    from tfx.types.standard_artifacts import Examples

    from components.segmentation_validator.artifact import SegmentationFindings
    from components.segmentation_validator.executor import Executor
    from pipeline.beam.arguments import arguments_for_tfx

    read, checked, findings = Examples(), Examples(), SegmentationFindings()
    read.uri, read.split_names = examples, '["train"]'
    read.set_string_custom_property("split_counts", json.dumps({"train": count}))
    directory = tempfile.mkdtemp()
    checked.uri, findings.uri = f"{directory}/checked_examples", f"{directory}/findings"
    context = Executor.Context(
        tmp_dir=f"{directory}/.temporary", unique_id="1", beam_pipeline_args=[*arguments_for_tfx(())]
    )
    settings = {"settings": _settings().model_dump_json()}
    Executor(context).Do({"examples": [read]}, {"checked_examples": [checked], "findings": [findings]}, settings)


def _settings():  # type: ignore[no-untyped-def]  # a type of what is imported in the passes only
    from pipeline.component_settings import validator_settings
    from pipeline.config.loading import load_config

    return validator_settings(load_config())


def _records(examples: str) -> Iterator[bytes]:
    import tensorflow as tf

    files = tf.io.gfile.glob(f"{examples}/Split-train/*")
    return iter(tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator())


PASSES: dict[str, Callable[[str, int], None]] = {
    "bare decode": bare_decode,
    "examination alone": examination,
    "SegmentationValidator": component,
}


def measure(name: str, examples: str, count: int) -> Measurement:
    """Makes one pass; imports are left out."""
    import components.segmentation_validator.executor  # noqa: F401

    examination(examples, 1)  # loads what is loaded at the first image
    wall, cores = time.perf_counter(), time.process_time()
    PASSES[name](examples, count)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measurement(time.perf_counter() - wall, time.process_time() - cores, peak)


def main() -> None:
    """Measures all passes on each number of examples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="oxford_iiit_pet:4.*.*")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--examples", type=int, nargs="+", default=[500, 8000])
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    for count in arguments.examples:
        with spawn.Pool(1) as pool:
            examples = pool.apply(write_examples, (arguments.dataset, arguments.data_dir, count))
        best: dict[str, Measurement] = {}
        for name in [*PASSES] * arguments.rounds:
            with spawn.Pool(1) as pool:
                found = pool.apply(measure, (name, examples, count))
            best[name] = min(best.get(name, found), found, key=lambda each: each.cpu_seconds)
        bare = best["bare decode"].cpu_seconds
        for name, found in best.items():
            print(
                f"{count} examples, {name}: {found.cpu_seconds:.1f} s of the cores ({found.cpu_seconds / bare:.2f}), "
                f"{found.seconds:.1f} s, {count / found.cpu_seconds:.0f} examples/s, {found.peak_mib:.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
