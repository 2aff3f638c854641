"""Whether to train again: evidence in, decision with its reasons and numbers out. Nothing here imports TensorFlow.

What was tried and settled before is not tried again: the same data, by the same recipe, judged by the same bounds,
comes to the same end. Only the age of the last training is a reason all the same.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from components.model_pusher.ledger import Ledger, Trial, TrialOutcome
from components.model_pusher.origin import Origin
from trainer_module.errors import DataError

_DAYS: Final = {"d": 1, "w": 7}


class ReasonKind(StrEnum):
    """What kind of reason there is to train."""

    ASKED = "asked"
    """Somebody started the run by hand."""

    FIRST = "first"
    """Nothing is served."""

    DATA = "data"
    DRIFT = "drift"
    RECIPE = "recipe"
    AGE = "age"
    GATE = "gate"
    UNFROZEN = "unfrozen"
    """The last model was kept from being pushed by a freeze alone, which is over."""


class Reason(BaseModel):
    """One reason to train."""

    model_config = ConfigDict(frozen=True)

    kind: ReasonKind
    text: str
    numbers: Mapping[str, float] = {}
    """What was measured, by name."""


class Decision(BaseModel):
    """Whether to train, and why, or why not."""

    model_config = ConfigDict(frozen=True)

    trains: bool
    reasons: tuple[Reason, ...] = ()
    """Empty where there is none."""

    notes: tuple[str, ...] = ()
    """What else is to be known: what was looked at and is no reason, what people should see to; a clause each."""

    origin: Origin = Origin()
    """The newest data, and the recipe: of the model that is trained, if one is."""

    served_version: str = ""
    """Name of the served version; empty where nothing is served."""

    decided_at: datetime | None = None

    @property
    def summary(self) -> str:
        """In one line: `to train: new data: tiles 1.1.0, before 1.0.0`, or `not to train: tiles 1.1.0 was tried …`."""
        texts = [reason.text for reason in self.reasons] if self.trains else list(self.notes)
        return f"{'to train' if self.trains else 'not to train'}: {'; '.join(texts)}"


class DecisionSettings(BaseModel):
    """What is a reason; the fields mean what those of the same name in `RetrainingConfig` mean.

    Travels through TFX as JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reasons: tuple[Literal["data", "drift", "recipe", "age", "gate"], ...]
    max_age: str | None = None
    smaller_data: Literal["refuse", "warn"] = "refuse"
    has_window: bool = False
    """Whether the data may shrink because a window moves over it."""

    @property
    def longest(self) -> timedelta | None:
        """`max_age` as a duration."""
        return timedelta(days=int(self.max_age[:-1]) * _DAYS[self.max_age[-1]]) if self.max_age else None


@dataclass(frozen=True)
class Served:
    """The model that is served."""

    version: str
    origin: Origin
    """One that says nothing where an earlier petseg pushed it."""

    trained_at: datetime | None


@dataclass(frozen=True)
class Evidence:
    """What a decision goes by."""

    origin: Origin
    """Of the model that would be trained."""

    served: Served | None
    ledger: Ledger
    now: datetime


Measure = Callable[[Collection[ReasonKind]], list[Reason]]
"""Measures the newest data, which takes a while: whether it drifted, whether the served model keeps the gate on it; of
the kinds that are asked for, returns the reasons that there are."""


def decide(evidence: Evidence, settings: DecisionSettings, measure: Measure) -> Decision:
    """Returns whether to train.

    Args:
      evidence: What is known without looking into the data.
      settings: What is a reason.
      measure: Is asked only where what is known is no reason yet, and the data has changed.

    Raises:
      DataError: The newest data is smaller than what was trained on, and that is refused.
    """
    origin, served, ledger = evidence.origin, evidence.served, evidence.ledger
    last = _last_trial(ledger)
    before = last.origin if last else served.origin if served else Origin()
    notes = [*_notes_on_data(evidence, before, settings)]
    age = _age(evidence, last, settings)
    settled = ledger.settled_trial(origin)
    if settled is not None:
        reasons = [age] if age else []
        notes.insert(0, _said_of(settled, ledger))
    else:
        reasons = _reasons(evidence, before, last, settings)
        reasons += [age] if age else []
        if not reasons and not (before.is_known and before.has_data_of(origin) and before.is_judged_as(origin)):
            reasons = measure([kind for kind in (ReasonKind.DRIFT, ReasonKind.GATE) if kind in settings.reasons])
            notes.append(f"{origin.data} is not what was trained on last, which is no reason by itself")
        if not reasons and not notes:
            notes.append(f"{origin.data}, recipe and gate are as they were")
    if ledger.freeze is not None:
        notes.append(f"nothing is pushed, since pushes are frozen: {ledger.freeze.reason}")
    return Decision(
        trains=bool(reasons),
        reasons=tuple(reasons),
        notes=tuple(notes),
        origin=origin,
        served_version=served.version if served else "",
        decided_at=evidence.now,
    )


def _last_trial(ledger: Ledger) -> Trial | None:
    return next((trial for trial in reversed(ledger.trials) if trial.origin.is_known), None)


