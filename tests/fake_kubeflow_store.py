"""What a Kubeflow Pipelines server keeps, and the rules by which it refuses: pipelines, experiments, runs, schedules.

Requests are read strictly into the published models of the API, and answers are made of them.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import kfp_server_api
import robfig_cron
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from kfp_server_api import models

DEFAULT_SERVICE_ACCOUNT = "pipeline-runner"
ENDED = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}
_TYPE_CHECKS: dict[str, Callable[[Any], bool]] = {
    "STRING": lambda value: isinstance(value, str),
    "BOOLEAN": lambda value: isinstance(value, bool),
    "NUMBER_DOUBLE": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "NUMBER_INTEGER": lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    ),
}
_JSON_TYPES: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool, "float": (int, float)}


class RefusalError(Exception):
    """The server refuses a request."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def invalid(message: str) -> RefusalError:
    return RefusalError(400, 3, message)


def not_found(message: str) -> RefusalError:
    return RefusalError(404, 5, message)


def exists(message: str) -> RefusalError:
    return RefusalError(409, 6, message)


def read_model(values: Any, type_name: str, where: str = "body") -> Any:
    """Reads JSON into the published model of that name; what the model does not have is refused."""
    if values is None:
        return None
    if match := re.fullmatch(r"list\[(.*)\]", type_name):
        return [read_model(value, match[1], f"{where}[]") for value in values]
    if match := re.fullmatch(r"dict\(str, (.*)\)", type_name):
        return {key: read_model(value, match[1], f"{where}.{key}") for key, value in values.items()}
    if type_name == "object":
        return values
    if type_name == "datetime":
        return datetime.fromisoformat(values)
    if type_name in _JSON_TYPES:
        if not isinstance(values, _JSON_TYPES[type_name]):
            raise invalid(f"proto: {where}: invalid value {values!r} for {type_name}")
        return values
    model = getattr(models, type_name)
    if not model.openapi_types:
        if values not in model.allowable_values:
            raise invalid(f"proto: {where}: invalid value for enum field: {values!r}")
        return values
    fields = {json_name: name for name, json_name in model.attribute_map.items()}
    unknown = set(values) - set(fields)
    if unknown:
        raise invalid(f'proto: {where}: unknown field "{min(unknown)}"')
    return model(
        **{fields[key]: read_model(value, model.openapi_types[fields[key]], key) for key, value in values.items()}
    )


