"""The artifact type of RetrainingDecider's decision."""

from tfx.types import artifact


class RetrainingDecision(artifact.Artifact):
    """Whether there is a reason to train: `components.retraining_decider.decision.Decision`."""

    TYPE_NAME = "components.RetrainingDecision"
