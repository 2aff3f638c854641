"""The compiled package: what it says, that it is always the same, and what cannot be compiled.

`PETSEG_UPDATE_GOLDEN=1 pytest tests/unit/pipeline/kubeflow/test_compiler.py` writes the golden file anew.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from components.model_evaluator.gate import Gate
from pipeline.config.kubeflow import KubeflowConfig, Resources
from pipeline.config.loading import load_config
from pipeline.config.schema import Config
from pipeline.kubeflow.attempts import Attempt
from pipeline.kubeflow.compiler import compile_package, compile_vertex_job
from pipeline.kubeflow.dags import find_task
from pipeline.kubeflow.package import Package, package_settings
from pipeline.kubeflow.parameters import RUNTIME_PARAMETERS, apply_runtime_parameters
from pipeline.kubeflow.pods import resource_spec
from trainer_module.errors import ConfigError

REFERENCE = "synthetic_pets/tiny:1.0.0"
GOLDEN = Path(__file__).parent / "golden"
VERTEX = ("kubeflow.pipeline_root=gs://b/runs", "push.destination=gs://b/pets", "kubeflow.secrets=[]")
PLATFORM = ("platforms", "kubernetes", "deploymentSpec", "executors")


def compiled(*overrides: str) -> Package:
    return compile_package(load_config(file=GOLDEN / "gpu.toml", overrides=overrides))


@pytest.fixture(scope="module")
def package() -> Package:
    return compiled()


def container(package: Package, task: str) -> dict:
    return package.pipeline_spec["deploymentSpec"]["executors"][f"{task}_executor"]["container"]


def environment(package: Package, task: str) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container(package, task).get("env", [])}


def platform(package: Package, task: str) -> dict:
    executors = package.platform_spec
    for key in PLATFORM:
        executors = executors[key]
    return executors[f"{task}_executor"]


def test_the_package_is_the_golden_one_but_for_digests_of_code(package):
    golden = GOLDEN / "gpu.yaml"
    text = re.sub(r"\b[0-9a-f]{16}\b", "<digest>", package.text)
    if os.environ.get("PETSEG_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_another_process_in_another_place_compiles_the_same_bytes(package, tmp_path):
    output = tmp_path / "package.yaml"
    command = ["-m", "pipeline.cli", "kubeflow", "compile", "--config", str(GOLDEN / "gpu.toml"), "--output", output]
    script = "import sys; from pipeline.cli import main; main(sys.argv[1:])"
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run(
        [sys.executable, "-c", script, *command[2:]], cwd=tmp_path, env=environment, check=True, capture_output=True
    )
    assert output.read_text(encoding="utf-8") == package.text
    assert Package.load(output) == package


def test_the_gpus_are_the_trainers_alone(package):
    assert container(package, "Trainer")["resources"]["accelerator"] == {
        "count": "2", "resourceCount": "2", "type": "nvidia.com/gpu", "resourceType": "nvidia.com/gpu",
    }  # fmt: skip
    assert container(package, "Trainer")["image"] == "registry.example/petseg:0.1.0-gpu"
    assert platform(package, "Trainer")["nodeSelector"] == {
        "labels": {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}
    }
    assert platform(package, "Trainer")["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert platform(package, "Trainer")["activeDeadlineSeconds"] == "86400"
    for task in set(package.task_ids) - {"Trainer"}:
        assert "accelerator" not in container(package, task)["resources"]
        assert container(package, task)["image"] == "registry.example/petseg:0.1.0"
        assert not {"nodeSelector", "tolerations", "emptyDirMounts"} & set(platform(package, task))


def test_resources_are_in_the_old_fields_and_in_the_new(package):
    assert container(package, "Transform")["resources"] == {
        "cpuRequest": 8.0, "memoryLimit": 12.884901888, "memoryRequest": 12.884901888,
        "resourceCpuRequest": "8", "resourceMemoryLimit": "12Gi", "resourceMemoryRequest": "12Gi",
    }  # fmt: skip


def test_cores_have_a_limit_where_one_is_set_and_on_vertex_ai():
    limited = KubeflowConfig(resources=Resources(cpu=0.5, cpu_limit=2))
    assert (spec := resource_spec(limited, "Transform")).cpu_request == 0.5
    assert (spec.cpu_limit, spec.resource_cpu_limit) == (2, "2")
    assert resource_spec(KubeflowConfig(), "Transform", vertex=True).resource_cpu_limit == "1"
    with pytest.raises(ValidationError, match="cpu_limit is 1, which is less than cpu, 2"):
        Resources(cpu=2, cpu_limit=1)


def test_volumes_are_mounted_where_they_are_needed(package):
    claims = {
        task: [mount["constant"] for mount in platform(package, task).get("pvcMount", [])] for task in package.task_ids
    }
    mounted = {task: found for task, found in claims.items() if found}
    assert mounted == {
        "TfdsExampleGenDriver": ["petseg-data"], "TfdsExampleGen": ["petseg-data"], "Trainer": ["petseg-data"],
        "DriftDetector": ["petseg-serving"], "ServedModelResolverDriver": ["petseg-serving"],
        "ServedModelResolver": ["petseg-serving"], "Pusher": ["petseg-serving"],
    }  # fmt: skip
    assert environment(package, "Trainer")["PETSEG_CHECKPOINT_DIR"] == "/cache/checkpoints/petseg-demo"
    assert [task for task in package.task_ids if "PETSEG_CHECKPOINT_DIR" in environment(package, task)] == ["Trainer"]


def test_what_the_server_cannot_know_is_never_cached(package):
    tasks = package.pipeline_spec["root"]["dag"]["tasks"]
    cached = {task for task in tasks if tasks[task]["cachingOptions"].get("enableCache")}
    assert set(tasks) - cached == {
        "TfdsExampleGenDriver", "DriftDetector", "ServedModelResolverDriver", "Pusher", "RunReport",
    }  # fmt: skip


def test_the_server_and_the_component_know_how_often_to_try_again(package):
    tasks = package.pipeline_spec["root"]["dag"]["tasks"]
    assert all(task["retryPolicy"]["maxRetryCount"] == 3 for task in tasks.values())
    for task in package.task_ids:
        attempt = Attempt.of(environment(package, task))
        assert (attempt.count, attempt.retry.backoff_seconds) == (4, 60)
    never = compiled("kubeflow.retry.max_count=0")
    assert "PETSEG_RETRY" not in never.text
    assert "retryPolicy" not in never.text


def test_how_often_to_try_again_is_nothing_that_the_servers_cache_looks_at(package):
    often = compiled("kubeflow.retry.max_count=7", "kubeflow.retry.backoff_seconds=1")
    assert often.digest != package.digest
    for task in package.task_ids:
        assert [container(often, task)[key] for key in ("image", "command", "args")] == [
            container(package, task)[key] for key in ("image", "command", "args")
        ]


def test_a_warm_start_brings_the_served_model_to_the_trainer(package):
    assert "WarmStartResolver" not in package.task_ids
    warm = compiled("trainer.warm_start=served")
    tasks = warm.pipeline_spec["root"]["dag"]["tasks"]
    assert tasks["Trainer"]["inputs"]["artifacts"]["base_model"]["taskOutputArtifact"] == {
        "producerTask": "WarmStartResolver", "outputArtifactKey": "model",
    }  # fmt: skip
    parameter = {"componentInputParameter": "push_destination"}
    for task, module in (("WarmStartResolver", "executor"), ("WarmStartResolverDriver", "component")):
        parameters = tasks[task]["inputs"]["parameters"]
        assert parameters["runtime_push_destination"] == parameter
        assert "runtime_reset_baseline" not in parameters, "a baseline is no model to start from"
        assert [mount["constant"] for mount in platform(warm, task)["pvcMount"]] == ["petseg-serving"]
        assert f"components.served_model_resolver.{module}" in container(warm, task)["command"]
    assert "dependentTasks" not in tasks["WarmStartResolverDriver"]
    assert not tasks["WarmStartResolverDriver"]["cachingOptions"].get("enableCache")
    assert compiled("trainer.warm_start=gs://b/models/7").task_ids == package.task_ids


def test_a_canary_that_is_watched_is_asked_about_the_evaluated_examples():
    settings = ("enabled=true", "deployment_mode=Knative", "canary_percent=10", "promote=auto")
    deploying = compiled(*(f"push.kserve.{setting}" for setting in settings))
    inputs = deploying.pipeline_spec["root"]["dag"]["tasks"]["KServeDeployer"]["inputs"]
    assert inputs["artifacts"]["examples"]["taskOutputArtifact"]["producerTask"] == "SegmentationValidator"
    watch = json.loads(inputs["parameters"]["watch"]["runtimeValue"]["constant"])
    assert (watch["requests"], watch["split"]) == (200, "test")


def test_kserve_comes_after_the_pusher_and_reads_its_volume(package):
    assert "KServeDeployer" not in package.task_ids
    overrides = ["enabled=true", "kubeconfig=/home/me/config", "context=mine"]
    deploying = compiled(*(f"push.kserve.{override}" for override in overrides))
    task = deploying.pipeline_spec["root"]["dag"]["tasks"]["KServeDeployer"]
    assert task["inputs"]["artifacts"]["pushed_model"]["taskOutputArtifact"] == {
        "producerTask": "Pusher", "outputArtifactKey": "pushed_model",
    }  # fmt: skip
    assert not task["cachingOptions"].get("enableCache")
    parameters = task["inputs"]["parameters"]
    assert parameters["runtime_push_destination"] == {"componentInputParameter": "push_destination"}
    request = json.loads(parameters["deploy_request"]["runtimeValue"]["constant"])
    assert request["storage_uri"] == "pvc://petseg-serving/petseg-demo"
    assert (request["access"]["kubeconfig"], request["access"]["context"]) == ("in-cluster", None)
    assert [mount["constant"] for mount in platform(deploying, "KServeDeployer")["pvcMount"]] == ["petseg-serving"]
    assert "components.kserve_deployer.executor" in container(deploying, "KServeDeployer")["command"]


@pytest.mark.parametrize(
    ("component", "found", "before"),
    [("TfdsExampleGen", "input_fingerprint", []), ("ServedModelResolver", "served_model", ["Trainer"])],
)
def test_a_driver_feeds_what_it_finds_and_runs_as_late_as_its_component(package, component, found, before):
    tasks = package.pipeline_spec["root"]["dag"]["tasks"]
    driver = f"{component}Driver"
    assert tasks[component]["inputs"]["parameters"][found] == {
        "taskOutputParameter": {"producerTask": driver, "outputParameterKey": found}
    }
    assert tasks[component]["dependentTasks"] == [driver, *before]
    assert tasks[driver].get("dependentTasks", []) == before
    assert container(package, driver)["args"][0] == "--driver"
    assert container(package, driver)["resources"] == container(package, component)["resources"]


def test_what_a_parameter_concerns_has_a_property_that_it_changes():
    reference = f"evaluation.reference={REFERENCE}"
    every = compiled("trainer.warm_start=served", "push.kserve.enabled=true", reference, "schedule.cron=0 3 * * 1")
    tasks = {task: find_task(every.pipeline_spec, task) for task in every.task_ids}
    for parameter in RUNTIME_PARAMETERS:
        concerned = {task for task in tasks if parameter.component_input in tasks[task]["inputs"]["parameters"]}
        assert concerned >= set(parameter.components)
        for task in concerned:
            assert len(parameter.puts.keys() & tasks[task]["inputs"]["parameters"]) == 1, (parameter.name, task)


def test_a_reference_set_has_an_evaluator_of_its_own_whose_blessing_the_pusher_waits_for():
    package = compiled(f"evaluation.reference={REFERENCE}", "data.hash_split={of='train+test'}")
    tasks = package.pipeline_spec["root"]["dag"]["tasks"]
    blessing = tasks["Pusher"]["inputs"]["artifacts"]["reference_blessing"]["taskOutputArtifact"]
    assert blessing == {"producerTask": "ReferenceEvaluator", "outputArtifactKey": "blessing"}
    of_reference, of_test = (tasks[task]["inputs"]["parameters"] for task in ("ReferenceEvaluator", "Evaluator"))
    differing = {name for name in of_test if of_reference[name] != of_test[name]}
    assert differing == {"example_splits", "gate"}
    bounds = [
        Gate.model_validate_json(one["gate"]["runtimeValue"]["constant"]).bounds for one in (of_reference, of_test)
    ]
    assert bounds[0] == bounds[1]
    settings = package_settings(package)
    assert settings["evaluation"] == {"split": "test", "reference": REFERENCE, "reference_split": "test"}
    data = Config.model_validate({"data": settings["data"]}).data
    assert data.hash_split.of == "train+test"
    assert "reference_slice" not in settings["data"]


def test_runtime_parameters_have_types_and_defaults(package):
    found = {name: (spec.type, spec.default) for name, spec in package.parameters.items()}
    assert found == {
        "dataset_version": ("STRING", ""),
        "epochs": ("NUMBER_INTEGER", 8),
        "min_accuracy": ("NUMBER_DOUBLE", 0.85),
        "push_destination": ("STRING", "/serving/petseg-demo"),
        "force_bless": ("STRING", ""),
        "reset_baseline": ("BOOLEAN", False),
        "notify": ("STRING", "scheduled"),
    }
    driver = package.pipeline_spec["root"]["dag"]["tasks"]["TfdsExampleGenDriver"]["inputs"]["parameters"]
    of_runtime = {
        source["componentInputParameter"] for source in driver.values() if "componentInputParameter" in source
    }
    assert of_runtime == set(found)


def test_the_report_has_the_types_that_the_pages_know_and_comes_last(package):
    outputs = package.pipeline_spec["components"]["RunReport"]["outputDefinitions"]["artifacts"]
    assert {name: output["artifactType"] for name, output in outputs.items()} == {
        name: {"schemaTitle": f"system.{kind}", "schemaVersion": "0.0.1"}
        for name, kind in (
            ("metrics", "Metrics"), ("confusion_matrix", "ClassificationMetrics"), ("report", "HTML"),
            ("model_card", "Markdown"),
        )
    }  # fmt: skip
    assert package.task_ids[-1] == "RunReport"
    parameters = package.pipeline_spec["root"]["dag"]["tasks"]["RunReport"]["inputs"]["parameters"]
    assert parameters["run_id"]["runtimeValue"]["constant"] == ""
    told = json.loads(parameters["settings"]["runtimeValue"]["constant"])
    assert (told["trainer"]["epochs"], told["pipeline"]["name"]) == (8, "petseg-demo")
    assert not {"kubeflow", "schedule"} & set(told)
    told = apply_runtime_parameters(
        {"settings": json.dumps(told), "reported_epochs": 3.0, "reported_dataset_version": "1.*.*",
         "reported_min_accuracy": 0.0}
    )  # fmt: skip
    settings = json.loads(told["settings"])
    assert (settings["trainer"]["epochs"], settings["data"]["dataset"]) == (3, "synthetic_pets:1.*.*")
    assert (set(told), settings["evaluation"]["min_accuracy"]) == ({"settings"}, None)


def test_no_value_of_a_secret_can_appear(monkeypatch, package):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2-the-value")
    monkeypatch.setenv("KFP_TOKEN", "hunter2-the-token")
    assert "hunter2" not in compiled().text
    assert platform(package, "Pusher")["secretAsEnv"][0]["keyToEnv"] == [
        {"envVar": "AWS_SECRET_ACCESS_KEY", "secretKey": "secret-key"}
    ]


def test_a_change_of_the_schedule_or_the_host_is_no_change_of_the_package(package):
    again = compiled("kubeflow.host=http://localhost:8888", "schedule.time_zone=Europe/Berlin")
    assert again.digest == package.digest
    assert compiled("trainer.learning_rate=0.004").digest != package.digest


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.data_dir=../data"], "a path of this machine"),
        (["kubeflow.serving_volume=none"], "nowhere to push models to"),
        (["push.destination=s3://models/pets"], "which no pod can write to"),
        (["kubeflow.component_resources={Transfrom={cpu=1}}"], "has 'Transfrom', but the components are"),
        (["data.schema_file=nowhere.pbtxt"], "cannot read 'nowhere.pbtxt'"),
    ],
)
def test_what_no_pod_could_use_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        compiled(*overrides)


def test_without_volumes_data_is_scratch_and_models_go_to_a_bucket():
    package = compiled("kubeflow.data_cache=none", "kubeflow.serving_volume=none", "push.destination=gs://models/pets")
    assert "/tmp/petseg/data" in package.text
    assert package.parameters["push_destination"].default == "gs://models/pets"
    assert "PETSEG_CHECKPOINT_DIR" not in environment(package, "Trainer")


def test_the_arguments_of_beam_go_to_every_component_as_they_are():
    arguments = ["--runner=DataflowRunner", "--project=pets", "--temp_location=gs://b/tmp"]
    places = ["kubeflow.pipeline_root=gs://b/runs", "data.data_dir=gs://b/data"]
    package = compiled(f"pipeline.beam_args={arguments}", *places)
    for task in ("TfdsExampleGen", "SegmentationValidator", "StatisticsGen", "Transform", "Evaluator"):
        assert container(package, task)["args"][-3:] == arguments
    with pytest.raises(ConfigError, match=r"DataflowRunner, whose workers cannot reach kubeflow\.pipeline_root"):
        compiled(f"pipeline.beam_args={arguments}")


def test_vertex_takes_a_job_with_its_own_name_of_the_gpu():
    job = compile_vertex_job(load_config(file=GOLDEN / "gpu.toml", overrides=VERTEX))
    json.dumps(job)
    trainer = job["pipelineSpec"]["deploymentSpec"]["executors"]["Trainer_executor"]["container"]
    assert trainer["resources"]["accelerator"]["type"] == "NVIDIA_TESLA_T4"
    assert job["runtimeConfig"]["gcsOutputDirectory"] == "gs://b/runs"
    values = job["runtimeConfig"]["parameterValues"]
    assert (values["epochs"], values["force_bless"], values["reset_baseline"]) == (8, "", False)
    assert set(values) == {parameter.name for parameter in RUNTIME_PARAMETERS} - {"only_if_needed"}
    assert "/cache" not in json.dumps(job)
    assert "PETSEG_RETRY" not in json.dumps(job)  # Vertex AI itself starts what failed again


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["push.destination=gs://b/pets"], "kubeflow.pipeline_root is 's3://models/runs'"),
        (["kubeflow.pipeline_root=gs://b/runs"], "push.destination is None"),
        (["kubeflow.pipeline_root=gs://b/runs", "push.destination=gs://b/pets"], "Vertex AI has not"),
        (
            ["kubeflow.pipeline_root=gs://b/runs", "push.destination=gs://b/pets", "push.kserve.enabled=true"],
            "Vertex AI has none",
        ),
        (
            ["kubeflow.pipeline_root=gs://b/runs", "push.destination=gs://b/pets", "kubeflow.secrets=[]",
             'kubeflow.trainer.node_selector={pool="gpu"}'],
            "needs the type of the GPU",
        ),
    ],
)  # fmt: skip
def test_what_vertex_does_not_take_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        compile_vertex_job(load_config(file=GOLDEN / "gpu.toml", overrides=overrides))


def test_every_pod_is_told_of_the_tracker_and_of_none_where_none_is_set(monkeypatch, package):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://of.this.machine")
    tracked = compiled("tracking.mlflow=http://mlflow.models:5000", "tracking.experiment=pets")
    told = {"MLFLOW_TRACKING_URI": "http://mlflow.models:5000", "MLFLOW_EXPERIMENT_NAME": "pets"}
    for task in tracked.pipeline_spec["root"]["dag"]["tasks"]:
        assert told.items() <= environment(tracked, task).items()
        assert not told.keys() & environment(package, task).keys()


class TestDeciding:
    """A package of a configuration with a schedule decides first whether to train."""

    @pytest.fixture(scope="class")
    def deciding(self) -> Package:
        return compiled("schedule.cron=0 3 * * 1")

    def test_all_others_are_a_dag_under_its_condition(self, deciding, package):
        assert deciding.tasks == {
            "RetrainingDecider": (),
            **dict.fromkeys(package.task_ids, ("Retraining",)),
        }
        root = deciding.pipeline_spec["root"]["dag"]["tasks"]
        condition = "inputs.parameter_values['RetrainingDecider--trains'] == true"
        assert root["Retraining"]["triggerPolicy"] == {"condition": condition}
        assert root["RetrainingDecider"]["cachingOptions"] == {}
        decider = deciding.pipeline_spec["components"]["RetrainingDecider"]
        assert decider["outputDefinitions"]["parameters"] == {"trains": {"parameterType": "BOOLEAN"}}

    def test_but_for_that_they_are_as_without_a_schedule(self, deciding, package):
        flat, inner = package.pipeline_spec, deciding.pipeline_spec["components"]["Retraining"]["dag"]["tasks"]
        # They tell the decision, settle by it, judge as a retraining does, and check no parameter.
        apart = {"RunReport", "Pusher", "Evaluator", "DriftDetector", "TfdsExampleGenDriver"}
        for task in set(package.task_ids) - apart:
            assert inner[task] == flat["root"]["dag"]["tasks"][task], task
            assert container(deciding, task) == container(package, task)
            assert platform(deciding, task) == platform(package, task)
        assert {task for task in inner if not inner[task]["cachingOptions"]} == {
            task for task in package.task_ids if not flat["root"]["dag"]["tasks"][task]["cachingOptions"]
        }

    def test_the_dag_takes_the_runtime_parameters_by_their_names(self, deciding, package):
        assert set(deciding.parameters) - set(package.parameters) == {"only_if_needed"}
        assert deciding.parameters["only_if_needed"].default is False
        given = deciding.pipeline_spec["root"]["dag"]["tasks"]["Retraining"]["inputs"]["parameters"]
        assert {name: given[name] for name in package.parameters} == {
            name: {"componentInputParameter": name} for name in package.parameters
        }

    def test_it_looks_at_the_data_and_at_what_is_served(self, deciding):
        mounts = platform(deciding, "RetrainingDecider")["pvcMount"]
        assert [mount["constant"] for mount in mounts] == ["petseg-data", "petseg-serving"]
        assert "PETSEG_RETRY" in environment(deciding, "RetrainingDecider")

    def test_it_is_given_what_a_run_sets_anew_and_checks_the_rest(self, deciding):
        inputs = deciding.pipeline_spec["root"]["dag"]["tasks"]["RetrainingDecider"]["inputs"]["parameters"]
        set_anew = {"dataset_version": "gs:", "epochs": 2, "min_accuracy": 0.25, "push_destination": "/serving/x/"}
        values = {
            name: source["runtimeValue"]["constant"] for name, source in inputs.items() if "runtimeValue" in source
        } | {
            name: (set_anew | {"dataset_version": "9.*.*", "force_bless": "", "notify": "never"}).get(parameter, False)
            for name, source in inputs.items()
            if (parameter := source.get("componentInputParameter"))
        }
        applied = apply_runtime_parameters(values)
        assert {name for name in applied if "_" in name} == {"custom_config", "input_config", "push_destination"}
        recipe, gate = json.loads(applied["recipe"]), json.loads(applied["gate"])
        assert (recipe["epochs"], recipe["min_accuracy"]) == (2, 0.25)
        assert gate["bounds"][0]["bound"] == 0.25
        assert "synthetic_pets:9.*.*" in applied["custom_config"]
        assert json.loads(applied["push_destination"])["filesystem"]["base_directory"] == "/serving/x"
        assert applied["asked"] == 1
        assert apply_runtime_parameters(values | {"runtime_only_if_needed": True})["asked"] == 0
        with pytest.raises(ConfigError, match="notify"):
            apply_runtime_parameters(values | {"checked_notify": "often"})

    def test_none_is_there_where_nothing_fires_or_every_firing_trains(self, package):
        assert "RetrainingDecider" not in package.task_ids
        assert compiled("schedule.cron=0 3 * * 1", "schedule.only_if_needed=false").text == package.text

    def test_vertex_ai_has_no_schedules_of_ours(self):
        job = compile_vertex_job(load_config(file=GOLDEN / "gpu.toml", overrides=(*VERTEX, "schedule.cron=0 3 * * 1")))
        assert "RetrainingDecider" not in job["pipelineSpec"]["root"]["dag"]["tasks"]
        assert "only_if_needed" not in job["runtimeConfig"]["parameterValues"]
