"""Sums over examples: the metrics of all of them, whatever their order and grouping, and the bootstrap's intervals."""

import numpy as np
import pytest

from components.model_evaluator.sums import (
    DISTRIBUTIONS,
    REPLICATES,
    EvaluationSums,
    image_statistics,
    replicate_counts,
    replicate_metrics,
    require_outputs,
)
from trainer_module import features
from trainer_module.errors import ModelError
from trainer_module.segmentation_metrics import (
    boundary_metrics,
    expected_calibration_error,
    image_iou_step,
    metric_names,
    segmentation_metrics,
)

NAMES = ("pet", "background", "border")


def make_outputs(seed: int, fingerprint: int | None = None) -> dict[str, np.ndarray]:
    """Random counts of one example of 16×16 pixels, as the evaluation signature returns them."""
    rng = np.random.default_rng(seed)
    pairs = rng.choice(9, 256, p=[0.2, 0.05, 0.05, 0.1, 0.3, 0.1, 0.05, 0.05, 0.1])
    pixels = np.bincount(rng.integers(0, 15, 256), minlength=15)
    return {
        features.CONFUSION_MATRIX: np.bincount(pairs, minlength=9),
        features.LOSS: np.float32(rng.random()),
        features.EXAMPLE_FINGERPRINT: np.int64(rng.integers(2**62) if fingerprint is None else fingerprint),
        features.BOUNDARY_INTERSECTION: rng.integers(0, 20, 3),
        features.BOUNDARY_UNION: rng.integers(20, 40, 3),
        features.CALIBRATION_PIXELS: pixels,
        features.CALIBRATION_CONFIDENCE: pixels * (np.arange(15) + 0.5) / 15,
        features.CALIBRATION_CORRECT: rng.binomial(pixels, 0.7),
    }


def summed(examples: list[dict[str, np.ndarray]]) -> EvaluationSums:
    sums = EvaluationSums(len(NAMES))
    for outputs in examples:
        sums.add(outputs)
    return sums


@pytest.fixture(scope="module")
def examples():
    return [make_outputs(seed) for seed in range(60)]


def test_metrics_are_the_formulas_of_the_sums(examples):
    metrics = summed(examples).metrics(NAMES, 256)
    total = {name: sum(outputs[name] for outputs in examples) for name in examples[0] if name != "example_fingerprint"}
    matrix = total["confusion_matrix"].reshape(3, 3)
    expected = segmentation_metrics(matrix, float(total["loss"]) / 60, NAMES)
    expected |= boundary_metrics(total["boundary_intersection"], total["boundary_union"], NAMES)
    calibration = (total[f"calibration_{name}"] for name in ("pixels", "confidence", "correct"))
    expected["ece"] = expected_calibration_error(*calibration)
    steps = [image_iou_step(outputs["confusion_matrix"].reshape(3, 3)) for outputs in examples]
    expected["image_iou_p50"] = np.quantile(steps, 0.5, method="inverted_cdf") / 1000
    expected |= {"labelled_share": 1, "unlabelled_images": 0}
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert list(metrics) == metric_names(NAMES)


def unlabelled(fingerprint: int) -> dict[str, np.ndarray]:
    """What the signature returns of an example without labelled pixels."""
    return {name: np.zeros_like(array) for name, array in make_outputs(0).items()} | {
        features.EXAMPLE_FINGERPRINT: np.int64(fingerprint)
    }


def test_examples_without_labels_are_counted_and_change_nothing_else(examples):
    known = summed(examples[:5])
    both = EvaluationSums.merged(3, [summed([unlabelled(1), *examples[:2]]), summed([*examples[2:5], unlabelled(2)])])
    assert both.examples == 7
    data = {"labelled_share": 5 / 7, "unlabelled_images": 2}
    assert both.metrics(NAMES, 256) == pytest.approx(known.metrics(NAMES, 256) | data, rel=1e-12)
    for name, array in both.distributions().items():
        np.testing.assert_allclose(array, known.distributions()[name], rtol=1e-12)


@pytest.mark.filterwarnings("error")
def test_of_examples_without_labels_alone_nothing_else_is_known():
    metrics = summed([unlabelled(1), unlabelled(2)]).metrics(NAMES, 256)
    defined = {name: value for name, value in metrics.items() if not np.isnan(value)}
    assert defined == {"labelled_share": 0, "unlabelled_images": 2}


def test_order_and_grouping_change_nothing(examples):
    whole, shuffled = summed(examples), summed([examples[i] for i in np.random.default_rng(0).permutation(60)])
    merged = EvaluationSums.merged(3, [summed(examples[40:]), summed([]), summed(examples[:7]), summed(examples[7:40])])
    for other in (shuffled, merged):
        np.testing.assert_array_equal(other.replicates, whole.replicates)
        assert other.metrics(NAMES, 256) == pytest.approx(whole.metrics(NAMES, 256), rel=1e-12)
        for name, array in other.distributions().items():
            np.testing.assert_allclose(array, whole.distributions()[name], rtol=1e-12)


