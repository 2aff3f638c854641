"""The files of SegmentationValidator's findings, written and read. Nothing here imports TensorFlow or TFX."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from components.data_statistics import STATISTICS_FILE
from components.segmentation_validator.comparison import Defect
from components.segmentation_validator.kinds import Kind
from components.segmentation_validator.settings import Policy
from components.segmentation_validator.verdict import Verdict

FINDINGS_FILE: Final = "findings.csv"
SUMMARY_FILE: Final = "summary.json"
COLUMNS: Final = (
    "split", "file_name", "kind", "action", "detail", "example_id", "other_split", "other_example_id",
)  # fmt: skip

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""With which spreadsheets take a text for a formula."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class KindSummary(_Model):
    """All findings of one kind."""

    kind: Kind
    action: Policy
    counts: dict[str, int]
    """Split to the number of its findings; splits without any are left out."""


class ShownFinding(_Model):
    """A finding with its pictures."""

    kind: Kind
    split: str
    name: str
    detail: str
    pictures: dict[str, str]
    """What a picture shows (`image`, `mask over image`, …) to its file, relative to the summary's."""


class FindingsSummary(_Model):
    """What was found, in numbers and pictures."""

    kinds: tuple[KindSummary, ...]
    examples: dict[str, int]
    """Split to its number of examples, as they were read."""

    dropped: dict[str, int]
    """Split to the number of its examples that are left out."""

    refusals: tuple[str, ...] = ()
    """Why the data is refused; empty where it is not."""

    shown: tuple[ShownFinding, ...] = ()

    @classmethod
    def of(cls, verdict: Verdict, shown: Iterable[ShownFinding], refusals: Iterable[str]) -> "FindingsSummary":
        """Sums up what was found."""
        counts: dict[Kind, dict[str, int]] = {}
        for defect in verdict.defects:
            of_kind = counts.setdefault(defect.kind, {})
            of_kind[defect.split] = of_kind.get(defect.split, 0) + 1
        kinds = [
            KindSummary(kind=kind, action=verdict.policies[kind], counts=counts[kind])
            for kind in Kind
            if kind in counts
        ]
        return cls(
            kinds=tuple(kinds),
            examples=dict(verdict.examples),
            dropped={split: len(ids) for split, ids in verdict.dropped.items()},
            refusals=tuple(refusals),
            shown=tuple(shown),
        )

    @classmethod
    def read(cls, directory: Path) -> "FindingsSummary":
        """Reads the summary from a directory of findings.

        Raises:
          OSError: There is none.
          ValueError: It is damaged.
        """
        return cls.model_validate_json((directory / SUMMARY_FILE).read_bytes())


def findings_csv(defects: Iterable[Defect], policies: Mapping[Kind, Policy]) -> str:
    """Returns the findings as CSV (RFC 4180), under `COLUMNS`; no cell is a formula to a spreadsheet."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for defect in defects:
        partner = defect.partner or ("", "")
        row = (
            defect.split,
            defect.file_name,
            defect.kind,
            policies[defect.kind],
            defect.detail,
            defect.example_id,
            *partner,
        )
        writer.writerow([f"'{text}" if text.startswith(_FORMULA_STARTS) else text for text in row])
    return file.getvalue()


def written_findings(
    verdict: Verdict, statistics: str, shown: Iterable[ShownFinding], refusals: Iterable[str]
) -> dict[str, str]:
    """Returns the files of the findings, but for the pictures: name to content."""
    summary = FindingsSummary.of(verdict, shown, refusals)
    return {
        FINDINGS_FILE: findings_csv(verdict.defects, verdict.policies),
        SUMMARY_FILE: json.dumps(summary.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n",
        STATISTICS_FILE: statistics,
    }
