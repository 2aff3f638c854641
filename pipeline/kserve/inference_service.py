"""The InferenceService that the settings describe, still without a model, and the request to deploy one."""

from typing import Any

from components.kserve_deployer.request import ClusterAccess, DeployRequest
from components.kserve_deployer.rollout_state import MODE_ANNOTATION
from pipeline.code_digest import code_digest
from pipeline.config import Config
from pipeline.kserve.config import KServeConfig
from trainer_module.errors import ConfigError

_LABELS = {"app.kubernetes.io/managed-by": "petseg"}
_PROTOCOL = "v1"
_SEEN_BY_CLUSTERS = "gs://"


def cluster_access(config: Config) -> ClusterAccess:
    """Returns how to reach the cluster, and which InferenceService is meant."""
    kserve = config.push.kserve
    return ClusterAccess(
        kubeconfig=kserve.kubeconfig,
        context=kserve.context,
        namespace=kserve.namespace or config.kubeflow.namespace,
        name=kserve.name or config.pipeline.name,
        force_conflicts=kserve.force_conflicts,
        timeout_seconds=kserve.timeout_seconds,
    )


def deploy_request(config: Config) -> DeployRequest:
    """Returns what KServeDeployer is told.

    Raises:
      ConfigError: The cluster cannot see the push destination.
    """
    kserve, access = config.push.kserve, cluster_access(config)
    if kserve.storage_uri is None and not config.serving_model_dir.startswith(_SEEN_BY_CLUSTERS):
        raise ConfigError(
            f"models are pushed to {config.serving_model_dir!r}, which no cluster sees by that name: set "
            "push.kserve.storage_uri to where it does, such as pvc://petseg-serving/petseg-demo, or push.destination "
            "to a gs:// URI"
        )
    return DeployRequest(
        access=access,
        template=_template(kserve, access),
        push_destination=config.serving_model_dir,
        storage_uri=kserve.storage_uri,
        canary_percent=kserve.canary_percent,
        code_digest=code_digest("components.kserve_deployer.executor"),
    )


def _template(kserve: KServeConfig, access: ClusterAccess) -> dict[str, Any]:
    annotations = {MODE_ANNOTATION: kserve.deployment_mode} if kserve.deployment_mode else {}
    optional = {"runtime": kserve.runtime} if kserve.runtime else {}
    account = {"serviceAccountName": kserve.service_account_name} if kserve.service_account_name else {}
    resources = {"cpu": f"{kserve.cpu:g}", "memory": kserve.memory}
    if kserve.gpus:
        resources["nvidia.com/gpu"] = str(kserve.gpus)
    model = {
        "modelFormat": {"name": "tensorflow"},
        "protocolVersion": _PROTOCOL,
        "runtimeVersion": kserve.tensorflow_serving,
        "resources": {"requests": resources, "limits": dict(resources)},
        **optional,
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": access.name,
            "namespace": access.namespace,
            "labels": dict(_LABELS),
            "annotations": annotations,
        },
        "spec": {
            "predictor": {
                "minReplicas": kserve.min_replicas,
                "maxReplicas": kserve.max_replicas,
                **account,
                "model": model,
            }
        },
    }
