"""Reads the pictures that an import has to read, on all workers, and remembers what is finished."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from pipeline.data.importing.entries import Entry
from pipeline.data.importing.examples import Fit, Rules, Task
from pipeline.data.importing.shards import Shard, ShardJob, ShardResult, finished, write_shard
from pipeline.data.importing.splitting import unit_hash
from pipeline.data.importing.workers import Workers
from trainer_module.errors import DataError

Progress = Callable[[int, int], None]
"""Called with the number of pictures that are done, and of all that are to be read."""

_SHARDS: Final = 64
"""Into so many a split is cut where it is neither small nor huge."""

_FEWEST_IN_SHARD: Final = 32
_MOST_IN_SHARD: Final = 1024


@dataclass(frozen=True)
class Readings:
    """What became of the pictures."""

    shards: tuple[Shard, ...]
    """In an order that only the pictures decide."""

    dropped: tuple[Entry, ...]
    fits: Counter[str]
    """How many masks of turned images fit in which way (`Fit`)."""

    notes: tuple[str, ...]


class PictureReader:
    """Reads pictures into shards."""

    def __init__(self, rules: Rules, staging: Path, workers: Workers, progress: Progress) -> None:
        """Constructs the reader.

        Args:
          rules: How pictures become examples.
          staging: Directory for finished shards; what an import that ended early has left there is taken up.
          workers: Do the work.
          progress: Hears of it.
        """
        self._rules, self._staging, self._workers, self._progress = rules, staging, workers, progress
        self._done = self._resumed = 0

    def read(self, tasks: Sequence[Task], former_fits: Counter[str]) -> Readings:
        """Reads pictures; first those whose masks tell by their size what they were drawn on, then the others.

        Args:
          tasks: The pictures, each with its split.
          former_fits: Of the version before.

        Raises:
          DataError: A worker was killed, or a picture got lost.
          DiskFullError: There is no room.
        """
        results = list(self._run(tasks, self._rules, len(tasks)))
        fits = Counter(former_fits)
        for result in results:
            fits.update({str(fit): number for fit, number in result.fits.items()})
        put_off = {name for result in results for name in result.put_off}
        if put_off:
            drawn_on = _drawn_on(fits)
            later = [task for task in tasks if task.entry.name in put_off]
            results += self._run(later, replace(self._rules, drawn_on=drawn_on), len(tasks))
            fits[Fit.EITHER] += len(put_off)
        shards = tuple(result.shard for result in results if result.shard is not None)
        dropped = tuple(entry for result in results for entry in result.dropped)
        if len(tasks) != (found := sum(len(shard.entries) for shard in shards) + len(dropped)):
            raise DataError(
                f"of {len(tasks)} pictures {found} came back from the workers; nothing of it is kept. Run again."
            )
        return Readings(shards, dropped, fits, tuple(self._notes(fits)))

    def _run(self, tasks: Iterable[Task], rules: Rules, total: int) -> Iterator[ShardResult]:
        """Yields what became of the pictures, in the order of the jobs."""
        jobs = [ShardJob(part, rules, str(self._staging)) for part in _parts(tasks)]
        results = {job.key: result for job in jobs if (result := finished(job)) is not None}
        self._resumed += sum(len(job.tasks) for job in jobs if job.key in results)
        for result in results.values():
            self._tell(result, total)
        for key, result in self._workers.run(_keyed_shard, [job for job in jobs if job.key not in results]):
            results[key] = result
            self._tell(result, total)
        yield from (results[job.key] for job in jobs)

    def _tell(self, result: ShardResult, total: int) -> None:
        self._done += len(result.dropped) + (len(result.shard.entries) if result.shard is not None else 0)
        self._progress(self._done, total)

    def _notes(self, fits: Counter[str]) -> Iterator[str]:
        if self._resumed:
            yield f"{self._resumed} pictures were taken over from an import that ended early."
        if fits[Fit.EITHER]:
            drawn_on, why = self._rules.drawn_on, "as --masks-drawn-on says"
            if drawn_on is None:
                drawn_on = _drawn_on(fits)
                told = fits[Fit.SHOWN] + fits[Fit.STORED]
                why = (
                    f"as all {told} masks of turned images whose size does tell" if drawn_on == "stored" else "as usual"
                )
            yield (
                f"{fits[Fit.EITHER]} images are turned by EXIF, and the size of their masks does not tell whether "
                "these were drawn on the image as it is shown or as it is stored: taken as drawn on the image as it "
                f"is {drawn_on}, {why}. Look at them (petseg data show), and say --masks-drawn-on where that is wrong."
            )


def _drawn_on(fits: Counter[str]) -> Literal["shown", "stored"]:
    return "stored" if fits[Fit.STORED] and not fits[Fit.SHOWN] else "shown"


def _keyed_shard(job: ShardJob) -> tuple[str, ShardResult]:
    return job.key, write_shard(job)


def _parts(tasks: Iterable[Task]) -> Iterator[tuple[Task, ...]]:
    """Yields the pictures of each shard, in an order that looks random: slices of a split are samples."""
    by_split: dict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        by_split[task.entry.split].append(task)
    for split in sorted(by_split):
        ordered = sorted(by_split[split], key=lambda task: (unit_hash(f"order {task.entry.name}"), task.entry.name))
        size = min(max(-(-len(ordered) // _SHARDS), _FEWEST_IN_SHARD), _MOST_IN_SHARD)
        yield from (tuple(ordered[start : start + size]) for start in range(0, len(ordered), size))
