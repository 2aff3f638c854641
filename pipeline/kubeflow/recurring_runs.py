"""The recurring runs of a Kubeflow Pipelines server, which can be made, switched and deleted but not changed.

A changed schedule is a new recurring run that takes the place of the former one. Until the former one is gone, the new
one says in its description which it replaces, so that an interrupted change can be told from a namesake.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pipeline.kubeflow.client import KubeflowClient
from pipeline.kubeflow.transport import pages, services

_REPLACEMENT: Final = re.compile(r"; replaces (\S+), which was (enabled|paused)$")


@dataclass(frozen=True)
class RecurringRunRequest:
    """What a recurring run is made of."""

    name: str
    description: str
    cron: str
    """Six fields."""

    pipeline_id: str
    version_id: str | None
    """None: always the newest."""

    experiment_id: str
    parameters: Mapping[str, Any]
    pipeline_root: str
    service_account: str | None
    max_concurrency: int
    catch_up: bool


@dataclass(frozen=True)
class RecurringRun:
    """A recurring run of the server."""

    id: str
    name: str
    enabled: bool
    cron: str | None
    """Seconds first; the day of the week, in the end, may be left out. None: it has no such trigger."""

    interval_seconds: int | None
    """How often it fires, without a cron line. None: it has no such trigger; with neither it fires only once."""

    pipeline_id: str | None
    """None: it runs a package of its own."""

    version_id: str | None
    experiment_id: str
    parameters: dict[str, Any]
    pipeline_root: str | None
    service_account: str | None
    max_concurrency: int
    catch_up: bool
    replaces: str | None
    """Id of the recurring run that this one takes the place of."""

    replaces_enabled: bool
    """Whether that one was enabled."""

    @classmethod
    def of(cls, answer: Any) -> "RecurringRun":
        """Returns what the server's answer says."""
        reference, runtime = answer.pipeline_version_reference, answer.runtime_config
        trigger = answer.trigger
        cron_schedule, periodic = (trigger.cron_schedule, trigger.periodic_schedule) if trigger else (None, None)
        replacement = _REPLACEMENT.search(answer.description or "")
        return cls(
            id=answer.recurring_run_id,
            name=answer.display_name or answer.recurring_run_id,  # the server could not read the rest
            enabled=answer.status == "ENABLED",
            cron=cron_schedule.cron if cron_schedule else None,
            interval_seconds=int(periodic.interval_second or 0) if periodic else None,
            pipeline_id=(reference.pipeline_id if reference else None) or None,
            version_id=(reference.pipeline_version_id if reference else None) or None,
            experiment_id=answer.experiment_id,
            parameters=dict((runtime.parameters if runtime else None) or {}),
            pipeline_root=(runtime.pipeline_root if runtime else None) or None,
            service_account=answer.service_account or None,
            max_concurrency=int(answer.max_concurrency or 1),
            catch_up=not answer.no_catchup,
            replaces=replacement[1] if replacement else None,
            replaces_enabled=replacement is not None and replacement[2] == "enabled",
        )


class RecurringRuns:
    """The recurring runs of one namespace."""

    def __init__(self, client: KubeflowClient) -> None:
        self._client = client
        self._api = client.recurring_runs
        self._runs = services.RunServiceApi(client.recurring_runs.api_client)

    def all(self) -> list[RecurringRun]:
        """Returns all recurring runs, by name and age."""
        namespace = {} if self._client.namespace is None else {"namespace": self._client.namespace}
        list_page = partial(self._api.recurring_run_service_list_recurring_runs, sort_by="created_at", **namespace)
        with self._client.translated_errors("list the schedules"):
            answers = [answer for page in pages(list_page) for answer in page.recurring_runs or ()]
        return sorted(map(RecurringRun.of, answers), key=lambda run: run.name)

    def create(self, request: RecurringRunRequest, *, enabled: bool, replaces: RecurringRun | None) -> RecurringRun:
        """Makes a recurring run.

        Args:
          request: What it is.
          enabled: Whether it fires from now on.
          replaces: The one whose place it takes.
        """
        models = self._client.models
        description = request.description
        if replaces is not None:
            description += f"; replaces {replaces.id}, which was {'enabled' if replaces.enabled else 'paused'}"
        body = models.V2beta1RecurringRun(
            display_name=request.name,
            description=description,
            experiment_id=request.experiment_id,
            namespace=self._client.namespace,
            pipeline_version_reference=models.V2beta1PipelineVersionReference(
                pipeline_id=request.pipeline_id, pipeline_version_id=request.version_id
            ),
            runtime_config=models.V2beta1RuntimeConfig(
                parameters=dict(request.parameters), pipeline_root=request.pipeline_root
            ),
            service_account=request.service_account,
            max_concurrency=str(request.max_concurrency),
            no_catchup=not request.catch_up,
            trigger=models.V2beta1Trigger(cron_schedule=models.V2beta1CronSchedule(cron=request.cron)),
            mode="ENABLE" if enabled else "DISABLE",
        )
        with self._client.translated_errors(f"create the schedule {request.name!r}"):
            return RecurringRun.of(self._api.recurring_run_service_create_recurring_run(body))

    def start(self, run: RecurringRun, version_id: str, name: str) -> str:
        """Starts one run now, as the recurring run does, and returns its id.

        Args:
          run: The recurring run.
          version_id: The version to run.
          name: Of the run that is started.
        """
        models = self._client.models
        body = models.V2beta1Run(
            display_name=name,
            experiment_id=run.experiment_id,
            pipeline_version_reference=models.V2beta1PipelineVersionReference(
                pipeline_id=run.pipeline_id, pipeline_version_id=version_id
            ),
            runtime_config=models.V2beta1RuntimeConfig(parameters=run.parameters, pipeline_root=run.pipeline_root),
            service_account=run.service_account,
        )
        with self._client.translated_errors(f"start a run of the schedule {run.name!r}"):
            return str(self._runs.run_service_create_run(body).run_id)

    def enable(self, recurring_run_id: str) -> None:
        with self._client.translated_errors(f"enable the schedule {recurring_run_id}"):
            self._api.recurring_run_service_enable_recurring_run(recurring_run_id)

    def disable(self, recurring_run_id: str) -> None:
        with self._client.translated_errors(f"pause the schedule {recurring_run_id}"):
            self._api.recurring_run_service_disable_recurring_run(recurring_run_id)

    def delete(self, recurring_run_id: str) -> None:
        with self._client.translated_errors(f"delete the schedule {recurring_run_id}"):
            self._api.recurring_run_service_delete_recurring_run(recurring_run_id)
