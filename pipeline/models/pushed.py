"""What is known of the versions in a push destination, and how it is shown."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict
from rich.text import Text

from components.model_pusher.files import differences
from components.model_pusher.push import PushRecord
from components.model_pusher.rollback import roll_back as push_again
from components.model_pusher.version_store import complete_versions, numbered_versions, version_directory
from pipeline.terminal.tables import PlainTable, metric_value, readable_metric
from trainer_module.errors import ModelError

_SHOWN_METRICS = ("accuracy", "mean_iou")


class VersionState(StrEnum):
    """Whether a version is what was pushed."""

    COMPLETE = "complete"
    DAMAGED = "damaged"
    UNVERIFIED = "unverified"
    """It has no checksums."""

    INCOMPLETE = "incomplete"
    """It has no graph; servers cannot load it."""


_STYLES = {
    VersionState.COMPLETE: "green",
    VersionState.DAMAGED: "bold red",
    VersionState.UNVERIFIED: "yellow",
    VersionState.INCOMPLETE: "yellow",
}


class PushedVersion(BaseModel):
    """One version."""

    model_config = ConfigDict(frozen=True)

    version: int
    newest: bool
    """Whether it is the one that servers take."""

    state: VersionState
    damages: list[str] = []
    """What is not as it was pushed."""

    pushed_at: datetime | None = None
    """None, as what follows, where the version does not say."""

    run: str | None = None
    dataset: str | None = None
    dataset_version: str | None = None
    metrics: dict[str, float | None] = {}
    copy_of: int | None = None
    """The version that a rollback brought back as this one."""


def pushed_versions(base_directory: str) -> list[PushedVersion]:
    """Returns the versions in a directory, the highest first; every file is read."""
    complete = complete_versions(base_directory)
    return [
        describe(base_directory, version, complete=version in complete, newest=complete[-1:] == [version])
        for version in reversed(numbered_versions(base_directory))
    ]


def damages(base_directory: str, version: int | None = None, *, every: bool = False) -> dict[int, list[str]]:
    """Returns by version what is not as it was pushed: of one, of the newest, or of every version.

    Raises:
      ModelError: There is no such version.
    """
    there = numbered_versions(base_directory)
    wanted = complete_versions(base_directory)[-1:] if version is None else [version]
    if not wanted or not set(wanted) <= set(there):
        which = "complete version" if version is None else f"version {version}"
        raise ModelError(f"there is no {which} in {base_directory!r}; there are {there}.")
    return {number: _damages(version_directory(base_directory, number)) for number in (there if every else wanted)}


def roll_back(base_directory: str, version: int | None) -> tuple[int, PushRecord]:
    """Brings a version back, or the one before the newest; returns its new number and what it says of itself.

    Raises:
      ModelError: There is no such version, it is what is served already, or its files are not as they were pushed.
    """
    new = push_again(base_directory, version)
    record = PushRecord.of(version_directory(base_directory, new))
    if record is None:
        raise ModelError(f"version {new} in {base_directory!r} was pushed, and is gone or damaged already.")
    return new, record


def versions_table(versions: Sequence[PushedVersion]) -> PlainTable:
    """Returns one row a version."""
    table = PlainTable()
    for column in ("version", "", "state", "pushed", "run", "data", *map(readable_metric, _SHOWN_METRICS)):
        table.add_column(column, no_wrap=column != "data")
    for version in versions:
        pushed = version.pushed_at.astimezone().strftime("%Y-%m-%d %H:%M") if version.pushed_at else ""
        note = "newest" if version.newest else ""
        note += f" (version {version.copy_of} again)" if version.copy_of is not None else ""
        data = " ".join(filter(None, [version.dataset, version.dataset_version]))
        metrics = [metric_value(version.metrics[name]) if name in version.metrics else "" for name in _SHOWN_METRICS]
        state = Text(version.state, _STYLES[version.state])
        table.add_row(str(version.version), note.strip(), state, pushed, version.run or "", data, *metrics)
    return table


def describe(base_directory: str, version: int, *, complete: bool, newest: bool) -> PushedVersion:
    """Returns what is known of a version, of which every file is read.

    Args:
      base_directory: Where the versions are.
      version: Its number.
      complete: Whether it has a graph.
      newest: Whether servers take it.
    """
    directory = version_directory(base_directory, version)
    state, damage = VersionState.INCOMPLETE, []
    if complete:
        try:
            damage = differences(directory)
            state = VersionState.DAMAGED if damage else VersionState.COMPLETE
        except ModelError:
            state = VersionState.UNVERIFIED
    record = PushRecord.of(directory)
    said = record.model_dump(include=set(PushedVersion.model_fields)) if record else {}
    return PushedVersion(version=version, newest=newest, state=state, damages=damage, **said)


def _damages(directory: str) -> list[str]:
    try:
        return differences(directory)
    except ModelError as error:
        return [str(error)]
