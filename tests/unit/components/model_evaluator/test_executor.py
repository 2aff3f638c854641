"""ModelEvaluator around TFX's Evaluator: which models it gets, and who has the last word."""

from pathlib import Path

import pytest
from tfx.components.evaluator import executor as evaluator_executor
from tfx.types import standard_artifacts

from components.model_evaluator import executor
from components.model_evaluator.gate import Verdict


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """Runs the executor around an Evaluator that only refuses; returns its inputs and the blessing."""

    def run(*, passed, force="", found=1):
        baseline, evaluation, blessing, examples = (
            standard_artifacts.Model(), standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing(),
            standard_artifacts.Examples(),
        )  # fmt: skip
        examples.set_string_custom_property("dataset_name", "pets")
        examples.set_string_custom_property("dataset_version", "4.0.0")
        baseline.set_int_custom_property("found", found)
        evaluation.uri, blessing.uri = str(tmp_path), str(tmp_path / "blessing")
        inputs = []

        def refuse(self, input_dict, output_dict, exec_properties):
            inputs.append(set(input_dict))
            Path(blessing.uri).mkdir()
            (Path(blessing.uri) / "NOT_BLESSED").touch()
            blessing.set_int_custom_property("blessed", 0)

        monkeypatch.setattr(evaluator_executor.Executor, "Do", refuse)
        verdict = Verdict(passed=passed, min_slice_examples=7, bounds=())
        judged = []
        monkeypatch.setattr(executor, "judge", lambda *args: judged.append(args) or verdict)
        outputs = {"evaluation": [evaluation], "blessing": [blessing]}
        properties = {"min_slice_examples": 7.0, "force_bless": force}
        executor.Executor().Do(
            {"model": [baseline], "baseline_model": [baseline], "examples": [examples]}, outputs, properties
        )
        said = [evaluation.get_string_custom_property(name) for name in ("dataset_name", "dataset_version")]
        assert said == ["pets", "4.0.0"]
        assert judged == [(str(tmp_path), 7)]
        assert Verdict.load(str(tmp_path)) == verdict
        return inputs[0], blessing

    return run


def files(blessing):
    return [path.name for path in Path(blessing.uri).iterdir()]


@pytest.mark.parametrize(
    ("found", "inputs"), [(1, {"model", "baseline_model", "examples"}), (0, {"model", "examples"})]
)
def test_a_baseline_that_is_not_there_is_no_input(evaluate, found, inputs):
    assert evaluate(passed=False, found=found)[0] == inputs


def test_what_does_not_pass_stays_refused(evaluate):
    _, blessing = evaluate(passed=False)
    assert (blessing.get_int_custom_property("blessed"), files(blessing)) == (0, ["NOT_BLESSED"])


def test_what_fails_on_small_slices_alone_is_blessed(evaluate):
    _, blessing = evaluate(passed=True)
    assert (blessing.get_int_custom_property("blessed"), files(blessing)) == (1, ["BLESSED"])
    assert not blessing.has_custom_property("forced_because")


@pytest.mark.parametrize(("passed", "reason"), [(False, "leaks"), (None, "leaks"), (True, "")])
def test_force_blesses_and_leaves_its_reason_where_it_was_needed(evaluate, passed, reason):
    _, blessing = evaluate(passed=passed, force="leaks")
    assert (blessing.get_int_custom_property("blessed"), files(blessing)) == (1, ["BLESSED"])
    assert blessing.get_string_custom_property("forced_because") == reason
