"""Options that the models commands share, and the directory that they name."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pipeline.commands.options import config_options, json_option, pipeline_root_option, resolve_config
from pipeline.output_capture import captured_output
from pipeline.path_names import check_name
from trainer_module.errors import PetsegError

_Command = Callable[..., Any]


@dataclass(frozen=True)
class PushedModels:
    """Where the versions are, and which of them stay whatever comes."""

    directory: str
    pinned: tuple[int, ...]


def directory_options(command: _Command) -> _Command:
    """Adds `--model`, the options of the configuration, and `--json`; `resolve_directory` takes all but the last."""
    model = click.option(
        "--model",
        "model_dir",
        metavar="DIR",
        help="The directory of versions; without it, the push destination of the configuration.",
    )
    root = pipeline_root_option("Directory that runs leave everything in; overrides pipeline.root.")
    return config_options(root(model(json_option("Print the result as JSON.")(command))))


def resolve_directory(
    model_dir: str | None,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    pipeline_root: str | None,
) -> PushedModels:
    """Returns the directory that the options name."""
    config = resolve_config(preset, config_file, overrides, pipeline_root, announce_default=model_dir is None)
    check_name("--model", model_dir or "")
    return PushedModels(model_dir or config.serving_model_dir, config.push.pinned_versions)


@contextmanager
def at_work(models: PushedModels) -> Iterator[None]:
    """Keeps TensorFlow's messages from the terminal, and says what is wrong with a directory that cannot be used."""
    with captured_output(Path(os.devnull)):
        import tensorflow as tf

        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            raise PetsegError(f"cannot work on the versions in {models.directory!r}: {error}") from error
