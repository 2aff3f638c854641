"""A tiny SavedModel with the signatures of an exported one, made in a second; its classes follow from the colours."""

import io
import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from trainer_module.decoding import decode_image

SIZE = 16
CLASS_NAMES = ["pet", "background", "border"]
CARD = {"class_names": CLASS_NAMES, "mask_values": [1, 2, 3], "image_size": SIZE}


class ColorModel(tf.Module):
    """Says class 0 of red, 1 of green, 2 of blue pixels; `shift` turns the classes round."""

    def __init__(self, shift: int, size: int, turns_images: bool = True) -> None:
        super().__init__()
        kernel = np.roll(np.eye(3, dtype=np.float32), shift, axis=1)
        self.kernel = tf.Variable(10 * kernel.reshape(1, 1, 3, 3))
        self.size = size
        self.turns_images = turns_images

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image")])
    def serving_default(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        def prepared(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            encoded = image[index]
            # The end of a PNG or JPEG; a file that is cut off has none.
            whole = tf.strings.regex_full_match(
                tf.io.encode_base64(tf.strings.substr(encoded, -8, 8)), "SUVORK5CYII|.*_9k"
            )
            told = tf.strings.join(["image ", tf.strings.as_string(index), " of the batch is no readable JPEG or PNG"])
            with tf.control_dependencies([tf.debugging.Assert(whole, [told])]):
                stored = tf.io.decode_image(encoded, channels=3, expand_animations=False)
                decoded = decode_image(encoded) if self.turns_images else stored
            resized = tf.image.resize(decoded, (self.size, self.size), method="nearest")
            return tf.cast(resized, tf.float32) / 255, tf.shape(decoded)[:2]

        rows = tf.range(tf.shape(image)[0])
        spec = (tf.TensorSpec((self.size, self.size, 3), tf.float32), tf.TensorSpec((2,), tf.int32))
        images, sizes = tf.map_fn(prepared, rows, fn_output_signature=spec)
        outputs = self.tensor(images)

        def png(row: tf.Tensor) -> tf.Tensor:
            return tf.io.encode_png(tf.image.resize(outputs["mask"][row][..., tf.newaxis], sizes[row], "nearest"))

        return {**outputs, "mask_png_bytes": tf.map_fn(png, rows, fn_output_signature=tf.string)}

    @tf.function
    def tensor(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = tf.nn.conv2d(image, self.kernel, 1, "SAME")
        return {"probabilities": tf.nn.softmax(logits), "mask": tf.cast(tf.argmax(logits, -1), tf.uint8)}


def write_model(base: Path, version: int, *, shift: int = 0, size: int = SIZE, turns_images: bool = True) -> Path:
    """Writes a version under a directory of versions, to be seen at once, as a push does.

    Args:
      base: The directory of versions.
      version: Its number.
      shift: How the classes are turned round.
      size: The network's.
      turns_images: Whether it looks at EXIF, as models did not at first.
    """
    model = ColorModel(shift, size, turns_images)
    making = base / f".{version}"
    tensor = model.tensor.get_concrete_function(tf.TensorSpec([None, size, size, 3], tf.float32, name="image"))
    tf.saved_model.save(model, str(making), signatures={"serving_default": model.serving_default, "tensor": tensor})
    (making / "assets.extra").mkdir()
    card = json.dumps(CARD | {"image_size": size} | ({"turns_images": True} if turns_images else {}))
    (making / "assets.extra" / "petseg_model.json").write_text(card)
    return making.rename(base / str(version))


def picture(*colors: str, size: tuple[int, int] = (40, 30), kind: str = "PNG", orientation: int | None = None) -> bytes:
    """Encodes a picture of vertical stripes of equal width; a camera's tag may say how to turn it."""
    image = Image.new("RGB", (len(colors), 1))
    for column, color in enumerate(colors):
        image.putpixel((column, 0), {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}[color])
    file, exif = io.BytesIO(), Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    image.resize(size, Image.Resampling.NEAREST).save(file, kind, exif=exif)
    return file.getvalue()
