"""Pushing a model, bringing an earlier version back, and keeping the number of versions in bounds.

What a version says of its push is `PushRecord` (`assets.extra/petseg_push.json`). Importing this module is cheap: the
commands that look after pushed versions need neither TFX nor, for a directory of this machine, TensorFlow.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from absl import logging
from pydantic import BaseModel, ConfigDict, ValidationError

from components.model_pusher.files import (
    CHECKSUMS_FILE,
    PUSH_FILE,
    STATISTICS_FILE,
    checksums,
    content_digest,
    differences,
    file_digests,
    is_model,
    opened,
    pushed_content,
    pushed_digests,
)
from components.model_pusher.version_store import (
    VersionStore,
    complete_versions,
    newest_version,
    numbered_versions,
    open_store,
    version_directory,
)
from trainer_module.errors import ModelError


class PushSettings(BaseModel):
    """How many versions stay; the fields mean what those of the same name in `PushConfig` mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_versions: int | None = None
    pinned_versions: tuple[int, ...] = ()
    code_digest: str = ""
    """Identifies the code of the push, so that a change to it re-runs the component."""


class Withdrawal(BaseModel):
    """The version that a rollback put out of service."""

    model_config = ConfigDict(frozen=True)

    version: int
    content: str
    """Digest of the model, by which it is known when it comes again."""


class PushRecord(BaseModel):
    """When a version was pushed, by which run, and on what grounds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pushed_at: datetime
    run: str = ""
    """Id of the run that pushed the model; empty where the runner does not tell."""

    dataset: str = ""
    dataset_version: str = ""
    metrics: dict[str, float | None] = {}
    """Of the evaluated split; None where a metric is infinite, which JSON cannot say."""

    thresholds: list[dict[str, Any]] = []
    """Every bound of the gate and whether it holds: `components.model_evaluator.gate.BoundResult`."""

    probe: dict[str, Any] = {}
    """What the probe found: `components.model_probe.findings.Findings`."""

    forced_because: str = ""
    """Why the model was pushed although a bound does not hold."""

    copy_of: int | None = None
    """The version that a rollback brought back; the rest is as it was at the model's first push."""

    withdrawn: Withdrawal | None = None
    """What the rollback replaced."""

    @classmethod
    def of(cls, version_directory: str) -> "PushRecord | None":
        """Reads the record of a version; None where there is none that can be read."""
        try:
            with opened(f"{version_directory}/{PUSH_FILE}") as file:
                return cls.model_validate_json(file.read())
        except (OSError, ValidationError):
            return None


@dataclass(frozen=True)
class PushOutcome:
    """What came of a push."""

    version: int | None
    """The new version's number; None where nothing was pushed."""

    reason: str = ""
    """Why nothing was."""

    already_served: str = ""
    """The newest version, where it is this very model."""


def push_directory(exec_properties: Mapping[str, Any]) -> str:
    """Returns the directory that models are pushed to, from the properties of an execution."""
    from tfx.proto import pusher_pb2
    from tfx.types import standard_component_specs
    from tfx.utils import proto_utils

    destination = pusher_pb2.PushDestination()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], destination)
    return str(destination.filesystem.base_directory)


def pushed_statistics(version_directory: str) -> bytes | None:
    """Returns what a version keeps of the data that it was trained on, as it was given to `push`; None for nothing.

    Raises:
      OSError: It is there and cannot be read.
    """
    try:
        with opened(f"{version_directory}/{STATISTICS_FILE}") as file:
            return file.read()
    except FileNotFoundError:
        return None


def push(
    model: str,
    base_directory: str,
    record: PushRecord,
    *,
    statistics: bytes | None = None,
    keep: int | None = None,
    pinned: Collection[int] = (),
    digests: Mapping[str, str] | None = None,
) -> PushOutcome:
    """Makes a model the highest version of a destination, then removes the versions that are too many.

    The model that is served already is not pushed again, nor is one that was withdrawn last, but by force.

    Args:
      model: Directory of the SavedModel.
      base_directory: Where versions are, in TensorFlow Serving's layout; made if absent.
      record: What the version says of its push.
      statistics: Of the data that the model was trained on, as the version is to keep them; None where they are not
        known.
      keep: How many complete versions stay, the highest; None: all.
      pinned: Versions that stay besides.
      digests: Those of the model's files (`file_digests`), where they are known; reading them takes a while.
    """
    digests = file_digests(model) if digests is None else digests
    store = open_store(base_directory)
    with store.exclusive():
        needless = _needless(digests, base_directory, forced=bool(record.forced_because))
        if needless is not None:
            return needless
        version = _publish(store, model, digests, record, statistics)
        for old in surplus_versions(complete_versions(base_directory), keep, pinned):
            logging.info("Removing version %d: %s versions stay.", old, keep)
            store.remove(old)
    return PushOutcome(version)


