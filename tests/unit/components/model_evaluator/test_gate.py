"""Bounds, and the verdict on metrics of known values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.model_evaluator.gate import LEAST_COMPARED, Bound, BoundResult, Gate, Measured, Outcome, Verdict

KINDS = ("min", "max", "min_change", "max_change")
CAT, DOG = (("species", "Cat"),), (("species", "Dog"),)


def bound(metric, kind, number, feature=None, value=None):
    return Bound(metric=metric, kind=kind, bound=number, slice={feature: value} if feature else {})


BOUNDS = st.builds(
    bound,
    st.sampled_from(["accuracy", "loss"]),
    st.sampled_from(KINDS),
    st.floats(-1, 1),
    st.just("species"),
    st.sampled_from([None, "Cat"]),
) | st.builds(bound, st.just("accuracy"), st.sampled_from(KINDS), st.floats(-1, 1))


def of_two(examples, candidate, baseline, low=-0.1, high=0.1):
    """The metrics of a slice: accuracies of two models, and the interval of their difference."""
    interval = {"accuracy_difference_low": low, "accuracy_difference_high": high}
    return Measured(examples, {"accuracy": candidate} | interval, {"accuracy": baseline})


def of_one(examples, accuracy):
    return Measured(examples, {"accuracy": accuracy}, {})


def verdict(bounds, slices, *, min_slice_examples=30, has_baseline=True):
    return Gate(bounds=bounds, min_slice_examples=min_slice_examples).judge(slices, has_baseline=has_baseline)


def passed(verdict):
    return [row.passed for row in verdict.bounds]


@given(st.lists(BOUNDS, unique_by=lambda bound: (bound.metric, bound.kind, str(bound.slice))))
def test_what_is_set_is_read_whatever_the_order(bounds):
    gate, reverse = (Gate(bounds=some, min_slice_examples=30) for some in (bounds, bounds[::-1]))
    assert gate.model_dump_json() == reverse.model_dump_json()
    read = Gate.model_validate_json(gate.model_dump_json())
    assert (read.min_slice_examples, sorted(read.bounds, key=str)) == (30, sorted(bounds, key=str))


@pytest.mark.parametrize(
    ("kind", "number", "holds"),
    [("min", 0.5, True), ("min", 0.49, False), ("max", 0.5, True), ("max", 0.51, False), ("min_change", 0.6, True),
     ("max_change", 0.6, False), ("min", None, False), ("max", None, False)],
)  # fmt: skip
def test_a_bound_holds_at_itself_and_never_for_what_is_undefined(kind, number, holds):
    assert bound("accuracy", kind, 0.5).holds(number) is holds


@pytest.mark.parametrize(
    ("before", "least", "after"),
    [
        ([], 0.7, [("min", 0.7)]),
        ([("min", 0.8)], 0.9, [("min", 0.9)]),
        ([("min", 0.8), ("max", 0.99)], 0.9, [("min", 0.9), ("max", 0.99)]),
        ([("min", 0.8)], 0.0, []),
        ([("max", 0.9)], 0.0, [("max", 0.9)]),
        ([], 0.0, []),
    ],
)
def test_a_bound_is_set_changed_or_taken_away_and_the_others_stay(before, least, after):
    others = [
        bound("accuracy", "min_change", -0.01), bound("accuracy", "min", 0.6, "species"),
        bound("accuracy", "min", 0.7, "species", "cat"), bound("mean_iou", "min", 0.5),
    ]  # fmt: skip
    gate, expected = (
        Gate(bounds=[*(bound("accuracy", *kind) for kind in kinds), *others], min_slice_examples=7)
        for kinds in (before, after)
    )
    assert gate.with_least("accuracy", least) == expected
    better = gate.model_copy(update={"better_in": "accuracy"})
    assert better.with_least("accuracy", least) == expected.model_copy(update={"better_in": "accuracy"})


def test_each_bound_is_for_the_slices_that_it_names():
    bounds = [
        bound("accuracy", "min", 0.1), bound("accuracy", "min", 0.2, "species"),
        bound("accuracy", "min", 0.3, "species", "Cat"), bound("accuracy", "min_change", -0.4, "species", "Cat"),
    ]  # fmt: skip
    crossed = (*CAT, ("label", "Cat"))
    slices = dict.fromkeys([(), CAT, DOG, (("label", "Cat"),), crossed], of_two(40, 0.9, 0.9))
    found = verdict(bounds, slices)

    def applying(slice_key, *, is_change):
        return [row.bound for row in found.bounds if (row.slice, row.is_change) == (dict(slice_key), is_change)]

    assert applying((), is_change=False) == [0.1]
    assert applying(CAT, is_change=False) == [0.2, 0.3]
    assert applying(DOG, is_change=False) == [0.2]
    assert applying((("label", "Cat"),), is_change=False) == []
    assert applying(crossed, is_change=False) == []
    assert applying(CAT, is_change=True) == [-0.4]
    assert applying((), is_change=True) == []


def test_changes_do_not_count_without_a_baseline():
    bounds = [bound("accuracy", "max_change", 0.1), bound("accuracy", "max", 1)]
    found = verdict(bounds, {(): of_one(40, 0.9)}, has_baseline=False)
    assert (found.passed, [row.kind for row in found.bounds]) == (True, ["max"])


@pytest.mark.parametrize(("candidate", "ok"), [(0.895, True), (0.885, False), (0.95, True)])
def test_a_change_is_the_candidate_minus_the_baseline(candidate, ok):
    found = verdict([bound("accuracy", "min_change", -0.01)], {(): of_two(40, candidate, 0.9)})
    [row] = found.bounds
    assert (row.value, row.baseline, row.passed, found.passed) == (candidate, 0.9, ok, ok)
    assert row.change == pytest.approx(candidate - 0.9)


def test_a_metric_that_shall_not_grow():
    bounds = [bound("accuracy", "max_change", 0.05), bound("accuracy", "min_change", -0.05)]
    assert passed(verdict(bounds, {(): of_two(40, 0.8, 0.7)})) == [True, False]
    assert passed(verdict(bounds, {(): of_two(40, 0.6, 0.7)})) == [False, True]
    assert verdict(bounds, {(): of_two(40, 0.72, 0.7)}).passed is True


@pytest.mark.parametrize(
    ("low", "high", "within"), [(-0.1, 0.1, True), (0.0, 0.1, True), (0.01, 0.1, False), (-0.1, -0.01, False)]
)
def test_noise_is_what_has_an_interval_that_contains_zero(low, high, within):
    bounds = [bound("accuracy", "min", 0.5), bound("accuracy", "min_change", -1.0)]
    found = verdict(bounds, {(): of_two(40, 0.9, 0.9, low, high)})
    assert [row.within_noise for row in found.bounds] == [None, within]


def test_a_bad_slice_fails_a_model_that_is_good_over_all():
    bounds = [bound("accuracy", "min", 0.8), bound("accuracy", "min", 0.8, "species")]
    found = verdict(bounds, {(): of_one(80, 0.85), CAT: of_one(40, 0.75), DOG: of_one(40, 0.95)}, has_baseline=False)
    assert found.passed is False
    assert [(row.slice, row.examples, row.passed) for row in found.bounds] == [
        ({}, 80, True), ({"species": "Cat"}, 40, False), ({"species": "Dog"}, 40, True)
    ]  # fmt: skip


def test_a_change_on_a_slice():
    slices = {(): of_two(80, 0.9, 0.9), CAT: of_two(40, 0.8, 0.9), DOG: of_two(40, 1.0, 0.9)}
    found = verdict([bound("accuracy", "min_change", -0.05, "species", "Cat")], slices)
    assert [(row.slice, row.baseline) for row in found.bounds] == [({"species": "Cat"}, 0.9)]
    assert found.passed is False
    assert verdict([bound("accuracy", "min_change", -0.05, "species", "Dog")], slices).passed is True


def test_small_slices_are_reported_and_do_not_count():
    bounds = [bound("accuracy", "min", 0.8), bound("accuracy", "min", 0.8, "species")]
    slices = {(): of_one(50, 0.85), CAT: of_one(29, 0.1), DOG: of_one(30, 0.9)}
    found = verdict(bounds, slices, has_baseline=False)
    assert found.passed is True
    assert [(row.passed, row.gated) for row in found.bounds] == [(True, True), (False, False), (True, True)]
    assert verdict(bounds, slices, has_baseline=False, min_slice_examples=29).passed is False


def test_small_slices_do_not_save_what_fails_over_all_or_elsewhere():
    bounds = [bound("accuracy", "min", 0.8), bound("accuracy", "min", 0.8, "species")]
    few = {CAT: of_one(2, 0.1)}
    assert verdict(bounds, {(): of_one(9, 0.7)} | few, has_baseline=False).passed is False, "few examples over all"
    assert verdict(bounds, {(): of_one(90, 0.9), DOG: of_one(88, 0.7)} | few, has_baseline=False).passed is False


def test_a_value_that_no_example_has_fails():
    slices = {(): of_one(40, 0.9), CAT: of_one(40, 0.9)}
    found = verdict([bound("accuracy", "min", 0.1, "species", "cat")], slices, has_baseline=False)
    [row] = found.bounds
    assert (row.slice, row.examples, row.value, row.passed, row.gated) == ({"species": "cat"}, 0, None, False, True)
    assert found.passed is False
    [row] = verdict([bound("accuracy", "min", 0.1, "colour")], slices, has_baseline=False).bounds
    assert (row.slice, row.passed) == ({"colour": "any"}, False)


def test_small_slices_do_not_save_a_value_that_no_example_has():
    bounds = [bound("accuracy", "min", 0.5, "species", "Cat"), bound("accuracy", "min", 0.5, "species", "cat")]
    assert verdict(bounds, {(): of_one(40, 0.9), CAT: of_one(2, 0.1)}, has_baseline=False).passed is False


def test_an_undefined_metric_fails():
    found = verdict([bound("accuracy", "min", 0.1)], {(): Measured(40, {}, {})}, has_baseline=False)
    assert (found.passed, found.bounds[0].value) == (False, None)


def test_no_bound_is_no_verdict():
    found = verdict([bound("accuracy", "min_change", -0.1)], {(): of_one(40, 0.9)}, has_baseline=False)
    assert (found.passed, found.bounds) == (None, ())
    assert Verdict.model_validate_json(found.model_dump_json()) == found


def test_a_verdict_is_read_as_it_was_written():
    bounds = [bound("accuracy", "min_change", -0.1), bound("accuracy", "min", 0.1, "species")]
    found = verdict(bounds, {(): of_two(40, 0.9, 0.8), CAT: of_one(2, 0.5)})
    assert Verdict.model_validate_json(found.model_dump_json()) == found
    assert list(found.model_dump()["bounds"][0]) == [
        "metric", "kind", "bound", "slice", "examples", "unlabelled_examples", "labelled_share", "value", "baseline",
        "change", "within_noise", "passed", "gated",
    ]  # fmt: skip
    earlier = found.model_dump_json(exclude={"comparison"})
    assert Verdict.model_validate_json(earlier) == found, "a verdict of an earlier petseg"


@pytest.mark.parametrize("kind", ["min", "max"])
def test_a_record_of_the_first_petseg_is_read(kind):
    """It had neither slices nor baselines."""
    row = BoundResult.model_validate({"metric": "loss", "kind": kind, "bound": 0.5, "value": None, "passed": False})
    assert (row.slice, row.examples, row.gated, row.name) == ({}, None, True, "loss")


def test_what_was_labelled_stands_beside_each_bound_and_unlabelled_examples_do_not_make_a_slice_count():
    def partly(examples, share, unlabelled):
        return Measured(examples, {"accuracy": 0.7, "labelled_share": share, "unlabelled_images": unlabelled}, {})

    bounds = [bound("accuracy", "min", 0.8), bound("accuracy", "min", 0.8, "species")]
    slices = {(): partly(80, 0.6, 20.0), CAT: partly(40, 0.5, 11.0), DOG: partly(40, 1.0, 10.0)}
    found = verdict(bounds, slices, has_baseline=False)
    assert [(row.labelled_share, row.is_partly_labelled) for row in found.bounds] == [
        (0.6, True), (0.5, True), (1.0, False)
    ]  # fmt: skip
    assert [(row.examples, row.labelled_examples, row.gated) for row in found.bounds] == [
        (80, 60, True), (40, 29, False), (40, 30, True)
    ]  # fmt: skip


def test_a_slice_without_any_label_does_not_count():
    nothing = Measured(40, {"labelled_share": 0.0, "unlabelled_images": 40.0}, {})
    [row] = verdict([bound("accuracy", "min", 0.8, "species")], {CAT: nothing}, has_baseline=False).bounds
    assert (row.value, row.passed, row.gated) == (None, False, False)


def compared(candidate, baseline, interval=(-0.1, 0.1), *, bounds=(), examples=40, slices=None, **more):
    """The verdict of a gate that asks for a better accuracy, on the metrics of all images."""
    low, high = interval
    measured = of_two(examples, candidate, baseline, low, high)
    defined = {name: value for name, value in {**measured.candidate, **more}.items() if value is not None}
    overall = {(): Measured(examples, defined, {} if baseline is None else {"accuracy": baseline})}
    gate = Gate(bounds=bounds, min_slice_examples=30, better_in="accuracy")
    return gate.judge({**overall, **(slices or {})}, has_baseline=True)


KEPT, MISSED = bound("accuracy", "min", 0.5), bound("accuracy", "min", 0.85)
"""By a served model whose accuracy is 0.8."""


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [
        ((0.001, 0.1), "better"), ((0.0, 0.1), "equal"), ((-0.1, 0.1), "equal"), ((0.0, 0.0), "equal"),
        ((-0.1, 0.0), "equal"), ((-0.1, -0.001), "worse"), ((None, None), "equal"), ((0.1, None), "equal"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("served", ["keeps", "misses"])
def test_better_beyond_noise_is_pushed_or_equal_where_the_served_model_misses_its_gate(interval, outcome, served):
    found = compared(0.9, 0.8, interval, bounds=[KEPT if served == "keeps" else MISSED])
    assert found.comparison.outcome == outcome
    assert [miss.name for miss in found.comparison.served_misses] == (["accuracy"] if served == "misses" else [])
    assert found.passed is (outcome == "better" or (outcome == "equal" and served == "misses"))
    assert found.comparison.passes is found.passed


def test_a_comparison_has_its_numbers():
    comparison = compared(0.9, 0.8, (0.05, 0.15), bounds=[MISSED], examples=40, unlabelled_images=3.0).comparison
    assert (comparison.metric, comparison.candidate, comparison.baseline, comparison.examples) == (
        "accuracy", 0.9, 0.8, 37,
    )  # fmt: skip
    assert comparison.change == pytest.approx(0.1)
    assert (comparison.low, comparison.high) == (0.05, 0.15)
    [miss] = comparison.served_misses
    assert (miss.value, miss.bound, miss.passed, miss.baseline) == (0.8, 0.85, False, None)


@pytest.mark.parametrize("interval", [(0.01, 0.1), (-0.1, 0.1), (-0.1, -0.01)])
def test_no_comparison_saves_a_model_that_misses_a_bound_itself(interval):
    assert compared(0.9, 0.8, interval, bounds=[bound("accuracy", "min", 0.95)]).passed is False
    assert compared(0.79, 0.8, interval, bounds=[MISSED, bound("accuracy", "min_change", 0.0)]).passed is False


def test_a_bound_of_a_change_is_none_that_the_served_model_could_miss():
    found = compared(0.9, 0.8, bounds=[KEPT, bound("accuracy", "min_change", 0.05)])
    assert (found.comparison.served_misses, found.passed) == ((), False)


@pytest.mark.parametrize(("examples", "unlabelled", "counts"), [(29, 0, False), (30, 0, True), (40, 11, False)])
def test_slices_count_for_the_served_model_as_for_the_new_one(examples, unlabelled, counts):
    of_cats = Measured(examples, {"accuracy": 0.9, "unlabelled_images": unlabelled}, {"accuracy": 0.3})
    found = compared(0.9, 0.8, bounds=[bound("accuracy", "min", 0.5, "species")], slices={CAT: of_cats})
    assert [miss.slice for miss in found.comparison.served_misses] == ([{"species": "Cat"}] if counts else [])
    assert found.passed is counts


def test_what_is_of_the_data_is_no_fault_of_the_served_model():
    """A baseline has no share of labelled pixels of its own (`metric.py`)."""
    bounds = [bound("labelled_share", "min", 0.5), KEPT]
    found = compared(0.9, 0.8, bounds=bounds, labelled_share=0.9)
    assert (found.comparison.served_misses, found.passed) == ((), False)


@pytest.mark.parametrize("interval", [(0.1, 0.2), (-0.2, -0.1)])
def test_a_few_images_tell_nothing(interval):
    few, enough = (compared(0.9, 0.8, interval, bounds=[KEPT], examples=LEAST_COMPARED - less) for less in (1, 0))
    assert (few.comparison.outcome, few.comparison.low, few.comparison.high) == ("equal", None, None)
    assert enough.comparison.outcome == ("better" if interval[0] > 0 else "worse")
    unlabelled = compared(0.9, 0.8, interval, bounds=[KEPT], examples=40, unlabelled_images=36.0)
    assert unlabelled.comparison.outcome == "equal"


def test_an_undefined_metric_is_not_better():
    found = compared(None, 0.8, (None, None), bounds=[])
    assert (found.comparison.change, found.comparison.outcome, found.passed) == (None, "equal", False)


def test_without_bounds_the_comparison_decides_alone():
    assert [compared(0.9, 0.8, interval).passed for interval in ((0.1, 0.2), (-0.1, 0.2))] == [True, False]


def test_without_a_served_model_the_bounds_decide_alone():
    gate = Gate(bounds=[KEPT], min_slice_examples=30, better_in="accuracy")
    found = gate.judge({(): of_one(40, 0.9)}, has_baseline=False)
    assert (found.passed, found.comparison) == (True, None)
    assert Gate(bounds=[], min_slice_examples=30, better_in="accuracy").judge({}, has_baseline=False).passed is None


def test_a_served_model_that_cannot_be_compared_with_is_not_replaced():
    gate = Gate(bounds=[KEPT], min_slice_examples=30, better_in="accuracy")
    found = gate.judge({(): of_one(40, 0.9)}, has_baseline=False, obstacle="version 17: its class_names are []")
    assert (found.passed, found.comparison.outcome) == (False, "incomparable")
    assert found.comparison.obstacle == "version 17: its class_names are []"
    plain = gate.model_copy(update={"better_in": None})
    assert plain.judge({(): of_one(40, 0.9)}, has_baseline=False, obstacle="version 17: …").passed is True


NUMBERS = st.none() | st.floats(0, 1)
ENDS = st.none() | st.floats(-1, 1)


@given(
    st.lists(BOUNDS, max_size=4, unique_by=lambda bound: (bound.metric, bound.kind, str(bound.slice))),
    st.integers(0, 60), NUMBERS, NUMBERS, st.tuples(ENDS, ENDS).map(lambda ends: sorted(ends, key=lambda x: x or 0)),
)  # fmt: skip
def test_who_must_be_better_passes_only_where_the_bounds_pass_and_never_when_worse(
    bounds, examples, candidate, baseline, interval
):
    low, high = interval
    names = {"accuracy": candidate, "accuracy_difference_low": low, "accuracy_difference_high": high}
    slices = {
        key: Measured(
            examples,
            {name: value for name, value in names.items() if value is not None},
            {} if baseline is None else {"accuracy": baseline},
        )
        for key in ((), CAT)
    }
    plain, better = (
        Gate(bounds=bounds, min_slice_examples=30, better_in=metric).judge(slices, has_baseline=True)
        for metric in (None, "accuracy")
    )
    assert (plain.comparison, plain.bounds) == (None, better.bounds)
    comparison = better.comparison
    assert better.passed is (plain.passed is not False and comparison.passes)
    if comparison.outcome is Outcome.WORSE:
        assert (better.passed, comparison.high < 0) == (False, True)
    if comparison.outcome is Outcome.BETTER:
        assert comparison.low > 0
    if better.passed and comparison.outcome is Outcome.EQUAL:
        assert comparison.served_misses
    assert all(not miss.is_change and miss.gated and not miss.passed for miss in comparison.served_misses)
    assert Verdict.model_validate_json(better.model_dump_json()) == better
