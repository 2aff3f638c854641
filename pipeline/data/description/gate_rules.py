"""What a model must reach to be pushed, from what a constant answer reaches."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from components.data_statistics import SplitSummary
from pipeline.data.description.config_text import Proposed
from pipeline.data.description.survey import Survey
from pipeline.data.description.tables import share

_USUAL_GAIN: Final = 0.05
_PART_OF_THE_REST: Final = 0.25
_TIMES_THE_CONSTANT: Final = 1.5
_HIGHEST_IOU: Final = 0.8


def gate_settings(survey: Survey, names: Mapping[int, str], splits: Mapping[str, str]) -> list[Proposed]:
    """Returns the split that judges and the bounds.

    Args:
      survey: What was seen.
      names: Class id to name, of the classes to be told apart.
      splits: Split name to TFDS slice.
    """
    judging = "test" if "test" in splits else "eval"
    summary = _judged(survey, splits[judging])
    pixels = np.array([summary.class_pixels[class_id] for class_id in names])
    present, labelled = int((pixels > 0).sum()), int(pixels.sum())
    split = Proposed(
        "evaluation.split", judging, "nothing is tuned on it" if judging == "test" else "there is no test split"
    )
    if not labelled:
        return [split]
    largest = int(pixels.argmax())
    majority = float(pixels[largest] / labelled)
    gain = round(min(_USUAL_GAIN, _PART_OF_THE_REST * (1 - majority)), 4)
    constant_iou = majority / present
    least = round(min(_TIMES_THE_CONSTANT * constant_iou, _HIGHEST_IOU), 2)
    name = [*names.values()][largest]
    right = share(int(pixels[largest]), labelled)
    said = f"the least lead over answering {name} everywhere, which is right on {right} of the pixels that judge"
    return [
        split,
        Proposed("evaluation.min_accuracy_gain", gain, said),
        Proposed(
            "evaluation.min_mean_iou",
            least,
            f"{_TIMES_THE_CONSTANT:g} times the {constant_iou:.3f} of that answer, which keeps out what learnt nothing",
        ),
    ]


def _judged(survey: Survey, slice_string: str) -> SplitSummary:
    """Returns the summary of the split that a slice is of, or of all where that was not looked at."""
    return survey.statistics.splits.get(slice_string.partition("[")[0]) or survey.whole
