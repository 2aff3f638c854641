"""A pipeline root, and whole runs in it: 36 drawn pictures at 48×48 pixels, one epoch, no look at suspect masks."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from components.model_pusher.version_store import complete_versions
from pipeline.config.loading import load_config
from pipeline.config.schema import Config
from pipeline.local.runner import RunRequest, run_pipeline
from pipeline.report.page import WrittenReport
from pipeline.runs.record import RunRecord, RunState

SMALL = (
    "data.dataset=synthetic_pets/tiny", "data.image_size=48", "trainer.epochs=1", "trainer.batch_size=8",
    "evaluation.thresholds.accuracy_gain={min = -1}", "evaluation.suspects=0",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Workplace:
    """A pipeline root, and what all runs in it are set to beside `SMALL`."""

    root: Path
    settings: tuple[str, ...] = ()

    def config(self, *overrides: str) -> Config:
        own = (*SMALL, *self.settings, f"pipeline.root={self.root}")
        return load_config(preset="demo", overrides=(*own, *overrides))

    def run(self, *overrides: str, report: bool = False, **request) -> RunRecord:
        """Runs the pipeline to its end; a report costs 7 s of processor time."""
        with nullcontext() if report else without_report():
            record = run_pipeline(self.config(*overrides), RunRequest(**request))
        assert record.state is RunState.COMPLETE, record.error
        return record

    @property
    def versions(self) -> list[str]:
        return [*map(str, complete_versions(str(self.root / "serving_model" / "petseg-demo")))]


@contextmanager
def without_report() -> Iterator[None]:
    """Runs write empty reports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.report.page.write_report", write_nothing)
        yield


def write_nothing(record: RunRecord, run_directory: Path, *_, **__) -> WrittenReport:
    """Stands in for `write_report`."""
    written = WrittenReport(run_directory / "report.html", run_directory / "model_card.md")
    for file in (written.page, written.model_card):
        file.touch()
    return written


def executed(record: RunRecord) -> set[str]:
    """Returns the components that ran, and were not cached."""
    return {node.id for node in record.nodes if node.state.value == "complete"}
