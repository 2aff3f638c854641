"""Settings of a scheduled retraining, the same for Kubeflow Pipelines and for one machine."""

from typing import Annotated

from pydantic import Field

from trainer_module.config import Section

LATEST = "latest"
"""Version of a schedule that always runs the newest package."""


class ScheduleConfig(Section):
    """When to retrain, and with what."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] | None = None
    """Names the schedule on the server or on this machine. None: the pipeline's name."""

    cron: str | None = None
    """When: the five fields of Unix cron (minute, hour, day of month, month, day of week). None: no schedule."""

    time_zone: str = "UTC"
    """IANA name of the time zone that `cron` is meant in, such as `Europe/Berlin`."""

    max_concurrency: int = Field(1, ge=1, le=10)
    """Most runs of the schedule at a time."""

    catch_up: bool = False
    """Whether firings that were missed are made up for, one run each."""

    version: str = Field(LATEST, min_length=1)
    """`latest`: always the newest uploaded package. Otherwise the name of the version to stay with."""

    parameters: dict[str, str | int | float] = Field(default_factory=dict)
    """Runtime parameters of each run, on top of the package's defaults: `parameters.epochs = 20`."""
