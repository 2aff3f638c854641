"""Times `petseg history` of many runs, told by their records and told by ML Metadata alone.

    .venv/bin/python benchmarks/history.py --root pipeline_root --runs 1000

The root must hold a finished run of `petseg run`. It is multiplied in a directory of its own, with its record, its
components in ML Metadata, what its RunReport left, and its trial in the ledger; that takes minutes. Of a few calls of
each command the quickest counts; `petseg --help`, which reads nothing, is the baseline of the ratios.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2

from components.model_pusher.ledger import LEDGER_FILE, Trial, TrialOutcome
from components.model_pusher.origin import Origin
from components.run_report.report import RECORD_FILE
from pipeline.runs.record import RunRecord, RunState
from pipeline.runs.store import RunStore

_PETSEG = Path(sys.executable).with_name("petseg")
_BASELINE = "--help"
_COMMANDS = (
    _BASELINE,
    "runs --pipeline-root ROOT",
    "history --pipeline-root ROOT",
    "history --pipeline-root ROOT --json",
    "history --pipeline-root ROOT --html ROOT/history.html",
)
_WITHOUT_RECORDS = "history --pipeline-root ROOT"
_BEGIN = datetime(2025, 1, 1, 3, tzinfo=UTC)
_METRICS = "system.Metrics"
_OF_DATABASE = ("id", "name", "type", "create_time_since_epoch", "last_update_time_since_epoch")


def main() -> None:
    """Measures all commands and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="a pipeline.root with a finished run")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=3, help="of each command; the quickest counts")
    options = parser.parse_args()
    store = RunStore(options.root)
    record = next(
        record for record in map(store.record, store.run_ids()) if record.state is RunState.COMPLETE and record.metrics
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        multiply(record, store, RunStore(root), options.runs)
        size = len(next(root.glob("runs/*/run.json")).read_bytes()) / 1000
        print(f"{options.runs} runs, each with a record of {size:.0f} kB\n")
        print("| `petseg …` | seconds | processor seconds | × `--help` |")
        print("| --- | ---: | ---: | ---: |")
        baseline = 0.0
        for command, words in rows(root):
            seconds, cpu_seconds = measure(command.replace("ROOT", folder).split(), options.calls)
            baseline = baseline or cpu_seconds
            print(f"| {words} | {seconds:.2f} | {cpu_seconds:.2f} | {cpu_seconds / baseline:.1f} |", flush=True)


def rows(root: Path) -> Iterator[tuple[str, str]]:
    """Yields each command with what to call it; before the last ones, records and then their copies are removed."""
    for command in _COMMANDS:
        yield command, f"`{command}`"
    shutil.rmtree(root / "runs")
    yield _WITHOUT_RECORDS, "`history`, of ML Metadata and what RunReport left"
    shutil.rmtree(root / "artifacts")
    yield _WITHOUT_RECORDS, "`history`, of ML Metadata alone"


def multiply(record: RunRecord, source: RunStore, target: RunStore, runs: int) -> None:
    """Leaves many runs of one, a day apart."""
    target.prepare()
    copier = _Copier(source.metadata, target, record.run_id)
    destination = target.root / "serving_model" / record.pipeline
    destination.mkdir(parents=True)
    with (destination / LEDGER_FILE).open("w", encoding="utf-8") as ledger:
        for number in range(runs):
            started = _BEGIN + timedelta(days=number)
            run_id = started.strftime("%Y%m%d-%H%M%S-%f")
            copy = record.model_copy(update={"run_id": run_id, "started": started})
            copy.save(target.create_run(run_id).record)
            copier.copy(copy)
            outcome = TrialOutcome.NOT_BLESSED if record.refused else TrialOutcome.ALREADY_SERVED
            ledger.write(f"{Trial(at=started, run=run_id, origin=Origin(), outcome=outcome).model_dump_json()}\n")


class _Copier:
    """Copies a run within ML Metadata, from one file to another."""

    def __init__(self, source: Path, target: RunStore, run_id: str) -> None:
        self._source, self._target, self._root = _opened(source), _opened(target.metadata), target.root
        self._types: dict[tuple[str, int], int] = {}
        self._run = self._source.get_context_by_type_and_name("pipeline_run", run_id)
        [pipeline] = self._source.get_parent_contexts_by_context(self._run.id)
        [self._pipeline] = self._target.put_contexts([self._new("context", pipeline)])
        self._executions = sorted(self._source.get_executions_by_context(self._run.id), key=lambda one: one.id)
        events = self._source.get_events_by_execution_ids([one.id for one in self._executions])
        self._outputs = [event for event in events if event.type == metadata_store_pb2.Event.OUTPUT]
        self._artifacts = {one.id: one for one in self._source.get_artifacts_by_context(self._run.id)}

    def copy(self, record: RunRecord) -> None:
        """Puts the run there under the id of a record, and the record where its RunReport would have left it."""
        context = self._new("context", self._run)
        context.name = record.run_id
        [context.id] = self._target.put_contexts([context])
        parent = metadata_store_pb2.ParentContext(parent_id=self._pipeline, child_id=context.id)
        self._target.put_parent_contexts([parent])
        for execution in self._executions:
            outputs = [event for event in self._outputs if event.execution_id == execution.id]
            pairs = [(self._artifact(event.artifact_id, record), _unbound(event)) for event in outputs]
            self._target.put_execution(self._new("execution", execution), pairs, [context])

    def _artifact(self, artifact_id: int, record: RunRecord) -> Any:
        artifact = self._new("artifact", self._artifacts[artifact_id])
        if self._artifacts[artifact_id].type == _METRICS:
            directory = self._root / "artifacts" / record.run_id
            directory.mkdir(parents=True)
            record.save(directory / RECORD_FILE)
            artifact.uri = str(directory)
        return artifact

    def _new(self, kind: str, message: Any) -> Any:
        """Returns a copy that the database has not yet."""
        copy = type(message)()
        copy.CopyFrom(message)
        for field in (*_OF_DATABASE, "external_id"):
            if field in copy.DESCRIPTOR.fields_by_name and not (kind == "context" and field == "name"):
                copy.ClearField(field)
        if (kind, message.type_id) not in self._types:
            [of_source] = getattr(self._source, f"get_{kind}_types_by_id")([message.type_id])
            of_source.ClearField("id")
            self._types[kind, message.type_id] = getattr(self._target, f"put_{kind}_type")(of_source)
        copy.type_id = self._types[kind, message.type_id]
        return copy


def _opened(file: Path) -> Any:
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(file)
    return metadata_store.MetadataStore(config)


def _unbound(event: Any) -> Any:
    copy = type(event)()
    copy.CopyFrom(event)
    copy.ClearField("execution_id")
    copy.ClearField("artifact_id")
    return copy


def measure(arguments: Sequence[str], calls: int) -> tuple[float, float]:
    """Calls a command some times; returns the least seconds of the clock and of the processors."""
    times = []
    for _ in range(calls):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        result = subprocess.run([_PETSEG, *arguments], capture_output=True, check=False)
        seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if result.returncode:
            sys.exit(f"petseg {' '.join(arguments)} failed: {result.stderr.decode(errors='replace')}")
        times.append((seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return min(times)[0], min(cpu for _, cpu in times)


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    main()
