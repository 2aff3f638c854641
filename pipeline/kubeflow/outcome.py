"""What the components of a run on the server have found, from wherever that can be read, in the run's record.

ML Metadata is asked first: it has all of what is done in a few requests, and what was found stays there as long as the
run. A component that says there no more than its artifacts do by themselves, as those of an earlier petseg, or nothing,
is asked by the log of its pod.
"""

from collections.abc import Callable
from typing import Final

from pipeline.kubeflow.artifacts import StoredOutputs
from pipeline.kubeflow.findings import Findings, findings_from, findings_in, findings_on
from pipeline.kubeflow.metadata_service import MetadataError
from pipeline.kubeflow.pod_logs import NoLogError
from pipeline.kubeflow.run_artifacts import RunArtifacts
from pipeline.nodes import EVALUATOR, MODEL_PROBE, PUSHER, REFERENCE_EVALUATOR, RETRAINING_DECIDER, RUN_REPORT
from pipeline.runs.record import NodeRecord, RunRecord

VERDICT_TASKS: Final = (RETRAINING_DECIDER, EVALUATOR, REFERENCE_EVALUATOR, MODEL_PROBE, PUSHER, RUN_REPORT)
"""The components that decide whether there is a model and what becomes of it, or tell it, in the order of the graph."""

_TELLING: Final = (RETRAINING_DECIDER, RUN_REPORT)
"""Those whose artifacts by themselves are made to tell what was found."""

_TRIES: Final = 4
"""How often is asked for what a component has found: the archive of logs may get it some seconds late."""


class RunOutcome:
    """What the components of one run have found."""

    def __init__(self, record: RunRecord, artifacts: RunArtifacts, log: Callable[[str], str | None]) -> None:
        """Constructs the outcome.

        Args:
          record: Of the run; gets what is found.
          artifacts: Of runs of the server.
          log: Returns the log of a component's pod; None where it had none, and raises `NoLogError` where it cannot be
            read.
        """
        self._record = record
        self._artifacts: RunArtifacts | None = artifacts
        self._log = log
        self._tries_left: dict[str, int] = {}
        """By the components that are done."""

        self._told: set[str] = set()
        self._reasons: dict[str, str] = {}
        """Why something is not known, by the place that does not tell it."""

    def expect(self, component: str) -> None:
        """Notes that a component is done, and has found what it was to find."""
        self._tries_left[component] = _TRIES

    def read(self, *, is_last: bool) -> list[NodeRecord]:
        """Brings into the record what can be read now of components that are done.

        Args:
          is_last: Whether nobody will ask again, so that less than all has to do.

        Returns:
          The components that something is known of now.
        """
        waiting = [node for node in self._record.nodes if self._tries_left.get(node.id)]
        stored = self._stored() if waiting else {}
        told = []
        for node in waiting:
            self._tries_left[node.id] -= 1
            outputs = stored.get(node.id, {})
            node.outputs = {name: found[0].uri for name, found in outputs.items() if found[0].uri}
            findings = _told(node.id, outputs) or self._logged(node.id)
            if findings is None and (is_last or not self._tries_left[node.id]):
                findings = findings_from(node.id, outputs)
            if findings is not None:
                self._tries_left[node.id] = 0
                findings.put_into(self._record, node)
                told.append(node)
        self._told |= {node.id for node in told}
        return told

    @property
    def is_known(self) -> bool:
        """Whether the record tells what became of the model, if there was one to push."""
        return bool(self._told & {PUSHER, RUN_REPORT}) or PUSHER not in self._tries_left

    @property
    def why_unknown(self) -> str:
        """Why the record does not tell what became of the model, where it does not."""
        return "; ".join(self._reasons.values()) or "neither Pusher's artifacts nor the log of its pod say it"

    def _stored(self) -> dict[str, StoredOutputs]:
        """Returns the artifacts of what is done, by component; nothing where ML Metadata does not tell them."""
        if self._artifacts is None:
            return {}
        try:
            stored = self._artifacts.of_run(self._record.run_id)
        except MetadataError as error:
            self._reasons["metadata"] = str(error)
            if not error.is_temporary:
                self._artifacts = None
            return {}
        self._reasons.pop("metadata", None)
        return stored

    def _logged(self, component: str) -> Findings | None:
        """Returns what the log of a component's pod says; one that says nothing is not read again."""
        try:
            text = self._log(component)
        except NoLogError as error:
            self._reasons["log"] = str(error)
            return None
        self._reasons.pop("log", None)
        if text is None:
            return None
        self._tries_left[component] = 0
        return findings_in(text)


def add_verdicts(records: list[RunRecord], artifacts: RunArtifacts) -> None:
    """Brings into the records of several runs what became of their models.

    Raises:
      MetadataError: ML Metadata cannot be asked.
    """
    stored = artifacts.of_runs([record.run_id for record in records], VERDICT_TASKS)
    for record in records:
        of_run = stored.get(record.run_id, {})
        for component in (one for one in VERDICT_TASKS if one in of_run):
            findings = _told(component, of_run[component]) or findings_from(component, of_run[component])
            if findings is not None:
                findings.put_into(record, NodeRecord(id=component))


def _told(component: str, outputs: StoredOutputs) -> Findings | None:
    """Returns what a component's artifacts are made to tell."""
    written = findings_on(outputs)
    told = findings_from(component, outputs) if component in _TELLING else None
    if written is None or told is None:
        return told or written
    return Findings(summary=told.summary, fields=told.fields | written.fields)
