"""What an import has to do: which pictures are new, changed, as they were, or gone, and which split each is for."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from PIL import Image

from components.tfds_example_gen.splits import TRAINED, WATCHED
from pipeline.data.formats.annotation import Annotations, MaskRefusedError, Picture
from pipeline.data.importing.entries import Entry
from pipeline.data.importing.examples import Task
from pipeline.data.importing.request import ImportRequest
from pipeline.data.importing.splitting import WATCHED_SHARE, SplitRule, petsegs_name, stratified
from pipeline.data.importing.stamps import content_digest, stamp
from pipeline.data.importing.workers import Workers
from trainer_module.errors import DataError

_IN_NO_SPLIT: Final = "it is in no split of the source"


@dataclass(frozen=True)
class Plan:
    """All files of a source and of the version before, by what becomes of them."""

    tasks: tuple[Task, ...]
    """Pictures to read: new ones, and those that changed."""

    unchanged: tuple[Entry, ...]
    """What the version before has, or has dropped, and is as it was; of other sources, too."""

    dropped: tuple[Entry, ...]
    """What can be told to be of no use without reading it."""

    removed: tuple[str, ...]
    """Names of what the version before has, and the source has no more."""

    changed: tuple[str, ...]
    """Names of those among the tasks that the version before has in another form."""

    splits: tuple[str, ...]
    """Names of all splits that the data set is to have."""

    notes: tuple[str, ...]

    @property
    def counts(self) -> Counter[str]:
        """Split to its number of pictures, those that turn out to be of no use included."""
        kept = [entry.split for entry in self.unchanged if entry.is_kept]
        return Counter([*kept, *(task.entry.split for task in self.tasks)])


class Planner:
    """Compares a source with the version before."""

    def __init__(self, request: ImportRequest, former: Sequence[Entry], workers: Workers) -> None:
        """Constructs the planner.

        Args:
          request: What is asked.
          former: The files of the version before; empty where it may not be built on.
          workers: Read what has to be read for it.
        """
        self._request = request
        self._former = {entry.name: entry for entry in former}
        self._workers = workers

    def plan(self, annotations: Annotations) -> Plan:
        """Says what becomes of each file.

        Raises:
          DataError: A split has a name that it cannot have; or a picture is added whose name another folder's has.
        """
        request = self._request
        dropped = [Entry(self._name(each.name), request.folder, reason=each.reason) for each in annotations.dropped]
        found = [self._task(picture) for picture in annotations.pictures]
        if request.dates.is_of_path:
            reason = f"its path names no day in the form {request.dates.text}"
            dropped += [_useless(task, reason) for task in found if task.entry.date is None]
            found = [task for task in found if task.entry.date is not None]
        splitting = _Splitting(request, self._former, self._workers, [task.picture for task in found])
        parted = splitting.part(found)
        dropped += [_useless(task, _IN_NO_SPLIT) for task in parted if not task.entry.split]
        parted = [task for task in parted if task.entry.split]
        same = self._same(parted)
        tasks = tuple(task for task in parted if task.entry.name not in same)
        here = {task.entry.name for task in parted} | {entry.name for entry in dropped}
        absent = [entry for entry in self._former.values() if entry.name not in here]
        gone = [entry for entry in absent if self._is_of_source(entry)]
        others = [entry for entry in absent if not self._is_of_source(entry)]
        if request.keep_removed:
            others += [entry for entry in gone if entry.is_kept]
        unchanged = (*(self._former[name] for name in same), *others)
        left = {entry.split for entry in unchanged if entry.is_kept}
        return Plan(
            tasks=tasks,
            unchanged=unchanged,
            dropped=tuple(dropped),
            removed=() if request.keep_removed else tuple(entry.name for entry in gone if entry.is_kept),
            changed=tuple(
                name
                for name in (task.entry.name for task in tasks)
                if name in self._former and self._former[name].is_kept
            ),
            splits=tuple(dict.fromkeys((*splitting.splits, *sorted(left)))),
            notes=(*annotations.notes, *splitting.notes),
        )

    def _name(self, name: str) -> str:
        """Returns what a file of the source is called in the data set."""
        return f"{self._request.source.absolute().name}/{name}" if self._request.mode == "add" else name

    def _task(self, picture: Picture) -> Task:
        request, name = self._request, self._name(picture.name)
        former = self._former.get(name)
        if request.mode == "add" and former is not None and former.folder != request.folder:
            raise DataError(
                f"{name!r} of {request.folder!r} is in the data set already, from {former.folder!r}: what is added "
                "goes by the name of its folder. Rename the folder, or import it with --replace."
            )
        day = (
            request.dates.of_path(f"{request.source.absolute().name}/{picture.name}")
            if request.dates.is_of_path
            else None
        )
        return Task(picture, Entry(name, request.folder, stamp=stamp(picture), date=day))

    def _is_of_source(self, entry: Entry) -> bool:
        return self._request.mode == "replace" or entry.folder == self._request.folder

    def _same(self, tasks: Iterable[Task]) -> dict[str, None]:
        """Returns the names of the pictures that are in the version before as they are now."""
        same: dict[str, None] = {}
        touched = []
        for task in tasks:
            former = self._former.get(task.entry.name)
            if former is None or (former.is_kept and former.split != task.entry.split):
                continue
            if former.stamp and former.stamp == task.entry.stamp:
                same[task.entry.name] = None
            elif former.content:
                touched.append(task)
        for name, content in self._workers.run(_content, touched):
            if content == self._former[name].content:
                same[name] = None
        return same


class _Splitting:
    """Parts the pictures of a source."""

    def __init__(
        self, request: ImportRequest, former: Mapping[str, Entry], workers: Workers, pictures: Sequence[Picture]
    ) -> None:
        self._rule, self._former, self._workers = request.rule, former, workers
        has_splits = any(picture.split is not None for picture in pictures)
        self._of_source = {petsegs_name(picture.split) for picture in pictures if picture.split is not None}
        self._by_source = has_splits and request.split_by != "hash"
        if request.split_by == "source" and not has_splits:
            raise DataError(
                f"--split-by source: nothing in {request.folder!r} says which picture is in which split: put them into "
                "folders such as train, val and test, or give lists with --split-list."
            )
        self._is_carved = self._by_source and WATCHED not in self._of_source
        self.splits = (
            (*dict.fromkeys((TRAINED, WATCHED, *sorted(self._of_source))),)
            if self._by_source
            else (*self._rule.shares,)
        )
        self.notes = tuple(self._notes(request))

    def part(self, tasks: Sequence[Task]) -> list[Task]:
        """Returns the tasks with their splits; those that are in none with an empty one."""
        if self._by_source:
            return [_with_split(task, self._source_split(task)) for task in tasks]
        if not self._rule.stratify:
            return [
                _with_split(task, self._settled(task.entry.name) or self._rule.by_hash(task.entry.name))
                for task in tasks
            ]
        new = [task for task in tasks if self._settled(task.entry.name) is None]
        classes = dict(self._workers.run(_classes, new))
        settled = [(entry.split, entry.pixels) for entry in self._former.values() if entry.is_kept]
        dealt = stratified({task.entry.name: classes[task.entry.name] for task in new}, self._rule, settled)
        return [_with_split(task, self._settled(task.entry.name) or dealt[task.entry.name]) for task in tasks]

    def _settled(self, name: str) -> str | None:
        """Returns the split that a picture is in since the version before."""
        former = self._former.get(name)
        return former.split or None if former is not None else None

    def _source_split(self, task: Task) -> str:
        if task.picture.split is None:
            return ""
        split = petsegs_name(task.picture.split)
        if split == TRAINED and self._is_carved:
            return self._rule.by_hash(task.entry.name, {TRAINED: 1 - WATCHED_SHARE, WATCHED: WATCHED_SHARE})
        return split

    def _notes(self, request: ImportRequest) -> Iterable[str]:
        if not self._by_source:
            return
        if self._is_carved and TRAINED in self._of_source:
            yield (
                f"The source has no split to select weights by: {WATCHED_SHARE:.0%} of its {TRAINED} became {WATCHED}, "
                "by the hash of their names."
            )
        if request.rule.shares != SplitRule().shares or request.rule.stratify:
            yield (
                "The source parts its pictures itself, so --split and --stratify were not looked at; --split-by hash "
                "has them looked at."
            )


def _useless(task: Task, reason: str) -> Entry:
    """Returns the entry of a picture dropped for what is beside it; its own files do not tell when that ends."""
    return replace(task.entry, reason=reason, stamp="")


def _with_split(task: Task, split: str) -> Task:
    return replace(task, entry=replace(task.entry, split=split))


def _content(task: Task) -> tuple[str, str]:
    return task.entry.name, content_digest(task.picture)


def _classes(task: Task) -> tuple[str, tuple[str, ...]]:
    """Returns a picture's name and the values in its mask; none where it cannot be read, which is told later."""
    try:
        with Image.open(task.picture.image) as image:
            width, height = image.size
        values = np.unique(task.picture.mask.read((height, width)).values)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, MaskRefusedError):
        return task.entry.name, ()
    return task.entry.name, tuple(map(str, values.tolist()))
