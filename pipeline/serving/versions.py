"""Which version is served: the newest that was pushed, or a given one; a new one takes over in one step."""

import asyncio
import gc
import logging
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from components.model_pusher.version_store import SAVED_MODEL_FILE, complete_versions
from pipeline.config.paths import check_no_pattern
from pipeline.serving.batching import Measurements
from pipeline.serving.limits import Limits
from pipeline.serving.model import LoadedModel, load_and_warm_up
from trainer_module.errors import ModelError

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Failure:
    message: str
    at: float


class ModelVersions:
    """The served version, the one it replaces, and those that did not load."""

    def __init__(self, base: Path | None, limits: Limits, measurements: Measurements) -> None:
        """Constructs it without a model: see `open`.

        Args:
          base: The directory of versions to look for new ones in; None when the version is given.
          limits: How often to look.
          measurements: Where loads are counted.
        """
        self._base = base
        self._limits = limits
        self._measurements = measurements
        self._current: LoadedModel | None = None
        self._loading: int | None = None
        self._leaving: weakref.ReferenceType[LoadedModel] | None = None
        self._failures: dict[int, _Failure] = {}

    @classmethod
    def open(cls, directory: Path, version: int | None, limits: Limits, measurements: Measurements) -> Self:
        """Loads a version directory, the given version below a directory of versions, or the newest that loads.

        Raises:
          ConfigError: TensorFlow cannot load from a directory of that name.
          ModelError: There is none.
        """
        check_no_pattern("the model directory", str(directory))
        if (directory / SAVED_MODEL_FILE).is_file() and version is None:
            versions = cls(None, limits, measurements)
            number = int(directory.name) if directory.name.isdecimal() else 1
            versions._take(load_and_warm_up(str(directory), number))
            return versions
        found = complete_versions(str(directory))
        if version is not None and version not in found:
            raise ModelError(f"there is no version {version} in {str(directory)!r}; it has {found or 'none'}.")
        if not found:
            raise ModelError(
                f"there is no model in {str(directory)!r}: neither {SAVED_MODEL_FILE} nor numbered version directories "
                "that hold one. Name a directory that `petseg run` pushed to, or run it first."
            )
        versions = cls(None if version is not None else directory, limits, measurements)
        versions._open_first([version] if version is not None else found[::-1], directory)
        return versions

    @property
    def current(self) -> LoadedModel:
        """The version that answers new requests."""
        if self._current is None:
            raise ModelError("no version is loaded.")
        return self._current

    def statuses(self) -> list[dict[str, Any]]:
        """Returns every version that there is something to say of, as TensorFlow Serving's status has it."""
        return sorted(self._statuses(), key=lambda status: int(status["version"]), reverse=True)

    def _statuses(self) -> Iterator[dict[str, Any]]:
        if self._current is not None:
            yield _status(self._current.version, "AVAILABLE")
        leaving = self._leaving() if self._leaving is not None else None
        if leaving is not None:
            yield _status(leaving.version, "UNLOADING")
        if self._loading is not None:
            yield _status(self._loading, "LOADING")
        for version, failure in self._failures.items():
            if version != self._loading:
                yield _status(version, "END", "FAILED_PRECONDITION", failure.message)

    async def watch(self) -> None:
        """Looks for a new version again and again; returns at once when the version was given."""
        trouble = None
        while self._base is not None:
            await asyncio.sleep(self._limits.poll_seconds)
            try:
                await self._look(self._base)
                trouble = None
            except Exception as error:  # noqa: BLE001 (a file system may be away for a while; the served one goes on)
                if str(error) != trouble:
                    trouble = str(error)
                    _LOG.warning("cannot look for versions in %s: %s", self._base, error, exc_info=True)

    async def _look(self, base: Path) -> None:
        await self._free_the_old()
        found = await asyncio.to_thread(complete_versions, str(base))
        self._failures = {version: failure for version, failure in self._failures.items() if version in found}
        newest = max(found, default=None)
        if newest is None or newest == self.current.version:
            return
        failure = self._failures.get(newest)
        if failure is not None and time.monotonic() - failure.at < self._limits.retry_seconds:
            return
        self._loading = newest
        try:
            model = await asyncio.to_thread(load_and_warm_up, str(base / str(newest)), newest)
        except ModelError as error:
            self._failed(newest, error)
            _LOG.warning("version %d does not load, %d goes on: %s", newest, self.current.version, error)
        else:
            old = self.current
            self._take(model)
            self._leaving = weakref.ref(old)
            _LOG.info("version %d is served; %d ends its requests", newest, old.version)
        finally:
            self._loading = None

    async def _free_the_old(self) -> None:
        """Frees what TensorFlow holds of a version that nobody waits for any more: it is in cycles."""
        if self._leaving is not None and self._leaving() is None:
            self._leaving = None
            await asyncio.to_thread(gc.collect)

    def _open_first(self, candidates: list[int], directory: Path) -> None:
        for version in candidates:
            try:
                self._take(load_and_warm_up(str(directory / str(version)), version))
                return
            except ModelError as error:
                if version == candidates[-1]:
                    raise
                self._failed(version, error)
                _LOG.warning("version %d does not load, trying the one before: %s", version, error)

    def _take(self, model: LoadedModel) -> None:
        self._current = model
        self._failures.pop(model.version, None)
        self._measurements.model_loads.labels("loaded").inc()
        self._measurements.model_version.set(model.version)

    def _failed(self, version: int, error: ModelError) -> None:
        self._failures[version] = _Failure(str(error), time.monotonic())
        self._measurements.model_loads.labels("failed").inc()


def model_name(directory: Path) -> str:
    """Returns the name that a directory of versions, or a version in one, gives a model."""
    is_version = directory.name.isdecimal() and (directory / SAVED_MODEL_FILE).is_file()
    return (directory.parent if is_version else directory).name


def _status(version: int, state: str, code: str = "OK", message: str = "") -> dict[str, Any]:
    return {"version": str(version), "state": state, "status": {"error_code": code, "error_message": message}}
