"""Which MLflow server is told, and under what names."""

import importlib.util
import os
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from pipeline.config.schema import Config
from pipeline.config.tracking import TrackingConfig
from pipeline.runs.record import RunRecord
from pipeline.tracking.errors import TrackerError
from trainer_module.errors import ConfigError

URI_VARIABLE: Final = "MLFLOW_TRACKING_URI"
EXPERIMENT_VARIABLE: Final = "MLFLOW_EXPERIMENT_NAME"

_SCHEMES: Final = ("http://", "https://")


class Address(BaseModel):
    """A server, and the names there."""

    model_config = ConfigDict(frozen=True)

    uri: str
    experiment: str
    registered_model: str
    log_model: bool = True
    """Whether models are uploaded."""

    @classmethod
    def of(
        cls, tracking: TrackingConfig, pipeline: str, environment: Mapping[str, str] = os.environ
    ) -> "Address | None":
        """Returns the address that settings and environment name; None where runs are not to be told of.

        Raises:
          TrackerError: The environment names a tracker that is no server of MLflow.
        """
        uri = tracking.mlflow or environment.get(URI_VARIABLE, "").strip().rstrip("/")
        if not tracking.enabled or not uri:
            return None
        if not uri.startswith(_SCHEMES):
            raise TrackerError(
                f"{URI_VARIABLE} is {uri!r}, and petseg sends runs to a server of MLflow only, by http:// or https://; "
                "name one there or in tracking.mlflow, or set tracking.enabled to false"
            )
        return cls(
            uri=uri,
            experiment=tracking.experiment or environment.get(EXPERIMENT_VARIABLE) or pipeline,
            registered_model=tracking.registered_model or pipeline,
            log_model=tracking.log_model,
        )

    @classmethod
    def of_config(cls, config: Config) -> "Address | None":
        """Returns the address for runs of a configuration on this machine; None where they are not to be told of.

        Raises:
          ConfigError: The setting names a server, and MLflow's client is not installed.
          TrackerError: The environment names one, and the client is not installed, or it is no server of MLflow.
        """
        address = cls.of(config.tracking, config.pipeline.name)
        if address is not None and not is_client_installed():
            set_by = "tracking.mlflow" if config.tracking.mlflow else URI_VARIABLE
            error = ConfigError if config.tracking.mlflow else TrackerError
            raise error(
                f"{set_by} is {address.uri!r}, but MLflow's client is not installed: install petseg[mlflow], or set "
                "tracking.enabled to false"
            )
        return address

    @classmethod
    def of_record(cls, record: RunRecord, environment: Mapping[str, str] = os.environ) -> "Address | None":
        """Returns the address that the settings of a run name, or the environment; None where neither does.

        Raises:
          TrackerError: The environment names a tracker that is no server of MLflow.
        """
        settings: Mapping[str, Any] = record.settings.get("tracking", {})
        return cls.of(TrackingConfig.model_validate(settings), record.pipeline, environment)


def is_client_installed() -> bool:
    """Returns whether MLflow's client can be imported; imports nothing."""
    return importlib.util.find_spec("mlflow") is not None
