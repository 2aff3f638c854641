"""The MLflow server: a run there is found or made, and items are sent to it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, assert_never

from pipeline.tracking.address import Address
from pipeline.tracking.errors import RefusedError, TrackerError, told
from pipeline.tracking.items import Artifact, Beginning, Data, End, Item, Metrics, Params, PushedModel, Resumption, Tags
from pipeline.tracking.outbox import Place
from pipeline.tracking.registry import Registry
from pipeline.tracking.story import ERROR_TAG, RUN_ID_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

RUN_VARIABLE: Final = "MLFLOW_RUN_ID"
"""Names the run of a task, where Kubeflow Pipelines tells MLflow of its tasks."""

TIMEOUT_VARIABLE: Final = "MLFLOW_HTTP_REQUEST_TIMEOUT"

_CLIENT_SETTINGS: Final = {
    TIMEOUT_VARIABLE: "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Environment variables of the client, where they are not set: by itself it tries again for minutes."""

_MOST_PARAMS: Final = 100
_MOST_TAGS: Final = 100
_MOST_METRICS: Final = 1000
"""MLflow's limits of one request."""

_LONGEST_DIGEST: Final = 36
_MOST_PARENTS: Final = 5
_PARENT_TAG: Final = "mlflow.parentRunId"
_OF_TRAININGS: Final = {"mlflow.experimentKind": "custom_model_development"}
"""Has MLflow's pages show an experiment as one of trainings, and not of language models."""

_DELETED: Final = "deleted"


