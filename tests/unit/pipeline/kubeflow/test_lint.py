"""Each thing that a server would refuse or ignore is found, with its place."""

import copy
from pathlib import Path

import pytest

from pipeline.config.loading import load_config
from pipeline.kubeflow.compiler import compile_package
from pipeline.kubeflow.dags import Condition
from pipeline.kubeflow.lint import check_package, lint
from pipeline.kubeflow.package import Package
from trainer_module.errors import ConfigError

CONFIG = Path(__file__).parent / "golden" / "gpu.toml"
EXECUTORS = ("deploymentSpec", "executors")
TASKS = ("root", "dag", "tasks")


@pytest.fixture(scope="module")
def good() -> Package:
    return compile_package(load_config(file=CONFIG))


def at(document: dict, *path: str) -> dict:
    for key in path:
        document = document[key]
    return document


def broken_spec(spec: dict, case: str) -> None:
    tasks, executors = at(spec, *TASKS), at(spec, *EXECUTORS)
    match case:
        case "schema version":
            spec["schemaVersion"] = "2.0.0"
        case "pipeline name":
            spec["pipelineInfo"]["name"] = "My_Pipeline"
        case "unknown field":
            tasks["Trainer"]["retries"] = 3
        case "unknown container field":
            executors["Trainer_executor"]["container"]["imagePull"] = "Always"
        case "resolver":
            executors["Trainer_executor"] = {"resolver": {}}
        case "dangling label":
            spec["components"]["Trainer"]["executorLabel"] = "trainer"
        case "argo name":
            tasks["my_task"] = tasks.pop("Pusher")
        case "producer":
            source = at(tasks, "TfdsExampleGen", "inputs", "parameters", "input_fingerprint", "taskOutputParameter")
            source["producerTask"] = "TfdsExampleGenDriver_task"
        case "output":
            source = at(tasks, "Evaluator", "inputs", "artifacts", "model", "taskOutputArtifact")
            source["outputArtifactKey"] = "modle"
        case "dependency":
            tasks["Trainer"]["dependentTasks"] = []
        case "runtime parameter":
            at(tasks, "Trainer", "inputs", "parameters")["epochs"] = {"componentInputParameter": "epohcs"}
        case "missing input":
            del at(tasks, "Trainer", "inputs", "artifacts")["examples"]
        case "no default":
            del at(spec, "root", "inputDefinitions", "parameters", "epochs")["defaultValue"]
        case "wrong default":
            at(spec, "root", "inputDefinitions", "parameters", "epochs")["defaultValue"] = "ten"
        case "long argument":
            executors["Trainer_executor"]["container"]["args"].append("x" * 131_073)
        case "long parameters":
            source = at(tasks, "Trainer", "inputs", "parameters", "custom_config")
            source["runtimeValue"]["constant"] = "é" * 60_000
        case "hook":
            executors["Trainer_executor"]["container"]["lifecycle"] = {"preCacheCheck": {"command": ["x"]}}
        case "half a limit":
            del executors["Trainer_executor"]["container"]["resources"]["resourceMemoryLimit"]
        case "half an accelerator":
            del executors["Trainer_executor"]["container"]["resources"]["accelerator"]["resourceType"]
        case "no image":
            executors["Trainer_executor"]["container"]["image"] = ""
        case "trigger":
            tasks["Pusher"]["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
        case "condition on a component":
            tasks["Pusher"]["triggerPolicy"] = {"condition": str(Condition("blessed"))}
        case "secret in plain text":
            env = [{"name": "AWS_SECRET_ACCESS_KEY", "value": "hunter2"}]
            executors["Pusher_executor"]["container"]["env"] = env
        case _:
            raise AssertionError(case)


@pytest.mark.parametrize(
    ("case", "where", "what"),
    [
        ("schema version", "schemaVersion", "2.1.0"),
        ("pipeline name", "pipelineInfo.name", "My_Pipeline"),
        ("unknown field", "pipeline", "retries"),
        ("unknown container field", "deploymentSpec", "imagePull"),
        ("resolver", "deploymentSpec.executors.Trainer_executor", "no resolvers"),
        ("dangling label", "components.Trainer.executorLabel", "no executor 'trainer'"),
        ("argo name", "root.dag.tasks.my_task", "Argo rejects"),
        ("producer", "root.dag.tasks.TfdsExampleGen.inputs.parameters.input_fingerprint", "TfdsExampleGenDriver_task"),
        ("output", "root.dag.tasks.Evaluator.inputs.artifacts.model", "Trainer has no output 'modle'"),
        ("dependency", "root.dag.tasks.Trainer.inputs.artifacts", "dependentTasks"),
        ("runtime parameter", "root.dag.tasks.Trainer.inputs.parameters.epochs", "'epohcs'"),
        ("missing input", "root.dag.tasks.Trainer.inputs.artifacts", "'examples'"),
        ("no default", "root.inputDefinitions.parameters.epochs", "no default"),
        ("wrong default", "root.inputDefinitions.parameters.epochs", "no NUMBER_INTEGER"),
        ("long argument", "deploymentSpec.executors.Trainer_executor.container", "131,073 bytes"),
        ("long parameters", "root.dag.tasks.Trainer.inputs.parameters", "one argument"),
        ("hook", "deploymentSpec.executors.Trainer_executor.container.lifecycle", "ignores hooks"),
        ("half a limit", "deploymentSpec.executors.Trainer_executor.container.resources", "resourceMemoryLimit"),
        ("half an accelerator", "deploymentSpec.executors.Trainer_executor.container.resources.accelerator", "type"),
        ("no image", "deploymentSpec.executors.Trainer_executor.container.image", "empty"),
        ("trigger", "root.dag.tasks.Pusher.triggerPolicy", "runtime parameters"),
        ("condition on a component", "root.dag.tasks.Pusher.triggerPolicy.condition", "left out"),
        ("secret in plain text", "platforms.kubernetes.deploymentSpec.executors.Pusher_executor", "AWS_SECRET"),
    ],
)
def test_a_broken_specification_is_found(good, case, where, what):
    spec = copy.deepcopy(good.pipeline_spec)
    broken_spec(spec, case)
    found = list(lint(Package(spec, good.platform_spec)))
    assert any(place.startswith(where) and what in text for place, text in found), found


class TestInnerDags:
    """Of a package whose runs decide whether to train."""

    INNER = "components.Retraining.dag.tasks"

    @pytest.fixture(scope="class")
    def deciding(self) -> Package:
        return compile_package(load_config(file=CONFIG, overrides=("schedule.cron=0 3 * * 1",)))

    def test_a_good_one_is_clean(self, deciding):
        assert list(lint(deciding)) == []

    @pytest.mark.parametrize(
        ("change", "where", "what"),
        [
            (lambda task, _: task.update(triggerPolicy={"condition": "1 == 1"}), "root.dag.tasks.Retraining", "1 == 1"),
            (
                lambda task, _: task.update(triggerPolicy={"condition": str(Condition("epochs"))}),
                "root.dag.tasks.Retraining.triggerPolicy.condition",
                "no BOOLEAN input 'epochs'",
            ),
            (
                lambda task, _: task.pop("dependentTasks"),
                "root.dag.tasks.Retraining.inputs.parameters",
                "dependentTasks",
            ),
            (
                lambda task, _: task["inputs"]["parameters"].pop("epochs"),
                "root.dag.tasks.Retraining.inputs.parameters",
                "'epochs' is defined",
            ),
            (lambda _, dag: dag["dag"].update(tasks={}), INNER, "none"),
            (
                lambda _, dag: dag["inputDefinitions"]["parameters"].pop("epochs"),
                f"{INNER}.Trainer.inputs.parameters",
                "Retraining has no input 'epochs'",
            ),
            (
                lambda _, dag: dag["inputDefinitions"]["artifacts"].clear(),
                f"{INNER}.RunReport.inputs.artifacts.decision",
                "Retraining has no input 'RetrainingDecider--decision'",
            ),
            (
                lambda _, dag: dag["dag"]["tasks"]["Trainer"].update(dependentTasks=["RetrainingDecider"]),
                f"{INNER}.Trainer.dependentTasks",
                "no task 'RetrainingDecider'",
            ),
            (
                lambda _, dag: dag["dag"]["tasks"].update(
                    RetrainingDecider=copy.deepcopy(dag["dag"]["tasks"]["Trainer"])
                ),
                f"{INNER}.RetrainingDecider",
                "the same name",
            ),
            (lambda task, dag: dag["dag"]["tasks"].update(Retraining=task), "components", "contains itself"),
        ],
    )
    def test_what_a_server_would_refuse_is_found(self, deciding, change, where, what):
        spec = copy.deepcopy(deciding.pipeline_spec)
        change(at(spec, *TASKS, "Retraining"), at(spec, "components", "Retraining"))
        found = list(lint(Package(spec, deciding.platform_spec)))
        assert any(place.startswith(where) and what in text for place, text in found), found


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (lambda executors: executors.update(Trainer=executors.pop("Trainer_executor")), ".Trainer", "no executor"),
        (
            lambda executors: executors["Trainer_executor"].update(nodeSelectors={}),
            ".Trainer_executor",
            "nodeSelectors",
        ),
        (lambda executors: executors["Trainer_executor"].update(pvcMount="x"), ".Trainer_executor", "pvcMount"),
    ],
)
def test_a_broken_platform_document_is_found(good, change, where, what):
    platform = copy.deepcopy(good.platform_spec)
    change(at(platform, "platforms", "kubernetes", "deploymentSpec", "executors"))
    found = list(lint(Package(good.pipeline_spec, platform)))
    assert any(place.endswith(where) and what in text for place, text in found), found


def test_another_platform_is_found(good):
    package = Package(good.pipeline_spec, {"platforms": {"nomad": {}}})
    assert [place for place, _ in lint(package)] == ["platforms.nomad"]


def test_a_compiled_package_is_clean_and_a_broken_one_is_refused_whole(good):
    assert list(lint(good)) == []
    spec = copy.deepcopy(good.pipeline_spec)
    broken_spec(spec, "hook")
    broken_spec(spec, "no image")
    with pytest.raises(ConfigError, match=r"(?s)2 findings.*lifecycle.*|2 findings.*image"):
        check_package(Package(spec, good.platform_spec))
