"""Every component of the graph, with all that can be switched on, stands the battery."""

import json
from typing import Any

import pytest
from component_battery import check_component
from kserve_deployments import SETTINGS
from tfx.components.trainer import executor as trainer_executor
from tfx.types import standard_artifacts as tfx

from components.drift_detector.artifact import DataDrift
from components.drift_detector.component import DriftDriver
from components.kserve_deployer.component import DeployerDriver
from components.model_evaluator.gate import Gate
from components.model_pusher.component import PushDriver
from components.retraining_decider.artifact import RetrainingDecision
from components.retraining_decider.component import LookingDriver
from components.run_report import artifact as shown
from components.run_report.component import ReportDriver
from components.segmentation_validator.artifact import SegmentationFindings
from components.served_model_resolver.component import ServedModelDriver
from components.tfds_example_gen.component import TfdsDriver
from pipeline.code_digest import code_digest
from pipeline.config.loading import load_config
from pipeline.graph import create_pipeline

PROBE = ("components.model_probe.executor", "components.model_probe.serving_process")
EVALUATOR = ("components.model_evaluator.executor", "components.model_evaluator.metric")
RESOLVER: dict[str, Any] = {
    "module": "components.served_model_resolver.executor", "outputs": {"model": tfx.Model}, "driver": ServedModelDriver,
}  # fmt: skip
TRANSFORMED = {
    "transform_graph": tfx.TransformGraph, "transformed_examples": tfx.Examples,
    "updated_analyzer_cache": tfx.TransformCache,
}  # fmt: skip

# What `check_component` is told of each, and the modules whose code is in its cache key, its executor's where none are
# named; the cache of TFX's own goes by TFX's version, and KServeDeployer, RetrainingDecider and RunReport are never
# cached.
COMPONENTS: dict[str, dict[str, Any]] = {
    "RetrainingDecider": {
        "module": "components.retraining_decider.executor", "outputs": {"decision": RetrainingDecision},
        "driver": LookingDriver, "code": (),
    },
    "TfdsExampleGen": {
        "module": "components.tfds_example_gen.executor", "outputs": {"examples": tfx.Examples}, "driver": TfdsDriver,
    },
    "SegmentationValidator": {
        "module": "components.segmentation_validator.executor",
        "outputs": {"checked_examples": tfx.Examples, "findings": SegmentationFindings},
    },
    "ImportSchema": {"module": "components.import_schema", "outputs": {"schema": tfx.Schema}},
    "StatisticsGen": {
        "module": "components.statistics_gen", "outputs": {"statistics": tfx.ExampleStatistics}, "code": (),
    },
    "ExampleValidator": {"module": "components.data_validator", "outputs": {"anomalies": tfx.ExampleAnomalies}},
    "DriftDetector": {
        "module": "components.drift_detector.executor", "outputs": {"drift": DataDrift}, "driver": DriftDriver,
    },
    "Transform": {
        "module": "components.transform", "outputs": TRANSFORMED,
        "code": ("trainer_module.preprocessing", "components.transform"),
    },
    "WarmStartResolver": RESOLVER,
    "Trainer": {
        "module": trainer_executor.__name__, "outputs": {"model": tfx.Model, "model_run": tfx.ModelRun},
        "code": ("trainer_module.trainer",),
    },
    "ServedModelResolver": RESOLVER,
    "Evaluator": {
        "module": EVALUATOR[0], "outputs": {"evaluation": tfx.ModelEvaluation, "blessing": tfx.ModelBlessing},
        "code": EVALUATOR,
    },
    "ReferenceEvaluator": {
        "module": EVALUATOR[0], "outputs": {"evaluation": tfx.ModelEvaluation, "blessing": tfx.ModelBlessing},
        "code": EVALUATOR,
    },
    "ModelProbe": {"module": PROBE[0], "outputs": {"blessing": tfx.InfraBlessing}, "code": PROBE},
    "Pusher": {
        "module": "components.model_pusher.executor", "outputs": {"pushed_model": tfx.PushedModel},
        "driver": PushDriver,
    },
    "KServeDeployer": {
        "module": "components.kserve_deployer.executor", "outputs": {"deployed_model": tfx.PushedModel},
        "driver": DeployerDriver, "code": (),
    },
    "SuspectFinder": {
        "module": "components.suspect_finder.executor", "outputs": {"suspects": tfx.ExampleAnomalies},
    },
    "RunReport": {
        "module": "components.run_report.executor", "driver": ReportDriver, "code": (),
        "outputs": {
            "metrics": shown.Metrics, "confusion_matrix": shown.ClassificationMetrics, "report": shown.HTML,
            "model_card": shown.Markdown,
        },
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def graph():
    own = ["push.destination=/serving", "trainer.warm_start=served", "evaluation.reference=synthetic_pets/tiny:1.0.0"]
    config = load_config(overrides=[*SETTINGS, *own])
    return create_pipeline(config, pipeline_root="nowhere", retrain=True)


def test_no_component_is_left_out(graph):
    assert {component.id for component in graph.components} == {*COMPONENTS}


@pytest.mark.parametrize(
    ("more", "is_there"),
    [
        (["data.duplicates=warn"], False),
        ([], True),
        (["data.duplicates=warn", "evaluation.reference=tiles:1.0.0"], True),
    ],
)
def test_the_data_is_compared_where_drift_or_evaluated_images_or_a_reference_set_are_looked_at(more, is_there):
    config = load_config(overrides=["data.drift.action=off", *more])
    ids = [component.id for component in create_pipeline(config, pipeline_root="nowhere").components]
    assert ("DriftDetector" in ids) == is_there
    assert "Transform" in ids


@pytest.mark.parametrize(("retrain", "better_in"), [(False, None), (True, "accuracy")])
def test_a_retraining_asks_for_a_better_model_and_whole_classes_also_without_drift(retrain, better_in):
    overrides = ["data.drift.action=off", "data.duplicates=warn", "retraining.better_in=accuracy"]
    overrides += ["evaluation.split=eval"]
    graph = create_pipeline(load_config(overrides=overrides), pipeline_root="nowhere", retrain=retrain)
    by_id = {component.id: component.exec_properties for component in graph.components}
    assert Gate.model_validate_json(by_id["Evaluator"]["gate"]).better_in == better_in
    assert ("DriftDetector" in by_id) == retrain
    if retrain:
        settings = json.loads(by_id["DriftDetector"]["settings"])
        names = ("action", "refuse_lost_classes", "evaluation_split")
        assert [settings[name] for name in names] == ["off", True, "eval"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_it_is_a_component_as_all_are(graph, component):
    expected = dict(COMPONENTS[component])
    code = expected.pop("code", (expected["module"],))
    [found] = [each for each in graph.components if each.id == component]
    check_component(found, graph, **expected, code_digest=code_digest(*code) if code else "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"module": "components.import_schema"},
        {"outputs": {"anomalies": tfx.Examples}},
        {"outputs": {}},
        {"driver": PushDriver},
        {"code_digest": "of other code"},
    ],
)
def test_the_battery_notices(graph, wrong):
    [found] = [each for each in graph.components if each.id == "ExampleValidator"]
    expected = COMPONENTS["ExampleValidator"] | {"code_digest": code_digest("components.data_validator")}
    with pytest.raises(AssertionError):
        check_component(found, graph, **expected | wrong)
