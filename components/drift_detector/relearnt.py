"""What must not be learnt from, or must not change: images that were evaluated on before, and the frozen reference set.

A test set rots by images that move into the data that is trained on: the model then knows its questions. And a
reference set that changes says nothing of models that were judged by it before. Nothing here imports TensorFlow.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from components.drift_detector.served import DriftSettings
from components.image_digests import KnownImage
from components.model_pusher.evaluated import evaluated_file, evaluated_images
from components.model_pusher.ledger import Ledger
from components.tfds_example_gen.splits import TRAINED, WATCHED
from trainer_module.features import REFERENCE_SPLIT

_SHOWN: Final = 5


def relearnt_images(
    push_destination: str, images: Mapping[str, Sequence[KnownImage]], settings: DriftSettings
) -> dict[str, list[str]]:
    """Returns the images to be learnt from that models were evaluated on before: split to their file names.

    Splits without any are left out; so is one that is learnt from and decides by the settings.

    Args:
      push_destination: Where the record is.
      images: Split name to its images.
      settings: Say which split decides.

    Raises:
      ModelError: The record cannot be read.
    """
    learnt = [split for split in (TRAINED, WATCHED) if split != settings.evaluation_split and images.get(split)]
    known: Collection[str] = evaluated_images(push_destination) if learnt else ()
    found = {split: [image.file_name for image in images[split] if image.digest in known] for split in learnt}
    return {split: names for split, names in found.items() if names}


def relearnt_refusal(push_destination: str, found: Mapping[str, Sequence[str]]) -> str:
    """Returns why images that were evaluated on may not be learnt from, with the first of them, and what to do."""
    what = "; ".join(
        f"{len(names):,} of {split} ({', '.join(map(repr, names[:_SHOWN]))}{', …' if len(names) > _SHOWN else ''})"
        for split, names in found.items()
    )
    return (
        "images that models were evaluated on before would now be learnt from, so that the next evaluation would be of "
        f"what the model knows: {what}. Mend the splits; let data.hash_split make them, which moves no image when the "
        'data grows; or accept it, with data.duplicates = "warn", or for one run with --reset-baseline. The record of '
        f"what was evaluated on is {evaluated_file(push_destination)}"
    )


def reference_refusal(push_destination: str, reference: str, digests: Mapping[str, str]) -> str:
    """Returns why a reference set is not the one that models were judged by before; empty where it is, or is new.

    Args:
      push_destination: Where the ledger is.
      reference: Data set, version and slice of the reference set; empty where there is none.
      digests: Split name to a digest of its examples.

    Raises:
      ModelError: The ledger cannot be read.
    """
    if not reference:
        return ""
    judged = [trial for trial in Ledger.of(push_destination).trials if trial.origin.reference == reference]
    if not judged or judged[-1].origin.digests.get(REFERENCE_SPLIT) == digests.get(REFERENCE_SPLIT):
        return ""
    by = f" of run {judged[-1].run}" if judged[-1].run else ""
    return (
        f"evaluation.reference: {reference} has other images, masks or labels than when the model{by} was judged by it "
        f"on {judged[-1].at:%Y-%m-%d}, and a frozen reference set stays as it is. Bring its files back, or give what "
        "has changed a version of its own, and name that"
    )
