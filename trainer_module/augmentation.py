"""Random changes of training images, masks along with them, in plain Keras operations on any of its backends.

Nothing here draws: `augment` is a function of its arguments, and `NUM_DRAWS` uniform numbers an image decide all.
"""

import math
from typing import Any, Final

from keras import ops

from trainer_module.config import AugmentationConfig
from trainer_module.features import NOT_LABELLED

NUM_DRAWS: Final = 8
"""Numbers that an image takes: flip, zoom, shift to the right and down, angle, brightness, contrast, saturation."""

_WHITE: Final = 255.0
_LUMA: Final = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the gray that saturation and contrast refer to (ITU-R BT.601)."""

_GEOMETRY: Final = ("horizontal_flip", "scale", "translation", "rotation")
_COLOR: Final = ("brightness", "contrast", "saturation")


def is_active(config: AugmentationConfig) -> bool:
    """Returns whether the settings change anything."""
    return _is_set(config, _GEOMETRY) or _is_set(config, _COLOR)


def augment(
    images: Any, class_ids: Any, draws: Any, config: AugmentationConfig, *, reflects_masks: bool = True
) -> tuple[Any, Any]:
    """Changes images at random; masks move with them, and no class id is mixed with another.

    Images are interpolated bilinearly and masks by nearest neighbour; images continue outside of their edges as their
    own reflection. Colours change on images only.

    Args:
      images: Pixels from 0 to 255, uint8 or float [batch, size, size, 3].
      class_ids: Integers [batch, size, size].
      draws: float32 [batch, NUM_DRAWS], from 0 to 1.
      config: What to change, and how far at most.
      reflects_masks: Whether masks continue as images do; else nothing is labelled outside of their edges.

    Returns:
      Images, float32 from 0 to 255, and class ids, of the type they came in.
    """
    images = ops.cast(images, "float32")
    if _is_set(config, _GEOMETRY):
        transform = affine_transforms(draws, images.shape[1], config)
        images = ops.image.affine_transform(
            images, transform, interpolation="bilinear", fill_mode="reflect", data_format="channels_last"
        )
        class_ids = ops.image.affine_transform(
            class_ids[..., None],
            transform,
            interpolation="nearest",
            fill_mode="reflect" if reflects_masks else "constant",
            fill_value=NOT_LABELLED,
            data_format="channels_last",
        )[..., 0]
    if _is_set(config, _COLOR):
        images = _recolored(images, draws, config)
    return images, class_ids


def affine_transforms(draws: Any, size: int, config: AugmentationConfig) -> Any:
    """Returns flip, zoom, shift and rotation of each image as one transform, float32 [batch, 8].

    With c the image's centre and o a point of the result, it shows the point Z⁻¹ R F (o - c - shift) + c of the image:
    zoom Z, rotation R, flip F.

    Args:
      draws: float32 [batch, NUM_DRAWS], from 0 to 1.
      size: Side of the images, in pixels.
      config: How far at most.
    """
    flip, zoom, right, down, turn, *_ = (draws[:, index] for index in range(NUM_DRAWS))
    least, greatest = (math.log(factor) for factor in config.scale)
    magnified = ops.exp(least + (greatest - least) * zoom)
    angle = _symmetric(turn) * math.radians(config.rotation)
    across = ops.where(flip < 0.5, -1.0, 1.0) if config.horizontal_flip else ops.ones_like(flip)
    a, b = ops.cos(angle) / magnified * across, -ops.sin(angle) / magnified
    d, e = ops.sin(angle) / magnified * across, ops.cos(angle) / magnified
    center = (size - 1) / 2
    x = center + _symmetric(right) * (config.translation * size)
    y = center + _symmetric(down) * (config.translation * size)
    zero = ops.zeros_like(a)
    return ops.stack([a, b, center - a * x - b * y, d, e, center - d * x - e * y, zero, zero], axis=1)


def _recolored(images: Any, draws: Any, config: AugmentationConfig) -> Any:
    """Changes brightness, then contrast around the mean gray, then saturation.

    All three are linear in a pixel p, its gray l·p and the mean gray m, so one matrix and one offset an image do it:
    (1 + contrast) ((1 + saturation) p - saturation l·p) + brightness - contrast m.
    """
    brightness, contrast, saturation = (
        _symmetric(draws[:, index, None, None]) * getattr(config, name)
        for index, name in enumerate(_COLOR, start=NUM_DRAWS - len(_COLOR))
    )
    pixels = ops.reshape(images, (-1, images.shape[1] * images.shape[2], 3))
    luma = ops.reshape(ops.convert_to_tensor(_LUMA, "float32"), (1, 3, 1))
    mean = ops.matmul(ops.mean(pixels, axis=1, keepdims=True), luma)
    matrix = (1 + contrast) * ((1 + saturation) * ops.eye(3) - saturation * luma)
    recolored = ops.matmul(pixels, matrix) + (brightness * _WHITE - contrast * mean)
    return ops.reshape(ops.clip(recolored, 0.0, _WHITE), (-1, *images.shape[1:]))


def _symmetric(draw: Any) -> Any:
    """Maps [0, 1] to [-1, 1]."""
    return 2 * draw - 1


def _is_set(config: AugmentationConfig, names: tuple[str, ...]) -> bool:
    return any(getattr(config, name) != AugmentationConfig.model_fields[name].default for name in names)
