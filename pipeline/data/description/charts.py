"""The charts of a data set's page, each as SVG to put into it."""

from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib as mpl
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from components.data_statistics import EDGES
from pipeline.report.svg import FIRST, INK, MUTED, SECOND, STYLE, Chart

_WIDTH: Final = 440
_HEIGHT: Final = 240
_COLORS: Final = (FIRST, SECOND, MUTED)
_TICKS: Final = 5


@mpl.rc_context(STYLE)
def class_chart(name: str, classes: Sequence[str], shares: Mapping[str, Sequence[float]]) -> str:
    """Draws the share of each class in the labelled pixels of each split.

    Args:
      name: Different for each chart of a page.
      classes: Names of the classes, from the top.
      shares: Split name to the share of each class.
    """
    chart = Chart(_WIDTH, 90 + (6 + 11 * len(shares)) * len(classes), name)
    axes, height = chart.axes, 0.8 / len(shares)
    for index, (split, of_classes) in enumerate(shares.items()):
        rows = [row - 0.4 + height * (index + 0.5) for row in range(len(classes))]
        bars = axes.barh(rows, list(of_classes), height * 0.9, color=_COLORS[index % len(_COLORS)], label=split)
        for bar, class_name, share in zip(bars, classes, of_classes, strict=True):
            bar.set_gid(chart.title_id(f"{split}: {share:.2%} {class_name}"))
    axes.set_yticks(range(len(classes)), classes)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("share of the labelled pixels")
    chart.figure.legend(loc="outside upper left", ncols=len(shares))
    return chart.svg("Share of each class in the labelled pixels of each split")


@mpl.rc_context(STYLE)
def quantity_chart(name: str, quantity: str, label: str, counts: Sequence[int]) -> str:
    """Draws how many images have which height, brightness and so on.

    Args:
      name: Different for each chart of a page.
      quantity: A key of `components.data_statistics.EDGES`.
      label: What is written below the axis.
      counts: Images in each bin.
    """
    chart = Chart(_WIDTH, _HEIGHT, name)
    axes, edges = chart.axes, EDGES[quantity]
    filled = [index for index, count in enumerate(counts) if count]
    first, last = (filled[0], filled[-1] + 1) if filled else (0, 1)
    for index in range(first, last):
        bar = Rectangle((index + 0.04, 0), 0.92, counts[index], facecolor=FIRST)
        bar.set_gid(chart.title_id(f"{edges[index]:,.4g} to {edges[index + 1]:,.4g}: {counts[index]:,} images"))
        axes.add_patch(bar)
    step = max((last - first) // _TICKS, 1)
    ticks = range(first, last + 1, step)
    axes.set_xticks([*ticks], [f"{edges[tick]:,.3g}" for tick in ticks])
    axes.set(xlim=(first - 0.2, last + 0.2), ylim=(0, max([*counts, 1]) * 1.08), xlabel=label, ylabel="images")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(visible=False, axis="x")
    return chart.svg(f"Histogram of {label}")


@mpl.rc_context(STYLE)
def presence_chart(name: str, class_name: str, counts: Sequence[int], edges: Sequence[float]) -> str:
    """Draws in how many images a class has which share of the labelled pixels.

    Args:
      name: Different for each chart of a page.
      class_name: The class.
      counts: Images without it, then those in each bin.
      edges: Of the bins.
    """
    chart = Chart(_WIDTH, _HEIGHT, name)
    axes = chart.axes
    width = edges[1] - edges[0]
    for index, count in enumerate(counts):
        low = -1.5 * width if not index else edges[index - 1]
        bar = Rectangle((low + width * 0.06, 0), width * 0.88, count, facecolor=FIRST if index else SECOND)
        words = "without it" if not index else f"{edges[index - 1]:.0%} to {edges[index]:.0%}"
        bar.set_gid(chart.title_id(f"{words}: {count:,} images"))
        axes.add_patch(bar)
    axes.set(xlim=(-2 * width, 1.02), ylim=(0, max([*counts, 1]) * 1.08), ylabel="images")
    axes.set_xlabel(f"share of {class_name} in an image")
    axes.set_xticks([-width, 0.25, 0.5, 0.75, 1], ["none", "25%", "50%", "75%", "100%"])
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(visible=False, axis="x")
    return chart.svg(f"Histogram of the share of {class_name} in single images")
