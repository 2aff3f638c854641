"""Bounds become TFMA's thresholds and come back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_model_analysis import utils
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib

from components.model_evaluator.gate import Bound, get_bounds, set_bounds
from components.model_evaluator.metric import eval_config

KINDS = ("min", "max", "min_change", "max_change")
BOUNDS = st.builds(
    Bound,
    st.sampled_from(["accuracy", "loss"]),
    st.sampled_from(KINDS),
    st.floats(-1, 1),
    st.just("species"),
    st.sampled_from([None, "Cat"]),
) | st.builds(Bound, st.just("accuracy"), st.sampled_from(KINDS), st.floats(-1, 1))


@given(st.lists(BOUNDS, unique_by=lambda bound: (bound.metric, bound.kind, bound.feature, bound.value)))
def test_what_is_set_is_read_whatever_the_order(bounds):
    spec, reverse = config_pb2.MetricsSpec(), config_pb2.MetricsSpec()
    set_bounds(spec, bounds)
    set_bounds(reverse, bounds[::-1])
    assert spec == reverse
    assert sorted(get_bounds(spec), key=str) == sorted(bounds, key=str)


@pytest.mark.parametrize(
    ("kind", "number", "holds"),
    [("min", 0.5, True), ("min", 0.49, False), ("max", 0.5, True), ("max", 0.51, False), ("min_change", 0.6, True),
     ("max_change", 0.6, False), ("min", None, False), ("max", None, False)],
)  # fmt: skip
def test_a_bound_holds_at_itself_and_never_for_what_is_undefined(kind, number, holds):
    assert Bound("accuracy", kind, 0.5).holds(number) is holds


def test_each_bound_is_for_the_slices_that_it_names():
    bounds = [
        Bound("accuracy", "min", 0.1), Bound("accuracy", "min", 0.2, "species"),
        Bound("accuracy", "min", 0.3, "species", "Cat"), Bound("accuracy", "min_change", -0.4, "species", "Cat"),
    ]  # fmt: skip
    config = eval_config(["a", "b"], bounds, ["species", "label"], "digest")
    config = utils.update_eval_config_with_defaults(config, has_baseline=True, rubber_stamp=True)
    thresholds = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)

    def applying(slice_key, *, is_diff):
        [found] = [
            value for key, value in thresholds.items() if (key.model_name, key.is_diff) == ("candidate", is_diff)
        ]
        return [
            bound.absolute.value if is_diff else round(bound.lower_bound.value, 3)
            for spec, bound in found
            if slicer_lib.SingleSliceSpec(spec=spec).is_slice_applicable(slice_key)
        ]

    assert applying((), is_diff=False) == [0.1]
    assert applying((("species", "Cat"),), is_diff=False) == [0.2, 0.3]
    assert applying((("species", "Dog"),), is_diff=False) == [0.2]
    assert applying((("label", "Cat"),), is_diff=False) == []
    assert applying((("species", "Cat"),), is_diff=True) == [-0.4]
    assert applying((), is_diff=True) == []


def test_changes_do_not_count_without_a_baseline():
    config = eval_config(["a", "b"], [Bound("loss", "max_change", 0.1), Bound("loss", "max", 1)], [], "digest")
    config = utils.update_eval_config_with_defaults(config, has_baseline=False, rubber_stamp=True)
    assert get_bounds(config.metrics_specs[0]) == [Bound("loss", "max", 1)]
