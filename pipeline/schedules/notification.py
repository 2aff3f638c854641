"""Telling people of the firings of a schedule: what keeps them from being told, and what is told where no run is.

A firing whose configuration cannot be read knows by its record who was to be told when it could be read last.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.config.notification import NotificationConfig, Outcome
from pipeline.notifications.delivery import Delivery, deliver
from pipeline.notifications.message import firing_message
from pipeline.notifications.secrets import FILE_SUFFIX, missing_secrets


def tell_of_firing(
    remembered: Mapping[str, Any] | None, schedule: str, outcome: Outcome, reason: str, log: Path
) -> list[Delivery]:
    """Tells of a firing that has no run, if that is wanted.

    Args:
      remembered: The settings of notifications when they were read last. None: they never were.
      schedule: Name of the schedule.
      outcome: What became of the firing.
      reason: Why; may be empty.
      log: Of the firings.

    Returns:
      What became of it on each channel; empty where nobody was to be told. It never raises.
    """
    try:
        settings = NotificationConfig.model_validate(remembered or {})
    except ValidationError:  # another petseg wrote them
        return []
    if not settings.has_channel or settings.when == "never" or outcome not in settings.outcomes:
        return []
    return deliver(settings, firing_message(schedule, outcome, reason, log))


def secret_files(settings: NotificationConfig) -> list[str]:
    """Returns the variables, set here, that name the files of the secrets that the settings need."""
    if settings.when == "never":
        return []
    names = [variable + FILE_SUFFIX for variable in settings.secret_variables.values()]
    return [name for name in names if os.environ.get(name)]


def local_notes(settings: NotificationConfig, environment: Mapping[str, str], scheduler: str) -> list[str]:
    """Returns what will keep people from being told of the firings on this machine, one sentence each.

    Args:
      settings: Declared.
      environment: That the firings will have.
      scheduler: What starts them.
    """
    if settings.when == "never":
        return []
    return [
        f"nobody will be told that way: {missing}, where the {scheduler} starts the runs. Secrets are not carried "
        "there: keep it in a file that only you can read, set the variable that ends in _FILE to its path here, and "
        "apply again"
        for missing in missing_secrets(settings, environment)
    ]


def kubeflow_notes(settings: NotificationConfig, variables: Collection[str]) -> list[str]:
    """Returns what will keep people from being told of the runs on a cluster, one sentence each.

    Args:
      settings: Declared.
      variables: Those of `kubeflow.secrets`.
    """
    if settings.when == "never":
        return []
    return [
        f"nobody will be told that way: {setting} is set, but kubeflow.secrets gives pods no {variable}; add it, and "
        "compile the package anew"
        for setting, variable in settings.secret_variables.items()
        if variable not in variables and variable + FILE_SUFFIX not in variables
    ]
