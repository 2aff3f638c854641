"""Settings of a scheduled retraining, the same for Kubeflow Pipelines and for one machine."""

from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, Field

from pipeline.config.cron import Cron
from pipeline.suggestions import nearest
from trainer_module.section import Section

LATEST: Final = "latest"
"""Version of a schedule that always runs the newest package."""


def _cron_line(text: str) -> str:
    """Returns the text when it is a cron line."""
    Cron.parse(text)
    return text


def _known_time_zone(name: str) -> str:
    """Returns the name when the time zone exists.

    Raises:
      ValueError: There is none of that name.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"there is no time zone {name!r}; did you mean {nearest(name, sorted(available_timezones()))!r}?"
        ) from None
    return name


TimeZone = Annotated[str, AfterValidator(_known_time_zone)]
"""An IANA name, such as `Europe/Berlin`."""


class ScheduleConfig(Section):
    """When to retrain, and with what."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] | None = None
    """Names the schedule on the server or on this machine. None: the pipeline's name."""

    cron: Annotated[str, AfterValidator(_cron_line)] | None = None
    """When: the five fields of Unix cron (minute, hour, day of month, month, day of week). None: no schedule."""

    time_zone: TimeZone = "UTC"
    """Time zone that `cron` is meant in."""

    server_time_zone: TimeZone = "UTC"
    """Time zone that the Kubeflow server reads all its schedules in: CRON_SCHEDULE_TIMEZONE of its deployment
    ml-pipeline-scheduledworkflow."""

    only_if_needed: bool = True
    """Whether a firing trains only where there is a reason (`[retraining]`). False: every firing trains."""

    max_concurrency: int = Field(1, ge=1, le=10)
    """Most runs of the schedule at a time."""

    catch_up: bool = False
    """Whether firings that were missed are made up for: by one run each on Kubeflow Pipelines, by one in all on one
    machine."""

    version: str = Field(LATEST, min_length=1)
    """`latest`: always the newest uploaded package. Otherwise the name of the version to stay with."""

    environment: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...] = ()
    """On one machine: names of environment variables whose present values the runs get, beside PYTHONPATH and what else
    petseg knows. Never secrets. On Kubeflow Pipelines the image and kubeflow.secrets say what pods have."""

    parameters: dict[str, str | bool | int | float] = Field(default_factory=dict)
    """Runtime parameters of each run, on top of the package's defaults: `parameters.epochs = 20`."""
