"""Settings of experiment tracking: which MLflow server hears of the runs, and under what names."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from trainer_module.section import Section

_LONGEST_WAIT_SECONDS: Final = 60.0


def _without_credentials(url: str) -> str:
    """Returns the URL without a slash at its end.

    Raises:
      ValueError: It holds a user's name or password, which would be stored with every run.
    """
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise ValueError(
            "the URL holds credentials, and settings are stored with every run; leave them out and set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    return url.rstrip("/")


class TrackingConfig(Section):
    """Where runs are told of, beside their own records."""

    enabled: bool = True
    """Whether runs are sent to the MLflow server, where one is named."""

    mlflow: Annotated[str, AfterValidator(_without_credentials)] | None = Field(None, pattern=r"^https?://[^/\s]+\S*$")
    """URL of the MLflow server, such as `http://mlflow:5000`. None: MLFLOW_TRACKING_URI of the environment, on this
    machine; without that no server hears of the runs."""

    experiment: str | None = Field(None, min_length=1, max_length=500)
    """Experiment that groups the runs. None: MLFLOW_EXPERIMENT_NAME, or the pipeline's name."""

    registered_model: Annotated[str, Field(pattern=r"""^[^/:'"\\]+$""", max_length=250)] | None = None
    """Registered model whose versions the pushed models are. None: the pipeline's name."""

    log_model: bool = True
    """Whether a model that was pushed to a directory is uploaded with its run, so that it can be loaded from MLflow;
    else its version there says where the model is. A model in an object store is named, not uploaded."""

    wait_seconds: float = Field(5.0, ge=0, le=_LONGEST_WAIT_SECONDS)
    """How long the end of a run waits for the server at most; what has not been sent then is kept for
    `petseg track sync`."""
