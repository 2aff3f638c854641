"""What RunReport says of a run: the record, the page and the model card, and numbers for the pages of Kubeflow.

On this machine the session that runs the components has the record, with times, states and log, and names its file by
an environment variable. In a pod the record is made of what the components left, by the same reading of artifacts.
"""

import math
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from absl import logging

from components.artifact_properties import (
    BLESSED,
    COMPARED_WITH_SERVED,
    DATASET_NAME,
    DATASET_VERSION,
    EVALUATED_EXAMPLES,
    PUSHED_MODEL,
    VERDICT,
)
from components.run_report.report import RECORD_FILE, ConfusionMatrix, ReportArguments, Reported
from pipeline.config.schema import Config
from pipeline.nodes import RUN_REPORT
from pipeline.runs.failures import explain_failure
from pipeline.runs.outputs import node_facts
from pipeline.runs.record import RECORD_VARIABLE, NodeRecord, NodeState, RunRecord, RunState, run_environment
from pipeline.runs.tables import comparison_text, verdict_line
from trainer_module.features import REFERENCE_SPLIT

_OVERALL: Final = ("accuracy", "mean_iou")
_OF_CLASS: Final = "iou_{}"
_DIFFERENCE: Final = "{}_difference"
_INTERVAL: Final = ("{}", "{}_low", "{}_high")


def report_run(arguments: ReportArguments) -> Reported:
    """Writes the record, the page, the model card and the files that belong to them.

    Raises:
      ModelError: What decided on the model cannot be read.
      PetsegError: The record cannot be written.
    """
    record = _record_of_session(arguments.run_id) or _record_of_artifacts(arguments)
    record.finish(RunState.COMPLETE)  # no component comes after this one
    record.save(arguments.directory / RECORD_FILE)
    return Reported(dict(scalar_metrics(record)), confusion_matrix(record), _write_pages(record, arguments))


def scalar_metrics(record: RunRecord) -> Iterator[tuple[str, float | str]]:
    """Yields what is to be compared between runs, by name; only what is known and defined."""
    comparison = record.comparison
    compared = [] if comparison is None else [_DIFFERENCE.format(comparison.metric)]
    for name in (*_OVERALL, *(_OF_CLASS.format(name) for name in _class_names(record)), *compared):
        for pattern in _INTERVAL:
            value = record.metrics.get(pattern.format(name))
            if value is not None and math.isfinite(value):
                yield pattern.format(name), value
    dataset, split = record.dataset, record.settings.get("evaluation", {}).get("split")
    if record.metrics and dataset is not None and split in dataset.splits:
        yield EVALUATED_EXAMPLES, dataset.splits[split]
    for name in _OVERALL if record.reference else ():
        value = record.reference.metrics.get(name) if record.reference else None
        if value is not None and math.isfinite(value):
            yield f"{REFERENCE_SPLIT}_{name}", value
    if record.blessed is not None:
        yield BLESSED, int(record.blessed)
    yield VERDICT, verdict_line(record)
    if comparison is not None:
        yield COMPARED_WITH_SERVED, comparison_text(comparison)
    if record.pushed_model is not None:
        yield PUSHED_MODEL, record.pushed_model
    if dataset is not None:
        yield DATASET_NAME, dataset.name
        yield DATASET_VERSION, dataset.version


def confusion_matrix(record: RunRecord) -> ConfusionMatrix | None:
    """Returns how often which class was predicted as which; None where nothing was evaluated."""
    pixels = record.distributions.get("confusion_matrix")
    names = _class_names(record)
    return ConfusionMatrix(names, pixels) if pixels and len(pixels) == len(names) else None


def _class_names(record: RunRecord) -> list[str]:
    return list(record.settings.get("data", {}).get("class_names", ()))


def _record_of_session(run_id: str) -> RunRecord | None:
    """Returns the record of the session that runs the components, as if the run had ended; None where there is none."""
    file = os.environ.get(RECORD_VARIABLE)
    record = RunRecord.load(Path(file)) if file else None
    if record is None or record.run_id != run_id:
        return None
    record.node(RUN_REPORT).state = NodeState.COMPLETE
    return record


def _record_of_artifacts(arguments: ReportArguments) -> RunRecord:
    """Returns the record of a run that is known by what its components left alone.

    When it started is not known, nor the settings that are those of who submitted it.
    """
    settings = Config.model_validate(arguments.settings).model_dump(
        mode="json", exclude={"kubeflow": True, "schedule": True, "pipeline": {"root"}}
    )
    record = RunRecord(
        run_id=arguments.run_id,
        pipeline=settings["pipeline"]["name"],
        preset=settings.get("preset"),
        started=datetime.now(UTC),
        settings=settings,
        environment=run_environment(),
        log="",
    )
    for node_id in arguments.node_ids:
        outputs = arguments.outputs.get(node_id, {})
        facts = node_facts(node_id, outputs, settings)
        for name, value in facts.fields.items():
            setattr(record, name, value)
        uris = {name: artifacts[0].uri for name, artifacts in outputs.items()}
        record.nodes.append(
            NodeRecord(id=node_id, state=NodeState.COMPLETE, summary=facts.summary if outputs else "", outputs=uris)
        )
    record.nodes.append(NodeRecord(id=RUN_REPORT, state=NodeState.COMPLETE))
    return record


def _write_pages(record: RunRecord, arguments: ReportArguments) -> str:
    """Writes the page and the card, and what belongs to them beside the record; returns why they are not there."""
    from pipeline.report.page import write_report

    try:
        written = write_report(record, arguments.directory)
        for made, wanted in ((written.page, arguments.report), (written.model_card, arguments.model_card)):
            shutil.move(made, wanted)
    except Exception as error:  # noqa: BLE001 (whatever the drawing and the model raise)
        logging.exception("The report cannot be written.")
        return explain_failure(error, None).message
    return ""
