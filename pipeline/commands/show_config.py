"""`petseg show-config`: prints the configuration that `petseg run` would use."""

import sys
from pathlib import Path

import click

from pipeline.commands.options import config_options, json_option, resolve_config
from pipeline.config_loading import config_toml
from pipeline.json_text import json_text


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