def _reasons(evidence: Evidence, before: Origin, last: Trial | None, settings: DecisionSettings) -> list[Reason]:
    """Returns the reasons that are known without looking into the data."""
    origin = evidence.origin
    if evidence.served is None and last is None:
        return [Reason(kind=ReasonKind.FIRST, text="no model is served")]
    if not before.is_known:
        return [Reason(kind=ReasonKind.DATA, text="it is not known what the served model was trained on")]
    reasons = []
    if ReasonKind.DATA in settings.reasons and not origin.has_data_of(before):
        reasons.append(_new_data(origin, before))
    recipe, former = origin.recipe, before.recipe
    if ReasonKind.RECIPE in settings.reasons:
        changed = [
            *(["the settings"] if recipe.settings != former.settings else []),
            *([f"the epochs, {recipe.epochs} instead of {former.epochs},"] if recipe.epochs != former.epochs else []),
            *(["the code"] if recipe.code != former.code else []),
        ]
        if changed:
            text = f"{' and '.join(changed)} of preprocessing and training changed"
            reasons.append(Reason(kind=ReasonKind.RECIPE, text=text))
    bounds, former_bounds = ((one.gate, one.min_accuracy) for one in (recipe, former))
    if ReasonKind.GATE in settings.reasons and bounds != former_bounds:
        reasons.append(Reason(kind=ReasonKind.GATE, text="the bounds of the gate changed"))
    waits = last is not None and last.outcome is TrialOutcome.FROZEN and last.origin.trains_as(origin)
    if last is not None and waits and evidence.ledger.freeze is None and not reasons:
        text = f"the model of run {last.run} was kept from being pushed by a freeze, which is over"
        reasons.append(Reason(kind=ReasonKind.UNFROZEN, text=text))
    return reasons


def _new_data(origin: Origin, before: Origin) -> Reason:
    counts = {f"{split}_examples": float(count) for split, count in origin.splits.items()}
    counts |= {f"{split}_examples_before": float(count) for split, count in before.splits.items()}
    is_renamed = origin.data != before.data
    what = f"{origin.data}, before {before.data}" if is_renamed else f"{origin.data} has other examples than before"
    sizes = ", ".join(f"{count:,} {split}" for split, count in origin.splits.items())
    return Reason(kind=ReasonKind.DATA, text=f"new data: {what} ({sizes})", numbers=counts)


def _age(evidence: Evidence, last: Trial | None, settings: DecisionSettings) -> Reason | None:
    trained = [evidence.served.trained_at] if evidence.served and evidence.served.trained_at else []
    trained += [last.at] if last else []
    if settings.longest is None or ReasonKind.AGE not in settings.reasons or not trained:
        return None
    age = evidence.now - max(trained)
    if age < settings.longest:
        return None
    text = f"the last training was {age.days} days ago, and retraining.max_age is {settings.max_age}"
    return Reason(kind=ReasonKind.AGE, text=text, numbers={"age_days": age / timedelta(days=1)})


def _notes_on_data(evidence: Evidence, before: Origin, settings: DecisionSettings) -> list[str]:
    """Returns what is to be said of data that went back or shrank.

    Raises:
      DataError: It is smaller than what the served model was trained on, and that is refused.
    """
    origin, served = evidence.origin, evidence.served
    notes = []
    if before.is_known and origin.dataset == before.dataset and _is_older(origin, before):
        notes.append(f"the newest data is {origin.data} again, and {before.data} is gone")
        if served is not None and served.origin.version == before.version:
            notes.append(
                f"version {served.version}, which is served, was trained on {before.data}: if that was withdrawn, "
                "petseg models rollback brings the model before it back"
            )
    kept = served.origin if served is not None and served.origin.is_known else before
    if origin.dataset != kept.dataset or settings.has_window or _is_older(origin, kept):
        return notes
    shrunk = [
        f"{origin.splits.get(split, 0):,} instead of {count:,} of the split {split!r}"
        for split, count in kept.splits.items()
        if origin.splits.get(split, 0) < count
    ]
    if not shrunk:
        return notes
    was = f"{kept.data} had" if origin.data == kept.data else kept.data
    text = f"{origin.data} has fewer examples than {was}: {', '.join(shrunk)}"
    if settings.smaller_data == "refuse":
        raise DataError(
            f"{text}. Nothing is trained on it, and the served model stays. Mend the data, or say that it is "
            'meant: retraining.smaller_data = "warn"'
        )
    return [*notes, text]


def _is_older(origin: Origin, other: Origin) -> bool:
    return _numbers(origin.version) < _numbers(other.version)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]


def _said_of(trial: Trial, ledger: Ledger) -> str:
    what = f"{trial.origin.data} was trained on by this recipe{f' in run {trial.run}' if trial.run else ''}"
    if trial.outcome is TrialOutcome.FROZEN:
        return f"{what}, and the model waits for the end of the freeze"
    became = f"pushed as version {trial.version}" if trial.outcome is TrialOutcome.PUSHED else str(trial.outcome)
    is_withdrawn = trial.version in [rollback.version for rollback in ledger.withdrawals]
    return f"{what}, and the model was {became}{', and rolled back' if is_withdrawn else ''}"
