"""What an export wrote and what it costs, shown to people."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from pipeline.metric_tables import metric_value, readable_metric
from pipeline.tables import PlainTable, numbers_table

if TYPE_CHECKING:
    from pipeline.export.exporting import ExportOutcome
    from pipeline.export.measurement import FormMeasured

_ORIGINAL = "original"
_METRICS = ("accuracy", "mean_iou")


def result_tables(outcome: "ExportOutcome") -> Group:
    """Returns the sizes, and, where it was measured, cost and gain of each form beside the original."""
    sizes = {_ORIGINAL: outcome.original_bytes, **outcome.form_bytes}
    if outcome.measured is None or outcome.dataset is None:
        table = numbers_table("", "MB")
        for name, size in sizes.items():
            table.add_row(name, _megabytes(size))
        return Group(table, Text("The cost in accuracy was not measured: no data were named.", "yellow"))
    measured, dataset = outcome.measured, outcome.dataset
    rows = {_ORIGINAL: measured.original, **measured.forms}
    heading = (
        f"{dataset['name']} {dataset['version']}, {dataset['split']}: {measured.examples} examples, one at a time, "
        f"{measured.threads} processors"
    )
    return Group(Text(heading), Text(), _overall(rows, sizes), Text(), _by_class(rows))


def _overall(rows: Mapping[str, "FormMeasured"], sizes: Mapping[str, int]) -> PlainTable:
    table = numbers_table("", "MB", *_with_difference(_METRICS), "pixels changed", "p50 ms", "ratio", "CPU ms", "ratio")
    for name, row in rows.items():
        table.add_row(
            name,
            _megabytes(sizes[name]),
            *_values(row, _METRICS),
            "" if name == _ORIGINAL else f"{row.changed_pixels:.2%}",
            f"{row.latency_p50_ms:.1f}",
            f"{row.latency_ratio:.2f}",
            f"{row.cpu_ms:.1f}",
            f"{row.cpu_ratio:.2f}",
        )
    return table


def _by_class(rows: Mapping[str, "FormMeasured"]) -> PlainTable:
    names = [name for name in rows[_ORIGINAL].metrics if name not in _METRICS]
    table = numbers_table("", *_with_difference(names))
    for name, row in rows.items():
        table.add_row(name, *_values(row, names))
    return table


def _with_difference(names: "tuple[str, ...] | list[str]") -> Iterator[str]:
    for name in names:
        yield from (readable_metric(name), "change")


def _values(row: "FormMeasured", names: "tuple[str, ...] | list[str]") -> Iterator[str]:
    for name in names:
        difference = row.differences.get(name)
        yield metric_value(row.metrics.get(name))
        yield "" if difference is None else f"{difference:+.4f}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}"
