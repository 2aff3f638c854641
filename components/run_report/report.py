"""What RunReport hands to its `report_fn`, and what it gets back.

The function says what there is to be said of a run; the component sees to it that the artifacts are whole whatever
becomes of that. As TFX's Trainer knows its `run_fn`, RunReport knows the function by its dotted name only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

REPORT_FILE: Final = "report.html"
"""In the artifact `report`."""

MODEL_CARD_FILE: Final = "model_card.md"
"""In the artifact `model_card`."""

SUSPECTS_PAGE_FILE: Final = "suspects.html"
"""Beside the report, where masks are suspect."""

RECORD_FILE: Final = "run.json"
"""In the artifact `metrics`: the record of the run."""

CONFUSION_MATRIX_FILE: Final = "confusion_matrix.json"
"""In the artifact `confusion_matrix`: the same as its property."""


class LeftArtifact(Protocol):
    """An artifact that another component of the run left; of TFX's, what a report reads."""

    uri: str

    def get_string_custom_property(self, key: str) -> str: ...

    def get_int_custom_property(self, key: str) -> int: ...


@dataclass(frozen=True)
class ReportArguments:
    """What is known of a run."""

    run_id: str
    settings: Mapping[str, Any]
    """What of the resolved configuration decides on the result, as JSON."""

    node_ids: Sequence[str]
    """All components of the graph, in its order."""

    outputs: Mapping[str, Mapping[str, Sequence[LeftArtifact]]]
    """Id of a component to its outputs, of those that left something that was handed on."""

    directory: Path
    """Of the artifact `metrics`: for the record, and for files that belong to no other output."""

    report: Path
    """The file that is to be the page, in an empty directory of its own, as the model card."""

    model_card: Path


@dataclass(frozen=True)
class ConfusionMatrix:
    """How many pixels of each class are predicted as which.

    >>> ConfusionMatrix(("cat", "dog"), ((8, 2), (1, 9))).as_kubeflow()["rows"]
    [{'row': [8, 2]}, {'row': [1, 9]}]
    """

    class_names: Sequence[str]
    pixels: Sequence[Sequence[float]]
    """A row a true class, a column a predicted one."""

    def as_kubeflow(self) -> dict[str, Any]:
        """Returns the property `confusionMatrix` of `system.ClassificationMetrics`, as the SDK writes it."""
        return {
            "annotationSpecs": [{"displayName": name} for name in self.class_names],
            "rows": [{"row": list(row)} for row in self.pixels],
        }


@dataclass(frozen=True)
class Reported:
    """What the function found, beside the files that it wrote."""

    metrics: Mapping[str, float | str]
    """Custom properties of `metrics`; no number that is none."""

    confusion_matrix: ConfusionMatrix | None = None
    """None where nothing was evaluated."""

    not_written_because: str = ""
    """Why the page is not the report; empty where it is."""


ReportFunction = Callable[[ReportArguments], Reported]
