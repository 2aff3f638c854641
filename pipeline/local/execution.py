"""Executes a pipeline's graph component by component, and cleans up after those that were cut off.

The loop is that of TFX's LocalDagRunner, which has no hooks and names a run by itself; here the run gets the name that
its files have, and an observer hears of each component as it starts and ends.

Importing this module imports TFX.
"""

import json
import shutil
from pathlib import Path
from typing import Final, Protocol

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import launcher, partial_run_utils, runtime_parameter_utils
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.proto.orchestration import pipeline_pb2

from components.artifact_properties import TRAINS
from pipeline.nodes import (
    EVALUATOR,
    REFERENCE_EVALUATOR,
    RETRAINING_DECIDER,
    RUN_REPORT,
    SERVED_MODEL_RESOLVER,
    TRAINER,
    WARM_START_RESOLVER,
)
from pipeline.runs.outputs import Outputs
from pipeline.runs.record import NodeState
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError

_NODE_STATES: Final = {
    metadata_store_pb2.Execution.COMPLETE: NodeState.COMPLETE,
    metadata_store_pb2.Execution.CACHED: NodeState.CACHED,
}
_UNFINISHED: Final = (
    metadata_store_pb2.Execution.NEW,
    metadata_store_pb2.Execution.RUNNING,
    metadata_store_pb2.Execution.CANCELED,
)
_RESOLVERS: Final = {
    EVALUATOR: SERVED_MODEL_RESOLVER,
    REFERENCE_EVALUATOR: SERVED_MODEL_RESOLVER,
    TRAINER: WARM_START_RESOLVER,
}
"""What brings the served model to a component."""

_REUSE_REQUIRED: Final = pipeline_pb2.NodeExecutionOptions.Skip.REQUIRED
_REUSE_OPTIONAL: Final = pipeline_pb2.NodeExecutionOptions.Skip.OPTIONAL


class NodeObserver(Protocol):
    """Hears of every component of a run; an exception it raises ends the run."""

    def node_started(self, node_id: str) -> None: ...

    def node_finished(self, node_id: str, state: NodeState, outputs: Outputs) -> None: ...


