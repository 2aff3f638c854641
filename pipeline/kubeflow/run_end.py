"""What follows RunReport in its pod: MLflow hears of the run, and people are told of it."""

from collections.abc import Callable
from pathlib import Path

from components.run_report.report import MODEL_CARD_FILE, RECORD_FILE, REPORT_FILE
from pipeline.kubeflow.artifacts import StoredOutputs
from pipeline.notifications import delivery
from pipeline.runs.record import RunRecord
from pipeline.tracking import pods


def tell_of_end(left: StoredOutputs, model_run: Path | None, report: str, say: Callable[[str], None]) -> None:
    """Tells whoever is to hear of a run that it has ended; what keeps it from that is said, and the run is as good.

    Args:
      left: What RunReport left, under the paths of this machine.
      model_run: The directory that the Trainer left; None where it is not here.
      report: Where others find the report.
      say: Adds a line to the log.
    """
    directory = Path(left["metrics"][0].uri)
    try:
        record = RunRecord.load(directory / RECORD_FILE)
        record.tracking = pods.tell_run(
            record,
            page=Path(left["report"][0].uri, REPORT_FILE),
            model_card=Path(left["model_card"][0].uri, MODEL_CARD_FILE),
            model_run=model_run,
            directory=directory,
        )
        if record.tracking is not None:
            say(f"told MLflow: {record.tracking}")
        for told in delivery.tell_of_run(delivery.settings_of(record), record, report):
            say(told.line)
    except Exception as error:  # noqa: BLE001 (the run itself has ended)
        say(f"not everybody could be told: {type(error).__name__}: {error}")
