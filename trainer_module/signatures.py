"""The exported model: a SavedModel that TensorFlow Serving can run, with its signatures.

Keras 3's own SavedModel cannot be restored by the session loader that TensorFlow Serving uses, and carries the
optimizer. A plain `tf.Module` that holds the weights' variables and the functions can, and is a third of the size.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from trainer_module import features
from trainer_module.config import DataConfig
from trainer_module.flip_averaging import flip_averaged
from trainer_module.losses import example_loss
from trainer_module.model_card import EncoderWeights, class_colors
from trainer_module.preprocessing import decode_image_xf, decode_mask_xf, normalize
from trainer_module.served_images import (
    boundary_counts,
    boundary_width,
    calibration_counts,
    confusion_matrices,
    mask_png,
    readable_sizes,
    write_warmup_requests,
)
from trainer_module.warm_start import weight_names

_MAX_BATCH_SIZE = 32
"""Larger batches pass the network in pieces of this many images: memory does not grow with the request."""


class SegmentationModel(tf.Module):
    """The trained network behind the transform graph.

    Signatures:
      serving_default: `image`, string [batch], encoded JPEG or PNG of any sizes, seen as viewers show them →
        `probabilities`, float32 [batch, image_size, image_size, num_classes]; `mask`, uint8 [batch, image_size,
        image_size]; and `mask_png_bytes`, string [batch], PNGs of class ids at the size of each image.
      tensor: `image`, float32 [batch, image_size, image_size, 3], prepared already → `probabilities` and `mask`.
      evaluation: `examples`, string [batch], serialized raw examples → what the metrics are sums of, by the names in
        `features.EVALUATION_OUTPUTS`: confusion matrix, loss, boundary and calibration counts, and a fingerprint.

    An image that cannot be decoded, or is too large, fails the batch with a message that has its index.

    Beside the signatures, the SavedModel has two functions, which other forms of the model are made of:
      network: prepared images, float32 [batch, image_size, image_size, 3] → logits, float32
        [batch, image_size, image_size, num_classes]. All signatures ask it, and `flip_averaging` gives it another one.
      prepare: raw examples → prepared images and class ids.
    """

    def __init__(
        self,
        model: keras.Model,
        transform_output: tft.TFTransformOutput,
        data: DataConfig,
        *,
        flip_averaging: bool = False,
    ) -> None:
        super().__init__(name="petseg")
        prepared = tf.TensorSpec([None, data.image_size, data.image_size, 3], tf.float32, name=features.IMAGE)

        # Behind a function, the Keras model is not tracked: only its weights are saved.
        def network(image: tf.Tensor) -> tf.Tensor:
            return model(image, training=False)

        self.network = tf.function(flip_averaged(network) if flip_averaging else network, input_signature=[prepared])
        self._data = data
        self._weights = [weight.value for weight in model.weights]
        self._transform = transform_output.transform_features_layer()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image")])
    def serving_default(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers encoded images with probabilities and masks."""
        sizes = readable_sizes(image)
        with tf.control_dependencies([sizes]):
            return _in_batches(self._serve, tf.identity(image), sizes)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def evaluation(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers raw examples with the numbers that all metrics are sums of."""
        return _in_batches(self._evaluate, examples)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def prepare(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns what the network is trained on, of raw examples.

        Args:
          examples: string [batch], serialized.

        Returns:
          `image`, float32 [batch, image_size, image_size, 3]; `segmentation_mask`, the class ids, uint8
          [batch, image_size, image_size]; and what the pixels were normalized with, by the names in `features`.
        """
        return self._prepare(_parsed(examples, features.IMAGE, features.SEGMENTATION_MASK))

    def tensor_function(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns the function that answers prepared images; its input has the size of the network's."""

        @tf.function(input_signature=self.network.input_signature)
        def tensor(image: tf.Tensor) -> dict[str, tf.Tensor]:
            return _in_batches(lambda piece: _answers(self.network(piece)), image)

        return tensor

    def _serve(self, image: tf.Tensor, sizes: tf.Tensor) -> dict[str, tf.Tensor]:
        answers = _answers(self.network(self._image(self._transform({features.IMAGE: image[:, tf.newaxis]}))))
        pngs = tf.map_fn(
            lambda one: mask_png(*one),
            (answers[features.PROBABILITIES], sizes),
            fn_output_signature=tf.TensorSpec([], tf.string),
            parallel_iterations=1,
        )
        return {**answers, features.MASK_PNG: pngs}

    def _evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = _parsed(examples, features.IMAGE, features.SEGMENTATION_MASK, features.EXAMPLE_ID)
        fingerprint = tf.strings.to_hash_bucket_fast(raw.pop(features.EXAMPLE_ID)[:, 0], tf.int64.max)
        prepared = self._prepare(raw)
        class_ids, logits = prepared[features.SEGMENTATION_MASK], self.network(prepared[features.IMAGE])
        predicted = tf.argmax(logits, -1, output_type=tf.int32)
        num_classes = self._data.num_classes
        return {
            features.EXAMPLE_FINGERPRINT: fingerprint,
            features.CONFUSION_MATRIX: confusion_matrices(class_ids, predicted, num_classes),
            features.LOSS: example_loss(class_ids, logits),
            **boundary_counts(class_ids, predicted, num_classes, boundary_width(self._data.image_size)),
            **calibration_counts(class_ids, logits),
        }

    def _prepare(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        transformed = self._transform({name: raw[name] for name in (features.IMAGE, features.SEGMENTATION_MASK)})
        class_ids = tf.map_fn(
            lambda serialized: decode_mask_xf(serialized, self._data.image_size),
            transformed[features.SEGMENTATION_MASK_XF],
            fn_output_signature=tf.uint8,
        )
        normalization = {name: transformed[name] for name in (features.IMAGE_OFFSET_XF, features.IMAGE_SCALE_XF)}
        return {features.IMAGE: self._image(transformed), features.SEGMENTATION_MASK: class_ids, **normalization}

    def _image(self, transformed: Mapping[str, tf.Tensor]) -> tf.Tensor:
        image = tf.map_fn(
            lambda serialized: decode_image_xf(serialized, self._data.image_size),
            transformed[features.IMAGE_XF],
            fn_output_signature=tf.uint8,
        )
        return normalize(image, transformed[features.IMAGE_OFFSET_XF], transformed[features.IMAGE_SCALE_XF])


def _parsed(examples: tf.Tensor, *names: str) -> dict[str, tf.Tensor]:
    """Returns features of serialized raw examples, string [batch, 1] each."""
    parsed: dict[str, tf.Tensor] = tf.io.parse_example(
        examples, {name: tf.io.FixedLenFeature([1], tf.string) for name in names}
    )
    return parsed


def _answers(logits: tf.Tensor) -> dict[str, tf.Tensor]:
    return {
        features.PROBABILITIES: tf.nn.softmax(logits),
        features.MASK: tf.cast(tf.argmax(logits, axis=-1), tf.uint8),
    }


def _in_batches(function: Callable[..., dict[str, tf.Tensor]], *inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    """Applies a function of [batch, …] tensors piece by piece, and concatenates what it returns."""
    size = tf.shape(inputs[0])[0]
    first = function(*(tensor[:_MAX_BATCH_SIZE] for tensor in inputs))

    def next_piece(start: tf.Tensor, done: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        piece = function(*(tensor[start : start + _MAX_BATCH_SIZE] for tensor in inputs))
        return start + _MAX_BATCH_SIZE, {name: tf.concat([done[name], piece[name]], 0) for name in done}

    shapes = {name: tf.TensorShape([None, *tensor.shape[1:]]) for name, tensor in first.items()}
    _, outputs = tf.while_loop(
        lambda start, _: start < size,
        next_piece,
        (tf.constant(_MAX_BATCH_SIZE), first),
        shape_invariants=(tf.TensorShape([]), shapes),
    )
    return outputs


def export_model(
    model: keras.Model,
    transform_output: tft.TFTransformOutput,
    data: DataConfig,
    directory: str,
    encoder: EncoderWeights | None = None,
    *,
    flip_averaging: bool = False,
) -> None:
    """Writes the SavedModel with its signatures, what its outputs mean, and requests to warm it up with.

    Args:
      model: The trained network, from prepared images to logits.
      transform_output: The transform graph.
      data: The settings of the data.
      directory: Where to write.
      encoder: Where the weights of the model's encoder came from, where it has one and that is known.
      flip_averaging: Whether the exported network is `flip_averaged`.
    """
    module = SegmentationModel(model, transform_output, data, flip_averaging=flip_averaging)
    signatures = {
        features.SERVING_SIGNATURE: module.serving_default,
        features.TENSOR_SIGNATURE: module.tensor_function(),
        features.EVALUATION_SIGNATURE: module.evaluation,
    }
    tf.saved_model.save(module, directory, signatures=signatures)
    card: dict[str, Any] = {
        "class_names": data.class_names,
        "class_colors": class_colors(data.num_classes).tolist(),
        "mask_values": data.mask_values,
        "ignore_values": data.ignore_values,
        "image_size": data.image_size,
        "normalization": data.normalization,
        "turns_images": True,
        "flip_averaging": flip_averaging,
        "model": model.name,
        "parameters": model.count_params(),
        "encoder": encoder.model_dump() if encoder else None,
        "weights": weight_names(model),
    }
    assets = f"{directory}/{features.ASSETS_DIRECTORY}"
    tf.io.gfile.makedirs(assets)
    with tf.io.gfile.GFile(f"{assets}/{features.MODEL_CARD_ASSET}", "w") as file:
        json.dump(card, file, indent=2)
    write_warmup_requests(f"{assets}/{features.WARMUP_ASSET}")
