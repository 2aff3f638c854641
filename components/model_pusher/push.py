"""Pushing a model, bringing an earlier version back, and keeping the number of versions in bounds."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from absl import logging

from components.model_pusher.checksums import CHECKSUMS_FILE, PUSH_FILE, checksums, content_digest, differences
from components.model_pusher.push_record import PushRecord, Withdrawal
from components.model_pusher.version_store import VersionStore, open_store
from components.model_pusher.versions import complete_versions, newest_version, numbered_versions, version_directory
from trainer_module.errors import ModelError


@dataclass(frozen=True)
class PushOutcome:
    """What came of a push."""

    version: int | None
    """The new version's number; None where nothing was pushed."""

    reason: str = ""
    """Why nothing was."""

    already_served: str = ""
    """The newest version, where it is this very model."""


def push(
    model: str, base_directory: str, record: PushRecord, *, keep: int | None = None, pinned: Collection[int] = ()
) -> PushOutcome:
    """Makes a model the highest version of a destination, then removes the versions that are too many.

    The model that is served already is not pushed again, nor is one that was withdrawn last, but by force.

    Args:
      model: Directory of the SavedModel.
      base_directory: Where versions are, in TensorFlow Serving's layout; made if absent.
      record: What the version says of its push.
      keep: How many complete versions stay, the highest; None: all.
      pinned: Versions that stay besides.
    """
    store = open_store(base_directory)
    with store.exclusive():
        needless = _needless(model, base_directory, forced=bool(record.forced_because))
        if needless is not None:
            return needless
        version = _publish(store, model, record)
        for old in surplus_versions(complete_versions(base_directory), keep, pinned):
            logging.info("Removing version %d: %s versions stay.", old, keep)
            store.remove(old)
    return PushOutcome(version)


def _needless(model: str, base_directory: str, *, forced: bool) -> PushOutcome | None:
    """Returns why a model need not be pushed, or must not be; None where it is to be."""
    served = newest_version(base_directory)
    if served is None:
        return None
    content = content_digest(model)
    if content_digest(served) == content:
        return PushOutcome(None, f"{served} is this model already", served)
    record = PushRecord.of(served)
    if record and record.withdrawn and record.withdrawn.content == content and not forced:
        withdrawn = record.withdrawn.version
        undo = f"`petseg models rollback {withdrawn}` undoes that"
        return PushOutcome(None, f"version {withdrawn}, this model, was rolled back; {undo}")
    return None


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
        served = version_directory(base_directory, versions[-1])
        if content_digest(source) == content_digest(served):
            raise ModelError(f"version {versions[-1]}, the newest in {base_directory!r}, is that model already.")
        withdrawn = Withdrawal(version=versions[-1], content=content_digest(served))
        original = PushRecord.of(source)
        changes = {"pushed_at": datetime.now(UTC), "copy_of": int(source.rpartition("/")[2]), "withdrawn": withdrawn}
        record = (original or PushRecord(pushed_at=datetime.now(UTC))).model_copy(update=changes)
        return _publish(store, source, record)


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


def _publish(store: VersionStore, model: str, record: PushRecord) -> int:
    said = {PUSH_FILE: record.model_dump_json(indent=2).encode()}
    return store.publish(model, {**said, CHECKSUMS_FILE: checksums(model, said)})


def _target(base_directory: str, versions: Sequence[int], version: int | None) -> int:
    if version is not None and version in versions:
        return version
    if version is not None:
        raise ModelError(f"there is no complete version {version} in {base_directory!r}; there are {list(versions)}.")
    if len(versions) < 2:
        raise ModelError(f"there is nothing to go back to in {base_directory!r}; the versions there: {list(versions)}.")
    return versions[-2]