def to_json(model: Any) -> Any:
    """Returns an answer's JSON."""
    return kfp_server_api.ApiClient().sanitize_for_serialization(model)


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
        """By pod."""

        self._clock = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """Returns a later time with each call."""
        self._clock += timedelta(seconds=1)
        return self._clock

    def healthz(self) -> Any:
        return models.V2beta1GetHealthzResponse(multi_user=self.multi_user)

    def create_pipeline(self, pipeline: Any) -> Any:
        self._check_namespace(pipeline.namespace)
        name = pipeline.name or pipeline.display_name
        if any((other.name, other.namespace) == (name, pipeline.namespace) for other in self.pipelines.values()):
            raise exists(f"The name {name} already exists. Please specify a new name")
        pipeline.pipeline_id, pipeline.created_at = str(uuid.uuid4()), self.now()
        pipeline.name, pipeline.display_name = name, pipeline.display_name or name
        self.pipelines[pipeline.pipeline_id] = pipeline
        return pipeline

    def delete_pipeline(self, pipeline_id: str) -> dict[str, Any]:
        self._find(self.pipelines, pipeline_id, "Pipeline")
        if any(version.pipeline_id == pipeline_id for version in self.versions.values()):
            raise invalid("Failed to delete pipeline as it has existing pipeline versions")
        del self.pipelines[pipeline_id]
        return {}

    def upload_version(self, pipeline_id: str, name: str, file_name: str, content: bytes) -> Any:
        self._find(self.pipelines, pipeline_id, "Pipeline")
        if not file_name.endswith((".yaml", ".yml", ".zip", ".tar.gz")):
            raise invalid(f"unexpected pipeline file format: {file_name}")
        specification = _read_package(content)
        if any((version.pipeline_id, version.name) == (pipeline_id, name) for version in self.versions.values()):
            raise exists("Failed to create a pipeline version")
        version = models.V2beta1PipelineVersion(
            pipeline_id=pipeline_id,
            pipeline_version_id=str(uuid.uuid4()),
            name=name,
            display_name=name,
            created_at=self.now(),
            pipeline_spec=specification,
        )
        self.versions[version.pipeline_version_id] = version
        return version

    def create_experiment(self, experiment: Any) -> Any:
        self._check_namespace(experiment.namespace)
        if any(other.display_name == experiment.display_name for other in self.experiments.values()):
            raise exists(f"Experiment {experiment.display_name} already exists")
        experiment.experiment_id, experiment.created_at = str(uuid.uuid4()), self.now()
        experiment.storage_state = "AVAILABLE"
        self.experiments[experiment.experiment_id] = experiment
        return experiment

    def create_run(self, run: Any) -> Any:
        if not run.display_name:
            raise invalid("The run name is empty. Please specify a valid name")
        self._find(self.experiments, run.experiment_id, "Experiment")
        self._check_runtime(run)
        run.run_id, run.created_at = str(uuid.uuid4()), self.now()
        run.state, run.storage_state = "PENDING", "AVAILABLE"
        self.runs[run.run_id] = run
        return run

    def terminate_run(self, run_id: str) -> dict[str, Any]:
        run = self.find_run(run_id)
        if run.state in ENDED:
            raise invalid(f"Failed to terminate a run {run_id}. Row not affected")
        run.state = "CANCELING"
        return {}

    def create_recurring_run(self, recurring: Any) -> Any:
        if not recurring.display_name:
            raise invalid("Recurring run's name cannot be empty")
        if not 1 <= int(recurring.max_concurrency or 0) <= 10:
            raise invalid("Max concurrency of a recurring run must be at least 1 and at most 10")
        cron = recurring.trigger.cron_schedule if recurring.trigger else None
        if cron:
            try:
                robfig_cron.parse(cron.cron)
            except ValueError as error:
                raise invalid(f"Schedule cron is not a supported format: {error}") from error
        if not cron and not (recurring.trigger and recurring.trigger.periodic_schedule):
            raise invalid("The recurring run's trigger cannot be empty")
        self._find(self.experiments, recurring.experiment_id, "Experiment")
        self._check_runtime(recurring)
        recurring.recurring_run_id, recurring.created_at = str(uuid.uuid4()), self.now()
        recurring.updated_at = recurring.created_at
        recurring.service_account = recurring.service_account or DEFAULT_SERVICE_ACCOUNT
        recurring.status = "ENABLED" if recurring.mode == "ENABLE" else "DISABLED"
        self.recurring_runs[recurring.recurring_run_id] = recurring
        return recurring

    def switch_recurring_run(self, recurring_run_id: str, mode: str) -> dict[str, Any]:
        recurring = self._find(self.recurring_runs, recurring_run_id, "RecurringRun")
        recurring.mode, recurring.status = mode, f"{mode}D"
        recurring.updated_at = self.now()
        return {}

    def delete_recurring_run(self, recurring_run_id: str) -> dict[str, Any]:
        self._find(self.recurring_runs, recurring_run_id, "RecurringRun")
        del self.recurring_runs[recurring_run_id]
        return {}

    def find_pipeline(self, pipeline_id: str) -> Any:
        return self._find(self.pipelines, pipeline_id, "Pipeline")

    def find_version(self, pipeline_id: str, version_id: str) -> Any:
        version = self._find(self.versions, version_id, "PipelineVersion")
        if version.pipeline_id != pipeline_id:
            raise not_found(f"PipelineVersion {version_id} not found")
        return version

    def find_experiment(self, experiment_id: str) -> Any:
        return self._find(self.experiments, experiment_id, "Experiment")

    def find_run(self, run_id: str) -> Any:
        return self._find(self.runs, run_id, "Run")

    def find_recurring_run(self, recurring_run_id: str) -> Any:
        return self._find(self.recurring_runs, recurring_run_id, "RecurringRun")

    def select(self, entries: Iterable[Any], query: dict[str, str]) -> tuple[list[Any], str | None, int]:
        """Returns the page of entries that a list request asks for, the next page's token, and how many there are."""
        self._check_namespace(query.get("namespace") or None, only_when_given=True)
        selected = [entry for entry in entries if _matches(entry, query)]
        if query.get("sort_by") == "created_at desc":
            selected.sort(key=lambda entry: entry.created_at, reverse=True)
        elif query.get("sort_by"):
            selected.sort(key=lambda entry: entry.created_at)
        first, size = int(query.get("page_token") or 0), int(query.get("page_size") or 20)
        page = selected[first : first + size]
        following = str(first + size) if first + size < len(selected) else None
        return page, following, len(selected)

    def _check_namespace(self, namespace: str | None, *, only_when_given: bool = False) -> None:
        if namespace and not self.multi_user:
            raise invalid("In single-user mode, requests cannot have a namespace")
        if not namespace and self.multi_user and not only_when_given:
            raise invalid("In multi-user mode, requests need a namespace")

    def _check_runtime(self, entry: Any) -> None:
        """Checks the version that a run or schedule refers to, and its parameters against it."""
        reference = entry.pipeline_version_reference
        if reference is None:
            raise invalid("Pipeline source is missing")
        self._find(self.pipelines, reference.pipeline_id, "Pipeline")
        if reference.pipeline_version_id:
            version = self.find_version(reference.pipeline_id, reference.pipeline_version_id)
        else:
            of_pipeline = [other for other in self.versions.values() if other.pipeline_id == reference.pipeline_id]
            if not of_pipeline:
                raise not_found(f"Pipeline {reference.pipeline_id} has no version")
            version = max(of_pipeline, key=lambda other: other.created_at)
        given = (entry.runtime_config and entry.runtime_config.parameters) or {}
        documents = version.pipeline_spec
        root = documents.get("pipeline_spec", documents)["root"]
        declared = root.get("inputDefinitions", {}).get("parameters", {})
        for name in sorted(set(given) - set(declared)):
            raise invalid(f"parameter {name} is not declared in the pipeline")
        for name, definition in declared.items():
            if name not in given:
                if "defaultValue" not in definition and not definition.get("isOptional"):
                    raise invalid(f"pipeline requiring input has no parameter {name}")
            elif not _TYPE_CHECKS[definition["parameterType"]](given[name]):
                raise invalid(f"input parameter {name} requires type {definition['parameterType']}")

    @staticmethod
    def _find(entries: dict[str, Any], key: str | None, kind: str) -> Any:
        if key not in entries:
            raise not_found(f"{kind} {key} not found")
        return entries[key]


