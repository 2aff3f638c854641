"""Runs that only ML Metadata knows, since their records were removed or lost.

RunReport leaves a copy of the record among its outputs, which is taken where it is still there. Else the properties of
artifacts tell what they can: what RunReport measured, whether RetrainingDecider had a reason, what was pushed.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from components import artifact_properties as properties
from components.drift_detector.report import DRIFT_FILE, DriftReport
from components.retraining_decider.decision import Decision
from components.run_report.report import RECORD_FILE
from pipeline.history.destinations import place
from pipeline.history.entries import RunEntry, RunOutcome, Source
from pipeline.history.record_runs import run_entry
from pipeline.runs.record import RunRecord
from trainer_module.errors import PetsegError

_PIPELINE: Final = "pipeline"
_RUN: Final = "pipeline_run"
_METRICS: Final = "system.Metrics"
_PUSHED_MODEL: Final = "PushedModel"
_BLESSING: Final = "ModelBlessing"
_EXAMPLES: Final = "Examples"
_DRIFT: Final = "components.DataDrift"
_NO_MEASURE: Final = (properties.BLESSED, properties.EVALUATED_EXAMPLES, "is_external")
_FORCED: Final = "pushed by force: "


def runs_without_record(metadata_file: Path, root: Path, known: Collection[str]) -> list[RunEntry]:
    """Returns the runs that are not among those whose ids are known.

    Args:
      metadata_file: The SQLite file of ML Metadata; it is only read.
      root: The pipeline root.
      known: Ids of the other runs.

    Raises:
      PetsegError: It cannot be read.
    """
    if not metadata_file.is_file():
        return []
    from ml_metadata import errors, metadata_store
    from ml_metadata.proto import metadata_store_pb2

    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(metadata_file)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    try:
        return list(_runs(metadata_store.MetadataStore(config), root, known))
    except (errors.StatusError, RuntimeError) as error:  # the latter where it cannot be opened
        reason = str(error).partition("\n")[0]
        raise PetsegError(f"ML Metadata in {str(metadata_file)!r} cannot be read: {reason}") from error


def _runs(store: Any, root: Path, known: Collection[str]) -> Iterator[RunEntry]:
    for pipeline in store.get_contexts_by_type(_PIPELINE):
        for context in store.get_children_contexts_by_context(pipeline.id):
            if context.type == _RUN and context.name not in known:
                yield _RunOfMetadata(store, pipeline.name, context).entry(root)


class _RunOfMetadata:
    """A run with the artifacts that belong to it: its own, and those of earlier runs that the cache took."""

    def __init__(self, store: Any, pipeline: str, context: Any) -> None:
        self._store = store
        self._pipeline = pipeline
        self._context = context
        self._artifacts: Sequence[Any] = store.get_artifacts_by_context(context.id)

    def entry(self, root: Path) -> RunEntry:
        metrics = self._own(_METRICS)
        record = self._copy_of_record(metrics)
        if record is not None:
            return run_entry(record, root, Source.METADATA)
        started, ended, states = self._executions()
        decision, pushed = self._decision(), self._own(_PUSHED_MODEL)
        destination, version = _pushed_to(pushed)
        said = _texts(metrics)
        examples = _texts(self._last(_EXAMPLES))
        drift = self._drift()
        return RunEntry(
            at=ended,
            destination=place(destination or str(root / "serving_model" / self._pipeline)),
            sources=(Source.METADATA,),
            run=self._context.name,
            pipeline=self._pipeline,
            started=started,
            seconds=(ended - started).total_seconds(),
            decision=decision,
            outcome=self._outcome(states, decision, version, said),
            reason=_reason(decision, pushed, said),
            forced_because=_forced_because(said),
            dataset=said.get(properties.DATASET_NAME) or examples.get(properties.DATASET_NAME, ""),
            dataset_version=said.get(properties.DATASET_VERSION) or examples.get(properties.DATASET_VERSION, ""),
            examples=json.loads(examples.get(properties.SPLIT_COUNTS, "{}")),
            metrics=_numbers(metrics),
            version=version,
            drift={one.name: one.distance for one in drift.comparison.quantities} if drift else {},
            drifted=tuple(one.name for one in drift.comparison.drifted) if drift else (),
        )

    def _copy_of_record(self, metrics: Any) -> RunRecord | None:
        """Returns what RunReport kept of the record; None where that is gone."""
        if metrics is not None:
            with suppress(PetsegError):
                record = RunRecord.load(Path(metrics.uri, RECORD_FILE))
                return record if record.run_id == self._context.name else None
        return None

    def _last(self, type_name: str) -> Any:
        """Returns the artifact of a type that was made last; None where there is none."""
        found = [artifact for artifact in self._artifacts if artifact.type == type_name]
        return max(found, key=lambda artifact: artifact.id, default=None)

    def _own(self, type_name: str) -> Any:
        """Returns the artifact of a type that this run made itself; None where there is none."""
        found = self._last(type_name)
        is_own = found is not None and found.create_time_since_epoch >= self._context.create_time_since_epoch
        return found if is_own else None

    def _executions(self) -> tuple[datetime, datetime, set[int]]:
        """Returns when the first component began and the last one ended, and how they ended."""
        executions = self._store.get_executions_by_context(self._context.id)
        milliseconds = [execution.last_update_time_since_epoch for execution in executions]
        start = self._context.create_time_since_epoch
        ends = {execution.last_known_state for execution in executions}
        return _time(start), _time(max([start, *milliseconds])), ends

    def _decision(self) -> Decision | None:
        decisions = [artifact for artifact in self._artifacts if properties.DECISION in artifact.custom_properties]
        if decisions:
            last = max(decisions, key=lambda artifact: artifact.id)
            with suppress(ValidationError):
                return Decision.model_validate_json(last.custom_properties[properties.DECISION].string_value)
        return None

    def _drift(self) -> DriftReport | None:
        artifact = self._last(_DRIFT)
        if artifact is not None:
            with suppress(OSError, ValueError):
                return DriftReport.parse(Path(artifact.uri, DRIFT_FILE).read_bytes())
        return None

    def _outcome(
        self, states: set[int], decision: Decision | None, version: int | None, said: dict[str, str]
    ) -> RunOutcome:
        from ml_metadata.proto.metadata_store_pb2 import Execution

        if Execution.FAILED in states:
            return RunOutcome.FAILED
        if states & {Execution.CANCELED, Execution.RUNNING, Execution.NEW}:
            return RunOutcome.INTERRUPTED
        if decision is not None and not decision.trains:
            return RunOutcome.NOTHING_TO_DO
        if version is not None:
            return RunOutcome.PUSHED
        if said.get(properties.VERDICT, "").startswith(RunOutcome.NOT_SERVABLE):
            return RunOutcome.NOT_SERVABLE
        if _flag(self._last(_BLESSING), properties.BLESSED) is False:
            return RunOutcome.NOT_BLESSED
        return RunOutcome.ALREADY_SERVED if self._is_served_already() else RunOutcome.NOT_PUSHED

    def _is_served_already(self) -> bool:
        pushed = self._last(_PUSHED_MODEL)
        return bool(_flag(pushed, properties.PUSHED)) or properties.ALREADY_SERVED in _texts(pushed)


def _pushed_to(artifact: Any) -> tuple[str, int | None]:
    """Returns the push destination and the version, of a model that was pushed."""
    destination, _, number = _texts(artifact).get(properties.PUSHED_DESTINATION, "").rstrip("/").rpartition("/")
    if not _flag(artifact, properties.PUSHED) or not number.isdecimal():
        return "", None
    return destination, int(number)


def _reason(decision: Decision | None, pushed: Any, said: dict[str, str]) -> str:
    if decision is not None and not decision.trains:
        return "; ".join(decision.notes)
    verdict = said.get(properties.VERDICT, "")
    if verdict.startswith(RunOutcome.NOT_BLESSED):
        return verdict.partition(": ")[2]
    return _texts(pushed).get(properties.NOT_PUSHED_BECAUSE, "")


def _forced_because(said: dict[str, str]) -> str:
    verdict = said.get(properties.VERDICT, "")
    return verdict.removeprefix(_FORCED) if verdict.startswith(_FORCED) else ""


def _flag(artifact: Any, name: str) -> bool | None:
    """Returns a property that is 1 or 0; None where there is none."""
    if artifact is None or name not in artifact.custom_properties:
        return None
    return bool(artifact.custom_properties[name].int_value)


def _texts(artifact: Any) -> dict[str, str]:
    if artifact is None:
        return {}
    return {name: value.string_value for name, value in artifact.custom_properties.items() if value.string_value}


def _numbers(artifact: Any) -> dict[str, float | None]:
    if artifact is None:
        return {}
    return {
        name: value.double_value if value.HasField("double_value") else float(value.int_value)
        for name, value in artifact.custom_properties.items()
        if name not in _NO_MEASURE and not value.HasField("string_value")
    }


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