class DagExecution:
    """One run of a compiled pipeline."""

    def __init__(self, pipeline: Pipeline, run_id: str, connection_config: metadata_store_pb2.ConnectionConfig) -> None:
        self._ir: pipeline_pb2.Pipeline = compiler.Compiler().compile(pipeline)
        self._run_id = run_id
        self._connection_config = connection_config
        bindings = {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
        runtime_parameter_utils.substitute_runtime_parameter(self._ir, bindings)

    @property
    def node_ids(self) -> list[str]:
        """The components in the order in which they run."""
        return [node.node_info.id for node in self._nodes]

    @property
    def skipped(self) -> list[str]:
        """The components that a partial run leaves out."""
        return [node.node_info.id for node in self._nodes if node.execution_options.HasField("skip")]

    def restrict(self, from_node: str | None, to_node: str | None) -> None:
        """Runs only the components from one to another; what they need of earlier ones comes from an earlier run.

        Raises:
          ConfigError: There is no such component, nothing lies between the two, or no earlier run has what they need.
        """
        for option, node_id in (("--from", from_node), ("--to", to_node)):
            if node_id is not None and node_id not in self.node_ids:
                raise ConfigError(
                    f"{option} {node_id}: the pipeline has no such component; did you mean "
                    f"{nearest(node_id, self.node_ids)!r}? It has {', '.join(self.node_ids)}"
                )
        if from_node is None and to_node is None:
            return
        settings = pipeline_pb2.SnapshotSettings()
        settings.latest_pipeline_run_strategy.SetInParent()
        first_nodes = [from_node] if from_node else None
        if first_nodes and (resolver := _RESOLVERS.get(first_nodes[0])) in self.node_ids:
            first_nodes.append(resolver)  # what needs the served model looks anew at what is served
        partial_run_utils.mark_pipeline(
            self._ir,
            from_nodes=first_nodes,
            to_nodes=[to_node] if to_node else None,
            snapshot_settings=settings,
        )
        if len(self.skipped) == len(self.node_ids):
            raise ConfigError(f"no component lies between --from {from_node} and --to {to_node}; swap the two")
        if from_node != RUN_REPORT:
            self._spare_what_is_only_reported()
        self._choose_base_run(from_node)

    def run(self, observer: NodeObserver) -> None:
        """Runs the components one after another; where RetrainingDecider finds no reason to train, none after it.

        Raises:
          Exception: A component failed; nothing after it was started.
        """
        deployment = runner_utils.extract_local_deployment_config(self._ir)
        handle = metadata.Metadata(self._connection_config)
        if self.skipped:
            with handle:
                partial_run_utils.snapshot(handle, self._ir)
                self._report_reused(handle, observer)
        for node in self._nodes:
            node_id = node.node_info.id
            if node_id in self.skipped:
                continue
            observer.node_started(node_id)
            execution = launcher.Launcher(
                pipeline_node=node,
                mlmd_connection=metadata.Metadata(self._connection_config),
                pipeline_info=self._ir.pipeline_info,
                pipeline_runtime_spec=self._ir.runtime_spec,
                executor_spec=runner_utils.extract_executor_spec(deployment, node_id),
                custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node_id),
            ).launch()
            with handle:
                state, outputs = _outcome(handle, execution.execution_id if execution else None)
            observer.node_finished(node_id, state, outputs)
            if node_id == RETRAINING_DECIDER and not outputs["decision"][0].get_int_custom_property(TRAINS):
                self._leave_out_the_rest(observer)
                return

    def _leave_out_the_rest(self, observer: NodeObserver) -> None:
        for node_id in self.node_ids:
            if node_id != RETRAINING_DECIDER:
                observer.node_finished(node_id, NodeState.SKIPPED, {})

    @property
    def _nodes(self) -> list[pipeline_pb2.PipelineNode]:
        return [node.pipeline_node for node in self._ir.nodes]

    def _spare_what_is_only_reported(self) -> None:
        """Lets the base run lack what RunReport alone would read: the suspects of one that failed while deploying."""
        upstream = {node.node_info.id: set(node.upstream_nodes) for node in self._nodes}
        needed: set[str] = set()
        pending = {*upstream} - {*self.skipped, RUN_REPORT}
        while pending:
            needed |= pending
            pending = set().union(*(upstream[node_id] for node_id in pending)) - needed
        for node in self._nodes:
            skip = node.execution_options.skip
            if skip.reuse_artifacts_mode == _REUSE_REQUIRED and node.node_info.id not in needed:
                skip.reuse_artifacts_mode = _REUSE_OPTIONAL

    def _choose_base_run(self, from_node: str | None) -> None:
        """Takes the latest run that has all that the partial run needs; TFX would take the latest, complete or not."""
        needed = {
            node.node_info.id
            for node in self._nodes
            if node.execution_options.skip.reuse_artifacts_mode == _REUSE_REQUIRED
        }
        if not needed:
            return
        with metadata.Metadata(self._connection_config) as handle:
            for run_context in self._earlier_runs(handle):
                if all(self._outputs(handle, run_context, node_id) is not None for node_id in needed):
                    strategy = self._ir.runtime_spec.snapshot_settings.base_pipeline_run_strategy
                    strategy.base_run_id = run_context.name
                    return
        in_order = ", ".join(node_id for node_id in self.node_ids if node_id in needed)
        raise ConfigError(
            f"--from {from_node} needs what {in_order} produced in one earlier run of the pipeline "
            f"{self._ir.pipeline_info.id!r} under the same root, and there is no such run; run without --from first"
        )

    def _earlier_runs(self, handle: metadata.Metadata) -> list[metadata_store_pb2.Context]:
        """Returns the contexts of the pipeline's runs, the latest first."""
        pipeline_context = handle.store.get_context_by_type_and_name(
            constants.PIPELINE_CONTEXT_TYPE_NAME, self._ir.pipeline_info.id
        )
        if pipeline_context is None:
            return []
        children = handle.store.get_children_contexts_by_context(pipeline_context.id)
        runs = [context for context in children if context.type == constants.PIPELINE_RUN_CONTEXT_TYPE_NAME]
        return sorted(runs, key=lambda context: context.create_time_since_epoch, reverse=True)

    def _outputs(
        self, handle: metadata.Metadata, run_context: metadata_store_pb2.Context, node_id: str
    ) -> Outputs | None:
        """Returns what a component produced in a run; None when it did not finish there."""
        name = f"{self._ir.pipeline_info.id}.{node_id}"
        node_context = handle.store.get_context_by_type_and_name(constants.NODE_CONTEXT_TYPE_NAME, name)
        if node_context is None:
            return None
        executions = execution_lib.get_executions_associated_with_all_contexts(handle, [run_context, node_context])
        for execution in executions:
            if execution_lib.is_execution_successful(execution):
                return execution_lib.get_output_artifacts(handle, execution.id)
        return None

    def _report_reused(self, handle: metadata.Metadata, observer: NodeObserver) -> None:
        """Reports the skipped components whose outputs TFX has linked to this run."""
        run_context = handle.store.get_context_by_type_and_name(constants.PIPELINE_RUN_CONTEXT_TYPE_NAME, self._run_id)
        for node_id in self.skipped if run_context else []:
            outputs = self._outputs(handle, run_context, node_id)
            if outputs:
                observer.node_finished(node_id, NodeState.SKIPPED, outputs)


