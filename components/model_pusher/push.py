"""Pushing a model, and keeping the number of versions in bounds.

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
    file_digests,
    is_model,
    opened,
)
from components.model_pusher.ledger import Ledger, Trial, TrialOutcome, append
from components.model_pusher.origin import Origin
from components.model_pusher.version_store import (
    VersionStore,
    complete_versions,
    newest_version,
    numbered_versions,
    open_store,
)
from trainer_module.errors import ModelError


class PushSettings(BaseModel):
    """How many versions stay; the fields mean what those of the same name in `PushConfig` mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_versions: int | None = None
    pinned_versions: tuple[int, ...] = ()
    is_retraining: bool = False
    """Whether the run had to decide whether to train: then what became of it is told each time."""

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

    reference_metrics: dict[str, float | None] = {}
    """Of the frozen reference set, likewise; empty where there is none."""

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

    origin: Origin = Origin()
    """What the model comes from; it says nothing in versions of an earlier petseg."""

    trained_at: datetime | None = None
    """When it was pushed first; None in versions of an earlier petseg."""

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

    trial: TrialOutcome = TrialOutcome.PUSHED
    """The same for the ledger."""


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
    is_trial: bool = True,
) -> PushOutcome:
    """Makes a model the highest version of a destination, then removes the versions that are too many.

    The model that is served already is not pushed again. Nor is one that was rolled back, or that comes from what such
    a one came from, but by force; and none at all while pushes are frozen. What became of it is in the ledger.

    Args:
      model: Directory of the SavedModel.
      base_directory: Where versions are, in TensorFlow Serving's layout; made if absent.
      record: What the version says of its push.
      statistics: Of the data that the model was trained on, as the version is to keep them; None where they are not
        known.
      keep: How many complete versions stay, the highest; None: all.
      pinned: Versions that stay besides.
      digests: Those of the model's files (`file_digests`), where they are known; reading them takes a while.
      is_trial: Whether the model was trained for this, so that the ledger is told of it; not a form of one that was.
    """
    digests = file_digests(model) if digests is None else digests
    store = open_store(base_directory)
    with store.exclusive():
        outcome = _obstacle(digests, base_directory, record)
        if outcome is None:
            outcome = PushOutcome(publish(store, model, digests, record, statistics))
            for old in surplus_versions(complete_versions(base_directory), keep, pinned):
                logging.info("Removing version %d: %s versions stay.", old, keep)
                store.remove(old)
        if is_trial:
            append(base_directory, _trial(record, outcome))
    return outcome


def tell_refused(base_directory: str, record: PushRecord, outcome: TrialOutcome, reason: str) -> None:
    """Keeps in the ledger of a destination that a model was not to be pushed there."""
    with open_store(base_directory).exclusive():
        append(base_directory, _trial(record, PushOutcome(None, reason, trial=outcome)))


def surplus_versions(versions: Sequence[int], keep: int | None, pinned: Collection[int]) -> list[int]:
    """Returns which of the versions, ascending, are to go; never the highest, nor a pinned one."""
    if keep is None:
        return []
    return [version for version in versions[: -max(keep, 1)] if version not in pinned]


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


def _obstacle(digests: Mapping[str, str], base_directory: str, record: PushRecord) -> PushOutcome | None:
    """Returns why a model need not be pushed, or must not be; None where it is to be."""
    served = newest_version(base_directory)
    if served is not None and is_model(served, digests):
        return PushOutcome(None, f"{served} is this model already", served, TrialOutcome.ALREADY_SERVED)
    ledger = Ledger.of(base_directory)
    content = content_digest(digests)
    if ledger.freeze is not None:
        return PushOutcome(None, ledger.freeze.summary, trial=TrialOutcome.FROZEN)
    rollback = None if record.forced_because else ledger.withdrawal_of(content, record.origin)
    if rollback is None:
        return None
    which = "this model" if rollback.content == content else "trained on the same data by the same recipe"
    is_there = rollback.version in complete_versions(base_directory)
    undo = f"; `petseg models rollback {rollback.version}` undoes that" if is_there else ""
    reason = f"version {rollback.version}, {which}, was rolled back{undo}"
    return PushOutcome(None, reason, trial=TrialOutcome.WITHDRAWN)


def _trial(record: PushRecord, outcome: PushOutcome) -> Trial:
    served = outcome.already_served.rpartition("/")[2]
    version = int(served) if served else outcome.version
    return Trial(
        at=datetime.now(UTC),
        run=record.run,
        origin=record.origin,
        outcome=outcome.trial,
        reason=outcome.reason,
        version=version,
        metrics=record.metrics,
    )


def publish(
    store: VersionStore, model: str, digests: Mapping[str, str], record: PushRecord, statistics: bytes | None
) -> int:
    """Makes a model a version, with what it says of itself; the caller holds the store, and gets the number."""
    said = {PUSH_FILE: record.model_dump_json(indent=2).encode()}
    if statistics is not None:
        said[STATISTICS_FILE] = statistics
    return store.publish(model, {**said, CHECKSUMS_FILE: checksums(digests, said)})
