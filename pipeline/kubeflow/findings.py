"""What a component found, on its way from the pod into the record of whoever follows the run.

It goes by two ways, since the API of Kubeflow Pipelines gives out neither artifacts nor their properties: as a property
of an output artifact, which ML Metadata keeps, and as one line of the pod's log. Who follows may have either.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from components.artifact_properties import FINDINGS
from components.run_report.report import RECORD_FILE
from pipeline.kubeflow.artifacts import StoredOutputs
from pipeline.kubeflow.remote_outputs import remote_facts
from pipeline.nodes import RUN_REPORT
from pipeline.runs.outputs import NodeFacts
from pipeline.runs.record import NodeRecord, RunRecord

_LINE: Final = re.compile(r"^petseg \d\d:\d\d:\d\d \S+: found (\{.*\})$", re.MULTILINE)
_LEFT_OUT: Final = ("slices", "distributions")
"""Fields of the record that are too long for a line of a log."""

_REPEATED: Final = (
    "dataset", "parameters", "metrics", "served_metrics", "thresholds", "blessed", "force_blessed", "reference",
    "baseline", "comparison", "drift", "probe", "pushed_model", "deployed_model",
)  # fmt: skip
"""Fields of the record that RunReport's log repeats: a component from the server's cache has no pod that could tell."""

_LONGEST_PROPERTY: Final = 400
"""Characters that a property may have which goes on to other components: a workflow has each of their inputs six times,
and 1 MiB in all."""


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

    @classmethod
    def of_report(cls, summary: str, directory: Path) -> "Findings":
        """Returns what RunReport says of all components.

        Args:
          summary: Of its own outputs.
          directory: Of its artifact `metrics`.

        Raises:
          PetsegError: There is no record of the run in it.
        """
        record = RunRecord.load(directory / RECORD_FILE)
        return cls.of(NodeFacts(summary, {name: getattr(record, name) for name in _REPEATED}))

    def line(self) -> str:
        """Returns what the pod's log says."""
        return f"found {self.model_dump_json()}"

    def write_on(self, executor_output: Mapping[str, Any], last_output: str | None = None) -> None:
        """Writes the findings on the first of a component's outputs; nowhere when they are long.

        Args:
          executor_output: TFX's `ExecutorOutput`, whose metadata ML Metadata will keep.
          last_output: An output that no component takes: findings of any length are written on that.
        """
        # In ASCII: a server whose database knows no UTF-8 tells no more of a run whose workflow has other letters.
        text = json.dumps(self.model_dump(mode="json"), separators=(",", ":"))
        channels = executor_output.get("artifacts", {})
        names = [last_output] if last_output else sorted(channels)
        artifacts = [artifact for name in names for artifact in channels[name].get("artifacts", ())]
        if artifacts and (last_output or len(text) <= _LONGEST_PROPERTY):
            artifacts[0].setdefault("metadata", {})[FINDINGS] = text

    def put_into(self, record: RunRecord, node: NodeRecord) -> None:
        """Brings the findings into the record of a run; what this version of petseg has no field for is left out.

        RunReport repeats what others say, some of it shortened: what is known already stays.
        """
        node.summary = ", ".join(filter(None, [node.summary, self.summary]))
        for name, value in self.fields.items():
            if node.id == RUN_REPORT and getattr(record, name, None) not in (None, {}, []):
                continue
            with suppress(ValidationError):
                setattr(record, name, value)


def findings_in(log: str) -> Findings | None:
    """Returns what a pod's log says that its component found; None when it does not say so."""
    found = _LINE.findall(log)
    return _parsed(found[-1]) if found else None


def findings_on(outputs: StoredOutputs) -> Findings | None:
    """Returns what is written on a component's artifacts; None where nothing is."""
    texts = (one.get_string_custom_property(FINDINGS) for of_output in outputs.values() for one in of_output)
    return next((found for text in texts if text and (found := _parsed(text)) is not None), None)


def findings_from(component: str, outputs: StoredOutputs) -> Findings | None:
    """Returns what can be concluded from a component's artifacts by themselves; None where that is nothing."""
    facts = remote_facts(component, outputs)
    return None if facts is None else Findings.of(facts)


def _parsed(text: str) -> Findings | None:
    try:
        return Findings.model_validate_json(text)
    except ValidationError:
        return None
