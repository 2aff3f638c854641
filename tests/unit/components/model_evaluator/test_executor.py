"""ModelEvaluator around TFX's Evaluator: which models it gets, and who has the last word."""

from pathlib import Path

import pytest
from tfx.components.evaluator import executor as evaluator_executor
from tfx.types import standard_artifacts

from components.model_evaluator import executor
from components.model_evaluator.gate import Bound, Gate, Measured, Verdict
from trainer_module.errors import DataError

ACCURATE = Bound(metric="accuracy", kind="min", bound=0.5)
BETTER = Bound(metric="accuracy", kind="min_change", bound=0.0)


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """Runs the executor around an Evaluator that only measures; returns its inputs and the blessing."""

    def run(*, accuracy=0.9, bounds=(ACCURATE, BETTER), force="", found=1, evaluated=40, better_in=None, obstacle=""):
        model, baseline, evaluation, blessing, examples = (
            standard_artifacts.Model(), standard_artifacts.Model(), standard_artifacts.ModelEvaluation(),
            standard_artifacts.ModelBlessing(), standard_artifacts.Examples(),
        )  # fmt: skip
        examples.set_string_custom_property("dataset_name", "pets")
        examples.set_string_custom_property("dataset_version", "4.0.0")
        examples.set_string_custom_property("split_counts", '{"train": 70, "test": 40}')
        baseline.set_int_custom_property("found", found)
        baseline.set_int_custom_property("incomparable", int(bool(obstacle)))
        for name, value in (("version", "17"), ("reason", obstacle or "the baseline was reset for this run")):
            baseline.set_string_custom_property(name, value)
        model.uri, model.id, baseline.uri, baseline.id = "/models/new", 8, "/models/served", 7
        evaluation.uri, blessing.uri = str(tmp_path), str(tmp_path / "blessing")
        inputs = []

        def measure(self, input_dict, output_dict, exec_properties):
            inputs.append(set(input_dict))
            Path(blessing.uri).mkdir()

        measured = {(): Measured(evaluated, {"accuracy": accuracy}, {"accuracy": 0.8} if found else {})}
        monkeypatch.setattr(evaluator_executor.Executor, "Do", measure)
        monkeypatch.setattr(executor, "read_measured", {str(tmp_path): measured}.__getitem__)
        gate = Gate(bounds=bounds, min_slice_examples=7, better_in=better_in)
        executor.Executor().Do(
            {"model": [model], "baseline_model": [baseline], "examples": [examples]},
            {"evaluation": [evaluation], "blessing": [blessing]},
            {"gate": gate.model_dump_json(), "force_bless": force, "example_splits": '["test"]'},
        )
        said = [evaluation.get_string_custom_property(name) for name in ("dataset_name", "dataset_version")]
        assert said == ["pets", "4.0.0"]
        verdict = Verdict.model_validate_json((tmp_path / "gate.json").read_text())
        told = f"version 17: {obstacle}" if obstacle else ""
        assert verdict == gate.judge(measured, has_baseline=bool(found), obstacle=told)
        return inputs[0], blessing

    return run


def files(blessing):
    return [path.name for path in Path(blessing.uri).iterdir()]


@pytest.mark.parametrize(
    ("found", "inputs"), [(1, {"model", "baseline_model", "examples"}), (0, {"model", "examples"})]
)
def test_a_baseline_that_is_not_there_is_no_input(evaluate, found, inputs):
    assert evaluate(found=found)[0] == inputs


@pytest.mark.parametrize("evaluated", [39, 41])
def test_an_evaluation_of_other_than_all_examples_is_none(evaluate, evaluated):
    with pytest.raises(DataError, match=f"evaluation of test: {evaluated} examples, of 40 that are in the data"):
        evaluate(evaluated=evaluated)


def test_what_does_not_pass_is_refused(evaluate):
    _, blessing = evaluate(accuracy=0.4)
    assert (blessing.get_int_custom_property("blessed"), files(blessing)) == (0, ["NOT_BLESSED"])


@pytest.mark.parametrize("found", [1, 0])
def test_what_passes_is_blessed_and_the_blessing_says_of_what(evaluate, found):
    _, blessing = evaluate(found=found)
    assert (blessing.get_int_custom_property("blessed"), files(blessing)) == (1, ["BLESSED"])
    assert not blessing.has_custom_property("forced_because")
    models = [blessing.get_string_custom_property(f"{name}_model") for name in ("current", "baseline")]
    ids = [blessing.get_int_custom_property(f"{name}_model_id") for name in ("current", "baseline")]
    assert (models, ids) == (["/models/new", "/models/served" if found else ""], [8, 7 if found else 0])


def test_where_no_bound_counts_nothing_is_said(evaluate):
    _, blessing = evaluate(bounds=[BETTER], found=0)
    assert (blessing.has_custom_property("blessed"), files(blessing)) == (False, [])


@pytest.mark.parametrize(
    ("accuracy", "bounds", "reason"), [(0.4, [ACCURATE], "leaks"), (0.9, [], "leaks"), (0.9, [ACCURATE], "")]
)
def test_force_blesses_and_leaves_its_reason_where_it_was_needed(evaluate, accuracy, bounds, reason):
    _, blessing = evaluate(accuracy=accuracy, bounds=bounds, force="leaks")
    assert (blessing.get_int_custom_property("blessed"), files(blessing)) == (1, ["BLESSED"])
    assert blessing.get_string_custom_property("forced_because") == reason


@pytest.mark.parametrize(("force", "blessed"), [("", 0), ("leaks", 1)])
def test_a_model_that_is_no_better_is_refused_where_it_must_be_and_force_overrules_that(evaluate, force, blessed):
    """No interval of the difference is known."""
    _, blessing = evaluate(better_in="accuracy", force=force)
    assert blessing.get_int_custom_property("blessed") == blessed
    assert blessing.get_string_custom_property("forced_because") == force


@pytest.mark.parametrize(
    ("better_in", "obstacle", "blessed"),
    [("accuracy", "its classes", 0), (None, "its classes", 1), ("accuracy", "", 1)],
)
def test_a_served_model_of_other_classes_is_not_replaced_by_a_model_that_must_be_better(
    evaluate, better_in, obstacle, blessed
):
    _, blessing = evaluate(found=0, better_in=better_in, obstacle=obstacle)
    assert blessing.get_int_custom_property("blessed") == blessed
