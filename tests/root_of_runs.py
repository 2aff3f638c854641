"""A pipeline root of runs that never ran: records, directories of artifacts, and rows as TFX leaves them."""

import dataclasses
import itertools
import json
import sqlite3
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.model_pusher.push import PushRecord
from pipeline.config.loading import load_config
from pipeline.config.schema import Config
from pipeline.runs.record import BaselineRecord, NodeRecord, NodeState, RunRecord, RunState
from pipeline.runs.store import RunStore

GRAPH = {
    "TfdsExampleGen": ("examples", ()),
    "Trainer": ("model", ("TfdsExampleGen",)),
    "Evaluator": ("evaluation", ("TfdsExampleGen", "Trainer")),
    "RunReport": ("report", ("Evaluator",)),
}
"""Component to its output, and the components whose outputs it uses."""

ALL = tuple(GRAPH)
START = datetime(2026, 1, 1, tzinfo=UTC)
ARTIFACT_BYTES = 64 * 1024


@dataclasses.dataclass
class RootOfRuns:
    """Runs one day apart."""

    root: Path
    clock: itertools.count = dataclasses.field(default_factory=itertools.count)

    @property
    def store(self) -> RunStore:
        return RunStore(self.root)

    def config(self, *overrides: str, pipeline: str = "pets") -> Config:
        return load_config(overrides=[f"pipeline.name={pipeline}", *overrides], pipeline_root=str(self.root))

    def run(
        self,
        fresh: Collection[str] = ALL,
        *,
        fails_at: str = "",
        pipeline: str = "pets",
        day: int | None = None,
        baseline: str = "",
        settings: Sequence[str] = (),
    ) -> str:
        """Leaves what a run leaves; returns its id.

        Args:
          fresh: Components that executed; the others took from the cache what they or an earlier run had made last.
          fails_at: The component that failed; none after it ran.
          pipeline: Of what name.
          day: When, if not the day after the last run.
          baseline: Directory of the version that the model was compared with.
          settings: `key=value`, of its configuration.
        """
        started = START + timedelta(days=next(self.clock) if day is None else day)
        run_id = started.strftime("%Y%m%d-%H%M%S-%f")
        files = self.store.create_run(run_id)
        record = RunRecord.begin(run_id, self.config(*settings, pipeline=pipeline), files.log)
        record.started = started
        record.nodes = [NodeRecord(id=node) for node in GRAPH]
        made: dict[str, mlmd.Artifact] = {}
        for node in record.nodes:
            if node.id == fails_at:
                node.state = NodeState.FAILED
                self._fail(pipeline, run_id, node.id, made)
                break
            made[node.id], node.state = self._execute(pipeline, run_id, node.id, made, is_fresh=node.id in fresh)
            node.outputs = {GRAPH[node.id][0]: made[node.id].uri}
        if baseline:
            name = Path(baseline).name
            record.baseline = BaselineRecord(found=True, version=name, path=baseline, reason=None)
        record.finish(RunState.FAILED if fails_at else RunState.COMPLETE, "it failed" if fails_at else None)
        record.save(files.record)
        for name in ("run.log", "report.html", "model_card.md", "config.json", "progress.jsonl"):
            (files.directory / name).write_text("x" * 5000)
        return run_id

    def push(self, run_id: str, version: int, pipeline: str = "pets") -> Path:
        """Leaves a version that a run pushed."""
        directory = self.root / "serving_model" / pipeline / str(version)
        (directory / "assets.extra").mkdir(parents=True)
        (directory / "saved_model.pb").write_bytes(b"graph")
        record = PushRecord(pushed_at=START, run=run_id)
        (directory / "assets.extra" / "petseg_push.json").write_text(record.model_dump_json())
        return directory

    def change(self, run_id: str, **fields: object) -> None:
        """Changes the record of a run."""
        file = self.store.runs_dir / run_id / "run.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | fields))

    def artifact(self, run_id: str, node: str) -> Path:
        """Where the record of a run says that a component left its output."""
        return Path(self.store.record(run_id).node(node).outputs[GRAPH[node][0]])

    def files(self, run_id: str) -> set[str]:
        return {path.name for path in (self.store.runs_dir / run_id).glob("*")}

    def known_runs(self) -> set[str]:
        """The runs that ML Metadata knows."""
        return {context.name for context in self.ml_metadata.get_contexts_by_type("pipeline_run")}

    def rows(self) -> dict[str, int]:
        """Number of rows of each table of ML Metadata that runs add to."""
        tables = ("Artifact", "ArtifactProperty", "Execution", "ExecutionProperty", "Event", "EventPath")
        tables += ("Context", "ParentContext", "Association", "Attribution")
        return {table: self.sql(f"SELECT count(*) FROM {table}")[0][0] for table in tables}

    def sql(self, statement: str) -> list[tuple]:
        connection = sqlite3.connect(self.store.metadata, isolation_level=None)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    @cached_property
    def ml_metadata(self) -> metadata_store.MetadataStore:
        """Opened once, as a process of petseg does it that runs and then cleans."""
        self.store.runs_dir.mkdir(parents=True, exist_ok=True)
        config = mlmd.ConnectionConfig()
        config.sqlite.filename_uri = str(self.store.metadata)
        config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        store = metadata_store.MetadataStore(config)
        for kind in ("pipeline", "pipeline_run", "node", "execution_cache"):
            store.put_context_type(mlmd.ContextType(name=kind))
        for name, (output, _) in GRAPH.items():
            store.put_execution_type(mlmd.ExecutionType(name=name))
            store.put_artifact_type(mlmd.ArtifactType(name=output))
        return store

    def cached(self, pipeline: str, node: str, key: str) -> list[str] | None:
        """Where TFX would find the outputs of a component in the cache, which it asks as this does; None: nowhere."""
        context = self.ml_metadata.get_context_by_type_and_name("execution_cache", f"{pipeline} {node} {key}")
        executions = self.ml_metadata.get_executions_by_context(context.id) if context else []
        for execution in sorted(executions, key=lambda one: one.id, reverse=True):
            events = self.ml_metadata.get_events_by_execution_ids([execution.id])
            outputs = [event.artifact_id for event in events if event.type == mlmd.Event.OUTPUT]
            uris = [artifact.uri for artifact in self.ml_metadata.get_artifacts_by_id(outputs)]
            if uris and all(Path(uri).exists() for uri in uris):
                return uris
        return None

    def _execute(
        self, pipeline: str, run_id: str, node: str, made: dict[str, mlmd.Artifact], *, is_fresh: bool
    ) -> tuple[mlmd.Artifact, NodeState]:
        output, _ = GRAPH[node]
        earlier = self._last_output(pipeline, node)
        artifact = mlmd.Artifact(type_id=self.ml_metadata.get_artifact_type(output).id, state=mlmd.Artifact.LIVE)
        if not is_fresh:
            artifact = earlier
        execution = self._begun(pipeline, run_id, node, made)
        if is_fresh:
            directory = self.store.artifacts(pipeline) / node / output / str(execution.id)
            directory.mkdir(parents=True)
            (directory / "data").write_bytes(b"\1" * ARTIFACT_BYTES)
            (self.store.artifacts(pipeline) / node / ".system" / "executor_execution" / str(execution.id)).mkdir(
                parents=True
            )
            artifact.uri = str(directory)
            artifact.custom_properties["name"].string_value = f"{output} of {run_id}"
        execution.last_known_state = mlmd.Execution.COMPLETE if is_fresh else mlmd.Execution.CACHED
        event = mlmd.Event(type=mlmd.Event.OUTPUT)
        event.path.steps.add().key = output
        event.path.steps.add().index = 0
        key = f"{pipeline} {node} {Path(artifact.uri).name}"
        contexts = [*self.ml_metadata.get_contexts_by_execution(execution.id), self._context("execution_cache", key)]
        _, [number], _ = self.ml_metadata.put_execution(execution, [(artifact, event)], contexts)
        [artifact] = self.ml_metadata.get_artifacts_by_id([number])
        return artifact, NodeState.COMPLETE if is_fresh else NodeState.CACHED

    def _fail(self, pipeline: str, run_id: str, node: str, made: dict[str, mlmd.Artifact]) -> None:
        """A component that is killed leaves an execution that runs for ever, and half of its output."""
        execution = self._begun(pipeline, run_id, node, made)
        (self.store.artifacts(pipeline) / node / GRAPH[node][0] / str(execution.id)).mkdir(parents=True)

    def _begun(self, pipeline: str, run_id: str, node: str, made: dict[str, mlmd.Artifact]) -> mlmd.Execution:
        execution = mlmd.Execution(
            type_id=self.ml_metadata.get_execution_type(node).id,
            last_known_state=mlmd.Execution.RUNNING,
            name=f"{run_id} {node}",
        )
        execution.custom_properties["seed"].int_value = 1
        inputs = [(made[name], mlmd.Event(type=mlmd.Event.INPUT)) for name in GRAPH[node][1]]
        run, of_pipeline = self._context("pipeline_run", run_id), self._context("pipeline", pipeline)
        contexts = [of_pipeline, run, self._context("node", f"{pipeline}.{node}")]
        if not self.ml_metadata.get_parent_contexts_by_context(run.id):
            self.ml_metadata.put_parent_contexts([mlmd.ParentContext(child_id=run.id, parent_id=of_pipeline.id)])
        number, _, _ = self.ml_metadata.put_execution(execution, inputs, contexts)
        [execution] = self.ml_metadata.get_executions_by_id([number])
        return execution

    def _context(self, kind: str, name: str) -> mlmd.Context:
        found = self.ml_metadata.get_context_by_type_and_name(kind, name)
        if found is None:
            made = mlmd.Context(type_id=self.ml_metadata.get_context_type(kind).id, name=name)
            [number] = self.ml_metadata.put_contexts([made])
            [found] = self.ml_metadata.get_contexts_by_id([number])
        return found

    def _last_output(self, pipeline: str, node: str) -> mlmd.Artifact | None:
        executions = self.ml_metadata.get_executions_by_context(self._context("node", f"{pipeline}.{node}").id)
        numbers = [execution.id for execution in executions if execution.last_known_state == mlmd.Execution.COMPLETE]
        if not numbers:
            return None
        events = self.ml_metadata.get_events_by_execution_ids([max(numbers)])
        [artifact] = [event.artifact_id for event in events if event.type == mlmd.Event.OUTPUT]
        return self.ml_metadata.get_artifacts_by_id([artifact])[0]
