"""What is done about the findings: what is dropped, what is refused. Nothing here imports TensorFlow."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from components.data_statistics import DataStatistics
from components.segmentation_validator.comparison import Defect
from components.segmentation_validator.kinds import Kind, counted
from components.segmentation_validator.settings import Policy
from components.tfds_example_gen.example_names import shown_names
from trainer_module.errors import DataError

_SHOWN: Final = 10
_DUPLICATES_SETTING: Final = "data.duplicates"


@dataclass(frozen=True)
class Verdict:
    """The findings that count, and which examples they cost."""

    defects: list[Defect]
    """Those whose policy is not to ignore them."""

    policies: Mapping[Kind, Policy]
    examples: Mapping[str, int]
    """Split to the number of its examples, as they were read."""

    dropped: dict[str, set[str]] = field(init=False)
    """Split to the ids of the examples that are left out."""

    def __post_init__(self) -> None:
        dropped: dict[str, set[str]] = {split: set() for split in self.examples}
        for defect in self.defects:
            if self.policies[defect.kind] is Policy.DROP:
                dropped[defect.split].add(defect.example_id)
        object.__setattr__(self, "dropped", dropped)

    @property
    def counts(self) -> Counter[Kind]:
        """The number of findings of each kind."""
        return Counter(defect.kind for defect in self.defects)

    @property
    def num_dropped(self) -> int:
        return sum(map(len, self.dropped.values()))

    def remaining(self, split: str) -> int:
        return self.examples[split] - len(self.dropped[split])

    def refusals(self, max_dropped_share: float) -> list[str]:
        """Returns why the data is refused, a sentence each; nothing where it is not.

        Args:
          max_dropped_share: Of the examples of a split, that may be left out.
        """
        found = [
            _refusal(kind, [defect for defect in self.defects if defect.kind is kind])
            for kind in Kind
            if self.counts[kind] and self.policies[kind] is Policy.FAIL
        ]
        for split, ids in self.dropped.items():
            allowed = max_dropped_share * self.examples[split]
            if ids and (len(ids) > allowed or not self.remaining(split)):
                kinds = Counter(defect.kind for defect in self.defects if defect.example_id in ids)
                why = ", ".join(counted(kind, count) for kind, count in kinds.items())
                found.append(
                    f"{len(ids):,} of the {self.examples[split]:,} examples of the split {split!r} would be dropped "
                    f"({why}), which is {len(ids) / self.examples[split]:.1%}; data.validation.max_dropped_share is "
                    f"{max_dropped_share:g}. Mend the data, or raise the share"
                )
        return found


def absent_classes(statistics: DataStatistics) -> list[Defect]:
    """Returns a finding for each class without any pixel in a split."""
    return [
        Defect(Kind.ABSENT_CLASS, split, "", "", f"no pixel is {name!r}")
        for split, summary in statistics.splits.items()
        for name, pixels in zip(statistics.class_names, summary.class_pixels, strict=True)
        if not pixels
    ]


def unlabelled_splits(statistics: DataStatistics) -> list[str]:
    """Returns a refusal of each split without any labelled pixel: nothing could be learned from it, or measured."""
    return [
        f"no pixel of the split {split!r} is labelled: all {summary.ignored_pixels:,} have a value of "
        "data.ignore_values, or one that is not declared. Check data.mask_values and data.ignore_values, or give the "
        "split images with labels"
        for split, summary in statistics.splits.items()
        if summary.examples and not summary.labelled_pixels
    ]


def check(refusals: Sequence[str], where: str) -> None:
    """Refuses the data if there is a reason to.

    Args:
      refusals: The reasons.
      where: The file with all findings.

    Raises:
      DataError: There is a reason.
    """
    if refusals:
        raise DataError(f"{'. '.join(refusals)}. All findings: {where}")


def _refusal(kind: Kind, defects: Sequence[Defect]) -> str:
    """Returns what is refused of one kind, the first findings by name, and what to do."""
    more = f"; and {len(defects) - _SHOWN:,} more" if len(defects) > _SHOWN else ""
    return f"{counted(kind, len(defects))}: {_listed(defects[:_SHOWN])}{more}. {_advice(kind)}"


def _listed(defects: Sequence[Defect]) -> str:
    """Returns names with what is wrong with them; what is the same of several is said once."""
    names = shown_names({defect.example_id: defect.file_name for defect in defects})
    by_detail: dict[str, list[str]] = {}
    for defect in defects:
        name = f"{names[defect.example_id]!r} of {defect.split}" if defect.example_id else f"split {defect.split!r}"
        by_detail.setdefault(defect.detail, []).append(name)
    return "; ".join(f"{', '.join(of_detail)}: {detail}" for detail, of_detail in by_detail.items())


def _advice(kind: Kind) -> str:
    if kind is Kind.SHARED_IMAGE:
        return (
            "A model must not be judged, nor its weights selected, by what it was trained on. Take them out of one "
            f'split, have them dropped from the first with {_DUPLICATES_SETTING} = "drop", or accept them with "warn"'
        )
    others = '"warn" or "ignore"' if kind is Kind.ABSENT_CLASS else '"drop"'
    return f"Mend the data, or set data.validation.{kind} to {others}"


def summary_line(counts: Mapping[Kind, int], dropped: int) -> str:
    """Returns what was found, in one line.

    Example:
      >>> summary_line({Kind.BLANK_MASK: 7}, 3), summary_line({}, 0)
      ('3 dropped; 7 blank masks', 'nothing found')
    """
    found = ", ".join(counted(kind, counts[kind]) for kind in Kind if counts.get(kind))
    return "; ".join(filter(None, [f"{dropped:,} dropped" if dropped else "", found])) or "nothing found"


def shared_images(defects: Iterable[Defect]) -> list[tuple[str, str, int]]:
    """Returns which two splits share images, and how many of the first are in the second."""
    pairs = Counter(
        (defect.split, defect.partner.split)
        for defect in defects
        if defect.kind is Kind.SHARED_IMAGE and defect.partner is not None
    )
    return [(first, second, count) for (first, second), count in pairs.items()]
