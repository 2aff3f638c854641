"""The first requests of a model, before it serves: TensorFlow is slow at the first call of each signature."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow_serving.apis import prediction_log_pb2

from components.model_pusher.checksums import CHECKSUMS_FILE, differences
from pipeline.serving.loaded_model import InvalidInputError, LoadedModel
from pipeline.serving.sample_pictures import sample_picture
from trainer_module import features
from trainer_module.errors import ModelError


def load_and_warm_up(directory: str, version: int) -> LoadedModel:
    """Returns a version that has answered its warm-up requests, or a drawn picture where it brings none.

    Raises:
      ModelError: Its files are not those that were pushed, it cannot be loaded, or it does not answer.
    """
    if Path(directory, CHECKSUMS_FILE).is_file() and (changes := differences(directory)):
        raise ModelError(f"{directory!r} is not as it was pushed: {'; '.join(changes)}. Push it again.")
    model = LoadedModel(directory, version)
    try:
        for signature, inputs in _warm_up_requests(model):
            model.run(signature, inputs)
    except (InvalidInputError, tf.errors.OpError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the model in {directory!r} does not answer its warm-up requests: {error}") from error
    return model


def _warm_up_requests(model: LoadedModel) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """Yields signature and inputs of each request."""
    file = Path(model.directory, features.ASSETS_DIRECTORY, features.WARMUP_ASSET)
    if not file.is_file():
        image = np.array([sample_picture(0)], object)
        yield features.SERVING_SIGNATURE, {features.IMAGE: image}
        return
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        signature = request.model_spec.signature_name or features.SERVING_SIGNATURE
        if signature in model.signatures:
            yield signature, {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
