"""The components of the pipeline, and what only they share.

On Kubeflow, TFX knows the class of an artifact that is not its own by a path of two names, such as
`components.SegmentationFindings`, and imports it by that. It is found here, where nothing else imports TFX.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "SegmentationFindings":
        from components.segmentation_validator.artifact import SegmentationFindings

        return SegmentationFindings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
