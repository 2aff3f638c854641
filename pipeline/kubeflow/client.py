"""The client of a Kubeflow Pipelines server: packages, experiments, runs, and what schedules need.

Every method that talks to the server raises `KubeflowApiError` when the server refuses, does not answer, or cannot be
reached.
"""

import base64
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from components.http_requests import READ_SECONDS
from pipeline.config.kubeflow import KubeflowConfig
from pipeline.kubeflow.metadata_service import open_metadata
from pipeline.kubeflow.package import Package
from pipeline.kubeflow.run_artifacts import RunArtifacts
from pipeline.kubeflow.transport import Access, ApiClient, KubeflowApiError, models, open_api_client, pages, services
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError, PetsegError

IN_CLUSTER_HOST: Final = "http://ml-pipeline.kubeflow.svc.cluster.local:8888"
"""Address of the API for pods of its cluster."""

IN_CLUSTER_TOKEN: Final = Path("/var/run/secrets/kubeflow/pipelines/token")
"""Where Kubernetes keeps a pod's token for the API, when the pod's manifest asks for one."""

BACKOFF_SECONDS: Final = 1.0

_HEALTH: Final = "/apis/v2beta1/healthz"
_UNKNOWN_RELEASE: Final = "unknown"
_AS_JSON: Final[dict[str, Any]] = {
    "header_params": {"Accept": "application/json"},
    "response_type": "object",
    "_return_http_data_only": True,
}
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404
_ARCHIVED_LOG: Final = "main-logs"
"""Argo's name for what the container `main` of a pod wrote."""


@dataclass(frozen=True)
class UploadedVersion:
    """A package on the server."""

    pipeline_id: str
    version_id: str
    name: str
    is_new: bool
    """False: the server had it already."""


def connect(
    config: KubeflowConfig, backoff_seconds: float | None = BACKOFF_SECONDS, read_seconds: float = READ_SECONDS
) -> "KubeflowClient":
    """Returns a client of the server that the settings name, once the server has answered.

    The bearer token comes from the environment variable `config.token_variable`, or in a pod from its projected token.

    Args:
      config: Where the server is.
      backoff_seconds: Pause before a request is sent for the third time; it doubles from there. None: each is sent
        once.
      read_seconds: Longest pause of an answer of the API.

    Raises:
      ConfigError: The certificate file, the token or the proxy cannot be used.
      KubeflowApiError: The server does not answer, or not as Kubeflow Pipelines does.
    """
    if config.ca_certificate is not None and not Path(config.ca_certificate).is_file():
        raise ConfigError(f"kubeflow.ca_certificate is {config.ca_certificate!r}, which is no file")
    token = _token_source(config)
    access = Access(
        host=(config.host or IN_CLUSTER_HOST).rstrip("/"),
        namespace=config.namespace,
        token_variable=config.token_variable,
        has_token=token is not None,
        ca_certificate=config.ca_certificate,
    )
    api = open_api_client(access.host, token, config.ca_certificate, backoff_seconds, read_seconds=read_seconds)
    service = open_metadata(config, token, backoff_seconds)
    return KubeflowClient(config, access, api, RunArtifacts(service))


def _token_source(config: KubeflowConfig) -> Callable[[], str] | None:
    """Returns what gives the bearer token; None when there is none."""
    token = os.environ.get(config.token_variable, "").strip()
    if token:
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigError(
                f"the environment variable {config.token_variable} holds no bearer token: expected one word of ASCII "
                "characters, got something with spaces or other characters"
            )
        return lambda: token
    if config.host is None and IN_CLUSTER_TOKEN.is_file():
        return lambda: IN_CLUSTER_TOKEN.read_text(encoding="utf-8").strip()
    return None


