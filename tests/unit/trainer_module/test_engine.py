"""Precision, XLA and steps per execution: the training is the same, to the bit or to rounding."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_training import EPOCHS, STEPS, fn_args, plain_network, result, train_until

from trainer_module import checkpoints, networks, resumption, trainer
from trainer_module.checkpoints import Checkpoint
from trainer_module.config import TrainerConfig
from trainer_module.distribution import check_compilation
from trainer_module.errors import ConfigError
from trainer_module.optimization import dtype_policy

pytestmark = pytest.mark.slow


def numbers(history):
    return np.array([list(epoch.values()) for epoch in history])


def train_until_killed(args, executions, monkeypatch, tmp_path):
    """Trains until the n-th end of an execution; returns the checkpoint that is left."""
    monkeypatch.setenv(checkpoints.CHECKPOINT_DIR_VARIABLE, str(tmp_path / "checkpoints"))
    monkeypatch.setattr(resumption, "_SECONDS_BETWEEN_CHECKPOINTS", 0)
    train_until(args, resumption.Resumption, "on_train_batch_end", executions, after=True)
    [file] = (tmp_path / "checkpoints").rglob("*.npz")
    return Checkpoint.from_bytes(file.read_bytes())


@pytest.mark.usefixtures("tiny_unet", "weights_alone")
@pytest.mark.parametrize("steps", [2, STEPS, STEPS + 2])
def test_any_number_of_steps_per_execution_gives_the_same_training(steps, data, unbroken, tmp_path):
    trainer.run_fn(fn_args(data, tmp_path, steps_per_execution=steps))
    assert result(tmp_path) == result(unbroken)


@pytest.mark.usefixtures("tiny_unet", "weights_alone")
def test_executions_of_several_steps_are_resumed_between_them(data, unbroken, tmp_path, monkeypatch):
    """After the first execution of the second epoch; and, resumed there, after the second, which is the last."""
    args = fn_args(data, tmp_path / "run", steps_per_execution=2)
    for executions, step in ((3, 2), (2, STEPS)):
        left = train_until_killed(args, executions, monkeypatch, tmp_path)
        assert (left.position.epoch, left.position.step) == (1, step)
    trainer.run_fn(args)
    assert result(tmp_path / "run") == result(unbroken)


@pytest.mark.usefixtures("weights_alone")
def test_xla_gives_the_same_training_to_rounding(data, tmp_path, monkeypatch):
    monkeypatch.setitem(networks.MODELS, "unet", plain_network)  # XLA draws other random numbers
    traced = []
    function = tf.function

    def noted(*args, jit_compile=None, **kwargs):
        if args and args[0].__name__ == "one_step_on_data":
            traced.append(jit_compile)
        return function(*args, jit_compile=jit_compile, **kwargs)

    monkeypatch.setattr(tf, "function", noted)
    trainer.run_fn(fn_args(data, tmp_path / "xla", xla=True))
    assert set(traced) == {True}
    traced.clear()
    trainer.run_fn(fn_args(data, tmp_path / "plain"))
    assert set(traced) == {False}
    np.testing.assert_allclose(
        numbers(result(tmp_path / "xla")[0]), numbers(result(tmp_path / "plain")[0]), rtol=1e-3, atol=1e-3
    )


def test_xla_on_several_replicas_is_refused():
    check_compilation(True, 1)
    check_compilation(False, 2)
    with pytest.raises(ConfigError, match=r"trainer.xla is true, but the training has 2 replicas"):
        check_compilation(True, 2)
    with pytest.raises(ValueError, match="one replica only"):
        TrainerConfig(xla=True, gpus=2)


def skip_where_refused(precision):
    """Skips where oneDNN is held to older instructions: TensorFlow asks the processor what it can, and not oneDNN."""
    dtype = precision.removeprefix("mixed_")
    try:
        tf.nn.conv2d(tf.zeros((1, 4, 4, 1), dtype), tf.zeros((3, 3, 1, 1), dtype), 1, "SAME")
    except tf.errors.AbortedError as error:
        pytest.skip(f"oneDNN refuses {dtype}: {error.message}")


@pytest.mark.usefixtures("tiny_unet")
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_learns_the_same_and_exports_float32(precision, data, unbroken, tmp_path, caplog):
    skip_where_refused(precision)
    before = keras.config.dtype_policy().name
    trainer.run_fn(fn_args(data, tmp_path, precision=precision))
    assert keras.config.dtype_policy().name == before
    assert f"trainer.precision is {precision}, but the training runs on a CPU" in caplog.text
    (history, _), (plain, _) = result(tmp_path), result(unbroken)
    assert history != plain, "it was not computed in 16 bits"
    for name in ("loss", "accuracy"):  # so early, moving averages of the normalization leave the eval split in the wild
        found, wanted = ([epoch[name] for epoch in epochs] for epochs in (history, plain))
        np.testing.assert_allclose(found, wanted, rtol=0.1)
    model = tf.saved_model.load(str(tmp_path / "model"))
    nodes = [node for function in model.evaluation.concrete_functions for node in _nodes(function)]
    assert any(node.op == "Conv2D" for node in nodes)
    half = {tf.float16.as_datatype_enum, tf.bfloat16.as_datatype_enum}
    assert not [node.name for node in nodes if node.attr["T"].type in half]


def _nodes(function):
    graph = function.graph.as_graph_def()
    return [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]


@pytest.mark.usefixtures("tiny_unet", "weights_alone")
def test_the_scale_of_the_loss_is_resumed(data, tmp_path, monkeypatch):
    settings = {"precision": "mixed_float16"}
    skip_where_refused(settings["precision"])
    trainer.run_fn(fn_args(data, tmp_path / "unbroken", **settings))
    args = fn_args(data, tmp_path / "run", **settings)
    left = train_until_killed(args, STEPS + 1, monkeypatch, tmp_path)
    trainer.run_fn(args)
    assert 2.0**15 in [float(array) for array in left.optimizer if array.shape == ()]
    assert result(tmp_path / "run") == result(tmp_path / "unbroken")


@pytest.mark.parametrize("name", networks.MODELS)
def test_logits_and_weights_of_every_variant_stay_float32(name):
    with dtype_policy("mixed_float16"):
        network = networks.build_model(name, 64, 3)
    assert network.output.dtype == "float32"
    assert {weight.dtype for weight in network.weights} == {"float32"}
    assert "float16" in {layer.compute_dtype for layer in network.layers}
    assert len(network.weights) > EPOCHS


def test_learning_rate_and_images_per_second_are_in_the_history(unbroken):
    epochs = json.loads((unbroken / "history.json").read_text())["epochs"]
    assert [epoch["learning_rate"] for epoch in epochs] == pytest.approx([0.01, 0.005, 0])
    assert all(epoch["images_per_second"] > 0 for epoch in epochs)
