"""The example configurations, and that they fit the node pools beside them."""

import json
import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from pipeline.commands.run import run
from pipeline.config.loading import load_config
from pipeline.kubeflow.compiler import compile_package

EXAMPLES = Path(__file__).parents[3] / "kubeflow" / "examples"
GPU_POOLS = ("gke", "eks", "bare_metal")


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.toml")), ids=lambda file: file.stem)
def test_every_example_loads(file):
    assert load_config(file=file).kubeflow.image


@pytest.mark.parametrize("name", ["cpu", "kserve", "weekly"])
def test_no_pod_of_the_demo_asks_for_more_than_a_small_node_has(name):
    executors = compile_package(load_config(file=EXAMPLES / f"{name}.toml")).pipeline_spec["deploymentSpec"][
        "executors"
    ]
    asked = {label: executor["container"]["resources"] for label, executor in executors.items()}
    of_trainer = asked.pop("Trainer_executor")
    assert (of_trainer["resourceCpuRequest"], of_trainer["resourceMemoryRequest"]) == ("1", "4Gi")
    of_others = {(each["resourceCpuRequest"], each["resourceMemoryRequest"]) for each in asked.values()}
    assert of_others == {("0.5", "2Gi")}


@pytest.mark.parametrize("pool", GPU_POOLS)
def test_a_gpu_pool_has_its_trainer(pool):
    kubeflow = load_config(file=EXAMPLES / f"{pool}_gpu.toml").kubeflow
    assert kubeflow.trainer.gpus
    assert kubeflow.gpu_image != kubeflow.image
    assert kubeflow.trainer.shared_memory


def test_the_pool_of_eks_has_the_trainer_s_label_and_taint():
    (group,) = yaml.safe_load((EXAMPLES / "eks_gpu_pool.yaml").read_text())["managedNodeGroups"]
    trainer = load_config(file=EXAMPLES / "eks_gpu.toml").kubeflow.trainer
    assert trainer.node_selector.items() <= group["labels"].items()
    assert [tolerated(taint, trainer) for taint in group["taints"]] == [True]


def test_the_pool_of_gke_has_the_trainer_s_label_and_taint():
    trainer = load_config(file=EXAMPLES / "gke_gpu.toml").kubeflow.trainer
    script = (EXAMPLES / "gke_gpu_pool.sh").read_text()
    accelerator = re.search(r"--accelerator type=([\w-]+),", script)[1]
    assert trainer.node_selector == {"cloud.google.com/gke-accelerator": accelerator}
    assert tolerated({"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}, trainer)


def test_the_pool_of_bare_metal_has_the_trainer_s_label_and_taint():
    trainer = load_config(file=EXAMPLES / "bare_metal_gpu.toml").kubeflow.trainer
    script = (EXAMPLES / "bare_metal_gpu_pool.sh").read_text()
    label = re.search(r'kubectl label node "\$@" (\S+)=(\S+)', script)
    taint = re.search(r'kubectl taint node "\$@" (\S+)=(\S+):(\S+)', script)
    assert trainer.node_selector == {label[1]: label[2]}
    assert tolerated(dict(zip(("key", "value", "effect"), taint.groups(), strict=True)), trainer)


def tolerated(taint, trainer):
    return any(
        toleration.key in (None, taint["key"])
        and toleration.effect in (None, taint["effect"])
        and (toleration.operator == "Exists" or toleration.value == taint["value"])
        for toleration in trainer.tolerations
    )


def test_the_weekly_example_has_a_schedule():
    schedule = load_config(file=EXAMPLES / "weekly.toml").schedule
    assert schedule.cron
    assert schedule.parameters


def test_the_kserve_example_deploys_from_the_volume_with_the_account_that_may():
    config = load_config(file=EXAMPLES / "kserve.toml")
    tasks = compile_package(config).pipeline_spec["root"]["dag"]["tasks"]
    request = json.loads(tasks["KServeDeployer"]["inputs"]["parameters"]["deploy_request"]["runtimeValue"]["constant"])
    assert request["storage_uri"] == f"pvc://{config.kubeflow.serving_volume.claim}/{config.pipeline.name}"
    assert request["access"]["namespace"] == config.kubeflow.namespace
    account = EXAMPLES.parent / "manifests" / "kserve" / "deployer.yaml"
    assert f"name: {config.kubeflow.service_account}\n" in account.read_text()


@pytest.fixture(scope="module")
def replicas():
    return yaml.safe_load((EXAMPLES / "tfjob.yaml").read_text())["spec"]["tfReplicaSpecs"]


@pytest.mark.parametrize("name", ["Chief", "Worker"])
def test_kubernetes_would_take_the_pods_of_the_tfjob(replicas, name):
    template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": name.lower()}}
    kubernetes_validate.validate({**template, "template": replicas[name]["template"]}, "1.34", strict=True)
    (container,) = replicas[name]["template"]["spec"]["containers"]
    assert container["name"] == "tensorflow"  # the operator finds its container by this name


def test_the_workers_of_the_tfjob_do_what_the_chief_does_up_to_the_trainer(replicas):
    chief, worker = (replicas[name]["template"]["spec"] for name in ("Chief", "Worker"))
    assert chief["initContainers"] == worker["initContainers"]
    (chief_container,), (worker_container,) = chief["containers"], worker["containers"]
    assert worker_container["command"] == [*chief_container["command"], "--to", "Trainer"]
    assert chief_container["env"] == worker_container["env"]


def test_the_commands_of_the_tfjob_exist(replicas):
    options = {option for parameter in run.params for option in parameter.opts}
    pod = replicas["Chief"]["template"]["spec"]
    for container in [*pod["initContainers"], *pod["containers"]]:
        words = [*container["command"], *container.get("args", [])]
        assert words[:2] == ["petseg", "run"]
        assert {word for word in words if word.startswith("--")} <= options
        load_config(preset=words[words.index("--preset") + 1], overrides=container.get("args", [])[1:])
