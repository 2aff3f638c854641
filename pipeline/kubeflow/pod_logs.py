"""What a run's pods have written, from wherever it can still be read.

While a pod is there, the Kubernetes API has its log. Once it has ended, Argo's archive has it, which the server of
Kubeflow Pipelines gives out, and the launcher has put what the component wrote into the object store, as the artifact
`executor-logs`. Who looks need not have a way to all three.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pipeline.config.kubeflow import DEFAULT_PIPELINE_ROOT, KubeflowConfig
from pipeline.kubeflow.artifacts import EXECUTOR_LOGS
from pipeline.kubeflow.client import KubeflowClient
from pipeline.kubeflow.cluster import RunPods
from trainer_module.errors import ConfigError, PetsegError

_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 30


class NoLogError(PetsegError):
    """No log of a pod can be read; says for each place why not."""


@dataclass(frozen=True)
class ComponentPod:
    """One pod of a component of a run, as long as it may have been gone."""

    component: str
    """`Trainer`; of its driver `Trainer-driver`, and of the pipeline's `root-driver`."""

    number: int
    """0 for the first."""

    node_id: str
    """Of the workflow's node."""

    def __str__(self) -> str:
        return self.component if self.number == 0 else f"{self.component}, attempt {self.number + 1}"


@dataclass(frozen=True)
class PodLog:
    """A log, as far as it is written."""

    text: str
    source: str
    """Where it was read, as it reads after "from"."""


class PodLogs:
    """The logs of one run."""

    def __init__(self, client: KubeflowClient, pods: Callable[[], RunPods | None], run: Any, pipeline: str) -> None:
        """Constructs the logs.

        Args:
          client: Of the server.
          pods: Returns the pods of the namespace; None where there is no way to the cluster.
          run: The `V2beta1Run`.
          pipeline: Name of the pipeline.
        """
        root = (run.runtime_config.pipeline_root if run.runtime_config else None) or DEFAULT_PIPELINE_ROOT
        self._client = client
        self._pods = pods
        self._run_id = run.run_id
        self._directory = f"{root.rstrip('/')}/{pipeline}/{run.run_id}"

    def read(self, attempt: ComponentPod, *, is_running: bool) -> PodLog:
        """Returns the log of a pod.

        Args:
          attempt: The pod.
          is_running: Whether it may still write, and so is in no archive; that is asked last then, else first.

        Raises:
          NoLogError: It is nowhere where it can be read.
        """
        pod, archive = ("the Kubernetes API", self._of_pod), ("the archive of the server", self._archived)
        first, second = (pod, archive) if is_running else (archive, pod)
        reasons = []
        for place, read in (first, second, ("the object store", self._stored)):
            try:
                return read(attempt)
            except PetsegError as error:
                reasons.append(f"{place}: {error}")
        raise NoLogError(f"no log of {attempt} of the run {self._run_id} can be read; " + "; ".join(reasons))

    def _of_pod(self, attempt: ComponentPod) -> PodLog:
        pods = self._pods()
        if pods is None:
            raise NoLogError("kubectl has no settings here (kubeflow.kubeconfig)")
        pod = pods.of_run(self._run_id).get(attempt.node_id)
        if pod is None:
            raise NoLogError("its pod is gone")
        return PodLog(pods.log(pod), f"the pod {pod.name}")

    def _archived(self, attempt: ComponentPod) -> PodLog:
        text = self._client.archived_log(self._run_id, attempt.node_id)
        if text is None:
            raise NoLogError(
                "it has none of that pod; it keeps those of pods that have ended, where Argo archives logs"
            )
        return PodLog(text, f"the archive of {self._client.access.host}")

    def _stored(self, attempt: ComponentPod) -> PodLog:
        directory = f"{self._directory}/{attempt.component}"
        text = _stored_text(self._client.config, directory, attempt.number)
        return PodLog(text, f"{EXECUTOR_LOGS} below {directory}")


def _stored_text(config: KubeflowConfig, directory: str, number: int) -> str:
    """Returns what the launcher has uploaded of a component's attempt.

    Args:
      config: Says how the store is reached.
      directory: URI that the outputs of the component go below, in a folder of each execution.
      number: Of the attempt.

    Raises:
      PetsegError: It is not there, or the store cannot be reached.
    """
    from pyarrow import fs

    scheme, _, path = directory.partition("://")
    store = _file_system(config, scheme)
    try:
        executions = [entry.path for entry in store.get_file_info(fs.FileSelector(path))]
        # Releases before 2.16.1 have one log a component, of the latest attempt.
        files = [
            f"{execution}/{name}" for execution in executions for name in (f"{EXECUTOR_LOGS}-{number}", EXECUTOR_LOGS)
        ]
        found = [entry for entry in store.get_file_info(files) if entry.type == fs.FileType.File]
        if not found:
            raise NoLogError(f"no {EXECUTOR_LOGS} below {directory}")
        with store.open_input_stream(found[0].path) as stream:
            return str(stream.read().decode("utf-8", errors="replace"))
    except OSError as error:
        raise NoLogError(f"{directory} cannot be read: {' '.join(str(error).split())}") from None


def _file_system(config: KubeflowConfig, scheme: str) -> Any:
    """Returns how the store is read, with the credentials of this machine."""
    from pyarrow import fs

    if scheme == "gs":
        return fs.GcsFileSystem()
    timeouts = {"connect_timeout": _CONNECT_SECONDS, "request_timeout": _READ_SECONDS}
    if config.object_store is None:
        if scheme == "minio":
            raise ConfigError(
                "kubeflow.object_store does not say where it is: forward a port to the store, and give its URL"
            )
        return fs.S3FileSystem(**timeouts)
    missing = [name for name in _KEYS if not os.environ.get(name)]
    if missing:
        raise ConfigError(f"the environment has no {' and no '.join(missing)} for it")
    transport, _, host = config.object_store.partition("://")
    return fs.S3FileSystem(endpoint_override=host.rstrip("/"), scheme=transport, region="us-east-1", **timeouts)
