"""The log of a component of a run on the server."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from pipeline.kubeflow.pod_logs import ComponentPod, PodLog
from pipeline.kubeflow.runs import RemoteRun
from pipeline.runs.record import NodeState
from trainer_module.errors import PetsegError

POLL_SECONDS: Final = 3.0

_UNENDED: Final = (NodeState.PENDING, NodeState.RUNNING)


class ComponentLog:
    """What the pods of one component write; read again and again where it is followed."""

    def __init__(self, remote: RemoteRun, component: str, number: int | None, tell: Callable[[str], None]) -> None:
        """Constructs the log.

        Args:
          remote: The run.
          component: Which of its components, or a driver, such as `Trainer-driver` or `root-driver`.
          number: Which of its attempts, from 1. None: the latest one.
          tell: Is told from where the log is.

        Raises:
          PetsegError: The run has no such component.
        """
        remote.attempts(component)
        self._remote = remote
        self._component = component
        self._number = number
        self._tell = tell
        self._told: str | None = None

    def read(self) -> str:
        """Returns the log so far.

        Raises:
          PetsegError: The component has no such pod, or its log can be read nowhere.
        """
        attempt = self._attempt()
        if attempt is None:
            raise PetsegError(self._without_pod())
        return self._read(attempt).text

    def follow(self) -> Iterator[str]:
        """Yields the log so far, then what is added, until the component has ended.

        Raises:
          PetsegError: As `read`, when the component has ended.
        """
        attempt, shown = None, ""
        while True:
            has_ended = self._state() not in _UNENDED or self._remote.has_ended
            current = self._attempt()
            if current != attempt:
                attempt, shown = current, ""
            if attempt is not None:
                text = self._read_if_possible(attempt, must=has_ended and not shown)
                yield text.removeprefix(shown)
                shown = text or shown
            elif has_ended:
                raise PetsegError(self._without_pod())
            if has_ended:
                return
            time.sleep(POLL_SECONDS)
            self._remote.refresh()

    def _read_if_possible(self, attempt: ComponentPod, *, must: bool) -> str:
        """Returns the log; nothing while it is nowhere, unless it must be there."""
        try:
            return self._read(attempt).text
        except PetsegError:
            if must:
                raise
            return ""

    def _read(self, attempt: ComponentPod) -> PodLog:
        log = self._remote.logs.read(attempt, is_running=self._state() is NodeState.RUNNING)
        if log.source != self._told:
            self._tell(f"log of {attempt}, from {log.source}")
            self._told = log.source
        return log

    def _attempt(self) -> ComponentPod | None:
        attempts = self._remote.attempts(self._component)
        if self._number is None:
            return attempts[-1] if attempts else None
        return attempts[self._number - 1] if self._number <= len(attempts) else None

    def _state(self) -> NodeState:
        return self._remote.state(self._component)

    def _without_pod(self) -> str:
        what, state = f"{self._component} of the run {self._remote.record.run_id}", self._state()
        attempts = len(self._remote.attempts(self._component))
        if attempts:
            return f"{what} has {attempts} attempt{'s' * (attempts > 1)}; --attempt is {self._number}"
        if state is NodeState.CACHED:
            return f"{what} has no log: its result was taken from the cache"
        return f"{what} has no log: it is {state}, and no pod of it is known"
