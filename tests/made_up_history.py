"""A pipeline root with a made-up past: records of daily firings, and the ledger of their push destination."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from components.model_evaluator.gate import BoundResult
from components.model_pusher.ledger import Event, Freeze, Rollback, Trial, TrialOutcome, Unfreeze
from components.model_pusher.origin import Origin
from components.retraining_decider.decision import Decision, Reason, ReasonKind
from pipeline.config.loading import load_config
from pipeline.runs.record import BaselineRecord, DatasetRecord, DriftRecord, NodeRecord, NodeState, RunRecord, RunState
from pipeline.runs.store import RunStore

PIPELINE = "petseg-demo"
BEGIN = datetime(2026, 1, 1, 3, tzinfo=UTC)

_CONFIG = load_config(preset="demo")


def run_id(time: datetime) -> str:
    return time.strftime("%Y%m%d-%H%M%S-%f")


def record_of(time: datetime, **fields) -> RunRecord:
    """Returns the record of a run that began at a time, took a minute, and trained nothing unless told otherwise."""
    record = RunRecord.begin(run_id(time), _CONFIG, Path("run.log"))
    record.started, record.seconds, record.state = time, 60.0, RunState.COMPLETE
    for name, value in fields.items():
        setattr(record, name, value)
    return record


def save(root: Path, *records: RunRecord) -> None:
    """Puts records under a root."""
    store = RunStore(root)
    for record in records:
        record.save(store.create_run(record.run_id).record)


def destination(root: Path) -> Path:
    return root / "serving_model" / PIPELINE


def write_ledger(root: Path, *events: Event) -> None:
    """Adds events to the ledger of the root's push destination."""
    file = destination(root) / "petseg_ledger.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as ledger:
        ledger.writelines(f"{event.model_dump_json()}\n" for event in events)


def idle(time: datetime) -> RunRecord:
    """Returns a firing that had no reason to train."""
    return record_of(time, decision=Decision(trains=False, notes=("tiles 1.0.0, recipe and gate are as they were",)))


def measured(mean_iou: float, served: float | None = None) -> dict[str, float]:
    """Returns the metrics of a model; with the difference to that of the served one, of which one is given."""
    metrics = {"accuracy": mean_iou + 0.12, "mean_iou": mean_iou}
    metrics |= {
        f"{name}_{end}": value + sign * 0.012
        for name, value in dict(metrics).items()
        for end, sign in (("low", -1), ("high", 1))
    }
    if served is not None:
        for name in ("accuracy", "mean_iou"):
            change = mean_iou - served
            metrics |= {f"{name}_difference": change, f"{name}_difference_low": change - 0.006}
            metrics[f"{name}_difference_high"] = change + 0.006
    return metrics


def write_year(root: Path, days: int = 365) -> None:
    """Leaves daily firings: new data every nine days, brighter pictures in summer, a freeze, a rollback, failures."""
    chance = random.Random(1)
    store, served, quality, before, version = destination(root), "", 0.0, "", 0
    data = 0
    for day in range(days):
        time = BEGIN + timedelta(days=day)
        if day % 9 and day % 60 != 13:
            save(root, idle(time))
            continue
        drift = max(0.0, chance.gauss(0.05 + (0.14 if 170 <= day < 240 else 0), 0.02))
        reasons = [Reason(kind=ReasonKind.DATA, text=f"new data: tiles 1.{data + 1}.0, before 1.{data}.0")]
        if day % 60 == 13:
            reasons = [Reason(kind=ReasonKind.RECIPE, text="the settings of preprocessing and training changed")]
        if drift > 0.15:
            numbers = {"brightness": drift}
            reasons.append(Reason(kind=ReasonKind.DRIFT, text=f"drift: brightness {drift:.2f}", numbers=numbers))
        data += not day % 9
        size = {"train": 300 + 20 * data, "eval": 40 + 2 * data, "test": 80 + 5 * data}
        mean_iou = 0.70 + 0.12 * (1 - 0.97**data) + chance.gauss(0, 0.012)
        on_new = quality - abs(chance.gauss(0, 0.01)) if served else None
        record = record_of(
            time,
            decision=Decision(trains=True, reasons=tuple(reasons), served_version=served),
            dataset=DatasetRecord(name="tiles", version=f"1.{data}.0", splits=size),
            drift=DriftRecord(
                model=f"{store}/{served}",
                reason=None,
                distances={"brightness": drift, "contrast": 0.04},
                drifted=["brightness"] if drift > 0.15 else [],
            ),
            nodes=[NodeRecord(id="Pusher", state=NodeState.COMPLETE)],
        )
        if day in (99, 207):
            record.nodes, record.dataset = [NodeRecord(id="Trainer", state=NodeState.FAILED)], record.dataset
            record.finish(RunState.FAILED, "no space left on the device")
            save(root, record)
            continue
        record.metrics = measured(mean_iou, on_new)
        record.baseline = BaselineRecord(found=bool(served), version=served or None, path=None, reason=None)
        is_better = on_new is None or mean_iou - on_new > 0.006
        is_frozen = 117 <= day < 150
        record.blessed = is_better
        record.thresholds = [
            BoundResult(
                metric="mean_iou", kind="min", bound=0.6 if is_better else 0.9, value=mean_iou, passed=is_better
            )
        ]
        outcome = TrialOutcome.NOT_BLESSED
        if is_better:
            outcome = TrialOutcome.FROZEN if is_frozen else TrialOutcome.PUSHED
        if outcome is TrialOutcome.PUSHED:
            version = int(time.timestamp()) + 50
            before, served, quality = served, str(version), mean_iou
            record.pushed_model = f"{store}/{version}"
        if outcome is TrialOutcome.FROZEN:
            record.not_pushed = "pushes are frozen"
        save(root, record)
        origin = Origin(dataset="tiles", version=f"1.{data}.0", splits=size)
        pushed = version if outcome is TrialOutcome.PUSHED else None
        trial = Trial(
            at=time + timedelta(seconds=50), run=record.run_id, origin=origin, outcome=outcome, version=pushed
        )
        write_ledger(root, trial)
        if day == 117:
            write_ledger(root, Freeze(at=time - timedelta(hours=1), reason="a fair goes on", by="ann@office"))
        if day == 144:
            write_ledger(root, Unfreeze(at=time + timedelta(hours=5), by="ann@office"))
        if day in (63, 252) and before:
            taken = Rollback(at=time + timedelta(hours=9), version=version, content="c", restored=int(before))
            write_ledger(root, taken)
            served = before
