"""The TFMA metric sums to what NumPy computes over all examples, and the gate's configuration says what was meant."""

import numpy as np
import pytest
from tensorflow_model_analysis import utils
from tensorflow_model_analysis.metrics import metric_specs, metric_types

from components.segmentation_evaluation.metric import eval_config
from trainer_module import features
from trainer_module.segmentation_metrics import segmentation_metrics

NAMES = ("pet", "background", "border")


@pytest.fixture
def config():
    config = eval_config(NAMES, {"accuracy": (0.8, None), "loss": (None, 0.5)}, ["species"], "digest")
    return utils.update_eval_config_with_defaults(config, has_baseline=False, rubber_stamp=True)


def _combiner(config):
    computations = metric_specs.to_computations(config.metrics_specs, eval_config=config)
    return next(c.combiner for c in computations if "accuracy" in {key.name for key in c.keys})


def _inputs(matrix, loss):
    predictions = {features.CONFUSION_MATRIX: matrix.reshape(-1), features.LOSS: np.array(loss)}
    return metric_types.StandardMetricInputs(prediction=predictions)


def test_sum_over_merged_parts_equals_numpy(config):
    rng = np.random.default_rng(0)
    matrices, losses = rng.integers(0, 1000, (7, 3, 3)), rng.random(7)
    combiner = _combiner(config)
    parts = [combiner.create_accumulator() for _ in range(3)]
    for index, (matrix, loss) in enumerate(zip(matrices, losses, strict=True)):
        parts[index % 2] = combiner.add_input(parts[index % 2], _inputs(matrix, loss))
    result = combiner.extract_output(combiner.merge_accumulators(parts))
    expected = segmentation_metrics(matrices.sum(axis=0), losses.mean(), NAMES)
    assert {key.name: value for key, value in result.items()} == pytest.approx(expected)


def test_no_example_gives_no_metric(config):
    combiner = _combiner(config)
    assert combiner.extract_output(combiner.create_accumulator()) == {}


def test_every_bound_is_looked_up_under_the_key_of_a_metric(config):
    computations = metric_specs.to_computations(config.metrics_specs, eval_config=config)
    computed = {key for computation in computations for key in computation.keys}
    thresholds = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    assert {key.name for key in thresholds} == {"accuracy", "loss"}
    assert set(thresholds) <= computed


def test_bounds_hold_for_all_examples_together_not_for_each_slice(config):
    thresholds = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    for sliced_bounds in thresholds.values():
        ((slicing_spec, _),) = sliced_bounds
        assert slicing_spec is not None, "without a slicing spec TFMA applies the bound to every slice"
        assert not slicing_spec.feature_keys
