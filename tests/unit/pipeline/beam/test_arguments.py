"""Which runner of Beam the arguments name, and what its workers cannot reach."""

import pytest

from pipeline.beam.arguments import (
    arguments_for_tfx,
    beam_runner,
    check_machine,
    check_pods,
    job_server_runner,
    option,
    runs_elsewhere,
    worker_kind,
)
from pipeline.config.schema import PipelineConfig
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
        (["--runner=DataflowRunner", "--runner", "Direct"], "Direct", False),
        (["--runner=a.module.FlinkRunner"], "a.module.FlinkRunner", True),
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


@pytest.mark.parametrize(
    "arguments", [[], ["--direct_num_workers=2"], ["--runner=DirectRunner"], ["--runner", "direct"]]
)
def test_a_runner_of_this_machine_is_the_one_in_the_process_and_tfx_packs_nothing(arguments, monkeypatch):
    """With DirectRunner itself, Beam downloads another runner."""
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.runners.runner import create_runner
    from tfx.utils import dependency_utils

    monkeypatch.setattr(dependency_utils, "build_ephemeral_package", lambda: pytest.fail("TFX packs itself"))
    ours = arguments_for_tfx(arguments)
    assert dependency_utils.make_beam_dependency_flags(ours) == ours
    options = PipelineOptions(ours)
    assert isinstance(create_runner(options.view_as(StandardOptions).runner), FnApiRunner)
    assert options.get_all_options()["direct_num_workers"] == (2 if "--direct_num_workers=2" in arguments else 1)
    assert not runs_elsewhere(ours)


def test_beam_has_the_defaults_that_are_documented():
    from apache_beam.options.pipeline_options import PipelineOptions

    options = PipelineOptions(arguments_for_tfx(PipelineConfig().beam_args)).get_all_options()
    assert (options["direct_running_mode"], options["direct_num_workers"]) == ("in_memory", 1)


def test_arguments_for_workers_of_a_cloud_stay_as_they_are():
    arguments = ["--runner=DataflowRunner", "--sdk_container_image=i"]
    assert arguments_for_tfx(arguments) == arguments


@pytest.mark.parametrize("name", ["FlinkRunner", "flink", "SparkRunner", "spark", "PortableRunner", "portable"])
def test_a_runner_with_a_job_server_is_the_supervised_one(name):
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    from apache_beam.runners.runner import create_runner

    ours = arguments_for_tfx([f"--runner={name}", "--environment_type=DOCKER"])
    made = create_runner(PipelineOptions(ours).view_as(StandardOptions).runner)
    assert type(made).__module__ == "pipeline.beam.job_runners"
    assert type(made).__name__ == type(create_runner(name)).__name__
    assert runs_elsewhere(ours)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["--runner=FlinkRunner"], "LOOPBACK"),
        (["--runner=FlinkRunner", "--flink_master=[local]"], "LOOPBACK"),
        (["--runner=FlinkRunner", "--flink_master=flink:8081"], "DOCKER"),
        (["--runner=FlinkRunner", "--flink_master=flink:8081", "--environment_type=external"], "EXTERNAL"),
        (["--runner=SparkRunner"], "LOOPBACK"),
        (["--runner=SparkRunner", "--spark_master_url=spark://h:7077"], "DOCKER"),
        (["--runner=PortableRunner", "--job_endpoint=h:1"], "DOCKER"),
        (["--runner=PortableRunner", "--job_endpoint=h:1", "--environment_type", "PROCESS"], "PROCESS"),
    ],
)
def test_tfx_packs_itself_for_containers_alone(arguments, kind, monkeypatch):
    from tfx.utils import dependency_utils

    packed = []
    monkeypatch.setattr(dependency_utils, "build_ephemeral_package", lambda: packed.append("tfx") or "tfx.tar.gz")
    dependency_utils.make_beam_dependency_flags(arguments_for_tfx(arguments))
    assert worker_kind(arguments) == kind
    assert bool(packed) == (kind == "DOCKER")


def test_an_option_is_the_last_of_several_by_any_of_its_names():
    arguments = ["--a=1", "a", "--b", "2", "--c"]
    assert [option(arguments, *names) for names in (["a"], ["b"], ["a", "b"], ["c"], ["d"])] == [
        "1",
        "2",
        "2",
        None,
        None,
    ]
    assert job_server_runner(["--runner=DirectRunner"]) is None


@pytest.mark.parametrize("name", ["DaskRunner", "dask", "apache_beam.runners.dask.dask_runner.DaskRunner"])
def test_a_runner_that_loses_results_is_refused_with_the_reason(name):
    for check in (lambda: check_machine([f"--runner={name}"], "/runs"), lambda: check_pods([f"--runner={name}"], {})):
        with pytest.raises(ConfigError, match=f"ask for {name}, which petseg refuses: .* when a bundle ends"):
            check()


def test_another_runner_of_this_machine_and_an_image_are_kept():
    assert beam_runner(arguments_for_tfx(["--runner=PrismRunner"])) == "PrismRunner"
    assert arguments_for_tfx(["--sdk_container_image=mine"])[-2] == "--sdk_container_image=mine"
