"""The forms that an exported model can be given. Importing this module is cheap."""

from enum import StrEnum


class Optimization(StrEnum):
    """What is done to a model."""

    FROZEN = "frozen"
    """A SavedModel whose weights are constants, so that TensorFlow folds batch normalization into convolutions."""

    FLOAT16 = "float16"
    """The network for TensorFlow Lite, its weights in float16; it computes in float32."""

    INT8 = "int8"
    """The network for TensorFlow Lite with weights of 8 bits; what passes between layers is rounded to 8 bits by the
    range that it has for each image (dynamic-range quantization)."""

    INT8_FULL = "int8_full"
    """As `int8`, but by ranges that examples had: all in integers, for accelerators that know nothing else."""


CALIBRATED = (Optimization.INT8_FULL,)
"""The forms that cannot be made without examples."""
