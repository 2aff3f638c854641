"""What must be true of a model that is served; each check yields a line for everything that is not.

The model is behind the session loader, on which TensorFlow Serving is built, and not behind the one that the rest of
petseg loads models with: what the session loader cannot load cannot be served, and only it notices. It is asked about
images as they come from the world: tiny, narrow, of any colour model; and about files that are none.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

from trainer_module import features
from trainer_module.encoded_images import UNREADABLE, read_header
from trainer_module.model_card import ModelCard

TOLERANCE: Final = 1e-5
"""Of probabilities that ought to be the same, and of their sum."""

_COLOR: Final = (200, 120, 40)

_Answers = Mapping[str, NDArray[Any]]


class SessionModel:
    """A loaded SavedModel, and the specification of its signatures."""

    def __init__(self, session: tf.compat.v1.Session, signatures: Any) -> None:
        self._session = session
        self.signatures = signatures

    @classmethod
    def load(cls, directory: str) -> Self:
        """Loads a SavedModel; raises whatever TensorFlow raises where that cannot be."""
        session = tf.compat.v1.Session(graph=tf.Graph())
        with session.graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], directory)
        return cls(session, meta_graph.signature_def)

    def call(self, signature: str, values: Any) -> dict[str, NDArray[Any]]:
        """Returns the outputs of a signature that has one input, by name.

        Raises:
          InvalidArgumentError: The model refuses the input.
        """
        specification = self.signatures[signature]
        [placeholder] = (info.name for info in specification.inputs.values())
        outputs = {name: info.name for name, info in specification.outputs.items()}
        answers: dict[str, NDArray[Any]] = self._session.run(outputs, {placeholder: np.asarray(values)})
        return answers


def check_signatures(model: SessionModel, card: ModelCard) -> Iterator[str]:
    """The signatures are there, with inputs and outputs of the types and shapes that clients count on."""
    size = card.image_size
    encoded, prepared = (tf.string, [-1]), (tf.float32, [-1, size, size, 3])  # -1 is the batch
    of_prepared = {
        features.PROBABILITIES: (tf.float32, [-1, size, size, len(card.class_names)]),
        features.MASK: (tf.uint8, [-1, size, size]),
    }
    of_encoded = {**of_prepared, features.MASK_PNG: (tf.string, [-1])}
    for name, image, outputs in (
        (features.SERVING_SIGNATURE, encoded, of_encoded),
        (features.TENSOR_SIGNATURE, prepared, of_prepared),
    ):
        if name not in model.signatures:
            yield f"there is no signature {name!r}"
            continue
        signature = model.signatures[name]
        yield from _compare(f"the input of {name!r}", signature.inputs, {features.IMAGE: image})
        yield from _compare(f"the output of {name!r}", signature.outputs, outputs)


def check_warmup(model: SessionModel, file: str) -> Iterator[str]:
    """The requests that the model brings along, if any, can be answered: TensorFlow Serving refuses it otherwise."""
    if not Path(file).is_file():
        return
    for index, record in enumerate(tf.data.TFRecordDataset(file).as_numpy_iterator()):
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        try:
            images = tf.make_ndarray(request.inputs[features.IMAGE])
            model.call(request.model_spec.signature_name, images)
        except Exception as error:  # noqa: BLE001 (whatever TensorFlow raises)
            yield f"warm-up request {index} fails: {first_line(error)}"


def check_odd_images(model: SessionModel, card: ModelCard) -> Iterator[str]:
    """Images of any size and colour model are answered, alone and together."""
    images = odd_images()
    for name, image in images.items():
        try:
            answers = model.call(features.SERVING_SIGNATURE, [image])
        except tf.errors.OpError as error:
            yield f"{name} is not answered: {first_line(error)}"
        else:
            yield from _check_answers(name, answers, [image], card)
    try:
        answers = model.call(features.SERVING_SIGNATURE, list(images.values()))
    except tf.errors.OpError as error:
        yield f"a batch of images of different sizes is not answered: {first_line(error)}"
    else:
        yield from _check_answers("a batch of images of different sizes", answers, list(images.values()), card)


def check_unreadable_images(model: SessionModel) -> Iterator[str]:
    """What is no image is refused with a message that has its index; the next request is answered as if nothing was."""
    good = next(iter(odd_images().values()))
    for name, image in unreadable_images().items():
        try:
            model.call(features.SERVING_SIGNATURE, [good, image])
        except tf.errors.InvalidArgumentError as error:
            if f"image 1 of the batch {UNREADABLE}" not in str(error):
                yield f"{name} is refused without saying which image it is: {first_line(error)}"
        except tf.errors.OpError as error:
            yield f"{name} fails as {type(error).__name__}, not as an invalid argument: {first_line(error)}"
        else:
            yield f"{name} is answered like an image"
    try:
        model.call(features.SERVING_SIGNATURE, [good])
    except tf.errors.OpError as error:
        yield f"after a request that is refused, the next one fails: {first_line(error)}"


def check_real_images(model: SessionModel, images: Sequence[bytes], names: Sequence[str]) -> Iterator[str]:
    """Images that the model was evaluated on are answered; what is not answered could not be sent to it either."""
    for image, name in zip(images, names, strict=True):
        try:
            model.call(features.SERVING_SIGNATURE, [image])
        except tf.errors.OpError as error:
            reason = str(error).partition("of the batch ")[2].partition("]")[0] or first_line(error)
            yield f"the image {name!r} ({len(image)} bytes) of the evaluated split is not answered: {reason}"


def compare_paths(
    model: SessionModel, images: Sequence[bytes], prepared: NDArray[np.float32]
) -> tuple[float, list[str]]:
    """Compares the answers to encoded images with those to the same images, prepared as for the training.

    Args:
      model: The model.
      images: Encoded.
      prepared: [images, image_size, image_size, 3], what the transform graph and the normalization make of them.

    Returns:
      The largest difference between two probabilities, and a line where that is too much.
    """
    served = model.call(features.SERVING_SIGNATURE, list(images))
    trained = model.call(features.TENSOR_SIGNATURE, prepared)
    difference = float(np.abs(served[features.PROBABILITIES] - trained[features.PROBABILITIES]).max())
    ordered = np.sort(trained[features.PROBABILITIES], axis=-1)
    sure = ordered[..., -1] - ordered[..., -2] > 2 * TOLERANCE
    wrong = (served[features.MASK] != trained[features.PROBABILITIES].argmax(-1)) & sure
    # NaN is no agreement either.
    if difference <= TOLERANCE and not wrong.any():
        return difference, []
    return difference, [
        f"serving prepares images in another way than training: probabilities differ by up to {difference:.2g} "
        f"(allowed: {TOLERANCE:g}), and {int(wrong.sum())} pixels have another class"
    ]


def first_line(error: Exception) -> str:
    """Returns an error's first line, with its kind."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def odd_images() -> dict[str, bytes]:
    """Returns encoded images that a model must answer, by what they are."""
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "a PNG of 1×1 pixels": _encoded("RGB", (1, 1), "PNG"),
        "a PNG of 1×500 pixels": _encoded("RGB", (1, 500), "PNG"),
        "a JPEG of 3000×20 pixels": _encoded("RGB", (3000, 20), "JPEG"),
        "a grayscale JPEG": _encoded("L", (90, 60), "JPEG"),
        "a CMYK JPEG": _encoded("CMYK", (80, 60), "JPEG"),
        "an RGBA PNG": _encoded("RGBA", (60, 90), "PNG"),
        "a PNG of gray with alpha": _encoded("LA", (60, 90), "PNG"),
        "a PNG of 16 bits": _encoded("I;16", (60, 90), "PNG"),
        "a palette PNG": _encoded("P", (70, 50), "PNG"),
        "a progressive JPEG": _encoded("RGB", (80, 60), "JPEG", progressive=True),
        "a JPEG of a camera that was turned": _encoded("RGB", (80, 60), "JPEG", exif=turned),
    }


