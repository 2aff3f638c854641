"""`petseg retrain`: runs the pipeline if there is a reason to; `petseg freeze` and `unfreeze`."""

from pathlib import Path
from typing import Any

import click

from pipeline.commands.models import PushedModels, directory_options
from pipeline.commands.notification import check_channels, tell_and_say
from pipeline.commands.options import (
    FiredRun,
    config_options,
    end_with,
    json_option,
    pipeline_root_option,
    resolve_config,
)
from pipeline.terminal.streams import json_text
from trainer_module.errors import ConfigError


@click.command("retrain")
@config_options
@pipeline_root_option("Directory for everything that a run leaves; overrides pipeline.root.")
@click.option("--always", is_flag=True, help="Train whether or not there is a reason to; the rules of the push hold.")
@click.option("--no-cache", is_flag=True, help="Run every component, also those whose result is known.")
@click.option("--notify", "is_told", is_flag=True, help="Tell people of the run's end by [notification].")
@json_option("Print the run's record as JSON on standard output, and all else on standard error.")
@click.pass_context
def retrain(
    ctx: click.Context,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    pipeline_root: str | None,
    always: bool,
    no_cache: bool,
    is_told: bool,
    as_json: bool,
) -> None:
    """Train if there is a reason to: other data, drift, another recipe, age, or a served model that misses the gate.

    What is a reason says [retraining]. The new model and the served one are evaluated on the same newest data. Pushed
    is one that is better beyond noise, or as good where the served one misses the gate. This is what schedules start.

    Exit codes: 0 done, or nothing to do, 1 failure, 2 bad usage or configuration, 3 trained, but nothing was pushed
    since the model is not blessed or cannot be served, 130 interrupted.
    """
    config = resolve_config(preset, config_file, overrides, pipeline_root)
    fired = ctx.find_object(FiredRun)
    if fired is not None:
        fired.config = config
    else:
        check_channels(config.notification, is_asked_for=is_told)
    from pipeline.local.runner import RunRequest, run_pipeline

    record = run_pipeline(
        config, RunRequest(use_cache=not no_cache, retrain=True, asked=always, show_on_stderr=as_json)
    )
    if fired is not None:
        fired.record = record
    else:
        tell_and_say(config.notification, record, is_asked_for=is_told)
    end_with(ctx, record, as_json=as_json)


def _reason(_ctx: click.Context, _parameter: click.Parameter, reason: str) -> str:
    if not reason.strip():
        raise ConfigError("petseg freeze needs a reason, which is shown wherever nothing is pushed; got an empty one")
    return reason.strip()


@click.command("freeze")
@click.argument("reason", callback=_reason)
@directory_options
def freeze(reason: str, as_json: bool, **options: Any) -> None:
    """Push nothing from now on, for REASON; training, evaluating and rollbacks go on.

    It holds for the push destination, and so for every machine and cluster that pushes there, and for --force-bless.
    `petseg unfreeze` ends it: the next `petseg retrain` then pushes what the freeze alone has kept back.
    """
    from components.model_pusher.freezing import freeze as freeze_pushes

    place = PushedModels.of(**options)
    with place.at_work():
        event = freeze_pushes(place.directory, reason)
    click.echo(json_text(event) if as_json else f"{place.directory}: {event.summary}")


@click.command("unfreeze")
@directory_options
def unfreeze(as_json: bool, **options: Any) -> None:
    """Push again what passes the gate."""
    from components.model_pusher.freezing import unfreeze as unfreeze_pushes

    place = PushedModels.of(**options)
    with place.at_work():
        ended = unfreeze_pushes(place.directory)
    if as_json:
        click.echo(json_text({"ended": ended.model_dump(mode="json")}))
    else:
        click.echo(f"{place.directory}: models are pushed again; the freeze was: {ended.reason}")
