"""Which pipelines, versions and experiments a server has, as far as schedules need to know."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pipeline.kubeflow.client import KubeflowClient, UploadedVersion
from pipeline.kubeflow.package import Package
from pipeline.kubeflow.transport import KubeflowApiError, pages, services
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError, PetsegError

_NEWEST_RUNS: Final = 100
_NOT_FOUND: Final = 404
_ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})


class ServerPipelines:
    """Looks up names and ids on a server."""

    def __init__(self, client: KubeflowClient) -> None:
        self._client = client
        self._names: dict[str, str] = {}
        api_client = client.recurring_runs.api_client
        self._pipelines = services.PipelineServiceApi(api_client)
        self._experiments = services.ExperimentServiceApi(api_client)

    def pipeline_id(self, name: str) -> str:
        """Returns the id of a pipeline.

        Raises:
          PetsegError: The server has none of that name, or it has no version yet.
        """
        found = self._client.pipeline_id(name)
        if found is None or not self._versions(found):
            lacks = f"has no pipeline {name!r}" if found is None else f"has no version of the pipeline {name!r}"
            raise PetsegError(
                f"{self._client.access.host} {lacks}; upload one: petseg kubeflow submit --upload-only FILE, or give "
                "its file: petseg schedule apply --package FILE"
            )
        return found

    def version(self, pipeline_id: str, name: str) -> UploadedVersion:
        """Returns a version by name.

        Raises:
          ConfigError: The pipeline has none of that name.
        """
        versions = self._versions(pipeline_id)
        for version in versions:
            if name in (version.display_name, version.name):
                return _uploaded(version)
        names = [version.display_name for version in versions]
        raise ConfigError(
            f"schedule.version is {name!r}, but the server has no such version; did you mean "
            f"{nearest(name, names)!r}? 'latest' stands for the newest, now {names[0]!r}"
        )

    def newest(self, pipeline_id: str) -> UploadedVersion:
        """Returns the version that was uploaded last."""
        return _uploaded(self._versions(pipeline_id)[0])

    def package(self, version: UploadedVersion) -> Package | None:
        """Returns the package that a version was uploaded from; None when the server does not show it."""
        try:
            return self._client.package(version.pipeline_id, version.version_id)
        except KubeflowApiError:
            raise
        except PetsegError:
            return None

    def pipeline_name(self, pipeline_id: str) -> str:
        """Returns the name of a pipeline; its id when it is gone."""

        def look_up() -> str:
            pipeline = self._pipelines.pipeline_service_get_pipeline(pipeline_id)
            return str(pipeline.name or pipeline.display_name)

        return self._name(pipeline_id, look_up)

    def version_name(self, pipeline_id: str, version_id: str) -> str:
        """Returns the name of a version; its id when it is gone."""

        def look_up() -> str:
            return str(self._pipelines.pipeline_service_get_pipeline_version(pipeline_id, version_id).display_name)

        return self._name(version_id, look_up)

    def experiment_name(self, experiment_id: str) -> str:
        """Returns the name of an experiment; its id when it is gone."""

        def look_up() -> str:
            return str(self._experiments.experiment_service_get_experiment(experiment_id).display_name)

        return self._name(experiment_id, look_up)

    def runs_going_on(self, experiment_id: str, recurring_run_id: str) -> list[str]:
        """Returns the ids of the runs of a schedule that have not ended, as far as the newest hundred tell."""
        return [
            run.run_id
            for run in self._client.runs(experiment_id, _NEWEST_RUNS)
            if run.recurring_run_id == recurring_run_id and run.state not in _ENDED
        ]

    def _name(self, entry_id: str, look_up: Callable[[], str]) -> str:
        """Returns the name that belongs to an id, asked for once; the id itself when the server knows it no more."""
        if entry_id not in self._names:
            try:
                with self._client.translated_errors(f"look up {entry_id}"):
                    self._names[entry_id] = look_up()
            except KubeflowApiError as error:
                if error.status != _NOT_FOUND:
                    raise
                self._names[entry_id] = entry_id
        return self._names[entry_id]

    def _versions(self, pipeline_id: str) -> list[Any]:
        """Returns the versions of a pipeline, the newest first."""
        list_page = partial(
            self._pipelines.pipeline_service_list_pipeline_versions, pipeline_id, sort_by="created_at desc"
        )
        with self._client.translated_errors("list the versions of the pipeline"):
            return [version for page in pages(list_page) for version in page.pipeline_versions or ()]


def _uploaded(version: Any) -> UploadedVersion:
    return UploadedVersion(version.pipeline_id, version.pipeline_version_id, version.display_name, is_new=False)
