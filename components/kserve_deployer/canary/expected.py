"""How much the masks of two models may differ when both are as good as they were measured to be.

Where two models differ in a pixel, at least one of them is wrong there. So the share of pixels in which they differ is
at most the sum of their shares of wrong pixels, (1 - a₁) + (1 - a₂) with the accuracies of the evaluation. That holds
for the pixels that the accuracies were measured on; `MARGIN` is for other images, and for masks at their own size.
"""

from typing import Final

from components.kserve_deployer.canary.verdict import ExpectedDifference
from components.model_pusher.files import opened
from components.model_pusher.push import PushRecord
from components.model_pusher.version_store import version_directory
from trainer_module import features
from trainer_module.model_card import ModelCard

MARGIN: Final = 0.02

_ACCURACY: Final = "accuracy"
_CARD: Final = f"{features.ASSETS_DIRECTORY}/{features.MODEL_CARD_ASSET}"


def expected_difference(
    push_destination: str, stable: str, canary: str, max_difference: float | None
) -> ExpectedDifference:
    """Returns the greatest share of pixels in which two versions may differ, or why it is not known.

    Args:
      push_destination: Directory or URI that has both.
      stable: A version.
      canary: The other.
      max_difference: What is set, 0…1; None where the versions are to say it.
    """
    one, other = (_directory(push_destination, version) for version in (stable, canary))
    classes, others = _class_names(one), _class_names(other)
    if classes and others and classes != others:
        return ExpectedDifference(
            None, f"the canary has the classes {list(others)}, the stable version {list(classes)}: decide yourself"
        )
    if max_difference is not None:
        return ExpectedDifference(max_difference)
    accuracies = [_accuracy(directory) for directory in (one, other)]
    wrong = [1 - accuracy for accuracy in accuracies if accuracy is not None]
    if len(wrong) < len(accuracies):
        unknown = [directory for directory, accuracy in zip((one, other), accuracies, strict=True) if accuracy is None]
        return ExpectedDifference(
            None,
            f"how much they may differ is not known, since {' and '.join(unknown)} cannot be asked for the accuracy; "
            "set push.kserve.watch.max_difference, a share of pixels such as 0.15",
        )
    return ExpectedDifference(min(1.0, sum(wrong) + MARGIN))


def _directory(push_destination: str, version: str) -> str:
    """Returns where a version is: among the pushed ones, or, once it is none of those kept, where KServe reads it."""
    own = version_directory(push_destination, int(version)) if version.isdecimal() else f"{push_destination}/{version}"
    return own if PushRecord.of(own) is not None else f"{push_destination}/.kserve/{version}-only/{version}"


def _accuracy(directory: str) -> float | None:
    record = PushRecord.of(directory)
    return record.metrics.get(_ACCURACY) if record else None


def _class_names(directory: str) -> tuple[str, ...]:
    """Returns the names of a version's classes; none where it does not say."""
    try:
        with opened(f"{directory}/{_CARD}") as file:
            return ModelCard.parse(file.read()).class_names
    except (OSError, ValueError):
        return ()
