"""What training counts, against the definitions of the evaluation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer_module.config import TrainerConfig
from trainer_module.features import NOT_LABELLED
from trainer_module.losses import training_loss
from trainer_module.segmentation_metrics import segmentation_metrics
from trainer_module.trained_model import TrainedModel


def identity_model():
    """Answers its input: three channels are three logits."""
    image = keras.Input((5, 5, 4))
    network = keras.Model(image, keras.layers.Activation("linear")(image))
    loss = training_loss(TrainerConfig())
    return TrainedModel(network, tf.distribute.get_strategy(), keras.optimizers.SGD(0.1), loss)


@pytest.mark.parametrize("absent", [None, 3], ids=["all classes", "a class in neither truth nor prediction"])
@pytest.mark.parametrize("unlabelled", [False, True], ids=["all labelled", "partly labelled"])
def test_mean_iou_and_accuracy_are_those_of_the_evaluation(absent, unlabelled):
    """In batches of three, of which the second has no label."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(7, 5, 5, 4)).astype(np.float32)
    class_ids = rng.integers(0, 4, (7, 5, 5))
    if absent is not None:
        class_ids[class_ids == absent] = 0
        logits[..., absent] = -100
    if unlabelled:
        class_ids[3:6] = class_ids[0, :2] = class_ids[6, :, 4] = NOT_LABELLED
    found = identity_model().evaluate(
        tf.data.Dataset.from_tensor_slices((logits, class_ids)).batch(3), return_dict=True
    )
    matrix = np.zeros((4, 4), np.int64)
    known = class_ids != NOT_LABELLED
    np.add.at(matrix, (class_ids[known], logits.argmax(-1)[known]), 1)
    expected = segmentation_metrics(matrix, 0.0, ("a", "b", "c", "d"))
    assert found["mean_iou"] == pytest.approx(expected["mean_iou"], abs=1e-6)
    assert found["accuracy"] == pytest.approx(expected["accuracy"], abs=1e-6)
    assert np.isfinite(found["loss"])
