"""Pictures of suspects: image, given mask and the model's mask, as files."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from components.suspect_finder.predictions import ExportedNetwork, PredictedBatch
from components.suspect_finder.suspects import PICTURES_DIRECTORY, Suspect, picture_names
from trainer_module import features
from trainer_module.encoded_images import upright_image
from trainer_module.model_card import mask_image

_SIDE: Final = 320
_JPEG_QUALITY: Final = 85


def write_pictures(
    network: ExportedNetwork, files: Mapping[str, Sequence[str]], suspects: Sequence[Suspect], directory: str
) -> None:
    """Writes three pictures of each suspect, of no more than 320 pixels a side, under the names of `picture_names`.

    Args:
      network: The trained model.
      files: Split to its TFRecord files, gzipped.
      suspects: In the order of their ranks.
      directory: Where `PICTURES_DIRECTORY` is made.
    """
    ranks = {(suspect.split, suspect.example_id): rank for rank, suspect in enumerate(suspects, 1)}
    pictures = f"{directory}/{PICTURES_DIRECTORY}"
    tf.io.gfile.makedirs(pictures)
    for split in sorted({suspect.split for suspect in suspects}):
        for record in tf.data.TFRecordDataset(list(files[split]), compression_type="GZIP").as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            example_id = feature[features.EXAMPLE_ID].bytes_list.value[0].decode()
            if rank := ranks.get((split, example_id)):
                image = feature[features.IMAGE].bytes_list.value[0]
                _draw(image, network.predict([record]), len(network.card.class_names), pictures, rank)


def _draw(image: bytes, answer: PredictedBatch, num_classes: int, directory: str, rank: int) -> None:
    photo = upright_image(image)
    photo.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    masks = (answer.class_ids[0], answer.probabilities[0].argmax(axis=-1).astype(np.uint8))
    image_name, *mask_names = picture_names(rank)
    _write(photo, f"{directory}/{image_name}", "JPEG", quality=_JPEG_QUALITY)
    for mask, name in zip(masks, mask_names, strict=True):
        _write(mask_image(_resized(mask, photo.size), num_classes), f"{directory}/{name}", "PNG")


def _resized(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Returns a mask at another size (width, height), without values that it has not."""
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def _write(image: Image.Image, file: str, kind: str, **options: Any) -> None:
    content = io.BytesIO()
    image.save(content, kind, **options)
    with tf.io.gfile.GFile(file, "wb") as opened:
        opened.write(content.getvalue())
