"""The log of a component of a run on the server."""

import time
from collections.abc import Iterator
from typing import Final

from pipeline.kubeflow.client import KubeflowClient
from pipeline.kubeflow.runs import RemoteRun
from pipeline.kubeflow.transport import KubeflowApiError
from pipeline.runs.record import NodeState
from trainer_module.errors import PetsegError

POLL_SECONDS: Final = 3.0

_UNENDED: Final = (NodeState.PENDING, NodeState.RUNNING)
_RUN_LABEL: Final = "pipeline/runid"


class ComponentLog:
    """What the pods of one component write; the server itself cannot follow a log, so it is read again and again."""

    def __init__(self, client: KubeflowClient, remote: RemoteRun, component: str) -> None:
        """Constructs the log.

        Args:
          client: Of the server.
          remote: The run.
          component: Which of its components.

        Raises:
          PetsegError: The run has no such component.
        """
        remote.status(component)
        self._client = client
        self._remote = remote
        self._component = component

    def read(self) -> str:
        """Returns the log so far.

        Raises:
          PetsegError: The component has no pod, or the server cannot read its log; it says what to do instead.
        """
        pod = self._pod()
        if pod is None:
            raise PetsegError(self._without_pod())
        return self._read(pod)

    def follow(self) -> Iterator[str]:
        """Yields the log so far, then what is added, until the component has ended.

        Raises:
          PetsegError: As `read`, when the component has ended.
        """
        pod, printed = None, 0
        while True:
            has_ended = self._state() not in _UNENDED or self._remote.has_ended
            current = self._pod()
            if current != pod:
                pod, printed = current, 0
            if pod is not None:
                text = self._read_if_possible(pod, must=has_ended)
                yield text[printed:]
                printed = max(printed, len(text))
            elif has_ended:
                raise PetsegError(self._without_pod())
            if has_ended:
                return
            time.sleep(POLL_SECONDS)
            self._remote.refresh()

    def _read_if_possible(self, pod: str, *, must: bool) -> str:
        """Returns the log; nothing while the pod is being made, unless it must be there."""
        try:
            return self._read(pod)
        except PetsegError:
            if must:
                raise
            return ""

    def _read(self, pod: str) -> str:
        try:
            return self._client.log(self._remote.record.run_id, pod)
        except KubeflowApiError as error:
            command = f"kubectl logs -n {self._client.access.namespace} {pod} -c main"
            raise PetsegError(f"{error}; if the pod is still there: {command}") from error

    def _pod(self) -> str | None:
        pods = self._remote.status(self._component).pods
        return pods[-1] if pods else None

    def _state(self) -> NodeState:
        return self._remote.record.node(self._component).state

    def _without_pod(self) -> str:
        run_id, state = self._remote.record.run_id, self._state()
        if state is NodeState.CACHED:
            return f"{self._component} of the run {run_id} has no log: its result was taken from the cache"
        if state in (NodeState.PENDING, NodeState.SKIPPED):
            return f"{self._component} of the run {run_id} has no log: it is {state}"
        command = f"kubectl get pods -n {self._client.access.namespace} -l {_RUN_LABEL}={run_id}"
        return f"the server does not tell the pod of {self._component}; its name is among these: {command}"
