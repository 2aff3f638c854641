"""The artifact type of SegmentationValidator's findings."""

from tfx.types import artifact


class SegmentationFindings(artifact.Artifact):
    """What is wrong with a data set, and what it is like; its files are those of `written_findings`."""

    TYPE_NAME = "components.SegmentationFindings"