class KubeflowClient:
    """Talks to one server, in one namespace."""

    def __init__(self, config: KubeflowConfig, access: Access, api: ApiClient, artifacts: RunArtifacts) -> None:
        """Constructs the client; `connect` does it.

        Args:
          config: Settings of the runs.
          access: Whom the client talks to.
          api: The generated client.
          artifacts: Of the server's runs, which the API does not give out.
        """
        self.config = config
        self.access = access
        self.artifacts = artifacts
        self.models: ModuleType = models
        """The generated classes of requests and answers, such as `V2beta1RecurringRun`."""

        self._api = api
        self._pipelines = services.PipelineServiceApi(api)
        self._uploads = services.PipelineUploadServiceApi(api)
        self._experiments = services.ExperimentServiceApi(api)
        self._runs = services.RunServiceApi(api)
        self.recurring_runs = services.RecurringRunServiceApi(api)
        """The generated API of schedules; call it inside `translated_errors`."""

        with self.translated_errors("reach Kubeflow Pipelines"):
            health = api.call_api(_HEALTH, "GET", auth_settings=["Bearer"], **_AS_JSON)
        release = health.get("tag_name") or _UNKNOWN_RELEASE
        self.release: str | None = None if release == _UNKNOWN_RELEASE else release
        """Of the server; None where its installation does not tell, as that of the manifests does not."""

        self.namespace: str | None = config.namespace if health.get("multi_user") else None
        """What requests have to name; None on a server of one user, which refuses the parameter."""

    def translated_errors(self, what: str) -> AbstractContextManager[None]:
        """Turns what requests of the block raise into a `KubeflowApiError` that says what to do.

        Args:
          what: What the block does, as it reads after "cannot".
        """
        return self.access.translated_errors(what)

    def upload(self, package: Package) -> UploadedVersion:
        """Uploads a package, unless the server has one of the same content.

        The pipeline is named after the package, the version after the package and its digest. A pipeline that was made
        for a version which the server then refuses is removed again.
        """
        name = f"{package.name}-{package.digest}"
        pipeline_id, is_new_pipeline = self._pipeline(package.name)
        known = self.version_id(pipeline_id, name)
        if known is not None:
            return UploadedVersion(pipeline_id, known, name, is_new=False)
        try:
            return UploadedVersion(pipeline_id, self._upload_version(pipeline_id, name, package), name, is_new=True)
        except KubeflowApiError as error:
            if error.status == _CONFLICT and (known := self.version_id(pipeline_id, name)) is not None:
                return UploadedVersion(pipeline_id, known, name, is_new=False)
            if is_new_pipeline:
                self._remove_empty_pipeline(pipeline_id)
            raise

    def pipeline_id(self, name: str) -> str | None:
        """Returns the id of a pipeline; None when the server has none of that name."""
        with self.translated_errors(f"look for the pipeline {name!r}"):
            listed = self._pipelines.pipeline_service_list_pipelines(**self._in_namespace(), filter=_named(name))
        return next((entry.pipeline_id for entry in listed.pipelines or ()), None)

    def version_id(self, pipeline_id: str, name: str) -> str | None:
        """Returns the id of a version of a pipeline; None when there is none of that name."""
        with self.translated_errors(f"look for the version {name!r}"):
            listed = self._pipelines.pipeline_service_list_pipeline_versions(pipeline_id, filter=_named(name))
        return next((entry.pipeline_version_id for entry in listed.pipeline_versions or ()), None)

    def package(self, pipeline_id: str, version_id: str) -> Package:
        """Returns the package that a version was uploaded from."""
        with self.translated_errors(f"read the pipeline version {version_id}"):
            version = self._pipelines.pipeline_service_get_pipeline_version(pipeline_id, version_id)
        return _package_of(version.pipeline_spec)

    def experiment_id(self, name: str, create: bool) -> str:
        """Returns the id of an experiment.

        Args:
          name: Name of the experiment.
          create: Whether to make it when it is absent.

        Raises:
          PetsegError: There is no such experiment, and `create` is false.
        """
        found = self._find_experiment(name)
        if found is not None:
            return found
        if not create:
            raise PetsegError(f"there is no experiment {name!r} on {self.access.host}; {self._experiment_names(name)}")
        experiment = self.models.V2beta1Experiment(display_name=name, namespace=self.namespace)
        try:
            with self.translated_errors(f"create the experiment {name!r}"):
                created = self._experiments.experiment_service_create_experiment(experiment)
        except KubeflowApiError as error:
            if error.status == _CONFLICT and (found := self._find_experiment(name)) is not None:
                return found
            raise
        return str(created.experiment_id)

    def create_run(
        self, version: UploadedVersion, *, name: str, experiment_id: str, parameters: Mapping[str, Any]
    ) -> Any:
        """Starts a run of a version.

        Args:
          version: What to run.
          name: Shown in lists of runs.
          experiment_id: Experiment that the run belongs to.
          parameters: Runtime parameters; those that are absent keep the package's defaults.

        Returns:
          The run, a `V2beta1Run`.
        """
        run = self.models.V2beta1Run(
            display_name=name,
            experiment_id=experiment_id,
            pipeline_version_reference=self.models.V2beta1PipelineVersionReference(
                pipeline_id=version.pipeline_id, pipeline_version_id=version.version_id
            ),
            runtime_config=self.models.V2beta1RuntimeConfig(
                parameters=dict(parameters), pipeline_root=self.config.pipeline_root
            ),
            service_account=self.config.service_account,
        )
        with self.translated_errors(f"create the run {name!r}"):
            return self._runs.run_service_create_run(run)

    def run(self, run_id: str) -> Any:
        """Returns a run with the details of its tasks, a `V2beta1Run`."""
        with self.translated_errors(f"read the run {run_id}"):
            return self._runs.run_service_get_run(run_id)

    def runs(self, experiment_id: str, limit: int) -> list[Any]:
        """Returns the newest runs of an experiment, newest first, without the details of their tasks."""
        with self.translated_errors("list the runs"):
            listed = self._runs.run_service_list_runs(
                **self._in_namespace(), experiment_id=experiment_id, page_size=limit, sort_by="created_at desc"
            )
        return list(listed.runs or ())[:limit]

    def terminate(self, run_id: str) -> None:
        """Asks the server to stop a run."""
        with self.translated_errors(f"cancel the run {run_id}"):
            self._runs.run_service_terminate_run(run_id)

    def archived_log(self, run_id: str, node_id: str) -> str | None:
        """Returns the log of a pod that has ended, from Argo's archive; None when the archive has none.

        Args:
          run_id: The run.
          node_id: Id of the workflow's node that it was the pod of.
        """
        path = "/apis/v2beta1/runs/{run_id}/nodes/{node_id}/artifacts/{artifact}:read"
        try:
            with self.translated_errors("read the archived log"):
                answer = self._api.call_api(
                    path,
                    "GET",
                    path_params={"run_id": run_id, "node_id": node_id, "artifact": _ARCHIVED_LOG},
                    auth_settings=["Bearer"],
                    **_AS_JSON,
                )
        except KubeflowApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return base64.b64decode(answer["data"]).decode("utf-8", errors="replace")

    def _pipeline(self, name: str) -> tuple[str, bool]:
        """Returns the id of a pipeline, and whether it was made now."""
        found = self.pipeline_id(name)
        if found is not None:
            return found, False
        pipeline = self.models.V2beta1Pipeline(name=name, display_name=name, namespace=self.namespace)
        try:
            with self.translated_errors(f"create the pipeline {name!r}"):
                return str(self._pipelines.pipeline_service_create_pipeline(pipeline).pipeline_id), True
        except KubeflowApiError as error:
            if error.status == _CONFLICT and (found := self.pipeline_id(name)) is not None:
                return found, False
            raise

    def _upload_version(self, pipeline_id: str, name: str, package: Package) -> str:
        with tempfile.TemporaryDirectory() as directory, self.translated_errors(f"upload the package {name}"):
            file = Path(directory) / f"{name}.yaml"
            package.save(file)
            version = self._uploads.upload_pipeline_version(
                str(file), name=name, display_name=name, pipelineid=pipeline_id
            )
        return str(version.pipeline_version_id)

    def _remove_empty_pipeline(self, pipeline_id: str) -> None:
        """Removes a pipeline, which the server refuses once it has a version; the next upload can do with it too."""
        try:
            with self.translated_errors("remove the empty pipeline"):
                self._pipelines.pipeline_service_delete_pipeline(pipeline_id)
        except KubeflowApiError:
            return

    def _find_experiment(self, name: str) -> str | None:
        with self.translated_errors(f"look for the experiment {name!r}"):
            listed = self._experiments.experiment_service_list_experiments(**self._in_namespace(), filter=_named(name))
        return next((entry.experiment_id for entry in listed.experiments or ()), None)

    def _experiment_names(self, wanted: str) -> str:
        """Returns what to write instead of an experiment that does not exist."""
        with self.translated_errors("list the experiments"):
            list_page = partial(self._experiments.experiment_service_list_experiments, **self._in_namespace())
            names = [entry.display_name for page in pages(list_page) for entry in page.experiments or ()]
        return f"did you mean {nearest(wanted, names)!r}?" if names else "the server has none yet"

    def _in_namespace(self) -> dict[str, str]:
        return {} if self.namespace is None else {"namespace": self.namespace}


def _named(name: str) -> str:
    """Returns the filter for entries of that name."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})


def _package_of(specification: Any) -> Package:
    """Returns the package in the form that the server stores it: one document, or both by name."""
    documents = specification if isinstance(specification, dict) else {}
    if "pipeline_spec" in documents:
        return Package(documents["pipeline_spec"], documents.get("platform_spec") or {})
    if "pipelineInfo" not in documents:
        raise PetsegError("the server has no specification of this pipeline version that petseg can read")
    return Package(documents, {})
