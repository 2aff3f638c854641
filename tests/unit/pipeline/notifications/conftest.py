"""A webhook and a mail server, and what is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from webhook_server import WebhookServer

from components.model_evaluator.gate import BoundResult
from pipeline.config.loading import load_config
from pipeline.config.notification import NotificationConfig
from pipeline.notifications import webhook
from pipeline.notifications.message import Message, run_message
from pipeline.runs.record import (
    BaselineRecord,
    DatasetRecord,
    DriftRecord,
    NodeRecord,
    NodeState,
    RunRecord,
    RunState,
)


@pytest.fixture(autouse=True)
def _at_once(without_proxy, monkeypatch):
    """Nothing waits longer than it must."""
    monkeypatch.setattr("urllib3.util.retry.Retry.get_backoff_time", lambda _: 0)
    monkeypatch.setattr("pipeline.notifications.mail.PAUSE_SECONDS", 0)
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr("pipeline.notifications.mail.TIMEOUT_SECONDS", 1)
    for name in ("PETSEG_WEBHOOK_URL", "PETSEG_SMTP_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


@pytest.fixture
def hook() -> Iterator[WebhookServer]:
    with WebhookServer() as server:
        yield server


@pytest.fixture
def record(tmp_path) -> RunRecord:
    """A run whose model is better than the served one, and was pushed."""
    record = RunRecord.begin("20260102-030405-000001", load_config(preset="demo"), tmp_path / "run.log")
    record.state, record.seconds, record.blessed = RunState.COMPLETE, 75.0, True
    record.nodes = [NodeRecord(id=name, state=NodeState.COMPLETE) for name in ("Trainer", "Pusher")]
    record.metrics = {
        "accuracy": 0.92654, "accuracy_low": 0.924, "accuracy_high": 0.929,
        "mean_iou": 0.79031, "mean_iou_low": 0.785, "mean_iou_high": 0.795,
    }  # fmt: skip
    record.dataset = DatasetRecord(name="tiles", version="1.1.0", splits={"train": 34, "eval": 4})
    record.baseline = BaselineRecord(found=True, version="17", path="/serving/17", reason=None)
    change = {"value": 0.92654, "baseline": 0.92534, "change": 0.0012, "passed": True}
    record.thresholds = [
        BoundResult(metric="accuracy", kind="min", bound=0.85, **change),
        BoundResult(metric="accuracy", kind="min_change", bound=-0.01, within_noise=True, **change),
    ]
    record.drift = DriftRecord(
        model="/serving/17", reason=None, distances={"brightness": 0.3141}, drifted=["brightness"]
    )
    record.pushed_model = "/serving/18"
    return record


@pytest.fixture
def message(record) -> Message:
    return run_message(record, "/runs/report.html", NotificationConfig())


@pytest.fixture
def trusted(certificate, monkeypatch) -> tuple[Path, Path]:
    """The certificate of a server, which this machine trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    return certificate
