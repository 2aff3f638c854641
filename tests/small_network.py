"""A network of two layers in the place of `unet`, for tests in which size proves nothing."""

import keras

from trainer_module import networks


def two_layers(image_size: int, num_classes: int, synchronized: bool = False) -> keras.Model:
    image = keras.Input((image_size, image_size, 3))
    hidden = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    return keras.Model(image, keras.layers.Conv2D(num_classes, 1)(hidden), name="two_layers")


def replace_unet() -> None:
    """Has this process train two layers where it is asked for a U-Net."""
    networks.MODELS["unet"] = two_layers
