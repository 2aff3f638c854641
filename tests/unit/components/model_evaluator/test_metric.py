"""The TFMA metric is what its sums are, of one model or of two."""

import numpy as np
import pytest
from tensorflow_model_analysis import utils
from tensorflow_model_analysis.metrics import metric_specs, metric_types

from components.model_evaluator.metric import eval_config
from components.model_evaluator.sums import DISTRIBUTIONS, EvaluationSums
from trainer_module import features
from trainer_module.errors import ModelError
from trainer_module.segmentation_metrics import difference_names, metric_names

NAMES = ("pet", "background", "border")
CANDIDATE, BASELINE = "candidate", "baseline"


def make_config(*, has_baseline: bool = False):
    config = eval_config(NAMES, 10, ["species"], "digest")
    return utils.update_eval_config_with_defaults(config, has_baseline=has_baseline, rubber_stamp=True)


@pytest.fixture
def config():
    return make_config()


def make_outputs(example_id: int, right: float) -> dict[str, np.ndarray]:
    """One example of 100 pixels, of which about the share `right` is."""
    rng = np.random.default_rng(example_id)
    true = rng.integers(0, 3, 100)
    predicted = np.where(rng.random(100) < right, true, rng.integers(0, 3, 100))
    bins = np.bincount(rng.integers(0, 15, 100), minlength=15)
    return {
        features.CONFUSION_MATRIX: np.bincount(true * 3 + predicted, minlength=9),
        features.LOSS: np.array(rng.random(), np.float32),
        features.EXAMPLE_FINGERPRINT: np.array(example_id),
        features.BOUNDARY_INTERSECTION: np.array([1, 2, 3]),
        features.BOUNDARY_UNION: np.array([4, 4, 4]),
        features.CALIBRATION_PIXELS: bins,
        features.CALIBRATION_CONFIDENCE: bins * 0.5,
        features.CALIBRATION_CORRECT: bins // 2,
    }


def run(config, inputs: list[dict], parts: int = 3) -> dict[metric_types.MetricKey, object]:
    """Does what TFMA does on one slice: combines in parts, merges, then derives."""
    computations = metric_specs.to_computations(config.metrics_specs, eval_config=config)
    results: dict[metric_types.MetricKey, object] = {}
    for computation in computations:
        names = {key.name for key in computation.keys}
        if "accuracy" in names:
            combiner = computation.combiner
            accumulators = [combiner.create_accumulator() for _ in range(parts)]
            for index, prediction in enumerate(inputs):
                element = metric_types.StandardMetricInputs(prediction=prediction)
                accumulators[index % parts] = combiner.add_input(accumulators[index % parts], element)
            results |= combiner.extract_output(combiner.merge_accumulators(accumulators))
            assert set(results) >= set(computation.keys) or not inputs
        elif isinstance(computation, metric_types.DerivedMetricComputation):
            results |= computation.result(results)
    return results


def test_merged_parts_are_the_sums_of_all(config):
    examples = [make_outputs(number, 0.7) for number in range(7)]
    sums = EvaluationSums(3)
    for outputs in examples:
        sums.add(outputs)
    results = {key.name: value for key, value in run(config, examples).items()}
    assert {name: results[name] for name in metric_names(NAMES)} == pytest.approx(sums.metrics(NAMES, 100))
    for name in DISTRIBUTIONS:
        np.testing.assert_allclose(results[name], sums.distributions()[name])
    assert all(name.startswith("_") for name in set(results) - {*metric_names(NAMES), *DISTRIBUTIONS})


def test_no_example_gives_no_metric(config):
    assert run(config, []) == {}
    assert run(make_config(has_baseline=True), []) == {}


def test_model_without_the_outputs_is_refused(config):
    with pytest.raises(ModelError, match="the model was exported by another version of petseg"):
        run(config, [{features.CONFUSION_MATRIX: np.ones(9), features.LOSS: np.array(0.1)}])


def test_two_models_have_keys_of_their_own_and_the_candidate_the_differences():
    examples = [{CANDIDATE: make_outputs(number, 0.9), BASELINE: make_outputs(number, 0.6)} for number in range(40)]
    results = run(make_config(has_baseline=True), examples)
    candidate = {key.name: value for key, value in results.items() if key.model_name == CANDIDATE}
    baseline = {key.name: value for key, value in results.items() if key.model_name == BASELINE}
    assert {key.model_name for key in results} == {CANDIDATE, BASELINE}
    assert set(candidate) - set(baseline) == set(difference_names())
    difference = candidate["accuracy"] - baseline["accuracy"]
    assert candidate["accuracy_difference"] == pytest.approx(difference)
    assert 0 < candidate["accuracy_difference_low"] < difference < candidate["accuracy_difference_high"]
    assert candidate["mean_iou_difference"] == pytest.approx(candidate["mean_iou"] - baseline["mean_iou"])
    for model, values in ((CANDIDATE, candidate), (BASELINE, baseline)):
        alone = {key.name: value for key, value in run(make_config(), [inputs[model] for inputs in examples]).items()}
        names = {*metric_names(NAMES)} - {"labelled_share"}
        assert {name: values[name] for name in names} == pytest.approx({name: alone[name] for name in names})
    assert candidate["labelled_share"] == 1
    assert np.isnan(baseline["labelled_share"]), "of which nobody knows how large its images are"


def test_a_model_does_not_differ_from_itself():
    examples = [dict.fromkeys((CANDIDATE, BASELINE), make_outputs(number, 0.8)) for number in range(9)]
    results = {key.name: value for key, value in run(make_config(has_baseline=True), examples).items()}
    assert {results[name] for name in difference_names()} == {0.0}


@pytest.mark.parametrize("has_baseline", [False, True])
def test_every_metric_that_may_be_bounded_is_computed_of_each_model_and_tfma_decides_nothing(has_baseline):
    config = make_config(has_baseline=has_baseline)
    computations = metric_specs.to_computations(config.metrics_specs, eval_config=config)
    computed = {(key.model_name, key.name) for computation in computations for key in computation.keys}
    models = [CANDIDATE, BASELINE] if has_baseline else [""]
    assert {(model, name) for model in models for name in metric_names(NAMES)} <= computed
    assert not metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
