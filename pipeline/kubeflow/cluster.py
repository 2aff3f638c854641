"""The pods of a run, as the Kubernetes API shows them: their logs, and why one of them waits.

The server of Kubeflow Pipelines tells neither. Who submits runs need not have a way to the cluster itself, so all of
this may be missing.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from components.http_requests import ApiError
from components.kubernetes_api import EVENTS, PODS, KubernetesApi, KubernetesError, KubernetesServer, Object
from pipeline.config.kubeflow import KubeflowConfig

RUN_LABEL: Final = "pipeline/runid"
"""Label of the server's on each pod: the id of its run."""

_NODE_ID: Final = "workflows.argoproj.io/node-id"
_LOG: Final = f"{PODS}/{{name}}/log"
_SETTINGS: Final = "kubeflow"
_CONTAINER: Final = "main"
_STARTING: Final = ("ContainerCreating", "PodInitializing")


class ClusterError(KubernetesError):
    """The cluster cannot be asked."""


@dataclass(frozen=True)
class RunPod:
    """One pod of a run."""

    name: str
    node_id: str
    """Id of the workflow's node that it is the pod of."""

    phase: str
    """`Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`."""

    waits_for: str | None
    """Why it has not started, in the words of the scheduler or of the node; None when it has, or nobody says."""


class RunPods:
    """The pods of the runs of one namespace."""

    def __init__(self, config: KubeflowConfig) -> None:
        """Reads the credentials; nothing is sent yet.

        Args:
          config: Names the namespace, and the cluster.

        Raises:
          ConfigError: There are no credentials.
        """
        # Each request is sent once: what it would tell can be done without, and is asked for again soon.
        self._api = KubernetesApi(
            config.kubeconfig, config.context, config.namespace, _Server, _SETTINGS, backoff_seconds=None
        )

    def of_run(self, run_id: str) -> dict[str, RunPod]:
        """Returns the pods of a run that are still there, by the id of their node.

        Raises:
          ClusterError: They cannot be read.
        """
        with self._api.translated_errors("read the pods of the run"):
            listed = self._api.call("GET", PODS, {"labelSelector": f"{RUN_LABEL}={run_id}"})["items"]
        pods = [_pod(item) for item in listed]
        return {pod.node_id: pod for pod in pods}

    def log(self, pod: RunPod) -> str:
        """Returns what the pod's component has written so far.

        Raises:
          ClusterError: It cannot be read, as before the container has started.
        """
        with self._api.translated_errors(f"read the log of the pod {pod.name}"):
            return self._api.text(_LOG, {"container": _CONTAINER}, name=pod.name)

    def why_waiting(self, pod: RunPod) -> str | None:
        """Returns why a pod has not started yet; None when nobody says.

        Raises:
          ClusterError: The cluster cannot be asked.
        """
        if pod.waits_for is not None or pod.phase != "Pending":
            return pod.waits_for
        query = {"fieldSelector": f"involvedObject.name={pod.name},type=Warning"}
        with self._api.translated_errors(f"read the events of the pod {pod.name}"):
            events = self._api.call("GET", EVENTS, query)["items"]
        latest = max(events, key=lambda event: event.get("lastTimestamp") or "", default=None)
        return f"{latest['reason']}: {latest['message']}" if latest else None


class _Server(KubernetesServer):
    error: ClassVar[type[ApiError]] = ClusterError

    def own_reason(self, error: Any, said: str) -> str | None:
        return {404: said, 400: said}.get(error.status)  # a pod that is gone, a container that has not started


def _pod(item: Object) -> RunPod:
    metadata, status = item["metadata"], item.get("status", {})
    return RunPod(
        name=metadata["name"],
        node_id=metadata.get("annotations", {}).get(_NODE_ID, ""),
        phase=status.get("phase", "Unknown"),
        waits_for=_waits_for(status) if status.get("phase") == "Pending" else None,
    )


def _waits_for(status: Object) -> str | None:
    """Returns what a pod that has not started says of itself."""
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason") or "no node has a place for it")
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for waiting in (container.get("state", {}).get("waiting") for container in containers):
        if waiting and waiting.get("reason") not in (None, *_STARTING):
            return ": ".join(filter(None, [waiting["reason"], waiting.get("message")]))
    return None
