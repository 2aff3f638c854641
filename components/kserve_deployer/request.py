"""What is to be deployed, and where; travels through TFX as JSON."""

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict

IN_CLUSTER: Final = "in-cluster"
"""Stands for the service account of the pod in `kubeconfig`."""


class ClusterAccess(BaseModel):
    """How to reach the cluster, and the InferenceService in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kubeconfig: str | None = None
    """File of kubectl's settings, or `in-cluster`. None: in a pod its service account, else kubectl's own default."""

    context: str | None = None
    """Which of the file's contexts. None: its current one."""

    namespace: str
    name: str
    """Of the InferenceService."""

    force_conflicts: bool = False
    """Whether to take over fields that somebody else has set to another value."""

    timeout_seconds: int
    """Longest wait until the cluster has done what it was asked for."""


class DeployRequest(BaseModel):
    """One InferenceService without its model, and how a model gets its traffic."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    access: ClusterAccess
    template: dict[str, Any]
    """The InferenceService without a storage URI and without a canary."""

    push_destination: str
    storage_uri: str | None
    """Where the cluster sees the push destination. None: under its own `gs://` URI."""

    canary_percent: int | None
    """Share of the traffic that a model gets until it is promoted. None: all of it at once."""

    code_digest: str = ""
    """Identifies the code that deploys, so that a change to it runs the component again."""

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls.model_validate_json(text)
