"""The contract of RunReport."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.portable import data_types
from tfx.types import component_spec, standard_artifacts

from components.drift_detector.artifact import DataDrift
from components.property_driver import PropertyDriver
from components.retraining_decider.artifact import RetrainingDecision
from components.run_report.artifact import HTML, ClassificationMetrics, Markdown, Metrics
from components.run_report.executor import (
    CONFUSION_MATRIX_KEY,
    METRICS_KEY,
    MODEL_CARD_KEY,
    NODE_IDS_KEY,
    ORIGINS_KEY,
    REPORT_FN_KEY,
    REPORT_KEY,
    RUN_ID_KEY,
    SETTINGS_KEY,
    Executor,
)
from components.segmentation_validator.artifact import SegmentationFindings

INPUT_TYPES: Final = {
    "checked_examples": standard_artifacts.Examples,
    "findings": SegmentationFindings,
    "statistics": standard_artifacts.ExampleStatistics,
    "anomalies": standard_artifacts.ExampleAnomalies,
    "drift": DataDrift,
    "model": standard_artifacts.Model,
    "model_run": standard_artifacts.ModelRun,
    "baseline_model": standard_artifacts.Model,
    "evaluation": standard_artifacts.ModelEvaluation,
    "model_blessing": standard_artifacts.ModelBlessing,
    "reference_evaluation": standard_artifacts.ModelEvaluation,
    "reference_blessing": standard_artifacts.ModelBlessing,
    "infra_blessing": standard_artifacts.InfraBlessing,
    "pushed_model": standard_artifacts.PushedModel,
    "deployed_model": standard_artifacts.PushedModel,
    "suspects": standard_artifacts.ExampleAnomalies,
    "decision": RetrainingDecision,
}


class ReportDriver(PropertyDriver):
    """Adds the run's id, so that no cache ever answers: a run whose components were all cached is reported, too."""

    def added_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, int | str]:
        return {RUN_ID_KEY: str(execution_info.pipeline_run_id)}


class RunReportSpec(component_spec.ComponentSpec):
    """RunReport's inputs, each of which may be absent, its outputs and parameters."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        key: component_spec.ExecutionParameter(type=str)
        for key in (REPORT_FN_KEY, SETTINGS_KEY, NODE_IDS_KEY, ORIGINS_KEY, RUN_ID_KEY)
    }
    INPUTS: ClassVar[dict[str, Any]] = {
        key: component_spec.ChannelParameter(type=artifact_type, optional=True)
        for key, artifact_type in INPUT_TYPES.items()
    }
    OUTPUTS: ClassVar[dict[str, Any]] = {
        METRICS_KEY: component_spec.ChannelParameter(type=Metrics),
        CONFUSION_MATRIX_KEY: component_spec.ChannelParameter(type=ClassificationMetrics),
        REPORT_KEY: component_spec.ChannelParameter(type=HTML),
        MODEL_CARD_KEY: component_spec.ChannelParameter(type=Markdown),
    }


class RunReport(base_component.BaseComponent):
    """Says what came of a run, last of all components, and always anew.

    A report that cannot be written fails no run: the page says why instead, and what else was found is there.

    Outputs:
      metrics: `system.Metrics` with `run.json`, the record of the run, `image_scores.jsonl` and, where there are
        suspect masks, their page and list. Custom properties, of which what is undefined is left out: the numbers
        `accuracy`, `mean_iou`, `iou_<class>`, with `<name>_low` and `<name>_high` the bounds of their 95 % intervals;
        `reference_accuracy` and `reference_mean_iou` of the frozen reference set; `evaluated_examples`; `blessed`, 1 or
        0, by the gate; the texts `verdict` (`blessed`, `not blessed: accuracy 0.7123 < 0.8`, `pushed by force: REASON`,
        `refused by the probe: …`), `pushed_model`, `dataset_name`, `dataset_version`.
      confusion_matrix: `system.ClassificationMetrics`, whose property `confusionMatrix` counts pixels by true class,
        the rows, and predicted class; the same in `confusion_matrix.json`.
      report: `system.HTML` with `report.html`; custom property `not_written_because` where the page only says why.
      model_card: `system.Markdown` with `model_card.md`.
    """

    SPEC_CLASS = RunReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = ReportDriver

    def __init__(
        self,
        *,
        report_fn: str,
        settings: Mapping[str, Any],
        node_ids: Sequence[str],
        inputs: Mapping[str, types.BaseChannel | None],
    ) -> None:
        """Constructs the component.

        Args:
          report_fn: Dotted name of a `components.run_report.report.ReportFunction`.
          settings: What of the resolved configuration decides on the result, as JSON.
          node_ids: The other components of the graph, in its order.
          inputs: What they leave, by the keys of `INPUT_TYPES`; None where the graph has no such component.
        """
        channels = {key: channel for key, channel in inputs.items() if channel is not None}
        origins = {key: [channel.producer_component_id, channel.output_key] for key, channel in channels.items()}
        parameters = {
            REPORT_FN_KEY: report_fn,
            SETTINGS_KEY: json.dumps(settings, sort_keys=True),
            NODE_IDS_KEY: json.dumps([*node_ids]),
            ORIGINS_KEY: json.dumps(origins, sort_keys=True),
            RUN_ID_KEY: "",
        }
        outputs = {key: types.Channel(type=parameter.type) for key, parameter in RunReportSpec.OUTPUTS.items()}
        super().__init__(spec=RunReportSpec(**parameters, **channels, **outputs))
