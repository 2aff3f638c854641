"""Registered models: each pushed version is a version there, and aliases say which one is served.

The model's number in the push destination is in the tag `petseg.versions` of its version, with those under which it was
brought back. An alias only moves on: a version that is registered late does not take it from a later one.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from pipeline.tracking.errors import RefusedError
from pipeline.tracking.items import PushedModel

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
VERSIONS_TAG: Final = "petseg.versions"

_OWNER_TAG: Final = "petseg.registered_model"
_DIRECTORY: Final = "model"
_SAVED_MODEL: Final = "saved_model"
_ABSENT: Final = "RESOURCE_DOES_NOT_EXIST"


class Registry:
    """One registered model."""

    def __init__(self, client: "MlflowClient", name: str) -> None:
        self._client = client
        self._name = name

    def register(self, run_id: str, model: PushedModel, *, upload: bool) -> None:
        """Makes a pushed model a version of the registered model, with its alias; one that is there is left as it is.

        Args:
          run_id: Of its run on the server.
          model: The model.
          upload: Whether its files become artifacts of the run, where they are in a directory here.

        Raises:
          RefusedError: The name is taken by a registered model that is not petseg's.
          MlflowException: The server cannot be told.
        """
        self._provide()
        version = self.find(model.version)
        if version is None:
            source = self._source(run_id, model.source, upload=upload)
            version = self._client.create_model_version(
                self._name,
                source,
                run_id,
                tags={**model.tags, VERSIONS_TAG: model.version},
                description=f"Pushed as version {model.version} to {model.source}",
                await_creation_for=0,
            )
        if model.alias is not None and self._is_newest(model.version):
            self._client.set_registered_model_alias(self._name, model.alias, version.version)

    def find(self, pushed_version: str) -> "ModelVersion | None":
        """Returns the version with a number of the push destination; None where it is not registered."""
        return next((version for version in self._versions() if pushed_version in _numbers(version)), None)

    def add_copy(self, pushed_version: str, copy: str) -> None:
        """Notes that a model was brought back under another number."""
        version = self.find(pushed_version)
        if version is not None and copy not in _numbers(version):
            numbers = ",".join([*_numbers(version), copy])
            self._client.set_model_version_tag(self._name, version.version, VERSIONS_TAG, numbers)

    def move(self, alias: str, pushed_version: str | None) -> None:
        """Gives an alias to a version, or to none.

        Raises:
          RefusedError: The version is not registered.
        """
        if pushed_version is None:
            self._client.delete_registered_model_alias(self._name, alias)
            return
        version = self.find(pushed_version)
        if version is None:
            raise RefusedError(
                f"the registered model {self._name!r} has no version with {VERSIONS_TAG} {pushed_version}: its run was "
                "not told of, or it was deleted there; `petseg track sync RUN` registers the model of a run"
            )
        self._client.set_registered_model_alias(self._name, alias, version.version)

    def _provide(self) -> None:
        """Makes the registered model, unless it is there."""
        from mlflow.exceptions import MlflowException

        try:
            found = self._client.get_registered_model(self._name)
        except MlflowException as error:
            if error.error_code != _ABSENT:
                raise
            self._client.create_registered_model(
                self._name, {_OWNER_TAG: "true"}, "Models that petseg pushed; `champion` is served."
            )
            return
        if _OWNER_TAG not in found.tags:
            raise RefusedError(
                f"the name {self._name!r} is taken by a registered model that is not petseg's: set "
                f"tracking.registered_model to another name, or give that one the tag {_OWNER_TAG}"
            )

    def _versions(self) -> "list[ModelVersion]":
        """Returns all versions, the newest first."""
        found: list[ModelVersion] = []
        token = None
        while True:
            page = self._client.search_model_versions(
                f"name = '{self._name}'", order_by=["version_number DESC"], page_token=token
            )
            found += page
            token = page.token
            if not token:
                return found

    def _is_newest(self, pushed_version: str) -> bool:
        """Returns whether no version with an alias was pushed later."""
        served = self._client.get_registered_model(self._name).aliases.values()
        numbers = [
            number
            for version in self._versions()
            if version.version in map(str, served)
            for number in _numbers(version)
        ]
        return all(_number(number) <= _number(pushed_version) for number in numbers)

    def _source(self, run_id: str, source: str, *, upload: bool) -> str:
        """Returns what the version names as its source: servers refuse directories that are not of the run's."""
        if "://" in source:
            return source
        if not upload or not Path(source).is_dir():
            return str(self._client.get_run(run_id).info.artifact_uri)
        with TemporaryDirectory() as directory:
            self._client.log_artifact(run_id, _described(Path(directory), run_id), _DIRECTORY)
        self._client.log_artifacts(run_id, source, f"{_DIRECTORY}/{_SAVED_MODEL}")
        return f"{self._client.get_run(run_id).info.artifact_uri}/{_DIRECTORY}"


def _described(directory: Path, run_id: str) -> str:
    """Writes the file by which `mlflow.tensorflow.load_model` knows the model; returns its path."""
    from mlflow.models import Model

    flavor = {"saved_model_dir": _SAVED_MODEL, "model_type": "tf2-module", "code": None}
    file = directory / "MLmodel"
    Model(artifact_path=_DIRECTORY, run_id=run_id, flavors={"tensorflow": flavor}).save(str(file))
    return str(file)


def _numbers(version: "ModelVersion") -> list[str]:
    return [number for number in version.tags.get(VERSIONS_TAG, "").split(",") if number]


def _number(pushed_version: str) -> int:
    return int(pushed_version) if pushed_version.isdecimal() else 0
