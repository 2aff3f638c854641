"""What a partial run needs of an earlier one."""

import pytest
from kserve_deployments import SETTINGS
from ml_metadata.proto import metadata_store_pb2
from tfx.proto.orchestration import pipeline_pb2

from pipeline.config.loading import load_config
from pipeline.graph import create_pipeline
from pipeline.local.execution import DagExecution


@pytest.fixture
def needed(monkeypatch):
    """Returns what a run from a component on needs."""
    monkeypatch.setattr(DagExecution, "_choose_base_run", lambda *_: None)
    config = load_config(overrides=[*SETTINGS, "push.destination=/serving"])
    pipeline = create_pipeline(config, pipeline_root="nowhere")

    def needed(from_node: str) -> set[str]:
        execution = DagExecution(pipeline, "run-1", metadata_store_pb2.ConnectionConfig())
        execution.restrict(from_node, None)
        skips = {node.node_info.id: node.execution_options.skip for node in execution._nodes}
        return {
            node_id
            for node_id in execution.skipped
            if skips[node_id].reuse_artifacts_mode == pipeline_pb2.NodeExecutionOptions.Skip.REQUIRED
        }

    return needed


def test_what_only_the_report_reads_may_be_absent_from_the_earlier_run(needed):
    """Where the deployment failed, no suspects were looked for."""
    of_deployer = needed("KServeDeployer")
    assert {"Pusher", "Trainer", "Evaluator"} <= of_deployer
    assert "SuspectFinder" not in of_deployer
    assert needed("RunReport") == of_deployer | {"KServeDeployer", "SuspectFinder"}