def surplus_versions(versions: Sequence[int], keep: int | None, pinned: Collection[int]) -> list[int]:
    """Returns which of the versions, ascending, are to go; never the highest, nor a pinned one."""
    if keep is None:
        return []
    return [version for version in versions[: -max(keep, 1)] if version not in pinned]


def roll_back(base_directory: str, version: int | None = None) -> int:
    """Makes an earlier version the highest again: a copy of it, under a new number.

    The model that it replaces is withdrawn: a run that comes to the same model again does not push it.

    Args:
      base_directory: Where versions are.
      version: The version to bring back; None: the one before the newest.

    Returns:
      The new version's number.

    Raises:
      ModelError: There is no such version, it is what is served already, or its files are not as they were pushed.
    """
    _target(base_directory, complete_versions(base_directory), version)  # before anything is made there
    store = open_store(base_directory)
    with store.exclusive():
        versions = complete_versions(base_directory)
        source = version_directory(base_directory, _target(base_directory, versions, version))
        damage = differences(source)
        if damage:
            raise ModelError(f"{source!r} is not as it was pushed, and is not brought back: {'; '.join(damage)}.")
        served, digests = version_directory(base_directory, versions[-1]), pushed_digests(source)
        if is_model(served, digests):
            raise ModelError(f"version {versions[-1]}, the newest in {base_directory!r}, is that model already.")
        withdrawn = Withdrawal(version=versions[-1], content=pushed_content(served))
        original = PushRecord.of(source)
        changes = {"pushed_at": datetime.now(UTC), "copy_of": int(source.rpartition("/")[2]), "withdrawn": withdrawn}
        record = (original or PushRecord(pushed_at=datetime.now(UTC))).model_copy(update=changes)
        return _publish(store, source, digests, record, pushed_statistics(source))


def remove_version(
    base_directory: str, version: int, *, force: bool = False, pinned: Collection[int] = ()
) -> int | None:
    """Removes a version, complete or not.

    Args:
      base_directory: Where versions are.
      version: Its number.
      force: Whether the newest and the pinned may go, too.
      pinned: Versions that a server may hold on to.

    Returns:
      The version that is the newest now; None when there is none.

    Raises:
      ModelError: There is no such version, or it may not go.
    """
    there = numbered_versions(base_directory)
    if version not in there:
        raise ModelError(f"there is no version {version} in {base_directory!r}; there are {there}.")
    store = open_store(base_directory)
    with store.exclusive():
        versions = complete_versions(base_directory)
        if not force and version in pinned:
            raise ModelError(f"version {version} is in push.pinned_versions; --force removes it all the same.")
        if not force and versions and version == versions[-1]:
            following = f"version {versions[-2]} would be served next" if versions[1:] else "nothing would be served"
            raise ModelError(
                f"version {version} is the newest in {base_directory!r}, which servers hold: {following}. --force "
                "removes it all the same; `petseg models rollback` puts an earlier model in its place."
            )
        store.remove(version)
    return max((other for other in versions if other != version), default=None)


def _needless(digests: Mapping[str, str], base_directory: str, *, forced: bool) -> PushOutcome | None:
    """Returns why a model need not be pushed, or must not be; None where it is to be."""
    served = newest_version(base_directory)
    if served is None:
        return None
    if is_model(served, digests):
        return PushOutcome(None, f"{served} is this model already", served)
    record = PushRecord.of(served)
    if record and record.withdrawn and record.withdrawn.content == content_digest(digests) and not forced:
        withdrawn = record.withdrawn.version
        undo = f"`petseg models rollback {withdrawn}` undoes that"
        return PushOutcome(None, f"version {withdrawn}, this model, was rolled back; {undo}")
    return None


def _publish(
    store: VersionStore, model: str, digests: Mapping[str, str], record: PushRecord, statistics: bytes | None
) -> int:
    said = {PUSH_FILE: record.model_dump_json(indent=2).encode()}
    if statistics is not None:
        said[STATISTICS_FILE] = statistics
    return store.publish(model, {**said, CHECKSUMS_FILE: checksums(digests, said)})


def _target(base_directory: str, versions: Sequence[int], version: int | None) -> int:
    if version is not None and version in versions:
        return version
    if version is not None:
        raise ModelError(f"there is no complete version {version} in {base_directory!r}; there are {list(versions)}.")
    if len(versions) < 2:
        raise ModelError(f"there is nothing to go back to in {base_directory!r}; the versions there: {list(versions)}.")
    return versions[-2]
