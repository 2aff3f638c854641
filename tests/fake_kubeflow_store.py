"""What a Kubeflow Pipelines server keeps, and the rules by which it refuses: pipelines, experiments, runs, schedules.

It answers as release 2.17.0 was seen to (`recorded_kubeflow`). Not recorded, but read from the definition of its API,
are namespaces, which only a server of many users has; a package that is no specification; a parameter that is missing,
or whose type is no number; how a pipeline is deleted; a name of a pipeline or experiment that is made twice; and what
concerns an experiment that is not there.
"""

import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import robfig_cron
from fake_kubeflow_lists import select
from fake_kubeflow_messages import PLAIN, HttpRefusalError, RefusalError, exists, invalid, not_found, read_package
from kfp_server_api import models

DEFAULT_EXPERIMENT = "Default"
DEFAULT_SERVICE_ACCOUNT = "pipeline-runner"
NAMESPACE = "kubeflow"
"""Where a server of one user is."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""How the server writes the end of what has not ended."""

_VERSION_REFUSED = "Failed to create a pipeline version"
_PIPELINE_REFUSED = "Failed to create a pipeline and a pipeline version"
_RUN_REFUSED = "Failed to create a new run"
_RECURRING_RUN_REFUSED = "Failed to create a recurring run"
_STOPPABLE = ("PENDING", "RUNNING")
_TYPE_CHECKS: dict[str, tuple[str, str, Callable[[Any], bool]]] = {
    "STRING": ("string", "string", lambda value: isinstance(value, str)),
    "BOOLEAN": ("bool", "bool", lambda value: isinstance(value, bool)),
    "NUMBER_DOUBLE": ("double or integer", "number", lambda value: _is_number(value)),
    "NUMBER_INTEGER": ("double or integer", "number", lambda value: _is_number(value)),
}