def _matches(entry: Any, query: dict[str, str]) -> bool:
    if query.get("experiment_id") and entry.experiment_id != query["experiment_id"]:
        return False
    if query.get("namespace") and getattr(entry, "namespace", query["namespace"]) != query["namespace"]:
        return False
    predicates = json.loads(query["filter"])["predicates"] if query.get("filter") else []
    for predicate in predicates:
        if set(predicate) - {"operation", "key", "stringValue"} or predicate["operation"] != "EQUALS":
            raise invalid(f"this filter is not supported: {predicate}")
        if getattr(entry, predicate["key"]) != predicate["stringValue"]:
            return False
    return True


def _read_package(content: bytes) -> dict[str, Any]:
    """Returns a package in the form that the server answers with."""
    try:
        documents = list(yaml.safe_load_all(content))
        specification = json_format.ParseDict(documents[0], pipeline_spec_pb2.PipelineSpec())
        for document in documents[1:]:
            json_format.ParseDict(document, pipeline_spec_pb2.PlatformSpec())
    except (yaml.YAMLError, json_format.ParseError, IndexError) as error:
        raise invalid(f"invalid v2 pipeline spec: {error}") from error
    if specification.schema_version != "2.1.0":
        raise invalid(f"KFP only supports schema version 2.1.0, but the pipeline spec has {documents[0]}")
    if len(documents) == 1:
        return dict(documents[0])
    return {"pipeline_spec": documents[0], "platform_spec": documents[1]}
