"""`petseg notify`: tells people of a run; and how the commands that run something do."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import click

from pipeline.commands.options import (
    FAILURE,
    config_options,
    json_option,
    pipeline_root_option,
    resolve_config,
)
from pipeline.config.notification import NotificationConfig
from pipeline.config.schema import DEFAULT_PIPELINE_ROOT
from pipeline.notifications.delivery import Delivery, deliver, settings_of, tell_of_run
from pipeline.notifications.mail import mail_of, server_of
from pipeline.notifications.message import Message, run_message, trial_message
from pipeline.notifications.secrets import missing_secrets
from pipeline.notifications.webhook import payload
from pipeline.runs.record import RunRecord
from pipeline.runs.store import LATEST, RunStore
from pipeline.terminal.streams import json_text, notify, say
from trainer_module.errors import ConfigError

_NO_CHANNEL = (
    "nobody can be told: neither notification.webhook nor notification.mail_to is set. With [notification] webhook = "
    "true, the webhook's URL stands in the environment variable PETSEG_WEBHOOK_URL"
)


@click.command("notify")
@click.argument("run", required=False)
@config_options
@pipeline_root_option(f"Directory that the runs are under; {DEFAULT_PIPELINE_ROOT} when not given.")
@click.option("--test", "is_test", is_flag=True, help="Send a message that tells of no run, to try the set-up.")
@click.option("--dry-run", is_flag=True, help="Print what would be sent, and send nothing.")
@json_option("Print what was sent, or would be, as JSON.")
@click.pass_context
def notify_command(
    ctx: click.Context,
    run: str | None,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    pipeline_root: str | None,
    is_test: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Tell people of a run, by the webhook and the mail of [notification].

    RUN is the id of a run, or: latest, which is the default. Without --preset, --config and --set the run's own
    settings say who is told.

    Exit codes: 0 everybody was told, 1 a webhook or a mail server did not take the message, 2 the settings name nobody.
    """
    if is_test and run is not None:
        raise click.UsageError("--test tells of no run; leave RUN out")
    has_config = bool(preset or config_file or overrides)
    config = resolve_config(preset, config_file, overrides, pipeline_root) if has_config or is_test else None
    if is_test and config is not None:
        settings, message = config.notification, trial_message(config.pipeline.name)
    else:
        root = config.pipeline.root if config else pipeline_root or DEFAULT_PIPELINE_ROOT
        record = RunStore(root).record(run or LATEST)
        settings = config.notification if config else settings_of(record)
        message = run_message(record, record.report, settings)
    if not settings.has_channel:
        raise ConfigError(_NO_CHANNEL)
    if dry_run:
        _print_message(settings, message, as_json=as_json)
        return
    deliveries = deliver(settings, message)
    if as_json:
        click.echo(json_text([{"channel": each.channel, "error": each.error or None} for each in deliveries]))
    _say(deliveries)
    ctx.exit(FAILURE if any(delivery.error for delivery in deliveries) else 0)


def check_channels(settings: NotificationConfig, *, is_asked_for: bool) -> None:
    """Says at once, before a run, what will keep people from being told of it.

    Args:
      settings: Of the run.
      is_asked_for: Whether they are to be told whatever the settings say of when.

    Raises:
      ConfigError: It is asked for, and the settings name nobody.
    """
    if is_asked_for and not settings.has_channel:
        raise ConfigError(_NO_CHANNEL)
    if is_asked_for or settings.when == "always":
        for missing in missing_secrets(settings, os.environ):
            notify(f"notice: {missing}; the run goes on, and nobody is told that way", "yellow")


def tell_and_say(settings: NotificationConfig, record: RunRecord, *, is_asked_for: bool) -> None:
    """Tells of a run that has ended, if that is wanted; says what came of it, also in the run's log."""
    deliveries = tell_of_run(settings, record, record.report, is_asked_for=is_asked_for)
    _say(deliveries)
    note_in_log(deliveries, Path(record.log))


def note_in_log(deliveries: Sequence[Delivery], log: Path) -> None:
    """Adds to a run's log who was told; a disk that is full takes nothing from the run."""
    with suppress(OSError):
        for delivery in deliveries:
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z} {delivery.line}\n")


def _say(deliveries: Sequence[Delivery]) -> None:
    for delivery in deliveries:
        notify(f"notice: {delivery.line}", "yellow" if delivery.error else None)


def _print_message(settings: NotificationConfig, message: Message, *, as_json: bool) -> None:
    for missing in missing_secrets(settings, os.environ):
        notify(f"notice: {missing}", "yellow")
    body = payload(message) if settings.webhook else None
    mail = mail_of(settings, message) if settings.mail_to else None
    if as_json:
        click.echo(json_text({"webhook": body, "mail": None if mail is None else mail.as_string()}))
        return
    if body is not None:
        say(f"to the webhook whose URL is in {settings.webhook_variable}:")
        click.echo(json_text(body))
    if mail is not None:
        text = mail.get_body(("plain",))
        say(f"by {server_of(settings)}:")
        for name in ("From", "To", "Subject"):
            say(f"{name}: {mail[name]}")
        for line in ["", *(text.get_content().splitlines() if text else ())]:
            say(line, sys.stdout)
