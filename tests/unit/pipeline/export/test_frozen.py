"""The frozen form answers as the original does, through the loaders of TensorFlow Serving and of TensorFlow 2."""

import collections

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from components.model_probe.checks import SessionModel
from pipeline.export.forms import write_frozen
from pipeline.models.loading import Original, ServedModel
from pipeline.serving.model import LoadedModel

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def frozen(exported, tmp_path_factory):
    directory = tmp_path_factory.mktemp("frozen") / "1"
    write_frozen(Original.load(exported), directory)
    return directory


@pytest.fixture(scope="module")
def both(exported, frozen):
    return SessionModel.load(exported), SessionModel.load(str(frozen))


@pytest.mark.parametrize("times", [1, 12])
def test_signatures_answer_the_same_in_one_piece_and_in_several(both, raw_examples, times):
    images = [raw.encoded_image for raw in raw_examples] * times
    expected, found = (model.call("serving_default", images) for model in both)
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=1e-5)
    assert (found["mask"] != expected["mask"]).mean() < 0.001
    assert found["mask_png_bytes"].shape == (6 * times,)
    prepared = np.random.default_rng(0).normal(size=(3 * times, 16, 16, 3)).astype(np.float32)
    expected, found = (model.call("tensor", prepared) for model in both)
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=1e-5)


def test_it_is_evaluated_as_the_original(both, raw_examples):
    expected, found = (model.call("evaluation", [raw.serialized() for raw in raw_examples]) for model in both)
    assert set(found) == set(expected)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-5)
    assert np.abs(found["confusion_matrix"] - expected["confusion_matrix"]).sum() <= 4


def test_there_are_no_variables_and_each_weight_is_there_once(frozen):
    graph = saved_model_pb2.SavedModel.FromString((frozen / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    kinds = collections.Counter(node.op for node in nodes)
    assert kinds["VarHandleOp"] == kinds["ReadVariableOp"] == kinds["VariableV2"] == 0
    shapes = [tf.make_ndarray(node.attr["value"].tensor).shape for node in nodes if node.op == "Const"]
    assert shapes.count((3, 3, 3, 8)) == 1
    assert not any((frozen / "variables").iterdir())


def test_an_unreadable_image_is_refused_by_its_index(both, raw_examples):
    with pytest.raises(tf.errors.InvalidArgumentError, match="image 1 of the batch is no readable JPEG or PNG"):
        both[1].call("serving_default", [raw_examples[0].encoded_image, b"no image"])


def test_tensorflow_2_loads_it(exported, frozen, raw_examples):
    masks = [
        ServedModel.load(directory).predict(raw_examples[0].encoded_image, "x") for directory in (exported, str(frozen))
    ]
    assert (masks[0] == masks[1]).mean() > 0.99


def test_the_local_server_sees_the_same_signatures(exported, frozen, raw_examples):
    original, found = LoadedModel(exported, 7), LoadedModel(str(frozen), 1)
    assert found.signatures == original.signatures
    images = np.array([raw.encoded_image for raw in raw_examples], object)
    answers = [model.run("serving_default", {"image": images})["probabilities"] for model in (original, found)]
    np.testing.assert_allclose(*answers, atol=1e-5)
