"""The suspect masks of a run: a section of its report, and a page with the list for labellers beside it."""

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from components.run_report.report import SUSPECTS_PAGE_FILE
from components.suspect_finder.suspects import (
    PICTURES_DIRECTORY,
    SUSPECTS_FILE,
    Kind,
    Suspect,
    from_csv,
    picture_names,
)
from components.tfds_example_gen.example_names import shown_names
from pipeline.nodes import SUSPECT_FINDER
from pipeline.report.blocks import Block, Gallery, Link, Links, Note, Page, Picture, PictureRow, Section, Table, Verdict
from pipeline.report.facts import Missing, RunFacts, output_directory
from pipeline.report.gallery import error_image, thumbnail_uri
from pipeline.report.metric_sections import class_legend
from trainer_module.features import NOT_LABELLED

_TITLE: Final = "Suspect masks"
_SHOWN_IN_REPORT: Final = 4
_HOW: Final = (
    "The masks of train and eval that the trained model contradicts most confidently, ranked as confident learning "
    "does: look at them, and mend what is wrong. A mask high up may be right, and the model wrong."
)
_WHERE_THEY_ARE: Final = (
    "Both are beside this page in the directory of the run; where the page was taken from there, and on Kubeflow, they "
    "are in RunReport's artifact “metrics”."
)
_MEANINGS: Final = {
    Kind.BLANK: "the mask has one class everywhere",
    Kind.SHIFTED: "moved to another place, the mask would be as the model has it",
    Kind.EXCHANGED: "with two classes exchanged, the mask would be as the model has it",
    Kind.OTHER: "no single change explains it",
}


@dataclass(frozen=True)
class FoundSuspects:
    """What SuspectFinder left of a run."""

    suspects: Sequence[Suspect]
    """The strongest contradiction first."""

    directory: Path
    examined: int
    """The number of masks that were looked at."""

    @property
    def headline(self) -> str:
        """How many there are, in words."""
        if not self.suspects:
            return f"None of {self.examined:,} masks is contradicted"
        return f"{len(self.suspects):,} of {self.examined:,} masks to look at"


def found_suspects(facts: RunFacts) -> FoundSuspects | Missing:
    """Returns what SuspectFinder left, or why there is nothing."""
    directory = output_directory(facts.record, SUSPECT_FINDER, "suspects")
    if isinstance(directory, Missing):
        return directory
    splits = facts.record.dataset.splits if facts.record.dataset else {}
    try:
        suspects = from_csv((directory / SUSPECTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Missing(f"What SuspectFinder left at {directory} cannot be read: {error}.")
    return FoundSuspects(suspects, directory, sum(splits.get(split, 0) for split in ("train", "eval")))


def suspects_section(facts: RunFacts, found: FoundSuspects | Missing) -> Section:
    """Returns the report's section: the first suspects, and where the others are."""
    if isinstance(found, Missing):
        return Section(_TITLE, [Note(f"No masks were looked for that the model contradicts. {found.reason}")])
    if not found.suspects:
        return Section(_TITLE, [Note(f"{found.headline}.")])
    first = _gallery(found, _SHOWN_IN_REPORT)
    blocks: list[Block] = [Note(f"{found.headline}. {_HOW}"), kinds_table(found.suspects)]
    blocks.append(Links([Link("All of them", SUSPECTS_PAGE_FILE), Link("The list for labellers (CSV)", SUSPECTS_FILE)]))
    blocks.append(Note(_WHERE_THEY_ARE))
    return Section(_TITLE, [*blocks, class_legend(facts.class_names, with_errors=False), first])


def suspects_page(facts: RunFacts, found: FoundSuspects) -> Page:
    """Returns the page of all suspects, with pictures of the first."""
    record = facts.record
    data = f"{record.dataset.name} {record.dataset.version}" if record.dataset else record.pipeline
    blocks: list[Block] = [class_legend(facts.class_names, with_errors=False), _gallery(found, len(found.suspects))]
    listing = [kinds_table(found.suspects), _table(found.suspects)]
    listing_links = Links([Link("The same list as CSV, for labellers", SUSPECTS_FILE)])
    return Page(
        title=f"{_TITLE} of run {record.run_id}",
        subtitle=data,
        verdict=Verdict("neutral", found.headline, _HOW),
        sections=[Section("Pictures", blocks), Section("All suspects", [*listing, listing_links])],
    )


def kinds_table(suspects: Sequence[Suspect]) -> Table:
    """Returns how many suspects there are of each kind."""
    counts = Counter(suspect.kind for suspect in suspects)
    rows = [[kind.value, f"{counts[kind]:,}", _MEANINGS[kind]] for kind in Kind if counts[kind]]
    return Table(["kind", "masks", "what that is"], rows, words=("what that is",))


def _gallery(found: FoundSuspects, most: int) -> Gallery:
    """Returns the first suspects, as far as there are pictures of them."""
    names = _names(found.suspects)
    rows = [
        row
        for rank, (suspect, name) in enumerate(zip(found.suspects[:most], names, strict=False), 1)
        if (row := _row(found.directory / PICTURES_DIRECTORY, rank, suspect, name))
    ]
    caption = "Image, given mask, the model's mask, and in pink where they differ. The score goes from 0 to 1."
    return Gallery(f"The first {len(rows)}", caption, rows)


def _row(directory: Path, rank: int, suspect: Suspect, name: str) -> PictureRow | None:
    """Returns one suspect with its pictures; None where there are none of it."""
    files = [directory / file for file in picture_names(rank)]
    if not all(file.is_file() for file in files):
        return None
    try:
        pictures = _pictures(*files)
    except (OSError, ValueError) as error:
        return PictureRow(name, f"#{rank} cannot be shown: {error}", [])
    detail = (
        f"#{rank} · score {suspect.score:.3f} · {suspect.kind} · {suspect.contradicted:.0%} contradicted, "
        f"{suspect.given_class} → {suspect.suggested_class} · {suspect.split}"
    )
    return PictureRow(name, detail, pictures)


def _pictures(*files: Path) -> list[Picture]:
    """Returns image, given mask, the model's mask and where the masks differ, from the files of the first three."""
    photo, given, model = (Image.open(io.BytesIO(file.read_bytes())) for file in files)
    known = np.asarray(given)
    differing = (known != np.asarray(model)) & (known != NOT_LABELLED)
    images = {"image": photo, "given mask": given, "model's mask": model, "difference": error_image(photo, differing)}
    return [Picture(label, thumbnail_uri(image)) for label, image in images.items()]


def _table(suspects: Sequence[Suspect]) -> Table:
    rows = [
        [
            f"{rank}",
            name,
            suspect.split,
            suspect.kind.value,
            f"{suspect.given_class} → {suspect.suggested_class}",
            f"{suspect.contradicted:.1%}",
            f"{suspect.score:.3f}",
        ]
        for rank, (suspect, name) in enumerate(zip(suspects, _names(suspects), strict=True), 1)
    ]
    words = ("file", "split", "kind", "given → suggested")
    return Table(["rank", *words, "contradicted", "score"], rows, words=words)


def _names(suspects: Sequence[Suspect]) -> list[str]:
    """Returns what to call each suspect; a name that several have gets more."""
    names = shown_names({suspect.example_id: suspect.file_name for suspect in suspects})
    return [names[suspect.example_id] for suspect in suspects]
