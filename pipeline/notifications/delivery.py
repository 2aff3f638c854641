"""Tells people of a run by every channel that is set; nothing that goes wrong meanwhile is the run's failure.

All channels have half a minute together. What is not done by then is given up: a thread that still waits for a server
ends with the process.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from pydantic import ValidationError

from pipeline.config.notification import NotificationConfig
from pipeline.notifications import mail, webhook
from pipeline.notifications.message import Message, outcome_of, run_message
from pipeline.notifications.secrets import secret, webhook_url, without_secrets
from pipeline.runs.record import RunRecord
from trainer_module.errors import PetsegError

DEADLINE_SECONDS: Final = 30.0

WEBHOOK: Final = "webhook"
MAIL: Final = "mail"


@dataclass(frozen=True)
class Delivery:
    """What became of a message on one channel."""

    channel: str
    error: str = ""
    """Why nobody was told, without any secret; empty where they were."""

    @property
    def line(self) -> str:
        """What became of it, for people."""
        return f"not told by {self.channel}: {self.error}" if self.error else f"told by {self.channel}"


def settings_of(record: RunRecord) -> NotificationConfig:
    """Returns the settings that a run had; those without any channel where it had none that can be used now."""
    try:
        return NotificationConfig.model_validate(record.settings.get("notification", {}))
    except ValidationError:
        return NotificationConfig()


def tell_of_run(
    settings: NotificationConfig,
    record: RunRecord,
    report: str | None,
    *,
    schedule: str | None = None,
    is_asked_for: bool = False,
) -> list[Delivery]:
    """Tells of a run that has ended, if the settings or somebody want it.

    Args:
      settings: Say who is told, and of which runs.
      record: Of the run.
      report: Where its report is: a path of this machine or a URI. None where there is none.
      schedule: Name of the schedule that started the run. None: none did.
      is_asked_for: Whether somebody wants it whatever the settings say of when and of which outcomes.

    Returns:
      What became of it on each channel; empty where nobody was to be told. It never raises.
    """
    is_due = settings.when == "always" or (settings.when == "scheduled" and schedule is not None)
    if not settings.has_channel or not (is_asked_for or (is_due and outcome_of(record) in settings.outcomes)):
        return []
    try:
        message = run_message(record, report, settings, schedule=schedule)
    except Exception as error:  # noqa: BLE001 (the run itself has ended)
        return [Delivery("any channel", f"the message cannot be written: {type(error).__name__}: {error}")]
    return deliver(settings, message)


def deliver(
    settings: NotificationConfig,
    message: Message,
    environment: Mapping[str, str] = os.environ,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> list[Delivery]:
    """Sends a message by all channels at once, and waits for them until the deadline.

    Returns:
      What became of it on each. It never raises.
    """
    ways = _ways(settings, message, environment)
    ended: queue.Queue[Delivery] = queue.Queue()
    for channel, way in ways.items():
        threading.Thread(
            target=lambda channel=channel, way=way: ended.put(_attempt(channel, way, settings, environment)),
            name=f"tell by {channel}",
            daemon=True,
        ).start()
    deadline, found = time.monotonic() + deadline_seconds, dict[str, Delivery]()
    why = f"given up after {deadline_seconds:g} s"
    try:
        while len(found) < len(ways):
            delivery = ended.get(timeout=max(0.0, deadline - time.monotonic()))
            found[delivery.channel] = delivery
    except queue.Empty:
        pass
    except KeyboardInterrupt:
        why = "interrupted"
    return [found.get(channel, Delivery(channel, why)) for channel in ways]


def _ways(
    settings: NotificationConfig, message: Message, environment: Mapping[str, str]
) -> dict[str, Callable[[], None]]:
    ways: dict[str, Callable[[], None]] = {}
    if settings.webhook:
        ways[WEBHOOK] = partial(_post, settings, message, environment)
    if settings.mail_to:
        ways[MAIL] = partial(_send, settings, message, environment)
    return ways


def _post(settings: NotificationConfig, message: Message, environment: Mapping[str, str]) -> None:
    webhook.post(webhook_url(settings, environment), settings.webhook_variable, message)


def _send(settings: NotificationConfig, message: Message, environment: Mapping[str, str]) -> None:
    password = secret(settings.smtp_password_variable, environment) if settings.smtp_user else None
    mail.send(settings, password, message)


def _attempt(
    channel: str, way: Callable[[], None], settings: NotificationConfig, environment: Mapping[str, str]
) -> Delivery:
    try:
        way()
    except Exception as error:  # noqa: BLE001 (a failure to tell is not the run's)
        text = str(error) if isinstance(error, PetsegError) else f"{type(error).__name__}: {error}"
        return Delivery(channel, without_secrets(text, _secrets(settings, environment)))
    return Delivery(channel)


def _secrets(settings: NotificationConfig, environment: Mapping[str, str]) -> list[str]:
    """Returns the secrets that are there, so that none is repeated by whatever went wrong."""
    found = []
    for variable in settings.secret_variables.values():
        try:
            found.append(secret(variable, environment))
        except PetsegError:
            continue
    return found
