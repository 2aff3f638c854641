"""The components of the pipeline, and what only they share.

On Kubeflow, TFX knows the class of an artifact that is not its own by a path of two names, such as
`components.SegmentationFindings`, and imports it by that. It is found here, where nothing else imports TFX.
"""

import importlib
from typing import Any, Final

_ARTIFACT_TYPES: Final = {
    "DataDrift": "components.drift_detector.artifact",
    "RetrainingDecision": "components.retraining_decider.artifact",
    "SegmentationFindings": "components.segmentation_validator.artifact",
}


def __getattr__(name: str) -> Any:
    if name in _ARTIFACT_TYPES:
        return getattr(importlib.import_module(_ARTIFACT_TYPES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
