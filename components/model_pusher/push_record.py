"""What a pushed version says of its push (`assets.extra/petseg_push.json`)."""

from datetime import datetime
from typing import Any

import tensorflow as tf
from pydantic import BaseModel, ConfigDict, ValidationError

from components.model_pusher.checksums import PUSH_FILE


class Withdrawal(BaseModel):
    """The version that a rollback put out of service."""

    model_config = ConfigDict(frozen=True)

    version: int
    content: str
    """Digest of the model, by which it is known when it comes again."""


class PushRecord(BaseModel):
    """When a version was pushed, by which run, and on what grounds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pushed_at: datetime
    run: str = ""
    """Id of the run that pushed the model; empty where the runner does not tell."""

    dataset: str = ""
    dataset_version: str = ""
    metrics: dict[str, float | None] = {}
    """Of the evaluated split; None where a metric is infinite, which JSON cannot say."""

    thresholds: list[dict[str, Any]] = []
    """Every bound of the gate and whether it holds: `components.model_evaluator.gate.BoundResult`."""

    probe: dict[str, Any] = {}
    """What the probe found: `components.model_probe.findings.Findings`."""

    forced_because: str = ""
    """Why the model was pushed although a bound does not hold."""

    copy_of: int | None = None
    """The version that a rollback brought back; the rest is as it was at the model's first push."""

    withdrawn: Withdrawal | None = None
    """What the rollback replaced."""

    @classmethod
    def of(cls, version_directory: str) -> "PushRecord | None":
        """Reads the record of a version; None where there is none that can be read."""
        try:
            with tf.io.gfile.GFile(f"{version_directory}/{PUSH_FILE}", "rb") as file:
                return cls.model_validate_json(file.read())
        except (tf.errors.OpError, ValidationError):
            return None
