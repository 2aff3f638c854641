"""Which runs a pushed model comes from that is served, pinned, or what the newest evaluation compared with."""

from collections.abc import Collection, Iterator
from pathlib import Path

from components.model_pusher.files import is_remote
from components.model_pusher.push import PushRecord
from components.model_pusher.version_store import complete_versions, newest_version, version_directory
from pipeline.config.schema import Config
from pipeline.housekeeping.known_runs import Kind, KnownRun, latest
from pipeline.runs.store import RunStore
from trainer_module.errors import PetsegError


def runs_in_use(store: RunStore, config: Config, runs: Collection[KnownRun]) -> dict[str, str]:
    """Returns the ids of the runs whose models are in use, each with what for.

    Asked are the push destination of the configuration, and every directory that a run under the root pushed to.

    Raises:
      PetsegError: A push destination cannot be read, so that nobody knows what is served.
    """
    found: dict[str, str] = {}
    for destination, pinned in _destinations(store, config, runs).items():
        try:
            for directory, what in _versions_in_use(destination, pinned):
                found |= dict.fromkeys(_pushed_by(directory, runs), what)
        except OSError as error:
            raise PetsegError(
                f"nobody can tell what is served in {destination!r}, and nothing is removed before that is known: "
                f"{error}"
            ) from error
    for pipeline in {run.pipeline for run in runs}:
        for run in latest([run for run in runs if run.pipeline == pipeline], Kind.TRAINED)[:1]:
            baseline = run.record.baseline if run.record else None
            if baseline is not None and baseline.found and baseline.path:
                of_baseline = f"the baseline of the newest evaluation, version {baseline.version}"
                found = dict.fromkeys(_pushed_by(baseline.path, runs), of_baseline) | found
    return found


def _destinations(store: RunStore, config: Config, runs: Collection[KnownRun]) -> dict[str, set[int]]:
    """Returns the directories of versions, each with the numbers that are pinned there now."""
    found = {config.serving_model_dir: set(config.push.pinned_versions)}
    for path in store.root.glob("serving_model/*"):
        found.setdefault(str(path), set())
    newest = {run.pipeline: run for run in sorted(runs, key=lambda run: run.order) if run.record}
    for run in runs:
        settings = run.record.settings.get("push", {}) if run.record else {}
        destination = settings.get("destination")
        # What an object store that was pushed to once says now is not worth TensorFlow and a network.
        if destination and not is_remote(destination):
            found.setdefault(destination, set())
        if newest.get(run.pipeline) is run:
            pinned = settings.get("pinned_versions", ())
            found.setdefault(destination or str(store.root / "serving_model" / run.pipeline), set()).update(pinned)
    return found


def _versions_in_use(destination: str, pinned: Collection[int]) -> Iterator[tuple[str, str]]:
    served = newest_version(destination)
    for version in {*pinned} & {*complete_versions(destination)} if pinned else ():
        yield version_directory(destination, version), f"version {version}, which is pinned"
    if served is not None:
        yield served, f"version {served.rpartition('/')[2]}, which is served"


def _pushed_by(directory: str, runs: Collection[KnownRun]) -> list[str]:
    """Returns the ids of the runs that a version came from: by what it says of itself, and by the records."""
    said = PushRecord.of(directory)
    by_record = [run.run_id for run in runs if run.record and _is_same(run.record.pushed_model, directory)]
    return [*by_record, *([said.run] if said and said.run else [])]


def _is_same(pushed: str | None, directory: str) -> bool:
    return pushed is not None and (pushed == directory or Path(pushed) == Path(directory))
