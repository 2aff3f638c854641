"""`import_pictures`: from files as people have them to a version of a data set in TFDS' form.

A version appears at once, when all of it is on the disk. Shards that are finished when an import ends early are kept
beside the versions, and the same command takes them up. What the version before has and the source still has is not
read again: its shards become shards of the new version as they are.
"""

import errno
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import tensorflow_datasets as tfds

from components.dataset_card import DatasetCard
from pipeline.data.formats.annotation import Annotations
from pipeline.data.formats.reading import read_annotations
from pipeline.data.importing import entries as entry_list
from pipeline.data.importing.base import Base
from pipeline.data.importing.classes import card_of_values, extends, note_on
from pipeline.data.importing.dates import FROM_EXIF, today
from pipeline.data.importing.entries import Entry, write_entries
from pipeline.data.importing.examples import Rules
from pipeline.data.importing.planning import Plan, Planner
from pipeline.data.importing.reading import PictureReader, Progress, Readings
from pipeline.data.importing.report import ImportReport, class_counts, reasons_of, shared_images, values_met
from pipeline.data.importing.request import ImportRequest
from pipeline.data.importing.reuse import kept_shards, numbered
from pipeline.data.importing.shards import Description, DiskFullError, Shard, shard_files, write_description
from pipeline.data.importing.splitting import check_no_empty_split
from pipeline.data.importing.versions import RECORD_FILE, DatasetPlace, ImportRecord, Version, take_over
from pipeline.data.importing.workers import Workers
from trainer_module.config import DataConfig
from trainer_module.errors import ConfigError, DataError

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
_SHOWN: Final = 20
"""Files that a refusal names."""


@dataclass(frozen=True)
class Outcome:
    """How an import ended."""

    report: ImportReport
    is_new: bool
    """Whether a version was made; else the report is on what is there already."""


def _unheard(_done: int, _total: int) -> None:
    """Is a progress that nobody hears of."""


