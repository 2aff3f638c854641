"""The encoders by name: what pixels their weights were trained on, and where the skip connections leave them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Normalization = Literal["unit", "standardize", "signed", "lite", "imagenet", "caffe"]

ENCODER: Final = "encoder"
"""Name of the encoder within its network, of which it is a model of its own."""

LITE0: Final = "efficientnet_lite0"
UNET_ENCODER: Final = "unet_encoder"
"""The network on the encoder that `trainer.encoder` names."""

MODEL_ENCODERS: Final = {"unet_lite0": LITE0}
"""Networks whose encoder is given with their name."""

IMAGENET: Final = "imagenet"
"""Stands for the weights that were trained on ImageNet in `trainer.encoder_weights`."""

ENCODER_SIZES: Final = (32, 32)
"""The least image size that an encoder can take, and the number that an image size must be a multiple of."""


@dataclass(frozen=True)
class EncoderEntry:
    """What is known of an encoder without building it."""

    normalization: Normalization
    """What its ImageNet weights were trained on, as `data.normalization` calls it."""

    constructor: str = ""
    """The function of `keras.applications` that builds it; empty for one of our own."""

    skips: tuple[str, ...] = ()
    """Layers of an application whose outputs are the last at a half, a quarter, … of the image's size."""


ENCODERS: Final[Mapping[str, EncoderEntry]] = {
    LITE0: EncoderEntry("lite"),
}

EncoderName = Literal["efficientnet_lite0"]

NORMALIZATIONS: Final[Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float]]]] = {
    "unit": ((0.0,) * 3, (1 / 255,) * 3),
    "lite": ((127.0,) * 3, (1 / 128,) * 3),
}
"""Offset and scale of red, green and blue in (pixel - offset) · scale, by the name of the normalization."""
