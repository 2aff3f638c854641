"""What a component found, as one line of its pod's log, from which whoever follows the run takes it.

The API of Kubeflow Pipelines gives out neither artifacts nor their properties, but a pod's log can be read.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from pipeline.nodes import EVALUATOR, MODEL_PROBE
from pipeline.runs.outputs import PARAMETER_VALUE, NodeFacts, Outputs, node_facts
from pipeline.runs.record import NodeRecord, RunRecord

_LINE: Final = re.compile(r"^petseg \d\d:\d\d:\d\d \S+: found (\{.*\})$", re.MULTILINE)
_LEFT_OUT: Final = ("slices", "distributions")
"""Fields of the record that are too long for a line of a log."""

_JUDGES: Final = {
    EVALUATOR: {"evaluation": "evaluation", "blessing": "model_blessing"},
    MODEL_PROBE: {"blessing": "infra_blessing"},
}
"""By component the inputs of the Pusher that are its outputs, by output."""


class StoredArtifact:
    """An artifact under the path that its files have on this machine."""

    def __init__(self, path: Path | str, metadata: Mapping[str, Any]) -> None:
        self.uri = str(path)
        self._metadata = metadata

    @classmethod
    def of_parameter(cls, value: Any) -> "StoredArtifact":
        """Returns an output parameter as an artifact without files, whose property `value` it is."""
        return cls(Path(), {PARAMETER_VALUE: value})

    def get_string_custom_property(self, key: str) -> str:
        return str(self._metadata.get(key, ""))

    def get_int_custom_property(self, key: str) -> int:
        return int(self._metadata.get(key, 0))


class Findings(BaseModel):
    """What is worth knowing of one component's outputs."""

    summary: str
    fields: dict[str, Any]
    """Fields of the run's record, by name, as JSON."""

    @classmethod
    def of(cls, facts: NodeFacts) -> "Findings":
        """Returns the findings without what is too long for a log."""
        names = set(facts.fields) - set(_LEFT_OUT)
        fields = RunRecord.model_construct(**facts.fields).model_dump(mode="json", include=names)
        return cls(summary=facts.summary, fields=fields)

    def line(self) -> str:
        """Returns what the pod's log says."""
        return f"found {self.model_dump_json()}"

    def put_into(self, record: RunRecord, node: NodeRecord) -> None:
        """Brings the findings into the record of a run; what this version of petseg has no field for is left out."""
        node.summary = ", ".join(filter(None, [node.summary, self.summary]))
        for name, value in self.fields.items():
            with suppress(ValidationError):
                setattr(record, name, value)


def with_verdict(pushed: NodeFacts, inputs: Outputs) -> NodeFacts:
    """Returns what the Pusher found with what its inputs tell of the model.

    An Evaluator or a probe whose result comes from the server's cache has no pod, and so no log that could tell.

    Raises:
      ModelError: They cannot be read.
    """
    fields: dict[str, Any] = {}
    for judge, names in _JUDGES.items():
        outputs = {output: inputs[name] for output, name in names.items()}
        fields |= node_facts(judge, outputs, {}).fields
    return NodeFacts(pushed.summary, fields | pushed.fields)


def findings_in(log: str) -> Findings | None:
    """Returns what a pod's log says that its component found; None when it does not say so."""
    found = _LINE.findall(log)
    if not found:
        return None
    try:
        return Findings.model_validate_json(found[-1])
    except ValidationError:
        return None