class Store:
    """The state of a server."""

    def __init__(self, *, multi_user: bool = False) -> None:
        self.multi_user = multi_user
        self.pipelines: dict[str, Any] = {}
        self.versions: dict[str, Any] = {}
        self.experiments: dict[str, Any] = {}
        self.runs: dict[str, Any] = {}
        self.recurring_runs: dict[str, Any] = {}
        self.logs: dict[str, str] = {}
        """What the route of logs gives, by node; a server of one user has none as it is installed."""

        self.archived_logs: dict[str, str] = {}
        """What Argo has put into the artifacts `main-logs`, by node."""

        self.new_id: Callable[[], str] = lambda: str(uuid.uuid4())
        """Returns the id of what is made next."""

        self._clock = datetime(2026, 1, 1, tzinfo=UTC)
        if not multi_user:
            description = "All runs created without specifying an experiment will be grouped here."
            self.create_experiment(models.V2beta1Experiment(display_name=DEFAULT_EXPERIMENT, description=description))

    def now(self) -> datetime:
        """Returns a later time with each call."""
        self._clock += timedelta(seconds=1)
        return self._clock

    def create_pipeline(self, pipeline: Any) -> Any:
        self._check_namespace(pipeline.namespace)
        name = pipeline.name or pipeline.display_name
        if self._pipeline_named(name, pipeline.namespace):
            raise exists(f"The name {name} already exists. Please specify a new name", "Failed to create a pipeline")
        pipeline.pipeline_id, pipeline.created_at = self.new_id(), self.now()
        pipeline.name, pipeline.display_name = name, pipeline.display_name or name
        self.pipelines[pipeline.pipeline_id] = pipeline
        return pipeline

    def upload_pipeline(self, name: str, content: bytes) -> Any:
        """Makes a pipeline of that name with a version of that name."""
        specification = read_package(content)
        if self._pipeline_named(name, None):
            raise HttpRefusalError(409, _PIPELINE_REFUSED)
        pipeline = self.create_pipeline(models.V2beta1Pipeline(name=name))
        self._add_version(pipeline.pipeline_id, name, specification)
        return pipeline

    def delete_pipeline(self, pipeline_id: str) -> dict[str, Any]:
        self.find_pipeline(pipeline_id)
        if any(version.pipeline_id == pipeline_id for version in self.versions.values()):
            raise invalid("Failed to delete pipeline as it has existing pipeline versions")
        del self.pipelines[pipeline_id]
        return {}

    def upload_version(self, pipeline_id: str, name: str, content: bytes) -> Any:
        specification = read_package(content)
        if pipeline_id not in self.pipelines:
            raise HttpRefusalError(400, _VERSION_REFUSED, PLAIN)
        if any((version.pipeline_id, version.name) == (pipeline_id, name) for version in self.versions.values()):
            raise HttpRefusalError(409, _VERSION_REFUSED)
        return self._add_version(pipeline_id, name, specification)

    def create_experiment(self, experiment: Any) -> Any:
        self._check_namespace(experiment.namespace)
        if any(other.display_name == experiment.display_name for other in self.experiments.values()):
            raise exists(f"Experiment {experiment.display_name} already exists", "Failed to create a new experiment")
        experiment.experiment_id, experiment.created_at = self.new_id(), self.now()
        experiment.storage_state, experiment.last_run_created_at = "AVAILABLE", EPOCH
        self.experiments[experiment.experiment_id] = experiment
        return experiment

    def create_run(self, run: Any) -> Any:
        if not run.display_name:
            raise invalid("The run name is empty. Please specify a valid name", _RUN_REFUSED)
        experiment = self._experiment_of(run, _RUN_REFUSED)
        self._check_runtime(run, _RUN_REFUSED)
        run.run_id, run.experiment_id = self.new_id(), experiment.experiment_id
        run.created_at = run.scheduled_at = experiment.last_run_created_at = self.now()
        run.finished_at, run.storage_state = EPOCH, "AVAILABLE"
        run.service_account = run.service_account or DEFAULT_SERVICE_ACCOUNT
        run.plugins_output = {"mlflow": _without_mlflow()}
        self.move_run(run, "PENDING")
        self.runs[run.run_id] = run
        return run

    def move_run(self, run: Any, state: str) -> None:
        """Brings a run into a state, and notes that in its history."""
        run.state = state
        run.state_history = [
            *(run.state_history or ()),
            models.V2beta1RuntimeStatus(update_time=self.now(), state=state),
        ]

    def terminate_run(self, run_id: str) -> dict[str, Any]:
        during = "Failed to terminate a run"
        run = self.find_run(run_id, during, f"Failed to terminate run {run_id} due to error fetching the run")
        if run.state not in _STOPPABLE:
            raise invalid(f"{during} {run_id}. Row not found", during, f"Failed to terminate run {run_id}")
        self.move_run(run, "CANCELING")
        return {}

    def archive_run(self, run_id: str) -> dict[str, Any]:
        self.find_run(run_id, "Failed to archive a run").storage_state = "ARCHIVED"
        return {}

    def delete_run(self, run_id: str) -> dict[str, Any]:
        self.find_run(run_id, "Failed to delete a run")
        del self.runs[run_id]
        return {}

    def create_recurring_run(self, recurring: Any) -> Any:
        """Makes a recurring run; the server takes a name twice, no trigger at all, and a cron line of five fields."""
        conversion = f"{_RECURRING_RUN_REFUSED} due to conversion error"
        if not recurring.display_name:
            raise invalid("Recurring run's name cannot be empty", conversion)
        if not 1 <= int(recurring.max_concurrency or 0) <= 10:
            limits = "Max concurrency of a recurring run must be at least 1 and at most 10"
            raise invalid(f"{limits}. Received {recurring.max_concurrency}", conversion)
        recurring.trigger = recurring.trigger or models.V2beta1Trigger()
        if recurring.trigger.cron_schedule:
            try:
                robfig_cron.parse(recurring.trigger.cron_schedule.cron)
            except ValueError as error:
                supported = "Schedule cron is not a supported format(https://godoc.org/github.com/robfig/cron)"
                raise invalid(f"{supported}. Error: {error}", conversion) from error
        experiment = self._experiment_of(recurring, _RECURRING_RUN_REFUSED)
        self._check_runtime(recurring, _RECURRING_RUN_REFUSED)
        recurring.recurring_run_id, recurring.experiment_id = self.new_id(), experiment.experiment_id
        recurring.created_at = recurring.updated_at = self.now()
        recurring.namespace = recurring.namespace or NAMESPACE
        recurring.status = "ENABLED" if recurring.mode == "ENABLE" else "DISABLED"
        self.recurring_runs[recurring.recurring_run_id] = recurring
        return recurring

    def switch_recurring_run(self, recurring_run_id: str, mode: str) -> dict[str, Any]:
        recurring = self.find_recurring_run(recurring_run_id)
        recurring.mode, recurring.status = mode, f"{mode}D"
        recurring.updated_at = self.now()
        return {}

    def delete_recurring_run(self, recurring_run_id: str) -> dict[str, Any]:
        check = f"Failed to delete recurring run {recurring_run_id}. Check if exists"
        self.find_recurring_run(recurring_run_id, "Failed to delete a recurring run", check)
        del self.recurring_runs[recurring_run_id]
        return {}

    def find_pipeline(self, pipeline_id: str) -> Any:
        return _find(self.pipelines, pipeline_id, "Pipeline", "Failed to get a pipeline")

    def find_pipeline_named(self, name: str, namespace: str) -> Any:
        found = self._pipeline_named(name, namespace or None)
        if found is None:
            raise not_found(
                f"Namespace/Pipeline {namespace}/{name} not found",
                f"Failed to get a pipeline with name {name} and namespace {namespace}. Check error stack.",
                f"Failed to get a pipeline named {name} in namespace {namespace}",
            )
        return found

    def find_version(self, pipeline_id: str, version_id: str) -> Any:
        version = _find(self.versions, version_id, "PipelineVersion", "Failed to get a pipeline version")
        if version.pipeline_id != pipeline_id:
            raise not_found(f"PipelineVersion {version_id} not found", "Failed to get a pipeline version")
        return version

    def find_experiment(self, experiment_id: str) -> Any:
        return _find(self.experiments, experiment_id, "Experiment", "Failed to get an experiment")

    def find_run(self, run_id: str, *during: str) -> Any:
        outer = during or ("Failed to get a run",)
        return _find(self.runs, run_id, "Run", *outer, f"Failed to fetch run {run_id}")

    def find_recurring_run(self, recurring_run_id: str, *during: str) -> Any:
        return _find(self.recurring_runs, recurring_run_id, "Job", *(during or ("Failed to get a recurring run",)))

    def select(self, entries: Iterable[Any], query: dict[str, str], listed: str) -> tuple[list[Any], str | None, int]:
        """Returns the page that a list request asks for, as `fake_kubeflow_lists.select`."""
        self._check_namespace(query.get("namespace") or None, only_when_given=True)
        return select(entries, query, listed)

    def _check_namespace(self, namespace: str | None, *, only_when_given: bool = False) -> None:
        if namespace and not self.multi_user:
            raise invalid("In single-user mode, requests cannot have a namespace")
        if not namespace and self.multi_user and not only_when_given:
            raise invalid("In multi-user mode, requests need a namespace")

    def _pipeline_named(self, name: str, namespace: str | None) -> Any:
        named = [other for other in self.pipelines.values() if (other.name, other.namespace) == (name, namespace)]
        return named[0] if named else None

    def _add_version(self, pipeline_id: str, name: str, specification: dict[str, Any]) -> Any:
        version = models.V2beta1PipelineVersion(
            pipeline_id=pipeline_id,
            pipeline_version_id=self.new_id(),
            name=name,
            display_name=name,
            created_at=self.now(),
            pipeline_spec=specification,
        )
        self.versions[version.pipeline_version_id] = version
        return version

    def _experiment_of(self, entry: Any, refused: str) -> Any:
        """Returns the experiment that a run or schedule belongs to: the one that it names, or that of all others."""
        if entry.experiment_id:
            return _find(self.experiments, entry.experiment_id, "Experiment", refused)
        defaults = [other for other in self.experiments.values() if other.display_name == DEFAULT_EXPERIMENT]
        if not defaults:
            raise invalid("In multi-user mode, requests need an experiment", refused)
        return defaults[0]

    def _check_runtime(self, entry: Any, refused: str) -> None:
        """Checks the version that a run or schedule refers to, and its parameters against it."""
        if entry.pipeline_version_reference is None:
            raise invalid("Pipeline source is missing", refused)
        documents = self._version_of(entry.pipeline_version_reference, refused).pipeline_spec
        given = (entry.runtime_config and entry.runtime_config.parameters) or {}
        declared = documents.get("pipeline_spec", documents)["root"].get("inputDefinitions", {}).get("parameters", {})
        during = (refused, "Failed to generate the ExecutionSpec: invalid pipeline job inputs")
        if unknown := sorted(set(given) - set(declared)):
            raise invalid(f"parameter(s) provided are not required by pipeline: {', '.join(unknown)}", *during)
        for name, definition in declared.items():
            wanted, kind, is_one = _TYPE_CHECKS[definition["parameterType"]]
            if name not in given:
                if "defaultValue" not in definition and not definition.get("isOptional"):
                    raise invalid(f"parameter {name} has neither default value nor user provided value", *during)
            elif not is_one(given[name]):
                but = f"but the parameter value is not of {kind} value type"
                raise invalid(f"input parameter {name} requires type {wanted}, {but}", *during)

    def _version_of(self, reference: Any, refused: str) -> Any:
        """Returns the version that is named, or the newest; that it is not there counts as an error of the server."""
        if reference.pipeline_version_id:
            if reference.pipeline_version_id not in self.versions:
                raise _no_such_version(reference.pipeline_version_id, refused)
            return self.versions[reference.pipeline_version_id]
        of_pipeline = [other for other in self.versions.values() if other.pipeline_id == reference.pipeline_id]
        if not of_pipeline:
            raise not_found(f"Pipeline {reference.pipeline_id} has no version", refused)
        return max(of_pipeline, key=lambda other: other.created_at)


