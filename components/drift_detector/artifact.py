"""The artifact type of DriftDetector's report."""

from tfx.types import artifact


class DataDrift(artifact.Artifact):
    """How far data is from what the served model was trained on: `components.drift_detector.report.DriftReport`."""

    TYPE_NAME = "components.DataDrift"