class TrackingServer:
    """A connection to the server that an address names."""

    def __init__(self, address: Address) -> None:
        """Constructs the connection; nothing is asked yet.

        Raises:
          TrackerError: MLflow's client is not installed.
        """
        self._address = address
        self._points: dict[tuple[str, str], set[int]] = {}
        self._made: set[str] = set()
        self.client = _client(address.uri)

    def place(self, beginning: Beginning, environment: Mapping[str, str] = os.environ) -> Place:
        """Returns where the run is: that which its task belongs to, that with its id, or a new one.

        Args:
          beginning: Of the run.
          environment: Where the run of a task is named; empty for a run that is no task.

        Raises:
          TrackerError: The server cannot be reached, or does not let a run be made.
        """
        with told(self._address.uri):
            if task := environment.get(RUN_VARIABLE):
                return self._join(task, beginning)
            experiment_id = self._experiment_id()
            wanted = f"tags.`{RUN_ID_TAG}` = '{beginning.run_id}'"
            found = self.client.search_runs([experiment_id], wanted, max_results=1)
            if found:
                run_id = found[0].info.run_id
            else:
                tags = {RUN_ID_TAG: beginning.run_id}
                run = self.client.create_run(experiment_id, beginning.started_ms, tags, run_name=beginning.run_id)
                run_id = run.info.run_id
                self._made.add(run_id)
            return Place(mlflow_run_id=run_id, url=self._url(experiment_id, run_id))

    def send(self, place: Place, item: Item) -> None:
        """Sends an item; one that is there already changes nothing.

        Raises:
          TrackerError: The server cannot be told now.
          RefusedError: It does not take the item.
        """
        with told(self._address.uri):
            self._send(place.mlflow_run_id, item, is_joined=place.is_joined)

    def _send(self, run_id: str, item: Item, *, is_joined: bool) -> None:
        from mlflow.entities import Param, RunTag

        match item:
            case Params():
                for names in _batches(sorted(item.values), _MOST_PARAMS):
                    self.client.log_batch(run_id, params=[Param(name, item.values[name]) for name in names])
            case Tags():
                own = {name: value for name, value in item.values.items() if not (is_joined and _is_mlflows(name))}
                for names in _batches(sorted(own), _MOST_TAGS):
                    self.client.log_batch(run_id, tags=[RunTag(name, own[name]) for name in names])
            case Metrics():
                self._send_metrics(run_id, item)
            case Data():
                self._send_data(run_id, item)
            case Artifact():
                self._upload(run_id, Path(item.path), item.to)
            case PushedModel():
                registry = Registry(self.client, self._address.registered_model)
                registry.register(run_id, item, upload=self._address.log_model)
            case Resumption():
                if ERROR_TAG in self.client.get_run(run_id).data.tags:
                    self.client.delete_tag(run_id, ERROR_TAG)
                if not is_joined:
                    self.client.update_run(run_id, "RUNNING")
            case End():
                if not is_joined:
                    self.client.set_terminated(run_id, item.status, item.time_ms)
            case _:
                assert_never(item)

    def _send_metrics(self, run_id: str, item: Metrics) -> None:
        from mlflow.entities import Metric

        values = [
            value for value in item.values if not item.is_curve or value.step not in self._steps(run_id, value.name)
        ]
        for part in _batches(values, _MOST_METRICS):
            metrics = [Metric(value.name, value.value, item.time_ms, value.step) for value in part]
            self.client.log_batch(run_id, metrics=metrics)
            if item.is_curve:
                for value in part:
                    self._steps(run_id, value.name).add(value.step)

    def _steps(self, run_id: str, name: str) -> set[int]:
        """Returns the steps of a metric that the server has."""
        if (run_id, name) not in self._points:
            known = [] if run_id in self._made else self.client.get_metric_history(run_id, name)
            self._points[run_id, name] = {point.step for point in known}
        return self._points[run_id, name]

    def _send_data(self, run_id: str, item: Data) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=f"{item.name} {item.version}",
            digest=item.digest[:_LONGEST_DIGEST] or item.version[:_LONGEST_DIGEST],
            source_type="tfds",
            source=f"{item.name}:{item.version}",
            profile=f'{{"examples": {item.examples}}}',
        )
        self.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", item.split)])])
        self.client.log_batch(run_id, tags=_data_tags(item))

    def _upload(self, run_id: str, path: Path, to: str) -> None:
        if path.is_dir():
            self.client.log_artifacts(run_id, str(path), to)
        elif path.is_file():
            self.client.log_artifact(run_id, str(path), to)
        else:
            raise RefusedError("it is gone")

    def _join(self, task: str, beginning: Beginning) -> Place:
        """Returns the run that a task's run is below of."""
        run = self.client.get_run(task)
        for _ in range(_MOST_PARENTS):
            parent = run.data.tags.get(_PARENT_TAG)
            if not parent:
                break
            run = self.client.get_run(parent)
        run_id, experiment_id = run.info.run_id, run.info.experiment_id
        if run.data.tags.get(RUN_ID_TAG) != beginning.run_id:
            self.client.set_tag(run_id, RUN_ID_TAG, beginning.run_id)
        return Place(mlflow_run_id=run_id, url=self._url(experiment_id, run_id), is_joined=True)

    def _experiment_id(self) -> str:
        """Returns the experiment, which is made where it is absent."""
        name = self._address.experiment
        experiment: Experiment | None = self.client.get_experiment_by_name(name)
        if experiment is None:
            return str(self.client.create_experiment(name, tags=_OF_TRAININGS))
        if experiment.lifecycle_stage == _DELETED:
            raise TrackerError(
                f"the experiment {name!r} was deleted on {self._address.uri}: restore it there (mlflow experiments "
                f"restore --experiment-id {experiment.experiment_id}), or set tracking.experiment to another name"
            )
        return str(experiment.experiment_id)

    def _url(self, experiment_id: str, run_id: str) -> str:
        return f"{self._address.uri}/#/experiments/{experiment_id}/runs/{run_id}"


def _client(uri: str) -> "MlflowClient":
    for name, value in _CLIENT_SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise TrackerError(f"MLflow's client is not installed ({error}): install petseg[mlflow]") from error
    return MlflowClient(tracking_uri=uri)


def _data_tags(item: Data) -> list[Any]:
    from mlflow.entities import RunTag

    return [RunTag(f"petseg.data_digest.{item.split}", item.digest)] if item.digest else []


def _is_mlflows(tag: str) -> bool:
    """Returns whether a tag is shown by MLflow's pages as the run's own, which whoever made the run has set."""
    return tag.startswith("mlflow.")


def _batches(values: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), most):
        yield values[start : start + most]
