"""Which runner of Beam the arguments name, and what its workers cannot reach."""

import pytest

from pipeline.beam_runners import beam_runner, check_machine, check_pods, runs_elsewhere
from trainer_module.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "runner", "elsewhere"),
    [
        ([], "DirectRunner", False),
        (["--direct_num_workers=1"], "DirectRunner", False),
        (["--runner=PrismRunner"], "PrismRunner", False),
        (["--runner=DataflowRunner", "--project=p"], "DataflowRunner", True),
        (["--region=x", "--runner", "FlinkRunner"], "FlinkRunner", True),
        (["--runner"], "DirectRunner", False),
    ],
)
def test_the_runner_is_found(arguments, runner, elsewhere):
    assert beam_runner(arguments) == runner
    assert runs_elsewhere(arguments) is elsewhere


def test_workers_of_other_runners_need_google_storage():
    arguments = ["--runner=FlinkRunner"]
    check_pods(arguments, {"kubeflow.pipeline_root": "gs://b/runs", "data.data_dir": "gs://b/data"})
    check_pods([], {"kubeflow.pipeline_root": "minio://b/runs"})
    with pytest.raises(ConfigError, match=r"FlinkRunner, whose workers cannot reach data.data_dir = '/cache/data'"):
        check_pods(arguments, {"kubeflow.pipeline_root": "gs://b/runs", "data.data_dir": "/cache/data"})


def test_dataflow_cannot_reach_this_machine():
    check_machine(["--runner=FlinkRunner"], "/runs")
    with pytest.raises(ConfigError, match="cannot reach the pipeline root '/runs'"):
        check_machine(["--runner=dataflow"], "/runs")