def test_merging_leaves_the_parts_alone(examples):
    parts = [summed(examples[:3]), summed(examples[3:6])]
    before = [part.metrics(NAMES, 256) for part in parts]
    EvaluationSums.merged(3, parts)
    assert [part.metrics(NAMES, 256) for part in parts] == before


def test_size_is_that_of_no_example(examples):
    def size(sums):
        arrays = [sums.replicates, *sums.distributions().values()]
        return [array.nbytes for array in arrays]

    assert size(summed(examples)) == size(summed([]))


def test_distributions_count_every_pixel_and_image(examples):
    distributions = summed(examples).distributions()
    assert tuple(distributions) == DISTRIBUTIONS
    assert distributions["confusion_matrix"].sum() == 60 * 256
    assert distributions["calibration_pixels"].sum() == 60 * 256
    assert distributions["image_iou_histogram"].sum() == 60
    assert distributions["image_iou_histogram"].shape == (20,)


def test_no_example_has_no_metrics():
    with pytest.raises(ValueError, match="no example"):
        EvaluationSums(3).metrics(NAMES, 256)


def test_model_of_another_version_is_refused_with_what_it_lacks():
    with pytest.raises(ModelError, match=r"^the model in '/m' was exported by another version.*boundary_union.*again"):
        require_outputs(["confusion_matrix", "loss"], "the model in '/m'")
    require_outputs(features.EVALUATION_OUTPUTS, "the model")


def test_replicate_counts_are_poisson_and_follow_from_the_id_alone():
    counts = np.stack([replicate_counts(number) for number in range(400)])
    assert counts.shape == (400, REPLICATES)
    shares = np.bincount(counts.reshape(-1))[:4] / counts.size
    assert shares == pytest.approx([0.3679, 0.3679, 0.1839, 0.0613], abs=0.003)
    assert abs(np.corrcoef(counts)[np.triu_indices(400, 1)].mean()) < 0.002, "images are resampled independently"
    replicate_counts.cache_clear()
    np.testing.assert_array_equal(replicate_counts(399), counts[399])
    assert replicate_counts(2**62)[:12].tolist() == [2, 1, 0, 0, 1, 1, 1, 1, 2, 1, 2, 0]


def test_replicates_are_sums_of_the_images_they_draw(examples):
    sums = summed(examples[:5])
    expected = np.zeros((REPLICATES, 6), int)
    for outputs in examples[:5]:
        statistics = image_statistics(outputs["confusion_matrix"].reshape(3, 3))
        expected += replicate_counts(int(outputs["example_fingerprint"]))[:, np.newaxis] * statistics
    np.testing.assert_array_equal(sums.replicates, expected)
    accuracy, mean_iou = replicate_metrics(sums.replicates)[17]
    counts = [replicate_counts(int(outputs["example_fingerprint"]))[17] for outputs in examples[:5]]
    matrix = sum(
        count * outputs["confusion_matrix"].reshape(3, 3) for count, outputs in zip(counts, examples[:5], strict=True)
    )
    alone = segmentation_metrics(matrix, 0.0, NAMES)
    assert (accuracy, mean_iou) == pytest.approx((alone["accuracy"], alone["mean_iou"]))


def test_interval_covers_the_value_and_shrinks_with_the_root_of_the_number_of_images():
    """Four times the images halve it; the standard error of images drawn with replacement is known exactly."""
    few, many = (summed([make_outputs(seed) for seed in range(number)]) for number in (100, 400))
    widths = []
    for sums in (few, many):
        metrics = sums.metrics(NAMES, 256)
        assert metrics["accuracy_low"] < metrics["accuracy"] < metrics["accuracy_high"]
        assert metrics["mean_iou_low"] < metrics["mean_iou"] < metrics["mean_iou_high"]
        widths.append(metrics["accuracy_high"] - metrics["accuracy_low"])
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.2)
    accuracies = [np.trace(make_outputs(seed)["confusion_matrix"].reshape(3, 3)) / 256 for seed in range(400)]
    assert widths[1] == pytest.approx(2 * 1.96 * np.std(accuracies) / np.sqrt(400), rel=0.1)


def test_equal_images_have_an_interval_of_no_width():
    metrics = summed([make_outputs(0, fingerprint=number) for number in range(10)]).metrics(NAMES, 256)
    assert metrics["accuracy_low"] == metrics["accuracy_high"] == metrics["accuracy"]