def import_pictures(request: ImportRequest, progress: Progress = _unheard) -> Outcome:
    """Imports a source.

    Args:
      request: What is asked.
      progress: Called with the number of pictures that are done, and of all that are to be read.

    Raises:
      ConfigError: The name is that of another data set, or options contradict each other or the version before.
      DataError: The source or the data directory cannot be used, the disk is full, a split would be empty, or a file is
        dropped and that is refused.
    """
    place = _checked_place(request)
    annotations = read_annotations(request.source, request.options)
    with place.locked(), Workers(request.workers) as workers:
        base = Base.of(request, place.newest(), annotations)
        plan = Planner(request, base.entries, workers).plan(annotations)
        importing = _Import(request, place, annotations, base, plan)
        importing.check_plan()
        if (existing := importing.existing()) is not None:
            return existing
        try:
            return importing.run(workers, progress)
        except (DiskFullError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_ROOM:
                raise DataError(f"{str(error.filename or place.directory)!r}: {error.strerror}.") from error
            raise DataError(
                f"there is no room left for {str(place.directory)!r}. What is finished is kept in "
                f"{str(place.staging)!r}; nothing of the new version is visible. Make room, and give the same command "
                "again: it goes on from there."
            ) from error


def plan_import(request: ImportRequest) -> tuple[Annotations, Plan]:
    """Says what an import would do, without opening an image or writing anything.

    Raises:
      ConfigError, DataError: As `import_pictures`, as far as it can be told.
    """
    place = _checked_place(request)
    annotations = read_annotations(request.source, request.options)
    with Workers(request.workers) as workers:
        base = Base.of(request, place.newest(), annotations)
        plan = Planner(request, base.entries, workers).plan(annotations)
        _Import(request, place, annotations, base, plan).check_plan()
    return annotations, plan


def _checked_place(request: ImportRequest) -> DatasetPlace:
    """Returns where the data set is to be, if it can have its name there; nothing is made yet.

    Raises:
      ConfigError, DataError: It cannot.
    """
    place = DatasetPlace(request.data_dir, request.name)
    of_petseg = [module.rpartition(".")[2] for module in DataConfig().builder_modules]
    if request.name in (*tfds.list_builders(with_community_datasets=False), *of_petseg):
        raise ConfigError(
            f"--name {request.name!r} is a data set of the TFDS catalogue, which TFDS would take for yours: choose "
            f"another, such as my_{request.name}"
        )
    place.newest()
    return place


class _Import:
    """One import, from its plan to its version."""

    def __init__(
        self, request: ImportRequest, place: DatasetPlace, annotations: Annotations, base: Base, plan: Plan
    ) -> None:
        self._request, self._place, self._annotations, self._base, self._plan = request, place, annotations, base, plan
        self._former = base.version.record if base.version is not None else None
        known = self._former if base.entries and self._former is not None else None
        self._declared = annotations.card
        if not annotations.card.class_names and known is not None and known.classes_are_declared:
            self._declared = known.card
        labels = {name for picture in annotations.pictures for name in picture.labels}
        self._labels = tuple(sorted(labels | {*(known.labels if known is not None else ())}))

    def check_plan(self) -> None:
        """Refuses what can be seen to lead to nothing before any picture is read.

        Raises:
          DataError: Files are dropped and that is refused, there is no picture, or a split has none.
        """
        plan = self._plan
        self._check_strict(plan.dropped)
        self._check_splits(plan.counts, plan.dropped)

    def existing(self) -> Outcome | None:
        """Returns the outcome where the version before has all of it; None where there is something to do."""
        former = self._former
        if former is None or self._plan.tasks or self._base.differences:
            return None
        now = {(entry.name, entry.reason) for entry in (*self._plan.unchanged, *self._plan.dropped)}
        is_same_card = not self._declared.class_names or _same_classes(self._declared, former.card)
        if not is_same_card or now != {(entry.name, entry.reason) for entry in self._base.entries}:
            return None
        self._place.forget_finished()
        return Outcome(former.report, is_new=False)

    def run(self, workers: Workers, progress: Progress) -> Outcome:
        """Reads what has to be read, and makes the version."""
        request, plan, former = self._request, self._plan, self._former
        rules = Rules(
            card=self._declared,
            drawn_on=None if request.masks_drawn_on == "auto" else request.masks_drawn_on,
            labels=self._labels,
            exif_dates=request.dates.text == FROM_EXIF,
            today=today(),
        )
        fits: Counter[str] = Counter(former.fits if self._base.entries and former is not None else {})
        reader = PictureReader(rules, self._place.staging, workers, progress)
        readings = reader.read(plan.tasks, fits)
        self._check_strict(readings.dropped)
        staying = {entry.name for entry in plan.unchanged}
        kept: list[Shard] = []
        if self._base.version is not None:
            kept = kept_shards(self._base.version, self._base.entries, staying, self._place.staging, workers)
        shards = numbered([*kept, *readings.shards], plan.splits)
        entries = [entry for of_split in shards.values() for shard in of_split for entry in shard.entries]
        dropped = [*plan.dropped, *readings.dropped, *(entry for entry in plan.unchanged if not entry.is_kept)]
        self._check_splits(Counter(entry.split for entry in entries), dropped)
        card = self._card(entries, tuple(shards))
        is_compatible = former is None or extends(card, former.card)
        version = self._base.next_version(request, is_compatible=is_compatible)
        report = self._report(version, card, entries, dropped, readings)
        self._write(version, card, shards, [*entries, *dropped], readings, report, workers)
        self._place.forget_finished()
        return Outcome(report, is_new=True)

    def _check_strict(self, dropped: Sequence[Entry]) -> None:
        if dropped and self._request.strict:
            raise DataError(
                f"{len(dropped)} files would be dropped, which --strict refuses; no version was made. {_told(dropped)}"
            )

    def _check_splits(self, counts: Mapping[str, int], dropped: Sequence[Entry]) -> None:
        if not any(counts.values()):
            raise DataError(f"{self._request.folder!r}: no image is left to import. {_told(dropped)}")
        check_no_empty_split(counts, self._plan.splits, self._request.rule)

    def _card(self, entries: Iterable[Entry], splits: Sequence[str]) -> DatasetCard:
        card = self._declared
        if not card.class_names:
            values = {int(value) for entry in entries for value in entry.pixels}
            card = card_of_values(values, self._former.card if self._former is not None else None, card.ignore_values)
        further = {"slice_features": self._labels, "splits": {split: split for split in splits}}
        return card.model_copy(update=further)

    def _report(
        self,
        version: Version,
        card: DatasetCard,
        entries: Sequence[Entry],
        dropped: Sequence[Entry],
        readings: Readings,
    ) -> ImportReport:
        plan = self._plan
        classes, not_labelled = class_counts(entries, card)
        dates = [entry.date for entry in entries if entry.date is not None]
        shared = shared_images(entries)
        notes = [*plan.notes, *readings.notes]
        if not self._declared.class_names:
            notes.append(note_on(card))
        if self._base.differences:
            notes.append(
                f"Everything was read anew: {', '.join(self._base.differences)} differ from the version before."
            )
        if shared:
            pairs = ", ".join(f"{one} is {other}" for one, other in shared[:_SHOWN])
            notes.append(
                f"{len(shared)} images are, byte for byte, in two splits: "
                f"{pairs}{', …' if len(shared) > _SHOWN else ''}."
            )
        return ImportReport(
            name=self._request.name,
            version=str(version),
            directory=str(self._place.directory / str(version)),
            format_name=self._annotations.format_name,
            found=len(entries) + len(dropped),
            kept=len(entries),
            dropped=len(dropped),
            read=sum(len(shard.entries) for shard in readings.shards),
            splits=dict(
                sorted(Counter(entry.split for entry in entries).items(), key=lambda each: plan.splits.index(each[0]))
            ),
            classes=classes,
            not_labelled_pixels=not_labelled,
            met=values_met(entries),
            first_date=min(dates),
            last_date=max(dates),
            reasons=reasons_of((entry.name, entry.reason) for entry in dropped),
            done=reasons_of((entry.name, note) for entry in entries for note in entry.notes),
            removed=plan.removed,
            changed=plan.changed,
            notes=tuple(notes),
        )

    def _write(
        self,
        version: Version,
        card: DatasetCard,
        shards: Mapping[str, Sequence[Shard]],
        entries: Iterable[Entry],
        readings: Readings,
        report: ImportReport,
        workers: Workers,
    ) -> None:
        request, former = self._request, self._former
        folders = [request.folder]
        if former is not None and request.mode != "replace":
            folders = list(dict.fromkeys([*former.folders, request.folder]))
        record = ImportRecord(
            folders=tuple(folders),
            settings=former.settings if former is not None and request.mode == "add" else request.settings(),
            fits=dict(readings.fits),
            labels=self._labels,
            card=card,
            classes_are_declared=bool(self._declared.class_names),
            report=report,
        )
        with self._place.making(version) as directory:
            for split, of_split in shards.items():
                files = shard_files(directory, request.name, split, len(of_split))
                take_over({file: shard.path for file, shard in zip(files, of_split, strict=True)})
            description = Description(
                directory=directory,
                name=request.name,
                version=str(version),
                card=card,
                labels=self._labels,
                shard_lengths={split: [len(shard.entries) for shard in each] for split, each in shards.items()},
                record_bytes={split: sum(shard.record_bytes for shard in each) for split, each in shards.items()},
            )
            list(workers.run(write_description, [description]))  # this process needs no TensorFlow
            write_entries(directory / entry_list.FILE_NAME, entries)
            (directory / RECORD_FILE).write_text(record.model_dump_json(indent=2), encoding="utf-8")


def _same_classes(one: DatasetCard, other: DatasetCard) -> bool:
    return extends(one, other) and extends(other, one)


def _told(dropped: Sequence[Entry]) -> str:
    """Names dropped files with their reasons."""
    lines = "; ".join(f"{entry.name}: {entry.reason}" for entry in dropped[:_SHOWN])
    return f"{lines}{f'; and {len(dropped) - _SHOWN} more' if len(dropped) > _SHOWN else ''}"
