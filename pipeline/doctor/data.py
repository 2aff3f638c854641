"""What a training starts from: the data set, the weights of an encoder, and what Beam works on."""

from pathlib import Path
from typing import Final

from components.model_pusher.version_store import newest_version
from pipeline.beam.arguments import beam_runner, check_machine, job_server_runner, runs_elsewhere
from pipeline.config.schema import Config
from pipeline.doctor.apart import NoAnswerError, ask
from pipeline.doctor.findings import Finding, not_seen, not_used, ok, problem, warning
from trainer_module.config import SERVED
from trainer_module.encoder_catalogue import ENCODERS, IMAGENET, why_not_at_hand

DATA_SECONDS: Final = 180.0
"""How long TFDS may take to be imported and to find a data set."""

BEAM_SECONDS: Final = 90.0


def look_at_data(config: Config) -> Finding:
    """Tells whether the data set is there, in a process of its own."""
    try:
        return Finding.model_validate(ask("data set", config, DATA_SECONDS))
    except NoAnswerError as error:
        return problem("data set", f"{config.data.dataset!r} in {config.data_dir!r}: {error}")


def look_at_data_set(config: Config) -> Finding:
    """Tells whether the data set is there, in which version, and what its splits hold; prepares nothing."""
    from components.tfds_example_gen.source import NotPreparedError
    from pipeline.data.readiness import newest_version_of, open_unprepared

    subject, data = "data set", config.data
    try:
        builder = open_unprepared(config)
    except NotPreparedError:
        if not data.download:
            raise
        found = f"{data.dataset} is not prepared in {config.data_dir!r}; the next run does that (data.download is true)"
        if data.data_dir is None:
            return ok(subject, found)
        return warning(subject, found, "see whether data.data_dir is the directory that was meant")
    sizes = [f"{name} {builder.info.splits[part].num_examples:,}" for name, part in data.splits.items()]
    found = f"{builder.info.full_name} in {config.data_dir!r}: {', '.join(sizes)} examples"
    newest = newest_version_of(config)
    if newest > builder.version:
        return ok(subject, f"{found}; data.dataset = {data.dataset!r} stays with it, and there is {newest}")
    return ok(subject, f"{found}; it is the newest version")


def look_at_weights(config: Config) -> Finding:
    """Tells whether the weights are at hand that a training starts from."""
    subject, trainer = "weights", config.trainer
    if trainer.warm_start is not None:
        return _of_warm_start(config, trainer.warm_start)
    encoder, weights = trainer.encoder_name, trainer.encoder_weights
    if encoder is None:
        return not_used("encoder", f"trainer.model is {trainer.model!r}, which has none")
    if weights is None:
        return ok(subject, f"of {encoder}: random ones (trainer.encoder_weights is none)")
    if reason := why_not_at_hand(encoder, weights):
        return problem(subject, reason)
    if weights == IMAGENET and ENCODERS[encoder].constructor:
        return ok(subject, f"of {encoder}: Keras has them of ImageNet in its cache, or downloads them once")
    return ok(subject, f"of {encoder}: {'those of ImageNet are installed' if weights == IMAGENET else repr(weights)}")


def look_at_beam_runner(config: Config, *, offline: bool) -> Finding:
    """Tells what Beam runs on, and whether a job server that it works through is there."""
    subject, arguments = "Beam", config.pipeline.beam_args
    check_machine(arguments, config.pipeline.root)
    if job_server_runner(arguments) is None:
        if runs_elsewhere(arguments):
            return ok(subject, f"{beam_runner(arguments)}, of which nothing can be told before a run")
        return ok(subject, f"{beam_runner(arguments)}, within the components' processes")
    if offline:
        return not_seen(subject, "--offline")
    return Finding.model_validate(ask("Beam", config, BEAM_SECONDS))


def look_at_beam(config: Config) -> Finding:
    """Tells whether the services that Beam works through answer, and fit."""
    from pipeline.beam.preflight import check_services

    check_services(config.pipeline.beam_args)
    return ok("Beam", f"{beam_runner(config.pipeline.beam_args)}, whose services answer")


def _of_warm_start(config: Config, start: str) -> Finding:
    subject = "weights"
    if "://" in start:
        return ok(subject, f"trainer.warm_start: {start}, an object store, which the training asks")
    if start != SERVED:
        if Path(start).expanduser().is_dir():
            return ok(subject, f"trainer.warm_start: those of {start!r}")
        return problem(
            subject, f"trainer.warm_start is {start!r}, and there is no such directory", "set it to a version"
        )
    if "://" in config.serving_model_dir:
        return ok(subject, f"trainer.warm_start: those of the newest version in {config.serving_model_dir}")
    newest = newest_version(config.serving_model_dir)
    return ok(
        subject, f"trainer.warm_start: those of {newest!r}" if newest else "trainer.warm_start: no model is served"
    )