def unreadable_images() -> dict[str, bytes]:
    """Returns what a model must refuse, by what it is."""
    photo = _encoded("RGB", (90, 60), "JPEG")
    return {
        "an empty file": b"",
        "a text": b"no image",
        "half a JPEG": photo[: len(photo) // 2],
        "half a PNG": _encoded("RGB", (90, 60), "PNG")[:60],
        "a GIF": _encoded("RGB", (90, 60), "GIF"),
        "a BMP": _encoded("RGB", (90, 60), "BMP"),
    }


def _compare(what: str, found: Mapping[str, Any], expected: Mapping[str, tuple[Any, list[int]]]) -> Iterator[str]:
    described = {
        name: (tf.as_dtype(info.dtype), [dimension.size for dimension in info.tensor_shape.dim])
        for name, info in found.items()
    }
    if described != dict(expected):
        yield f"{what} is {_in_words(described)}; expected {_in_words(expected)}"


def _in_words(tensors: Mapping[str, tuple[Any, list[int]]]) -> str:
    return ", ".join(f"{name} {dtype.name} {shape}" for name, (dtype, shape) in sorted(tensors.items())) or "nothing"


def _check_answers(what: str, answers: _Answers, images: Sequence[bytes], card: ModelCard) -> Iterator[str]:
    probabilities, mask = answers[features.PROBABILITIES], answers[features.MASK]
    if not np.isfinite(probabilities).all() or (np.abs(probabilities.sum(-1, dtype=np.float64) - 1) > TOLERANCE).any():
        yield f"{what}: the probabilities do not sum to 1"
    if len(mask) != len(images) or (mask >= len(card.class_names)).any():
        yield f"{what}: the mask has {len(mask)} images, or class ids that are none"
    for image, png in zip(images, answers[features.MASK_PNG], strict=True):
        header = read_header(image)
        size = header.size if card.turns_images else (header.width, header.height)
        with Image.open(io.BytesIO(png)) as answered:
            if answered.size != size or answered.mode != "L":
                yield f"{what}: the mask is {answered.mode} {answered.size}, the image has {size}"
            elif np.asarray(answered).max() >= len(card.class_names):
                yield f"{what}: the PNG has class ids up to {np.asarray(answered).max()}"


def _encoded(mode: str, size: tuple[int, int], encoding: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, _COLOR).convert(mode).save(file, encoding, **options)
    return file.getvalue()
