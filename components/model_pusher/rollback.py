"""Bringing an earlier version back. Nothing here imports TensorFlow unless the destination is an object store."""

from collections.abc import Sequence
from datetime import UTC, datetime

from components.model_pusher.files import content_digest, differences, is_model, pushed_content, pushed_digests
from components.model_pusher.ledger import Rollback, append
from components.model_pusher.origin import Origin
from components.model_pusher.push import PushRecord, Withdrawal, publish, pushed_statistics
from components.model_pusher.version_store import complete_versions, open_store, version_directory
from trainer_module.errors import ModelError


def roll_back(base_directory: str, version: int | None = None) -> int:
    """Makes an earlier version the highest again: a copy of it, under a new number.

    The model that it replaces is withdrawn: no run pushes it again, nor one that it trains on the same data by the same
    recipe, until a rollback brings it back.

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
        number = _target(base_directory, versions, version)
        source = version_directory(base_directory, number)
        damage = differences(source)
        if damage:
            raise ModelError(f"{source!r} is not as it was pushed, and is not brought back: {'; '.join(damage)}.")
        served, digests = version_directory(base_directory, versions[-1]), pushed_digests(source)
        if is_model(served, digests):
            raise ModelError(f"version {versions[-1]}, the newest in {base_directory!r}, is that model already.")
        now, withdrawn = datetime.now(UTC), Withdrawal(version=versions[-1], content=pushed_content(served))
        withdrawn_record = PushRecord.of(served)
        event = Rollback(
            at=now,
            version=withdrawn.version,
            content=withdrawn.content,
            origin=withdrawn_record.origin if withdrawn_record else Origin(),
            restored=number,
            restored_content=content_digest(digests),
        )
        append(base_directory, event)  # first: a withdrawal without its rollback keeps a bad model from coming again
        original = PushRecord.of(source) or PushRecord(pushed_at=now)
        changes = {"pushed_at": now, "copy_of": number, "withdrawn": withdrawn}
        return publish(store, source, digests, original.model_copy(update=changes), pushed_statistics(source))


def _target(base_directory: str, versions: Sequence[int], version: int | None) -> int:
    if version is not None and version in versions:
        return version
    if version is not None:
        raise ModelError(f"there is no complete version {version} in {base_directory!r}; there are {list(versions)}.")
    if len(versions) < 2:
        raise ModelError(f"there is nothing to go back to in {base_directory!r}; the versions there: {list(versions)}.")
    return versions[-2]
