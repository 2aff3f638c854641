"""The charts of a report, each as SVG to put into a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pipeline.report.svg import FIRST, GRID, HEAT, INK, MUTED, ON_HEAT, SECOND, STYLE, Chart
from pipeline.terminal.tables import readable_metric

_WIDTH: Final = 440
_HEIGHT: Final = 280
_ROW_HEIGHT: Final = 26
_DARK_SHARE: Final = 0.66
"""From this share of a row on, a cell of the confusion matrix needs light text, or dark text in the dark."""

_MOST_WRITTEN_CLASSES: Final = 6
"""With more classes the cells have no room for text; their titles have the numbers."""

_MOST_LABELLED_BINS: Final = 7

Epochs = Sequence[Mapping[str, float | None]]


@mpl.rc_context(STYLE)
def learning_curve(name: str, metric: str, epochs: Epochs, best_epoch: int | None) -> str:
    """Draws a metric of training over the epochs, on the train split and, where it is known, on eval.

    Args:
      name: Different for each chart of a page.
      metric: `loss`, `accuracy` or `mean_iou`, as the history has it.
      epochs: The history of the Trainer.
      best_epoch: The epoch to mark; None: none.
    """
    chart = _learning_chart(name, metric, epochs, best_epoch)
    return chart.svg(f"{readable_metric(metric)} of each epoch on the train and eval splits")


@mpl.rc_context(STYLE)
def save_learning_curve(metric: str, epochs: Epochs, best_epoch: int | None, *files: Path) -> None:
    """Draws the same as `learning_curve` into picture files, of the kinds that their names end in."""
    _learning_chart(metric, metric, epochs, best_epoch).save(*files)


def _learning_chart(name: str, metric: str, epochs: Epochs, best_epoch: int | None) -> Chart:
    chart = Chart(_WIDTH, _HEIGHT, name)
    for key, label, color, style in ((metric, "train", FIRST, "-"), (f"val_{metric}", "eval", SECOND, "--")):
        _draw_curve(chart, epochs, key, label, color, style)
    if best_epoch is not None:
        chart.axes.axvline(best_epoch, color=MUTED, linewidth=1, linestyle=":", label=f"best epoch: {best_epoch}")
    _finish_curve(chart, readable_metric(metric))
    return chart


@mpl.rc_context(STYLE)
def compared_curves(name: str, metric: str, runs: Mapping[str, Epochs]) -> str:
    """Draws a metric on the eval split, or on train where there is no other, over the epochs of two runs.

    Args:
      name: Different for each chart of a page.
      metric: `loss`, `accuracy` or `mean_iou`.
      runs: What to call each run to its history.
    """
    chart = Chart(_WIDTH, _HEIGHT, name)
    for (label, epochs), (color, style) in zip(runs.items(), ((FIRST, "-"), (SECOND, "--")), strict=True):
        key = f"val_{metric}" if any(f"val_{metric}" in epoch for epoch in epochs) else metric
        _draw_curve(chart, epochs, key, label, color, style)
    readable = readable_metric(metric)
    _finish_curve(chart, f"{readable} (eval)")
    return chart.svg(f"{readable} of each epoch of both runs")


@mpl.rc_context(STYLE)
def seconds_chart(name: str, components: Sequence[tuple[str, float, str]]) -> str:
    """Draws how long each component took.

    Args:
      name: Different for each chart of a page.
      components: Name, seconds and state of each, in the order of the graph.
    """
    chart = Chart(_WIDTH, 60 + _ROW_HEIGHT * len(components), name)
    axes = chart.axes
    longest = max((seconds for _, seconds, _ in components), default=0.0) or 1.0
    bars = axes.barh(range(len(components)), [seconds for _, seconds, _ in components], color=FIRST)
    for bar, (component, seconds, state) in zip(bars, components, strict=True):
        bar.set_gid(chart.title_id(f"{component}: {seconds:.1f} s, {state}"))
        suffix = "" if state == "complete" else f" ({state})"
        axes.text(seconds + longest * 0.015, bar.get_y() + bar.get_height() / 2, f"{seconds:.1f}{suffix}", va="center")
    _label_rows(axes, [component for component, *_ in components])
    axes.set_xlim(0, longest * 1.25)
    axes.set_xlabel("seconds")
    return chart.svg("Seconds of each component")


@mpl.rc_context(STYLE)
def confusion_chart(name: str, matrix: Sequence[Sequence[int]], class_names: Sequence[str]) -> str:
    """Draws a confusion matrix, shaded by the share of the true class, with counts in the cells.

    Args:
      name: Different for each chart of a page.
      matrix: Pixels; true class by row, predicted class by column.
      class_names: Names of the classes in the order of their ids.
    """
    counts = np.asarray(matrix, np.int64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    side = len(class_names)
    chart = Chart(_WIDTH, max(_HEIGHT, 90 + 58 * side) if side <= _MOST_WRITTEN_CLASSES else _WIDTH, name)
    axes = chart.axes
    for (row, column), share in np.ndenumerate(shares):
        words = (
            f"true {class_names[row]}, predicted {class_names[column]}: "
            f"{counts[row, column]:,} pixels, {share:.2%} of {class_names[row]}"
        )
        cell = Rectangle((column, row), 1, 1, facecolor=HEAT, alpha=float(share), edgecolor="none")
        cell.set_gid(chart.title_id(words))
        axes.add_patch(cell)
        if side <= _MOST_WRITTEN_CLASSES:
            color = ON_HEAT if share >= _DARK_SHARE else INK
            axes.text(column + 0.5, row + 0.42, f"{share:.1%}", ha="center", va="center", color=color, fontsize=13)
            axes.text(
                column + 0.5, row + 0.7, f"{counts[row, column]:,}", ha="center", va="center", color=color, fontsize=10
            )
    _label_matrix(axes, class_names)
    return chart.svg("Confusion matrix: pixels by true and predicted class")


@mpl.rc_context(STYLE)
def reliability_chart(name: str, pixels: Sequence[int], confidence: Sequence[float], correct: Sequence[int]) -> str:
    """Draws how often predictions are right by how probable the model finds them (a reliability diagram).

    Args:
      name: Different for each chart of a page.
      pixels: By bin of the predicted class's probability.
      confidence: Sums of that probability.
      correct: Pixels that are right.
    """
    chart = Chart(_WIDTH, _HEIGHT, name)
    axes, bins = chart.axes, len(pixels)
    total = sum(pixels) or 1
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":", label="perfect calibration")
    for index, count in enumerate(pixels):
        if not count:
            continue
        share, mean = correct[index] / count, confidence[index] / count
        bar = Rectangle(
            (index / bins, 0), 1 / bins, share, facecolor=FIRST, alpha=0.25 + 0.75 * count / max(pixels), edgecolor=GRID
        )
        bar.set_gid(
            chart.title_id(
                f"confidence {mean:.1%} on average, right {share:.1%}; {count:,} pixels ({count / total:.1%})"
            )
        )
        axes.add_patch(bar)
        axes.plot([mean], [share], "o", color=SECOND, markersize=4)
    axes.plot([], [], "o", color=SECOND, markersize=4, label="mean of a bin")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="probability of the predicted class", ylabel="share that is right")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    chart.figure.legend(loc="outside upper left", ncols=2)
    return chart.svg("Reliability diagram: share of right pixels by confidence")


@mpl.rc_context(STYLE)
def image_iou_chart(name: str, counts: Sequence[int]) -> str:
    """Draws how many images reach which mean IoU.

    Args:
      name: Different for each chart of a page.
      counts: Images in bins of equal width from 0 to 1.
    """
    chart = Chart(_WIDTH, _HEIGHT, name)
    width = 1 / len(counts)
    for index, count in enumerate(counts):
        low = index * width
        bar = Rectangle((low + width * 0.06, 0), width * 0.88, count, facecolor=FIRST)
        bar.set_gid(chart.title_id(f"mean IoU {low:.2f} to {low + width:.2f}: {count:,} images"))
        chart.axes.add_patch(bar)
    chart.axes.set(xlim=(0, 1), ylim=(0, max([*counts, 1]) * 1.08), xlabel="mean IoU of one image", ylabel="images")
    chart.axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    chart.axes.grid(visible=False, axis="x")
    return chart.svg("Histogram of the mean IoU of single images")


@mpl.rc_context(STYLE)
def class_iou_chart(name: str, class_names: Sequence[str], iou: Sequence[float], boundary_iou: Sequence[float]) -> str:
    """Draws the IoU of each class beside its boundary IoU.

    Args:
      name: Different for each chart of a page.
      class_names: Names of the classes.
      iou: Of each class; 0 where it is undefined.
      boundary_iou: Likewise.
    """
    chart = Chart(_WIDTH, max(_HEIGHT, 80 + 34 * len(class_names)), name)
    for label, values, color, offset in (("IoU", iou, FIRST, -0.2), ("boundary IoU", boundary_iou, SECOND, 0.2)):
        rows = [row + offset for row in range(len(values))]
        bars = chart.axes.barh(rows, list(values), 0.36, color=color, label=label)
        for bar, class_name, value in zip(bars, class_names, values, strict=True):
            bar.set_gid(chart.title_id(f"{label} of {class_name}: {value:.4f}"))
            chart.axes.text(value + 0.01, bar.get_y() + bar.get_height() / 2, f"{value:.2f}", va="center", fontsize=10)
    _label_rows(chart.axes, class_names)
    chart.axes.set_xlim(0, 1.05)
    chart.figure.legend(loc="outside upper left", ncols=2)
    return chart.svg("IoU and boundary IoU of each class")


@mpl.rc_context(STYLE)
def compared_histogram(name: str, quantity: str, bins: Sequence[str], shares: Mapping[str, Sequence[float]]) -> str:
    """Draws how a quantity is distributed in two samples: one as bars, the other as an outline.

    Args:
      name: Different for each chart of a page.
      quantity: What is counted.
      bins: What each bin begins with.
      shares: What to call each of the two samples to the share of its examples in each bin.
    """
    chart = Chart(_WIDTH, _HEIGHT, name)
    (first, bars), (second, outline) = shares.items()
    for index, (share, other) in enumerate(zip(bars, outline, strict=True)):
        bar = Rectangle((index, 0), 1, share, facecolor=FIRST, alpha=0.6)
        bar.set_gid(chart.title_id(f"{quantity} from {bins[index]} on: {first} {share:.1%}, {second} {other:.1%}"))
        chart.axes.add_patch(bar)
    chart.axes.stairs(outline, color=SECOND, linewidth=2)
    labelled = range(0, len(bins), -(-len(bins) // _MOST_LABELLED_BINS))
    chart.axes.set_xticks(list(labelled), [bins[index] for index in labelled])
    chart.axes.set(xlim=(0, len(bins)), ylim=(0, max(*bars, *outline) * 1.08), xlabel=quantity)
    chart.axes.yaxis.set_major_formatter(PercentFormatter(1))
    chart.axes.grid(visible=False, axis="x")
    handles = [Rectangle((0, 0), 1, 1, facecolor=FIRST, alpha=0.6), Line2D([], [], color=SECOND, linewidth=2)]
    chart.figure.legend(handles, [first, second], loc="outside upper left", ncols=2)
    return chart.svg(f"Distribution of {quantity}, {first} and {second}")


@mpl.rc_context(STYLE)
def label_chart(name: str, feature: str, shares: Mapping[str, Mapping[str, float]]) -> str:
    """Draws how a feature’s values are distributed in two splits or samples, or more.

    Args:
      name: Different for each chart of a page.
      feature: Its name.
      shares: Split name to value to its share of the split.
    """
    values = list(dict.fromkeys(value for split in shares.values() for value in split))
    chart = Chart(_WIDTH, 70 + (8 + 9 * len(shares)) * len(values), name)
    colors = (FIRST, SECOND, MUTED)
    height = 0.8 / len(shares)
    for index, (split, of_values) in enumerate(shares.items()):
        positions = [row - 0.4 + height * (index + 0.5) for row in range(len(values))]
        bars = chart.axes.barh(
            positions, [of_values.get(value, 0.0) for value in values], height, color=colors[index % 3], label=split
        )
        for bar, value in zip(bars, values, strict=True):
            bar.set_gid(chart.title_id(f"{split}: {of_values.get(value, 0.0):.1%} {value}"))
    _label_rows(chart.axes, values)
    chart.axes.xaxis.set_major_formatter(PercentFormatter(1))
    chart.axes.set_xlabel("share of the examples")
    chart.figure.legend(loc="outside upper left", ncols=len(shares))
    return chart.svg(f"Distribution of {feature}: {', '.join(shares)}")


def _draw_curve(chart: Chart, epochs: Epochs, key: str, label: str, color: str, style: str) -> None:
    points = [(epoch["epoch"] or 0, value) for epoch in epochs if (value := epoch.get(key)) is not None]
    if not points:
        return
    chart.axes.plot(*zip(*points, strict=True), linestyle=style, color=color, linewidth=2, label=label)
    for number, value in points:
        [point] = chart.axes.plot([number], [value], "o", color=color, markersize=5)
        point.set_gid(chart.title_id(f"{label}, epoch {number:.0f}: {value:.4f}"))


def _finish_curve(chart: Chart, metric: str) -> None:
    axes = chart.axes
    axes.set(xlabel="epoch", ylabel=metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if axes.get_legend_handles_labels()[1]:
        chart.figure.legend(loc="outside upper left", ncols=3)


def _label_matrix(axes: Axes, class_names: Sequence[str]) -> None:
    side = len(class_names)
    centers: Any = np.arange(side) + 0.5
    axes.set(xlim=(0, side), ylim=(side, 0), xlabel="predicted class", ylabel="true class")
    axes.set_xticks(centers, class_names, rotation=90 if side > _MOST_WRITTEN_CLASSES else 0)
    axes.set_yticks(centers, class_names)
    axes.tick_params(length=0, labelcolor=INK)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _label_rows(axes: Axes, labels: Sequence[str]) -> None:
    """Names horizontal bars, the first at the top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
