"""Puts ML Metadata and the disk right after a run that was interrupted or killed.

TFX's launcher cleans up on `Exception` only: after Ctrl-C, a signal or a crash the execution stays RUNNING for ever,
and its half-written outputs stay on the disk. Caching is not misled by them, so the next run goes on after the last
component that finished.
"""

import shutil
from pathlib import Path
from typing import Final

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2

_NODE_CONTEXT: Final = "node"
_UNFINISHED: Final = (metadata_store_pb2.Execution.NEW, metadata_store_pb2.Execution.RUNNING)


def reap_abandoned_executions(
    connection_config: metadata_store_pb2.ConnectionConfig, artifacts_root: Path
) -> list[str]:
    """Cancels the executions that no process runs any more, and removes what they left.

    The caller holds the pipeline root, so every execution that is not finished is abandoned.

    Args:
      connection_config: Where ML Metadata is.
      artifacts_root: Directory that holds one directory of outputs a pipeline.

    Returns:
      The abandoned components: `<pipeline name>.<node id>`.
    """
    store = metadata_store.MetadataStore(connection_config)
    abandoned = []
    for execution in store.get_executions():
        canceled = execution.last_known_state == metadata_store_pb2.Execution.CANCELED
        if not canceled and execution.last_known_state not in _UNFINISHED:
            continue
        for context in store.get_contexts_by_execution(execution.id):
            if context.type == _NODE_CONTEXT:
                pipeline_name, _, node_id = context.name.partition(".")
                _remove_outputs(artifacts_root / pipeline_name / node_id, execution.id)
                if not canceled:
                    abandoned.append(context.name)
        if not canceled:
            execution.last_known_state = metadata_store_pb2.Execution.CANCELED
            store.put_executions([execution])
    return abandoned


def _remove_outputs(node_dir: Path, execution_id: int) -> None:
    """Removes TFX's directories of one execution; a thread of it may still write for a moment."""
    system = node_dir / ".system"
    leftovers = [*node_dir.glob(f"*/{execution_id}"), system / "executor_execution" / str(execution_id)]
    for directory in [*leftovers, system / "stateful_working_dir"]:
        shutil.rmtree(directory, ignore_errors=True)
