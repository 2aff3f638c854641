"""`petseg serve`: a local server for a pushed model, with a page to try it."""

import importlib.util
import logging
import os
from pathlib import Path
from typing import Any, Final, TextIO

import click

from pipeline.commands.options import config_options, pipeline_root_option, resolve_config
from pipeline.serving.limits import Limits
from pipeline.terminal.streams import captured_output, say
from trainer_module.errors import ConfigError

_EXTRA: Final = ("fastapi", "orjson", "prometheus_client", "uvicorn")
_DEFAULTS: Final = Limits()
_LOCAL_HOSTS: Final = ("127.0.0.1", "::1", "localhost")


@click.command()
@click.argument("model_dir", required=False, type=click.Path(path_type=Path))
@config_options
@pipeline_root_option("Directory that runs leave everything in; overrides pipeline.root.")
@click.option(
    "--version", type=click.IntRange(min=0), metavar="N", help="Serve this version, and look for no newer one."
)
@click.option("--name", metavar="NAME", help="The model's name in the URLs; the directory's when not given.")
@click.option("--label", "labels", metavar="LABEL", multiple=True, help="Answer /labels/LABEL, too; may be repeated.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8501, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--open", "open_page", is_flag=True, help="Show the page in the browser.")
@click.option(
    "--max-batch", default=_DEFAULTS.max_batch, show_default=True, type=click.IntRange(min=1), help="Images a batch."
)
@click.option(
    "--max-queue",
    default=_DEFAULTS.max_queue,
    show_default=True,
    type=click.IntRange(min=1),
    help="Requests at hand; more are told to come again.",
)
@click.option(
    "--max-request-mib",
    default=_DEFAULTS.max_request_bytes >> 20,
    show_default=True,
    type=click.IntRange(1, 1024),
    help="Length of a request.",
)
@click.option(
    "--max-pixels",
    default=_DEFAULTS.max_pixels,
    show_default=True,
    type=click.IntRange(min=1),
    help="Pixels of the images of a request together.",
)
def serve(
    model_dir: Path | None,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    pipeline_root: str | None,
    **options: Any,
) -> None:
    """Serve a pushed model on this machine: a page to try it, masks by HTTP, TensorFlow Serving's REST.

    MODEL_DIR is a directory that a run pushed to, or one version in it; where the configuration pushes to when not
    given. A newer version is taken up as soon as it is pushed.
    """
    _check_extra()
    if model_dir is None:
        destination = resolve_config(preset, config_file, overrides, pipeline_root).serving_model_dir
        if "://" in destination:
            raise ConfigError(
                f"petseg serve needs a directory of this machine, not {destination!r}: copy a version of it, and name "
                "the copy as MODEL_DIR."
            )
        model_dir = Path(destination)
    elif preset or config_file or overrides or pipeline_root:
        raise ConfigError(
            "MODEL_DIR and --preset, --config, --set or --pipeline-root both say what to serve; give one of them."
        )
    with captured_output(Path(os.devnull)) as (stdout, stderr):
        _serve(model_dir.resolve(), stdout, stderr, **options)


def _check_extra() -> None:
    missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"petseg serve needs {', '.join(missing)}, of the extra `serve`. In a checkout: make setup. Elsewhere: "
            "pip install 'petseg[serve]'."
        )


def _serve(
    directory: Path,
    stdout: TextIO,
    stderr: TextIO,
    *,
    version: int | None,
    name: str | None,
    labels: tuple[str, ...],
    host: str,
    port: int,
    open_page: bool,
    max_request_mib: int,
    **limits: int,
) -> None:
    from pipeline.serving.batching import Measurements
    from pipeline.serving.server import bound_socket, serve
    from pipeline.serving.service import Service
    from pipeline.serving.versions import ModelVersions, model_name

    logging.basicConfig(stream=stderr, level=logging.WARNING, format="%(asctime)s %(message)s", force=True)
    logging.getLogger("pipeline.serving").setLevel(logging.INFO)
    bounds = Limits(max_request_bytes=max_request_mib << 20, **limits)
    measurements = Measurements()
    with bound_socket(host, port) as own:
        versions = ModelVersions.open(directory, version, bounds, measurements)
        service = Service(name or model_name(directory), labels, versions, bounds, measurements)
        url = f"http://{f'[{host}]' if ':' in host else host}:{own.getsockname()[1]}"

        def announce() -> None:
            say(f"serving {service.name}, version {versions.current.version}: {url}/", stdout)
            say(
                f"curl --data-binary @photo.jpg '{url}/v1/models/{service.name}:segment?output=overlay' -o overlay.png",
                stdout,
            )
            if host not in _LOCAL_HOSTS:
                say(f"warning: {host} can be reached from elsewhere, and there is no authentication", stderr)
            if open_page:
                click.launch(url)

        serve(service, own, announce)
    say("stopped", stdout)
