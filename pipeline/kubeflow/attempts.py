"""The tries of a component in its pod, counted together with those of the server.

A server starts a component again after what its installation calls worth it: Kubeflow Pipelines from 2.17 on a pod that
was lost, 2.14 to 2.16 one that failed. So what `kubeflow.retry` promises after a failure that may pass is kept in the
pod: its process starts itself anew, as often as the setting says. It comes by the environment of the container, at
which the server's cache does not look: another number of tries runs nothing again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from pydantic import ValidationError

from pipeline.config.kubeflow import Retry
from trainer_module.errors import ConfigError

RETRY_VARIABLE: Final = "PETSEG_RETRY"
"""Environment variable with the settings of `kubeflow.retry`, as JSON; without it there is one try."""

RETRY_INDEX_VARIABLE: Final = "KFP_RETRY_INDEX"
"""Environment variable in which servers from 2.16.1 on say how many pods the task had before."""

_ATTEMPT_VARIABLE: Final = "PETSEG_ATTEMPT"
"""Environment variable with the number of the try, where it is not the first one of its pod."""


@dataclass(frozen=True)
class Attempt:
    """One try of a component."""

    number: int
    """From 1 on; those before it were in this pod, or are the pods before it."""

    retry: Retry

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Reads which try a process with that environment is.

        Raises:
          ConfigError: The settings cannot be read.
        """
        index = environment.get(RETRY_INDEX_VARIABLE, "")
        first = int(index) + 1 if index.isdecimal() else 1
        text = environment.get(RETRY_VARIABLE)
        try:
            retry = Retry.model_validate_json(text) if text else Retry(max_count=0)
        except ValidationError as error:
            raise ConfigError(f"{RETRY_VARIABLE} is {text!r}, no settings of kubeflow.retry: {error}") from error
        return cls(int(environment.get(_ATTEMPT_VARIABLE, first)), retry)

    @property
    def count(self) -> int:
        """How many tries there are at most."""
        return self.retry.max_count + 1

    @property
    def is_last(self) -> bool:
        """Whether there is none after it."""
        return self.number >= self.count

    @property
    def pause_seconds(self) -> float:
        """Pause before the next one, as the server would make it."""
        wanted = self.retry.backoff_seconds * self.retry.backoff_factor ** (self.number - 1)
        return min(wanted, self.retry.backoff_max_seconds)

    @property
    def next_environment(self) -> dict[str, str]:
        """What tells a process that it is the next try."""
        return {_ATTEMPT_VARIABLE: str(self.number + 1)}


def retry_environment(retry: Retry) -> dict[str, str]:
    """Returns the environment variable that lets a component try again; none where it has only one try."""
    return {RETRY_VARIABLE: retry.model_dump_json()} if retry.max_count else {}