def _outcome(handle: metadata.Metadata, execution_id: int | None) -> tuple[NodeState, Outputs]:
    """Returns how an execution ended; TFX publishes one whose inputs cannot be resolved as failed and says nothing."""
    if execution_id is None:
        return NodeState.SKIPPED, {}
    [execution] = handle.store.get_executions_by_id([execution_id])
    state = _NODE_STATES.get(execution.last_known_state)
    if state is None:
        result = execution.custom_properties["__execution_result__"].string_value
        raise RuntimeError(json.loads(result)["resultMessage"] if result else f"{execution_id} did not finish")
    return state, execution_lib.get_output_artifacts(handle, execution_id)


def cancel_abandoned_executions(connection_config: metadata_store_pb2.ConnectionConfig, artifacts_root: Path) -> None:
    """Puts ML Metadata and the disk right after a run that was interrupted or killed.

    TFX's launcher cleans up on `Exception` only: after Ctrl-C, a signal or a crash the execution stays RUNNING for
    ever, and its half-written outputs stay on the disk. Caching is not misled by them, so the next run goes on after
    the last component that finished. The caller holds the pipeline root, so that every execution that is not finished
    is abandoned; of a canceled one a thread may have written for a moment more.

    Args:
      connection_config: Where ML Metadata is.
      artifacts_root: Directory that holds one directory of outputs a pipeline.
    """
    store = metadata_store.MetadataStore(connection_config)
    for execution in store.get_executions():
        if execution.last_known_state not in _UNFINISHED:
            continue
        for context in store.get_contexts_by_execution(execution.id):
            if context.type == constants.NODE_CONTEXT_TYPE_NAME:
                node_dir = artifacts_root.joinpath(*context.name.split(".", 1))
                system = node_dir / ".system"
                leftovers = [*node_dir.glob(f"*/{execution.id}"), system / "executor_execution" / str(execution.id)]
                for directory in [*leftovers, system / "stateful_working_dir"]:
                    shutil.rmtree(directory, ignore_errors=True)
        if execution.last_known_state != metadata_store_pb2.Execution.CANCELED:
            execution.last_known_state = metadata_store_pb2.Execution.CANCELED
            store.put_executions([execution])
