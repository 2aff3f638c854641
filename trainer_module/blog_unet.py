"""The U-Net of the blog post, in plain Keras 3 layers, as published and with batch normalization."""

import keras
from keras import layers


def blog_unet(
    image_size: int, num_classes: int, *, normalized: bool = False, synchronized: bool = False
) -> keras.Model:
    """Builds the network of the blog post, exactly: 5,460,163 parameters for three classes at any size.

    Unpadded convolutions shrink the encoder's maps and transposed ones grow the decoder's back to the same sizes. The
    logits pass a ReLU, as published. Shapes in the comments are those of image_size 128.

    Args:
      image_size: Side of the square input, in pixels: a multiple of 8 from 48 on.
      num_classes: Number of classes.
      normalized: Whether batch normalization comes before each ReLU, the logits' too, in place of the bias.
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
