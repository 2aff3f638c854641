"""Schedules on a Kubeflow Pipelines server, as recurring runs."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from pipeline.config.cron import Cron
from pipeline.config.schedule import LATEST
from pipeline.config.schema import Config
from pipeline.kubeflow.client import KubeflowClient, UploadedVersion
from pipeline.kubeflow.package import Package
from pipeline.kubeflow.parameters import NOTIFY, ONLY_IF_NEEDED
from pipeline.kubeflow.pipelines import ServerPipelines
from pipeline.kubeflow.recurring_runs import RecurringRun, RecurringRunRequest, RecurringRuns
from pipeline.schedules.notification import kubeflow_notes
from pipeline.schedules.parameters import check_parameters, check_ranges, parameter_settings
from pipeline.schedules.replacement import Existing, create, existing_run, finish_or_undo, replace, wait_for_quiet
from pipeline.schedules.schedule import Action, Plan, Schedule, declared_cron, declared_name, differences
from pipeline.schedules.times import cron_in_zone, in_words
from trainer_module.errors import ConfigError, PetsegError

_SERVICE_ACCOUNT: Final = "service account"
_SERVER_ACCOUNTS: Final = ("pipeline-runner", "default-editor")
"""What servers name where no account was asked for: with one user, with many. 2.17.0 names none."""


class KubeflowSchedules:
    """The schedules of a server's namespace."""

    repeats = True
    clock_changes = ("Kubeflow Pipelines starts no run", "Kubeflow Pipelines starts two runs")

    def __init__(
        self, client: KubeflowClient, config: Config, package: Package | None, tell: Callable[[str], None]
    ) -> None:
        """Constructs the place.

        Args:
          client: Of the server.
          config: Declares the schedule.
          package: Uploaded when a plan is carried out. None: the pipeline is on the server.
          tell: Is told what takes time.

        Raises:
          ConfigError: The package is another pipeline's.
        """
        if package is not None and package.name != config.pipeline.name:
            raise ConfigError(
                f"the package holds the pipeline {package.name!r}, but pipeline.name is {config.pipeline.name!r}; give "
                "the configuration that it was compiled from"
            )
        self.place = f"{client.access.host}, namespace {config.kubeflow.namespace}"
        self._client, self._config, self._package, self._tell = client, config, package, tell
        self._api = RecurringRuns(client)
        self._server = ServerPipelines(client)
        self._parameters: dict[str, Any] = dict(config.schedule.parameters)
        """Of each run: those that are declared, and those by which scheduled runs train only where there is a reason,
        and tell people."""

    def plan(self) -> Plan:
        notes = self._check_what_runs()
        name, wanted = declared_name(self._config), self._declared_settings()
        existing = self._existing(name)
        present: dict[str, str] = {}
        action = Action.CREATE
        notes += [existing.note] if existing.note else []
        if existing.current is not None:
            present = self._settings(existing.current)
            if self._config.kubeflow.service_account is None and present.get(_SERVICE_ACCOUNT) in _SERVER_ACCOUNTS:
                del present[_SERVICE_ACCOUNT]
            if not existing.enabled:
                notes.append("it is paused and stays so; `petseg schedule resume` lets it fire again")
            action = Action.NONE if present == wanted else Action.UPDATE
        changes = differences(present, wanted)
        return Plan(name=name, place=self.place, action=action, differences=changes, notes=notes)

    def carry_out(self, plan: Plan) -> None:
        if self._package is not None:
            self._client.upload(self._package)
        current = finish_or_undo(self._api, self._existing(plan.name))
        if current is None:
            create(self._api, self._request())
        elif plan.action is Action.CREATE:
            raise PetsegError(
                f"somebody made a schedule {current.name!r} meanwhile: {current.id}; apply again to see what differs"
            )
        elif plan.action is Action.UPDATE:
            # Kubernetes removes the runs of a schedule together with it.
            if going_on := self._server.runs_going_on(current.experiment_id, current.id):
                raise PetsegError(
                    f"the schedule {current.name!r} cannot be changed while a run of it goes on, since the server "
                    f"would stop that run: {', '.join(going_on)}; apply again when it is done, or stop it: petseg "
                    f"kubeflow cancel {going_on[0]}"
                )
            request = self._request()
            if current.enabled:
                zone, former = self._config.schedule.server_time_zone, _five_fields(current.cron)
                wait_for_quiet([(cron, zone) for cron in (self._server_cron(), former) if cron], self._tell)
            replace(self._api, current, request)

    def schedules(self) -> list[Schedule]:
        zone = self._config.schedule.server_time_zone
        return [
            Schedule(
                name=run.name,
                id=run.id,
                place=self.place,
                enabled=run.enabled,
                cron=cron.text if (cron := _five_fields(run.cron)) else None,
                time_zone=zone,
                settings=self._settings(run),
            )
            for run in self._api.all()
        ]

    def pause(self, schedule: Schedule) -> None:
        self._api.disable(str(schedule.id))

    def resume(self, schedule: Schedule) -> None:
        self._api.enable(str(schedule.id))

    def trigger(self, schedule: Schedule) -> str:
        run = self._run(schedule)
        if run.pipeline_id is None:
            raise PetsegError(f"the schedule {run.name!r} runs a package of its own; petseg starts uploaded ones only")
        version = self._server.newest(run.pipeline_id)
        if run.version_id is not None:
            name = self._server.version_name(run.pipeline_id, run.version_id)
            version = UploadedVersion(run.pipeline_id, run.version_id, name, is_new=False)
        name = f"{run.name} triggered {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        run_id = self._api.start(run, version.version_id, name)
        return f"started the run {run_id} of {version.name}; see it with: petseg kubeflow status {run_id}"

    def runs_going_on(self, schedule: Schedule) -> list[str]:
        run = self._run(schedule)
        return self._server.runs_going_on(run.experiment_id, run.id)

    def delete(self, schedule: Schedule) -> None:
        self._api.delete(str(schedule.id))

    def _check_what_runs(self) -> list[str]:
        """Checks pipeline, version and parameters, and returns what is to be uploaded, as a note."""
        schedule, name = self._config.schedule, self._config.pipeline.name
        notes: list[str] = []
        if self._config.schedule.environment:
            notes.append("schedule.environment means nothing there: pods have what the image and kubeflow.secrets give")
        package = self._package
        if package is not None:
            own_version = f"{name}-{package.digest}"
            notes.append(f"the package is uploaded as the version {own_version}, unless the server has it")
        if package is None or schedule.version not in (LATEST, own_version):
            pipeline_id = self._server.pipeline_id(name)
            is_latest = schedule.version == LATEST
            version = (
                self._server.newest(pipeline_id) if is_latest else self._server.version(pipeline_id, schedule.version)
            )
            package = self._server.package(version)
        if package is None:
            check_ranges(schedule.parameters)
        else:
            check_parameters(schedule.parameters, package)
        return notes + self._have_it_decide(package) + self._have_people_told(package)

    def _have_it_decide(self, package: Package | None) -> list[str]:
        """Has the runs train only where there is a reason, if that is wanted; returns what keeps them from it."""
        wanted = self._config.schedule.only_if_needed
        if package is not None and ONLY_IF_NEEDED in package.parameters:
            self._parameters = {ONLY_IF_NEEDED: wanted, **self._parameters}
        elif wanted:
            return [
                f"every firing trains, whether or not there is a reason: the package has no parameter "
                f"{ONLY_IF_NEEDED!r}; compile it from a configuration with schedule.cron, and upload it anew"
            ]
        return []

    def _have_people_told(self, package: Package | None) -> list[str]:
        """Has the runs tell people where that is wanted of scheduled ones, and returns what keeps them from it."""
        settings = self._config.notification
        notes = kubeflow_notes(settings, {secret.variable for secret in self._config.kubeflow.secrets})
        if settings.when != "scheduled" or not settings.has_channel:
            return notes
        if package is None or NOTIFY not in package.parameters:
            notes.append(f"nobody will be told: the package has no parameter {NOTIFY!r}; compile and upload it anew")
        else:
            self._parameters = {NOTIFY: "always", **self._parameters}
        return notes

    def _existing(self, name: str) -> Existing:
        """Returns what stands for the declared schedule.

        Raises:
          PetsegError: A schedule of that name runs something else than the declared pipeline; it is not ours to change.
        """
        existing = existing_run(self._api.all(), name)
        current = existing.current
        if current is None:
            return existing
        runs = self._server.pipeline_name(current.pipeline_id) if current.pipeline_id else None
        if runs and runs in (self._config.pipeline.name, current.pipeline_id):  # the id: that pipeline is gone
            return existing
        whose = f"the pipeline {runs!r}" if runs else "a package of its own"
        raise PetsegError(
            f"{self.place} has a schedule {name!r} already, which runs {whose} and not {self._config.pipeline.name!r}; "
            f"choose another schedule.name, or delete that one: petseg schedule delete {current.id}"
        )

    def _declared_settings(self) -> dict[str, str]:
        """Returns the settings that the configuration declares."""
        schedule, kubeflow = self._config.schedule, self._config.kubeflow
        settings = {
            "cron": self._server_cron().kubeflow,
            "pipeline": self._config.pipeline.name,
            "version": schedule.version,
            **parameter_settings(self._parameters),
            "max concurrency": str(schedule.max_concurrency),
            "catch up": _yes_or_no(schedule.catch_up),
            "experiment": kubeflow.experiment or self._config.pipeline.name,
            "pipeline root": kubeflow.pipeline_root,
        }
        return settings | ({_SERVICE_ACCOUNT: kubeflow.service_account} if kubeflow.service_account else {})

    def _settings(self, run: RecurringRun) -> dict[str, str]:
        """Returns the settings that a recurring run has."""
        server = self._server
        settings = {
            "cron": _trigger(run),
            "pipeline": server.pipeline_name(run.pipeline_id) if run.pipeline_id else "none, but a package of its own",
            "version": LATEST,
            **parameter_settings(run.parameters),
            "max concurrency": str(run.max_concurrency),
            "catch up": _yes_or_no(run.catch_up),
            "experiment": server.experiment_name(run.experiment_id),
            "pipeline root": run.pipeline_root or "the server's",
        }
        if run.pipeline_id and run.version_id:
            settings["version"] = server.version_name(run.pipeline_id, run.version_id)
        return settings | ({_SERVICE_ACCOUNT: run.service_account} if run.service_account else {})

    def _request(self) -> RecurringRunRequest:
        """Returns what the declared schedule is made of; makes the experiment when it is absent."""
        schedule, kubeflow = self._config.schedule, self._config.kubeflow
        pipeline_id = self._server.pipeline_id(self._config.pipeline.name)
        is_latest = schedule.version == LATEST
        return RecurringRunRequest(
            name=declared_name(self._config),
            description=f"{in_words(declared_cron(self._config))}, in {schedule.time_zone}",
            cron=self._server_cron().kubeflow,
            pipeline_id=pipeline_id,
            version_id=None if is_latest else self._server.version(pipeline_id, schedule.version).version_id,
            experiment_id=self._client.experiment_id(kubeflow.experiment or self._config.pipeline.name, create=True),
            parameters=self._parameters,
            pipeline_root=kubeflow.pipeline_root,
            service_account=kubeflow.service_account,
            max_concurrency=schedule.max_concurrency,
            catch_up=schedule.catch_up,
        )

    def _server_cron(self) -> Cron:
        """Returns the declared line as the server reads it."""
        schedule = self._config.schedule
        now = datetime.now(UTC)
        return cron_in_zone(declared_cron(self._config), schedule.time_zone, schedule.server_time_zone, now)

    def _run(self, schedule: Schedule) -> RecurringRun:
        for run in self._api.all():
            if run.id == schedule.id:
                return run
        raise PetsegError(f"the schedule {schedule.name!r} ({schedule.id}) is gone from {self.place}")


def _trigger(run: RecurringRun) -> str:
    """Returns what lets a recurring run fire; a cron line that petseg would not write says how the server reads it."""
    if run.interval_seconds is not None:
        return f"none, but every {run.interval_seconds} s"
    if run.cron is None:
        return "none: it fires only once"
    fields = len(run.cron.split())
    if _five_fields(run.cron) or fields not in (5, 6):
        return run.cron
    return f"{run.cron} (seconds first{', any day of the week' if fields == 5 else ''})"


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _five_fields(cron: str | None) -> Cron | None:
    """Returns the line without the seconds; None when it is none that petseg writes."""
    seconds, _, fields = (cron or "").partition(" ")
    try:
        return Cron.parse(fields) if seconds == "0" else None
    except ValueError:
        return None
