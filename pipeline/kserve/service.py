"""The InferenceService that the settings describe, still without a model, and what is shown of one that is there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from rich.console import Group, RenderableType
from rich.text import Text

from components.kserve_deployer.canary.settings import WatchSettings
from components.kserve_deployer.cluster import ClusterAccess, DeployRequest
from components.kserve_deployer.pods import Pod, pod
from components.kserve_deployer.rollout import Deployment
from components.kserve_deployer.service import (
    LABELS,
    MODE_ANNOTATION,
    Condition,
    RolloutState,
    conditions,
    failure,
    is_ready,
    transition,
    url,
)
from components.kserve_deployer.traffic import Share, asked, describe, percentages
from components.kubernetes_api import Object
from pipeline.config.kserve import KServeConfig
from pipeline.config.schema import Config
from pipeline.nodes import KSERVE_DEPLOYER, node_digest
from pipeline.terminal.tables import PlainTable
from trainer_module.errors import ConfigError

_PROTOCOL: Final = "v1"
_SEEN_BY_CLUSTERS: Final = "gs://"
_YES: Final = {True: "yes", False: "no"}


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
        code_digest=node_digest(KSERVE_DEPLOYER),
    )


def watch_settings(config: Config) -> WatchSettings:
    """Returns how a canary is watched."""
    return WatchSettings(**config.push.kserve.watch.model_dump(), split=config.evaluation.split)


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
            "labels": dict(LABELS),
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


@dataclass(frozen=True)
class ServiceRecord:
    """What is known of an InferenceService."""

    name: str
    namespace: str
    url: str
    ready: bool
    state: RolloutState
    transition: str
    failure: str | None
    traffic: tuple[Share, ...]
    conditions: tuple[Condition, ...]
    pods: tuple[Pod, ...]

    @classmethod
    def of(cls, found: Deployment, pods: Sequence[Object]) -> Self:
        """Returns the record of an InferenceService and its pods, as the API sends them."""
        service = found.service
        return cls(
            name=service["metadata"]["name"],
            namespace=service["metadata"]["namespace"],
            url=url(service),
            ready=is_ready(service),
            state=found.state,
            transition=transition(service),
            failure=failure(service),
            traffic=found.traffic,
            conditions=tuple(conditions(service)),
            pods=tuple(pod(each) for each in pods),
        )


def service_tables(record: ServiceRecord) -> RenderableType:
    """Returns the record for people: a line each for what it serves and where, then tables."""
    readiness = Text("ready", "green") if record.ready else Text("not ready", "red")
    has, wanted = percentages(record.traffic), asked(record.state)
    parts: list[RenderableType] = [
        Text.assemble(f"{record.namespace}/{record.name}: ", readiness),
        Text(describe(has)),
        Text(record.url or "no URL yet", overflow="fold"),
    ]
    if has != wanted:
        parts.append(Text(f"asked for: {describe(wanted)}", "red"))
    if record.failure is not None:
        parts.append(Text(record.failure, "red", overflow="fold"))
    elif record.transition:
        parts.append(Text(f"model: {record.transition}"))
    traffic = [(share.version or "-", share.target, f"{share.percent} %") for share in record.traffic]
    reasons = [
        (each.type, each.status, ": ".join(filter(None, (each.reason, each.message)))) for each in record.conditions
    ]
    pods = [
        (each.name, each.version, each.phase, _YES[each.is_ready], str(each.restarts), "; ".join(each.troubles))
        for each in record.pods
    ]
    for columns, rows in (
        (("version", "revision or service", "traffic"), traffic),
        (("condition", "status", "reason"), reasons),
        (("pod", "version", "phase", "ready", "restarts", "trouble"), pods),
    ):
        if not rows:
            continue
        table = PlainTable()
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row)
        parts += [Text(), table]
    return Group(*parts)
