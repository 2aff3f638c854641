"""The requests that TensorFlow Serving plays when it loads a model, so that the first user does not wait."""

from typing import Final

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from trainer_module import features

BATCH_SIZES: Final = (1, 8)
"""One image at a time, and a batch as a server gathers them: each size is planned for anew on a GPU."""

_HEIGHT, _WIDTH = 375, 500
_RADIUS: Final = 120


def write_warmup_requests(file: str) -> None:
    """Writes requests of several batch sizes as a TFRecord of `PredictionLog`, in the way TensorFlow Serving reads."""
    with tf.io.TFRecordWriter(file) as writer:
        for size in BATCH_SIZES:
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = features.SERVING_SIGNATURE
            request.inputs[features.IMAGE].CopyFrom(tf.make_tensor_proto([drawn_image()] * size))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())


def drawn_image() -> bytes:
    """Returns a JPEG of 500×375 pixels: a bright disc before a gradient."""
    row, column = np.mgrid[:_HEIGHT, :_WIDTH]
    pixels = np.stack([row * 255 // _HEIGHT, column * 255 // _WIDTH, np.full_like(row, 90)], axis=-1)
    pixels[np.hypot(row - _HEIGHT / 2, column - _WIDTH / 2) < _RADIUS] = (250, 240, 220)
    encoded: bytes = tf.io.encode_jpeg(pixels.astype(np.uint8)).numpy()
    return encoded
