"""All that is looked at for a configuration, area by area."""

from collections.abc import Callable
from functools import partial
from typing import Final

from pipeline.config.schema import Config
from pipeline.doctor import data, machine, packages, places, schedules, services
from pipeline.doctor.apart import ask
from pipeline.doctor.findings import Check, Finding, not_seen

_STORE_SECONDS: Final = 120.0
"""How long TensorFlow may take to be imported and to ask an object store."""

_SLACK_SECONDS: Final = 30.0
"""How much longer a check may take than the process that it waits for, which is ended in order before."""

_Look = Callable[[Config], Finding | list[Finding]]


def checks_of(config: Config, *, offline: bool = False) -> list[Check]:
    """Returns what is to be looked at.

    Args:
      config: The resolved configuration.
      offline: Whether to leave out what asks other machines.
    """
    return [
        *_of_machine(config),
        *_of_packages(config),
        *_of_places(config),
        *_of_pushed_models(config, offline=offline),
        *_of_data(config, offline=offline),
        *_of_services(config, offline=offline),
        Check("schedules", "schedules", partial(schedules.look_at_schedules, config)),
    ]


def _of_machine(config: Config) -> list[Check]:
    return [
        Check("machine", "processor", machine.look_at_processor),
        Check("machine", "memory", machine.look_at_memory),
        Check("machine", "clock", _below_root(config, "clock", machine.look_at_clock)),
    ]


def _of_packages(config: Config) -> list[Check]:
    seconds = packages.MODULES_SECONDS + _SLACK_SECONDS
    return [
        Check("packages", "Python", packages.look_at_python),
        Check("packages", "C library", packages.look_at_c_library),
        Check("packages", "versions", packages.look_at_versions),
        Check("packages", "extras", packages.look_at_extras),
        Check("packages", "imports", partial(packages.look_at_modules, config), seconds),
    ]


def _of_places(config: Config) -> list[Check]:
    look_at_data = places.look_at_data_directory
    return [
        Check("places", "pipeline root", partial(places.look_at_root, config)),
        Check("places", "metadata", _below_root(config, "metadata", places.look_at_metadata)),
        Check("places", "runs", _below_root(config, "runs", places.look_at_runs)),
        Check("places", "data directory", _below_root(config, "data directory", look_at_data, config.data.data_dir)),
        Check("places", "temporary files", places.look_at_temporary_files),
    ]


def _of_pushed_models(config: Config, *, offline: bool) -> list[Check]:
    area, subject = "pushed models", "pushed models"
    if config.push.destination is None or "://" not in config.push.destination:
        destination = config.push.destination
        look_at_place, look_at_models = places.look_at_push_destination, places.look_at_pushed_models
        return [
            Check(area, "push destination", _below_root(config, "push destination", look_at_place, destination)),
            Check(area, "served model", _below_root(config, "served model", look_at_models, destination)),
        ]
    if offline:
        return [Check(area, subject, partial(not_seen, subject, "--offline"))]

    def ask_store() -> list[Finding]:
        return [Finding.model_validate(finding) for finding in ask("pushed models", config, _STORE_SECONDS)]

    return [Check(area, subject, ask_store, _STORE_SECONDS + _SLACK_SECONDS)]


def _of_data(config: Config, *, offline: bool) -> list[Check]:
    look_at_beam = partial(data.look_at_beam_runner, config, offline=offline)
    return [
        Check("data", "data set", partial(data.look_at_data, config), data.DATA_SECONDS + _SLACK_SECONDS),
        Check("data", "weights", partial(data.look_at_weights, config)),
        Check("data", "Beam", look_at_beam, data.BEAM_SECONDS + _SLACK_SECONDS),
    ]


def _of_services(config: Config, *, offline: bool) -> list[Check]:
    look, seconds = services.look_at_service, services.SERVICE_SECONDS + _SLACK_SECONDS
    return [
        *(
            Check("services", name, partial(look, name, config, offline=offline), seconds)
            for name in ("Kubeflow", "KServe", "MLflow")
        ),
        Check("services", "unsent runs", _below_root(config, "unsent runs", services.look_at_outbox)),
        Check("services", "notification", partial(services.look_at_notification, config)),
    ]


def _below_root(
    config: Config, subject: str, look: _Look, elsewhere: str | None = None
) -> Callable[[], Finding | list[Finding]]:
    """Returns what looks at something below the pipeline root; where that is no use, one finding says so.

    Args:
      config: The configuration.
      subject: What is looked at.
      look: Looks at it.
      elsewhere: Where it is instead, if the configuration says so.
    """

    def look_below() -> Finding | list[Finding]:
        why = "" if elsewhere else places.why_root_is_no_use(config)
        return not_seen(subject, why) if why else look(config)

    return look_below