def _is_number(value: Any) -> bool:
    """Returns whether the server takes it for a number, whether or not a whole one is wanted."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _no_such_version(version_id: str, refused: str) -> RefusalError:
    layers = (
        refused,
        "InternalServerError",
        "Failed to create a run due to error fetching manifest",
        "Failed to fetch a template due to error retrieving pipeline version",
        f"Failed to fetch a pipeline version and its manifest from pipeline version {version_id}",
        f"Failed to get a pipeline version with id {version_id}",
        f"ResourceNotFoundError: PipelineVersion {version_id} not found",
    )
    return RefusalError(500, 13, ": ".join(layers), "Internal Server Error")


def _without_mlflow() -> Any:
    """Returns what the server says of MLflow in the answer of a run, where there is none."""
    failed = "MLflow config resolution failed; run creation will continue"
    return models.V2beta1PluginOutput(
        entries={"experiment_name": models.V2beta1MetadataValue(value="KFP-Default")},
        state="PLUGIN_FAILED",
        state_message=f"{failed}: Invalid input error: Kubernetes bearer token is empty for MLflow auth",
    )


def _find(entries: dict[str, Any], key: str | None, kind: str, *during: str) -> Any:
    if key not in entries:
        raise not_found(f"{kind} {key} not found", *during)
    return entries[key]
