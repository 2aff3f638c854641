"""Times Transform in ratio to a bare pass over the same examples: decode, resize, write.

    .venv/bin/python benchmarks/transform.py --data-dir DIR --examples 500 8000

Both read the same gzipped examples of the data set `--dataset`, repeated to so many, and write examples of the same
features. The bare pass is tf.data with TensorFlow's decoders on all cores and one writer. Each pass has a process of
its own, whose peak memory is reported, and the two alternate, so that a busy machine slows both; there, the time of the
cores says more.
"""

import argparse
import dataclasses
import itertools
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

_SHARDS = 1


@dataclasses.dataclass(frozen=True)
class Task:
    """What a pass is over."""

    examples_uri: str
    examples: int
    image_size: int
    normalization: str


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What one pass took: wall-clock time, time of all cores, and peak memory."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


def write_examples(dataset: str, data_dir: str, split: str, count: int) -> str:
    """Writes the split's images as TfdsExampleGen does, again from the start when there are fewer; returns the URI."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from components.tfds_example_gen.conversion import ExampleConverter, encoded_reading
    from components.tfds_example_gen.source import TfdsSource, open_dataset
    from trainer_module.config import DataConfig

    defaults = DataConfig().model_dump(include=set(TfdsSource.model_fields))
    source = TfdsSource(**defaults | {"dataset": dataset, "data_dir": data_dir})
    builder = open_dataset(source, {"train": split})
    convert = ExampleConverter(source, builder.info.features)
    records = tfds.as_numpy(builder.as_dataset(split=split, **encoded_reading(source)))
    examples = [convert(record).SerializeToString() for record in records]
    directory = Path(tempfile.mkdtemp()) / "Split-train"
    directory.mkdir()
    with tf.io.TFRecordWriter(str(directory / "data_tfrecord-00000-of-00001.gz"), "GZIP") as writer:
        for example in itertools.islice(itertools.cycle(examples), count):
            writer.write(example)
    return str(directory.parent)


def bare_pass(task: Task) -> Measurement:
    """Decodes, resizes and writes all examples."""
    import tensorflow as tf

    from trainer_module import features
    from trainer_module.config import DataConfig
    from trainer_module.decoding import decode_image, decode_mask
    from trainer_module.preprocessing import resize_image, resize_mask, to_class_ids

    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in (features.IMAGE, features.SEGMENTATION_MASK)}
    mask_values = DataConfig().mask_values

    def transformed(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        example = tf.io.parse_single_example(record, spec)
        image = resize_image(decode_image(example[features.IMAGE]), task.image_size)
        mask = resize_mask(decode_mask(example[features.SEGMENTATION_MASK]), task.image_size)
        return tf.io.serialize_tensor(image), tf.io.serialize_tensor(to_class_ids(mask, mask_values)[..., 0])

    started = _now()
    records = tf.data.TFRecordDataset(tf.io.gfile.glob(f"{task.examples_uri}/*/*"), "GZIP")
    images = records.map(transformed, num_parallel_calls=os.cpu_count())
    scale = tf.train.Feature(float_list=tf.train.FloatList(value=[0.0] * 3))
    with tf.io.TFRecordWriter(f"{tempfile.mkdtemp()}/data.gz", "GZIP") as writer:
        for image, mask in images.as_numpy_iterator():
            encoded = {
                features.IMAGE_XF: tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
                features.SEGMENTATION_MASK_XF: tf.train.Feature(bytes_list=tf.train.BytesList(value=[mask])),
                features.IMAGE_OFFSET_XF: scale,
                features.IMAGE_SCALE_XF: scale,
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=encoded)).SerializeToString())
    return _measured(started)


def transform_pass(task: Task) -> Measurement:
    """Does what the component Transform does."""
    from tfx.dsl.components.base import base_beam_executor
    from tfx.dsl.components.common.importer import Importer
    from tfx.proto import transform_pb2
    from tfx.types import artifact_utils, standard_artifacts

    from components.transform import Executor, Transform
    from pipeline.beam.arguments import arguments_for_tfx
    from pipeline.nodes import PREPROCESSING_MODULE
    from trainer_module.config import DataConfig

    work = Path(tempfile.mkdtemp())
    examples = standard_artifacts.Examples()
    examples.uri, examples.split_names = task.examples_uri, artifact_utils.encode_split_names(["train"])
    schema = standard_artifacts.Schema()
    schema.uri = str(work / "schema")
    Path(schema.uri).mkdir()
    text = (resources.files("pipeline") / "schemas" / "oxford_iiit_pet.pbtxt").read_text()
    text += 'feature { name: "example_id" type: BYTES shape {} presence { min_fraction: 1 min_count: 1 } }'
    (Path(schema.uri) / "schema.pbtxt").write_text(text)
    data = DataConfig(image_size=task.image_size, normalization=task.normalization)  # type: ignore[arg-type]
    fields = {"class_names", "mask_values", "image_size", "normalization"}
    component = Transform(
        examples=Importer(source_uri="", artifact_type=standard_artifacts.Examples).outputs["result"],
        schema=Importer(source_uri="", artifact_type=standard_artifacts.Schema).outputs["result"],
        preprocessing_fn=f"{PREPROCESSING_MODULE}.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train"]),
        custom_config={"data": data.model_dump(mode="json", include=fields)},
        disable_statistics=True,
    )
    outputs = {}
    for key, channel in component.outputs.items():
        output = channel.type()
        output.uri = str(work / key)
        outputs[key] = [output]
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=arguments_for_tfx(()), tmp_dir=str(work / "temporary"), unique_id="1"
    )
    started = _now()
    Executor(context).Do({"examples": [examples], "schema": [schema]}, outputs, component.exec_properties)
    return _measured(started)


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _measured(started: tuple[float, float]) -> Measurement:
    seconds, cpu_seconds = (now - before for now, before in zip(_now(), started, strict=True))
    return Measurement(seconds, cpu_seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _alone(function: Callable[..., Measurement], *arguments: object) -> Measurement:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    """Prints a line for each pass, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="oxford_iiit_pet")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--examples", type=int, nargs="+", default=[500, 8000], help="one pair of passes each")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--normalization", nargs="+", choices=("unit", "standardize"), default=["standardize"])
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for count in arguments.examples:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            uri = pool.apply(write_examples, (arguments.dataset, arguments.data_dir, arguments.split, count))
        for normalization in arguments.normalization:
            task = Task(uri, count, arguments.image_size, normalization)
            bare, ours = _alone(bare_pass, task), _alone(transform_pass, task)
            for name, measured in (("bare", bare), (f"Transform, {normalization}", ours)):
                times = f"{measured.seconds:7.1f} s {measured.cpu_seconds:7.1f} s of the cores"
                print(f"{name:22} {count:6} examples {times} {measured.peak_mib:6.0f} MiB", flush=True)
            cores = ours.cpu_seconds / bare.cpu_seconds
            print(f"ratio: {ours.seconds / bare.seconds:.2f}, of the cores' time {cores:.2f}", flush=True)


if __name__ == "__main__":
    main()
