"""The contract of TfdsExampleGen."""

from collections.abc import Mapping

from tfx.components.example_gen import component
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2

from components.tfds_example_gen.driver import TfdsDriver
from components.tfds_example_gen.executor import Executor, source_message
from components.tfds_example_gen.source import TfdsSource


class TfdsExampleGen(component.QueryBasedExampleGen):
    """Ingests a TFDS data set that has an image and a segmentation mask: the bytes of images untouched, masks as PNG.

    Outputs:
      examples: `Examples` with one gzipped TFRecord directory a split, of `tf.train.Example`s with the raw features of
        `trainer_module.features` and the slice features. Custom properties: `dataset_name`, `dataset_version`, and
        `split_counts` (JSON: split name to number of examples), `split_digests` (JSON: split name to a digest of what
        was read), `class_pixels` (JSON: split name to the pixels of each class, in the order of `mask_values`), and
        `shared_images` (JSON: lists of two splits that must not share images, and how many they do).
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
    DRIVER_CLASS = TfdsDriver

    def __init__(self, source: TfdsSource, splits: Mapping[str, str]) -> None:
        """Constructs the component.

        Args:
          source: The data set and its features.
          splits: Name of each output split to the TFDS slice it is read from, such as `train[:90%]`.
        """
        super().__init__(
            input_config=example_gen_pb2.Input(
                splits=[example_gen_pb2.Input.Split(name=name, pattern=pattern) for name, pattern in splits.items()]
            ),
            custom_config=source_message(source),
        )
