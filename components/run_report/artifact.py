"""The artifact types of RunReport: those that the pages of Kubeflow Pipelines show, by the names that they know.

The server's SDK has them as classes of its own (https://kubeflow-pipelines.readthedocs.io/en/latest/source/dsl.html).
"""

from tfx.types import artifact


class Metrics(artifact.Artifact):
    """Numbers and texts, as custom properties, which the pages show in a table and compare between runs."""

    TYPE_NAME = "system.Metrics"


class ClassificationMetrics(artifact.Artifact):
    """A confusion matrix, as the custom property `confusionMatrix`, which the pages draw."""

    TYPE_NAME = "system.ClassificationMetrics"


class HTML(artifact.Artifact):
    """A page, which the pages show in a frame."""

    TYPE_NAME = "system.HTML"


class Markdown(artifact.Artifact):
    """A text in Markdown."""

    TYPE_NAME = "system.Markdown"
