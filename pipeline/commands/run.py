"""`petseg run`: runs the pipeline on this machine; `petseg show-config`: prints the configuration that it would use."""

import sys
from pathlib import Path

import click

from pipeline.commands.notification import check_channels, tell_and_say
from pipeline.commands.options import (
    FiredRun,
    config_options,
    end_with,
    gate_options,
    json_option,
    pipeline_root_option,
    resolve_config,
)
from pipeline.config.loading import config_toml
from pipeline.terminal.streams import json_text


@click.command("run")
@config_options
@pipeline_root_option("Directory for everything that a run leaves; overrides pipeline.root.")
@click.option(
    "--from", "from_node", metavar="NODE", help="Start at this component, with the outputs of an earlier run."
)
@click.option("--to", "to_node", metavar="NODE", help="Stop after this component.")
@click.option("--no-cache", is_flag=True, help="Run every component, also those whose result is known.")
@gate_options
@click.option("--notify", "is_told", is_flag=True, help="Tell people of the run's end by [notification].")
@json_option("Print the run's record as JSON on standard output, and all else on standard error.")
@click.pass_context
def run(
    ctx: click.Context,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    pipeline_root: str | None,
    from_node: str | None,
    to_node: str | None,
    no_cache: bool,
    reset_baseline: bool,
    force_bless: str | None,
    is_told: bool,
    as_json: bool,
) -> None:
    """Run the pipeline on this machine, from data to pushed model.

    A component whose inputs, settings and code are unchanged is not run again. Ctrl-C stops; the next run goes on after
    the last component that finished.

    Exit codes: 0 done, 1 failure, 2 bad usage or configuration, 3 done but the model was not blessed, or cannot be
    served, so nothing was pushed, 130 interrupted. With --force-bless a model that did not pass the gate is pushed and
    the exit code is 0.
    """
    config = resolve_config(preset, config_file, overrides, pipeline_root)
    fired = ctx.find_object(FiredRun)
    if fired is not None:
        fired.config = config
    else:
        check_channels(config.notification, is_asked_for=is_told)
    from pipeline.local.runner import RunRequest, run_pipeline

    request = RunRequest(
        from_node,
        to_node,
        not no_cache,
        reset_baseline=reset_baseline,
        force_bless=force_bless or "",
        show_on_stderr=as_json,
    )
    record = run_pipeline(config, request)
    if fired is not None:
        fired.record = record
    else:
        tell_and_say(config.notification, record, is_asked_for=is_told)
    end_with(ctx, record, as_json=as_json)


@click.command("show-config")
@config_options
@json_option("Print JSON instead of TOML.")
def show_config(preset: str | None, config_file: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print the resolved configuration: defaults < preset < file < --set.

    The TOML that is printed can be kept, changed, and given to --config. The text "none" stands for a setting that is
    not set.
    """
    config = resolve_config(preset, config_file, overrides)
    click.echo(json_text(config) if as_json else config_toml(config).rstrip(), file=sys.stdout)
