"""How well the model does: metrics, where it errs, how sure it is, on which images, and how training got there."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from PIL import Image

from pipeline.nodes import TRAINER
from pipeline.report import charts
from pipeline.report.blocks import (
    HATCHED,
    Cell,
    Figure,
    Figures,
    Gallery,
    Legend,
    Note,
    Picture,
    PictureRow,
    Section,
    Table,
)
from pipeline.report.facts import Missing, RunFacts, output_directory
from pipeline.report.gallery import thumbnail_uri
from pipeline.terminal.tables import (
    class_metrics,
    is_partly_labelled,
    labelled_area,
    metric_interval,
    metric_value,
    overall_metrics,
    readable_metric,
)
from trainer_module import features
from trainer_module.model_card import class_colors
from trainer_module.segmentation_metrics import LABELLED_SHARE, UNLABELLED_IMAGES

FEW_EXAMPLES: Final = 10
"""Slices of fewer examples are marked: a single image moves their metrics."""

_MOST_DRAWN_CLASSES: Final = 30
_MOST_SHOWN_SLICES: Final = 12
_SLICE_METRICS: Final = ("mean_iou", "accuracy", "loss")
_NOTHING_EVALUATED: Final = "The run ended before its model was evaluated."

_BEFORE_AND_AFTER: Final = "Before and after training"
_PREDICTION: Final = re.compile(r"(\d+)_epoch_(\d+)\.png")

_MEANINGS: Final = {
    "accuracy": "share of pixels whose class is right",
    "mean_iou": "overlap of truth and prediction, mean over the classes",
    "mean_dice": "F1 score of the pixels, mean over the classes",
    "loss": "cross-entropy per pixel, in nats",
    "majority_share": "accuracy of answering the largest class everywhere",
    "accuracy_gain": "accuracy above that",
    "mean_boundary_iou": "IoU of the pixels near the outlines alone",
    "ece": "expected calibration error",
    "image_iou_p05": "5 % of the images are below this mean IoU",
    "image_iou_p50": "half of the images are below this mean IoU",
    "image_iou_p95": "95 % of the images are below this mean IoU",
    LABELLED_SHARE: "share of the area that all other numbers are of",
    UNLABELLED_IMAGES: "images without any labelled pixel, which no mean or interval knows of",
}


def learning_section(facts: RunFacts) -> Section:
    """Returns the section with the learning curves."""
    history = facts.history
    if isinstance(history, Missing):
        return Section("Learning curves", [Note(f"No history of the training. {history.reason}")])
    best = history.best_epoch
    captions = {
        "loss": "Loss. Falling on train while it rises on eval is overfitting.",
        "accuracy": "Accuracy. Still rising at the last epoch means that more epochs would help.",
        "mean_iou": f"Mean IoU, in which small classes count as large ones do. Epoch {best} was the best on eval.",
    }
    figures = [
        Figure(charts.learning_curve(f"curve-{metric}", metric, history.epochs, best), caption)
        for metric, caption in captions.items()
        if metric in history.epochs[-1]
    ]
    weights = "The exported weights are those of the last epoch; trainer.best_weights = true exports those of the best."
    if facts.record.settings.get("trainer", {}).get("best_weights"):
        weights = f"The exported weights are those of the best epoch, {best} (trainer.best_weights)."
    return Section("Learning curves", [Figures(figures), Note(weights)])


def training_section(facts: RunFacts) -> Section:
    """Returns the section, or why there is nothing to show."""
    gallery = training_gallery(facts)
    if isinstance(gallery, Missing):
        return Section(_BEFORE_AND_AFTER, [Note(f"No predictions of the training. {gallery.reason}")])
    legend = class_legend(facts.class_names, with_errors=False, with_not_labelled=facts.has_not_labelled)
    return Section(_BEFORE_AND_AFTER, [legend, gallery])


def training_gallery(facts: RunFacts) -> Gallery | Missing:
    """Returns images of the `eval` split with their truth and their predictions, from the untrained network on."""
    model_run = output_directory(facts.record, TRAINER, "model_run")
    if isinstance(model_run, Missing):
        return model_run
    directory = model_run / "samples"
    epochs: dict[int, list[int]] = {}
    for match in map(_PREDICTION.fullmatch, sorted(path.name for path in directory.glob("*.png"))):
        if match:
            epochs.setdefault(int(match[1]), []).append(int(match[2]))
    try:
        rows = [_training_row(directory, number, sorted(epochs[number])) for number in sorted(epochs)]
    except OSError as error:
        return Missing(f"The pictures in {directory} cannot be read: {error}.")
    if not rows:
        return Missing(f"The Trainer left no pictures in {directory}.")
    caption = (
        "Images of the eval split, none of which was trained on, after the epochs of trainer.sample_epochs and after "
        "the last."
    )
    return Gallery("The same images, epoch by epoch", caption, rows)


def metrics_section(facts: RunFacts) -> Section:
    """Returns the section with all metrics of the evaluated split."""
    if not facts.record.metrics:
        return Section("Metrics", [Note(_NOTHING_EVALUATED)])
    return Section("Metrics", [metrics_table(facts), classes_table(facts)])


def metrics_table(facts: RunFacts) -> Table:
    """Returns the metrics over all classes, with their intervals."""
    metrics, served = facts.record.metrics, facts.record.served_metrics
    rows: list[list[str | Cell]] = [
        [
            Cell(readable_metric(name), _MEANINGS.get(name, "")),
            metric_value(metrics[name], name),
            metric_interval(metrics, name),
            *([metric_value(served[name], name) if name in served else ""] if served else []),
        ]
        for name in overall_metrics(metrics, facts.class_names)
    ]
    caption = (
        f"On the {facts.evaluated_split} split. The interval says how far a metric would move had other images of the "
        "same kind been drawn (bootstrap over images)."
    )
    return Table(["metric", "value", "95 % interval", *(["served model"] if served else [])], rows, caption)


def reference_section(facts: RunFacts) -> list[Section]:
    """Returns the section on the frozen reference set, beside the evaluated split; none where there is no such set."""
    reference, metrics = facts.record.reference, facts.record.metrics
    if reference is None or not reference.metrics:
        return []
    names = overall_metrics(reference.metrics, facts.class_names)
    names += [f"iou_{name}" for name in facts.class_names]
    rows: list[list[str | Cell]] = [
        [
            Cell(readable_metric(name), _MEANINGS.get(name, "")),
            metric_value(reference.metrics.get(name), name),
            metric_interval(reference.metrics, name),
            metric_value(metrics.get(name), name),
            metric_interval(metrics, name),
        ]
        for name in names
    ]
    caption = (
        f"{reference.dataset}, {reference.examples:,} images that no run learns from and that stay the same while the "
        f"data grows: what changes here from run to run, the model did. Beside it the {facts.evaluated_split} split."
    )
    columns = ["metric", "reference", "95 % interval", facts.evaluated_split, "95 % interval"]
    return [Section("Reference set", [Table(columns, rows, caption)])]


def classes_table(facts: RunFacts) -> Table:
    """Returns the metrics of each class; a metric is undefined for a class that does not occur."""
    metrics, served, names = facts.record.metrics, facts.record.served_metrics, facts.class_names
    kinds = class_metrics(metrics, names)

    def value(metric: str) -> str | Cell:
        text = metric_value(metrics.get(metric))
        return Cell(text, f"served {metric_value(served.get(metric))}") if served else text

    rows: list[list[str | Cell]] = [
        [Cell(name, swatch=color), *(value(f"{kind}_{name}") for kind in kinds)]
        for name, color in zip(names, _css_colors(len(names)), strict=True)
    ]
    caption = "Of each class. A class with high recall and low precision is predicted too often, and the reverse."
    return Table(["class", *map(readable_metric, kinds)], rows, caption)


def errors_section(facts: RunFacts) -> Section:
    """Returns the section with confusion matrix, reliability diagram and the histogram over images."""
    found, metrics = facts.record.distributions, facts.record.metrics
    figures: list[Figure] = []
    matrix = found.get(features.CONFUSION_MATRIX)
    if matrix and len(matrix) == len(facts.class_names):
        caption = (
            "Confusion matrix: each row shares out the true pixels of a class. Dark cells off the diagonal are the "
        )
        caption += "errors to work on; rest on a cell for its numbers."
        figures.append(Figure(charts.confusion_chart("confusion", matrix, facts.class_names), caption))
    calibration = [
        found.get(name)
        for name in (features.CALIBRATION_PIXELS, features.CALIBRATION_CONFIDENCE, features.CALIBRATION_CORRECT)
    ]
    pixels, confidence, correct = calibration
    if pixels and confidence and correct:
        caption = (
            f"Reliability diagram (ECE {metric_value(metrics.get('ece'))}). Dots below the dotted line: the model is "
        )
        caption += "surer than it is right; above: less sure. Darker bars hold more pixels."
        figures.append(Figure(charts.reliability_chart("reliability", pixels, confidence, correct), caption))
    histogram = found.get("image_iou_histogram")
    if histogram:
        caption = "Mean IoU of single images. A long tail to the left means that some images fail badly while the mean "
        caption += "looks well; the gallery shows the worst."
        figures.append(Figure(charts.image_iou_chart("image-iou", histogram), caption))
    if metrics and len(facts.class_names) <= _MOST_DRAWN_CLASSES:
        figures.append(_class_iou_figure(metrics, facts.class_names))
    reason = "The evaluation recorded no distributions." if metrics else _NOTHING_EVALUATED
    return Section("Where it errs", [Figures(figures) if figures else Note(reason)])


def slices_section(facts: RunFacts) -> Section:
    """Returns the section with the metrics of each slice, the worst first."""
    if not facts.record.slices:
        reason = "The evaluation has no slices." if facts.record.metrics else _NOTHING_EVALUATED
        return Section("Slices", [Note(reason)])
    table = slices_table(facts)
    if len(table.rows) <= _MOST_SHOWN_SLICES:
        return Section("Slices", [table])
    every = dataclasses.replace(table, caption="", folded=f"All {len(table.rows)} slices")
    return Section("Slices", [dataclasses.replace(table, rows=table.rows[:_MOST_SHOWN_SLICES]), every])


def slices_table(facts: RunFacts) -> Table:
    """Returns one row a slice, by mean IoU, the worst first; with the labelled share of its area where not all is."""
    slices = sorted(facts.record.slices, key=_slice_order)
    names = [name for name in _SLICE_METRICS if any(name in each["metrics"] for each in slices)]
    partly = any(is_partly_labelled(each["metrics"]) for each in slices)
    few = any(each["examples"] < FEW_EXAMPLES for each in slices)
    rows: list[list[str | Cell]] = [
        [
            Cell(", ".join(map(str, each["slice"].values())), ", ".join(each["slice"])),
            f"{each['examples']:,}{' *' if each['examples'] < FEW_EXAMPLES else ''}",
            *(Cell(metric_value(each["metrics"].get(name)), metric_interval(each["metrics"], name)) for name in names),
            *([labelled_area(each["metrics"].get(LABELLED_SHARE))] if partly else []),
        ]
        for each in slices
    ]
    caption = "The worst first: what the model does least well at. With 95 % intervals."
    caption += f" An asterisk marks fewer than {FEW_EXAMPLES} examples: one image moves their numbers." if few else ""
    columns = ["slice", "examples", *map(readable_metric, names), *(["labelled area"] if partly else [])]
    return Table(columns, rows, caption)


def class_legend(class_names: Sequence[str], *, with_errors: bool = True, with_not_labelled: bool = False) -> Legend:
    """Returns the colours of the classes in masks, and how wrong pixels and those without label are drawn, if any."""
    colors = _css_colors(len(class_names))
    entries = [Cell(name, swatch=color) for name, color in zip(class_names, colors, strict=True)]
    return Legend([*entries, *([Cell("not labelled", swatch=HATCHED)] if with_not_labelled else [])], with_errors)


def _training_row(directory: Path, number: int, epochs: list[int]) -> PictureRow:
    names = {"image": "image", "truth": "truth"}
    names |= {"before training" if epoch == 0 else f"epoch {epoch}": f"epoch_{epoch:04d}" for epoch in epochs}
    pictures = []
    for label, name in names.items():
        with Image.open(directory / f"{number}_{name}.png") as image:
            pictures.append(Picture(label, thumbnail_uri(image)))
    return PictureRow(f"image {number}", "", pictures)


def _class_iou_figure(metrics: Mapping[str, float | None], class_names: Sequence[str]) -> Figure:
    iou, boundary = ([metrics.get(f"{kind}_{name}") or 0.0 for name in class_names] for kind in ("iou", "boundary_iou"))
    caption = "IoU of each class, and the IoU of its pixels near outlines alone. Where the second is much lower, the "
    caption += "model finds the objects and misses their outlines."
    return Figure(charts.class_iou_chart("class-iou", class_names, iou, boundary), caption)


def _css_colors(num_classes: int) -> list[str]:
    return ["#" + bytes(color).hex() for color in class_colors(num_classes)]


def _slice_order(found: Mapping[str, Any]) -> tuple[bool, float]:
    value = found["metrics"].get("mean_iou")
    return value is None, value or 0.0
