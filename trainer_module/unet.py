"""U-Nets in plain Keras 3 layers: images in, logits of the same resolution out.

`unet` is ours and `paper` is Ronneberger, Fischer and Brox 2015 (https://arxiv.org/abs/1505.04597); both are the figure
of that paper, drawn by one builder with blocks of their own. `blog` is the network of the blog post as published, and
`blog_bn` that with batch normalization.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Final

import keras
from keras import layers

Block = Callable[[keras.KerasTensor, int], keras.KerasTensor]
"""From maps [batch, height, width, channels] and a number of filters to maps of so many channels."""

UNET_FILTERS: Final = (48, 96, 192, 256)
_EDGE_FILTERS: Final = 16
_DEEP_FROM_FILTERS: Final = 192
"""Levels of so many filters have two residual blocks on the way down: they are cheap, and see the whole animal."""

PAPER_FILTERS: Final = (64, 128, 256, 512, 1024)


def u_shape(
    x: keras.KerasTensor, filters: Sequence[int], encode: Block, upsample: Block, decode: Block
) -> keras.KerasTensor:
    """Draws the paper's figure 1: down to the bottleneck, and up again past what was seen on the way.

    Args:
      x: Maps [batch, height, width, channels]; height and width divide by 2 to the number of levels less one.
      filters: Channels of each level, from the full resolution down.
      encode: What happens at each level on the way down, bottleneck included.
      upsample: Doubles height and width.
      decode: What happens at each level on the way up, to the upsampled maps joined with the encoder's.

    Returns:
      Maps [batch, height, width, filters[0]].
    """
    skips = []
    for count in filters[:-1]:
        skips.append(encode(x, count))
        x = layers.MaxPooling2D()(skips[-1])
    x = encode(x, filters[-1])
    for count, skip in zip(reversed(filters[:-1]), reversed(skips), strict=True):
        x = decode(layers.Concatenate()([upsample(x, count), skip]), count)
    return x


def unet(image_size: int, num_classes: int, synchronized: bool = False) -> keras.Model:
    """Builds our U-Net: a third of the multiply-adds of the blog's network with as many parameters.

    The U works at half the resolution, where an equal convolution costs a quarter; residual blocks (He et al. 2016,
    https://arxiv.org/abs/1512.03385) with batch normalization (Ioffe and Szegedy 2015) train in few epochs; bilinear
    upsampling has no checkerboard. A thin convolution of the image itself joins again before the logits, for the edges.
    benchmarks/ablations.py measures what each of these is worth.

    Args:
      image_size: Side of the square input, in pixels: a multiple of 16 from 32 on.
      num_classes: Number of classes.
      synchronized: Whether batch normalization is over all replicas.
    """
    normalize = functools.partial(layers.BatchNormalization, momentum=0.9, synchronized=synchronized)

    def conv(x: keras.KerasTensor, filters: int, size: int = 3, strides: int = 1) -> keras.KerasTensor:
        convolution = layers.Conv2D(
            filters, size, strides, padding="same", use_bias=False, kernel_initializer="he_normal"
        )
        return normalize()(convolution(x))

    def residual(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
        shortcut = x if x.shape[-1] == filters else conv(x, filters, 1)
        change = conv(layers.ReLU()(conv(x, filters)), filters)
        return layers.ReLU()(layers.Add()([shortcut, change]))

    def encode(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
        for _ in range(2 if filters >= _DEEP_FROM_FILTERS else 1):
            x = residual(x, filters)
        return x

    def upsample(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
        return layers.UpSampling2D(interpolation="bilinear")(layers.ReLU()(conv(x, filters, 1)))

    image = keras.Input((image_size, image_size, 3), name="image")
    edges = layers.ReLU()(conv(image, _EDGE_FILTERS))
    x = layers.ReLU()(conv(edges, UNET_FILTERS[0], strides=2))
    x = u_shape(x, UNET_FILTERS, encode, upsample, residual)
    x = layers.Concatenate()([upsample(x, _EDGE_FILTERS), edges])
    x = layers.ReLU()(conv(x, 2 * _EDGE_FILTERS))
    logits = layers.Conv2D(num_classes, 1, name="logits", dtype="float32")(x)
    return keras.Model(image, logits, name="unet")


def paper_unet(image_size: int, num_classes: int) -> keras.Model:
    """Builds the network of Ronneberger et al. 2015: 31,031,875 parameters for three classes and colour images.

    Two differences: convolutions are padded, so that the logits have the resolution of the image (the paper predicts
    the inner part of a larger tile), and the image has three channels.

    Args:
      image_size: Side of the square input, in pixels: a multiple of 16 from 32 on.
      num_classes: Number of classes.
    """

    def two_convs(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        return x

    def encode(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
        x = two_convs(x, filters)
        return layers.Dropout(0.5)(x) if filters == PAPER_FILTERS[-1] else x

    def upsample(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
        return layers.Conv2DTranspose(filters, 2, strides=2, kernel_initializer="he_normal")(x)

    image = keras.Input((image_size, image_size, 3), name="image")
    x = u_shape(image, PAPER_FILTERS, encode, upsample, two_convs)
    logits = layers.Conv2D(num_classes, 1, name="logits", dtype="float32")(x)
    return keras.Model(image, logits, name="paper")


def blog_unet(
    image_size: int, num_classes: int, *, normalized: bool = False, synchronized: bool = False
) -> keras.Model:
    """Builds the network of the blog post, exactly: 5,460,163 parameters for three classes at any size.

    Unpadded convolutions shrink the encoder's maps and transposed ones grow the decoder's back to the same sizes. The
    logits pass a ReLU, as published. Shapes in the comments are those of image_size 128.

    The blog says of its better network only that batch normalization was added. In `blog_bn` it sits where its paper
    has it (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167): between each convolution, transposed or not, and
    the ReLU after it, and in place of the bias, which the mean that it subtracts would take away again; its own shift
    does what the bias did. It has Keras' defaults: momentum 0.99, epsilon 0.001. The ReLU after the logits is kept, and
    so they are normalized, too: around a mean of 0 over the batch, no class starts out below 0 everywhere, where a ReLU
    has no gradient and `blog` may leave a class unpredicted. 5,467,276 parameters for three classes.

    Args:
      image_size: Side of the square input, in pixels: a multiple of 8 from 48 on.
      num_classes: Number of classes.
      normalized: Whether to build `blog_bn`.
      synchronized: Whether batch normalization is over all replicas.
    """

    def activated(
        x: keras.KerasTensor,
        convolution: type[layers.Layer],
        *args: int,
        dtype: str | None = None,
        **options: str,
    ) -> keras.KerasTensor:
        x = convolution(*args, use_bias=not normalized, dtype=dtype, **options)(x)
        if normalized:
            x = layers.BatchNormalization(synchronized=synchronized, dtype=dtype)(x)
        return layers.ReLU(dtype=dtype)(x)

    def conv(x: keras.KerasTensor, filters: int, padding: str = "valid") -> keras.KerasTensor:
        return activated(x, layers.Conv2D, filters, 3, padding=padding)

    def transposed_conv(x: keras.KerasTensor, filters: int, padding: str = "valid") -> keras.KerasTensor:
        return activated(x, layers.Conv2DTranspose, filters, 3, padding=padding)

    def joined(x: keras.KerasTensor, skip: keras.KerasTensor) -> keras.KerasTensor:
        return layers.Concatenate()([layers.UpSampling2D()(x), skip])

    image = keras.Input((image_size, image_size, 3), name="image")

    x = conv(image, 64)  # 126
    skip_64 = conv(x, 64)  # 124
    x = layers.MaxPooling2D()(skip_64)  # 62
    x = conv(x, 128)  # 60
    skip_128 = conv(x, 128, "same")  # 60
    x = layers.MaxPooling2D()(skip_128)  # 30
    x = conv(x, 256)  # 28
    skip_256 = conv(x, 256)  # 26
    x = layers.MaxPooling2D()(skip_256)  # 13

    x = conv(x, 512)  # 11

    x = transposed_conv(x, 256)  # 13
    x = joined(x, skip_256)  # 26
    x = transposed_conv(x, 256)  # 28
    x = transposed_conv(x, 128)  # 30
    x = joined(x, skip_128)  # 60
    x = transposed_conv(x, 128, "same")  # 60
    x = transposed_conv(x, 64)  # 62
    x = joined(x, skip_64)  # 124
    x = transposed_conv(x, 64)  # 126
    x = transposed_conv(x, 64)  # 128
    logits = activated(x, layers.Conv2D, num_classes, 1, name="logits", dtype="float32")
    return keras.Model(image, logits, name="blog_bn" if normalized else "blog")
