"""Metrics of an evaluation, shown to people."""

from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.tables import PlainTable, numbers_table
from trainer_module.segmentation_metrics import CLASS_METRICS

_HEADLINE: Final = ("accuracy", "mean_iou", "loss")
_HEADLINE_OF_CLASSES: Final = "iou_"
_LOW, _HIGH = "_low", "_high"
_WRITTEN: Final = {"iou": "IoU", "ece": "ECE"}

Metrics = Mapping[str, float | None]
"""Metric name to value; None where a metric is undefined."""


def headline(metrics: Metrics) -> str:
    """Returns the numbers that one line has room for: accuracy, mean IoU, loss, and the IoU of each class."""
    names = (name for name in metrics if name in _HEADLINE or name.startswith(_HEADLINE_OF_CLASSES))
    return ", ".join(f"{readable_metric(name)} {metric_value(metrics[name])}" for name in names)


def metric_tables(metrics: Metrics, class_names: Sequence[str]) -> list[PlainTable]:
    """Returns all metrics: those of the whole with their intervals, then one row a class."""
    of_classes = {f"{metric}_{name}" for metric in CLASS_METRICS for name in class_names}
    ends = {f"{name}{end}" for name in metrics for end in (_LOW, _HIGH)}
    overall = numbers_table("metric", "value", "95 % interval")
    for name in metrics:
        if name not in of_classes | ends:
            overall.add_row(readable_metric(name), metric_value(metrics[name]), _interval(metrics, name))
    kinds = [kind for kind in CLASS_METRICS if any(f"{kind}_{name}" in metrics for name in class_names)]
    by_class = numbers_table("class", *map(readable_metric, kinds))
    for name in class_names:
        by_class.add_row(name, *(metric_value(metrics.get(f"{kind}_{name}")) for kind in kinds))
    return [overall, by_class] if kinds else [overall]


def readable_metric(name: str) -> str:
    """Writes a metric's name for people: `mean IoU`."""
    return " ".join(_WRITTEN.get(word, word) for word in name.replace("_", " ").split(" "))


def metric_value(value: float | None) -> str:
    """Writes a metric's value for people."""
    return "undefined" if value is None else f"{value:.4f}"


def _interval(metrics: Metrics, name: str) -> str:
    low, high = metrics.get(name + _LOW), metrics.get(name + _HIGH)
    return "" if low is None or high is None else f"{metric_value(low)} to {metric_value(high)}"
