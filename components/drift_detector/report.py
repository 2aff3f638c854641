"""What DriftDetector found: the distance of each quantity, and whether it is drift.

Reports and records read it, so nothing here imports more than pydantic.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

DRIFT_FILE: Final = "drift.json"
CLASS_SHARES: Final = "class_shares"
LABELS: Final = "labels"
IN_PIXELS: Final = ("height", "width")

_MOST_NAMED: Final = 3


class DriftVerdict(StrEnum):
    """What a distance means."""

    DRIFTED = "drifted"
    CHANCE = "chance"
    """Above the threshold, as chance alone may be with so few examples."""

    SAME = "no drift"


class QuantityDrift(BaseModel):
    """How far one quantity is apart in two samples."""

    model_config = ConfigDict(frozen=True)

    name: str
    """For people, such as `brightness`, `share of 'pet'` or the name of a slice feature."""

    setting: str
    """The threshold that it has: its name in `data.drift.thresholds`."""

    distance: float
    """Jensen–Shannon, 0…1."""

    threshold: float
    chance: float
    """What chance alone exceeds once in a thousand times."""

    value: str = ""
    """Of a slice feature, the value whose share changed most."""

    before: float
    """Mean of the quantity in the reference; of a class its share of all labelled pixels, of a slice feature the share
    of `value`."""

    now: float
    """The same in the compared sample."""

    bins: tuple[str, ...]
    """What each bin of the histograms begins with; of a slice feature its value."""

    reference: tuple[int, ...]
    """Examples of the reference in each bin."""

    current: tuple[int, ...]
    """Those of the compared sample."""

    @property
    def drifted(self) -> bool:
        return self.distance > self.bound

    @property
    def bound(self) -> float:
        """The distance from which on it is drift."""
        return max(self.threshold, self.chance)

    @property
    def verdict(self) -> DriftVerdict:
        """What the distance means."""
        if self.drifted:
            return DriftVerdict.DRIFTED
        return DriftVerdict.CHANCE if self.distance > self.threshold else DriftVerdict.SAME

    @property
    def change(self) -> str:
        """What changed, in words: `0.48 → 0.34`."""
        label = f"{self.value}: " if self.value else ""
        return f"{label}{self._written(self.before)} → {self._written(self.now)}"

    @property
    def words(self) -> str:
        """Distance and bound: `brightness 0.530 > 0.15`."""
        return f"{self.name} {self.distance:.3f} {'>' if self.drifted else '≤'} {self.bound:.3g}"

    def _written(self, number: float) -> str:
        if self.setting in (CLASS_SHARES, LABELS):
            return f"{number:.1%}"
        return f"{number:,.0f}" if self.setting in IN_PIXELS else f"{number:.3g}"


class Comparison(BaseModel):
    """Two samples side by side."""

    model_config = ConfigDict(frozen=True)

    reference_examples: int = 0
    current_examples: int = 0
    quantities: tuple[QuantityDrift, ...] = ()
    not_compared: tuple[str, ...] = ()
    """Classes and slice features that only one of the two has, in words."""

    @property
    def drifted(self) -> list[QuantityDrift]:
        """What drifted, the farthest beyond its bound first."""
        return sorted((one for one in self.quantities if one.drifted), key=lambda one: one.bound - one.distance)


class DriftReport(BaseModel):
    """The comparison with a model, or why there is none."""

    model_config = ConfigDict(frozen=True)

    model: str = ""
    """Directory of the model that is compared with; empty where none is served."""

    reason: str = ""
    """Why nothing was compared; empty where something was."""

    comparison: Comparison = Comparison()
    losses: tuple[str, ...] = ()
    """What the data has lost of what the served model was trained on, a clause each; only where that was asked."""
    relearnt: Mapping[str, int] = {}
    """Split that is learnt from to its number of images that models were evaluated on before; without those of none."""

    @property
    def summary(self) -> str:
        """One line on what came of it."""
        return "; ".join(filter(None, [self._compared, self.relearnt_words]))

    @property
    def relearnt_words(self) -> str:
        """Says how many images were evaluated on before; empty where none was."""
        counts = " and ".join(f"{count:,} images of {split}" for split, count in self.relearnt.items())
        return f"{counts} were evaluated on before" if counts else ""

    @property
    def _compared(self) -> str:
        if self.reason:
            return f"not compared: {self.reason}"
        drifted = self.comparison.drifted
        model = f"version {self.model.rpartition('/')[2]}"
        if drifted:
            more = f" and {len(drifted) - _MOST_NAMED} more" if len(drifted) > _MOST_NAMED else ""
            return f"drifted from {model}: {', '.join(one.words for one in drifted[:_MOST_NAMED])}{more}"
        largest = max(self.comparison.quantities, key=lambda one: one.distance - one.bound)
        return f"no drift from {model}: nearest to its bound is {largest.words}"

    @property
    def refusal(self) -> str:
        """Why a run does not go on: everything that drifted, and what to do."""
        found = "; ".join(f"{one.words} ({one.change})" for one in self.comparison.drifted)
        return (
            f"the data is not what {self.model} was trained on: {found}. Look at the data (`petseg data drift`). "
            'If it is right, run with data.drift.action = "warn": later data is compared with what is pushed then. '
            "What matters is in data.drift.thresholds"
        )

    @property
    def loss(self) -> str:
        """Why a retraining does not go on with data that has lost a class, and what to do; empty where it has not."""
        if not self.losses:
            return ""
        return (
            f"the data has lost what masks are for: {'; '.join(self.losses)}. Nothing is trained on it, and what is "
            "served stays. Mend the data, or name its version before in data.dataset. If it is meant, train once by "
            "hand, by petseg run --reset-baseline: later data is compared with what is pushed then"
        )

    @classmethod
    def parse(cls, content: str | bytes) -> "DriftReport":
        """Reads a report.

        Raises:
          ValueError: It is none.
        """
        return cls.model_validate_json(content)
