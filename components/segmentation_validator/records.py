"""What is kept of each example between the pass over the data and the decision: an `Examination`, without its mask."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

import tensorflow as tf

from components.segmentation_validator.examination import Examination, Limits, MaskMeaning, examine
from components.segmentation_validator.kinds import UNUSABLE, Finding, Kind
from components.segmentation_validator.settings import ValidatorSettings
from trainer_module import features
from trainer_module.errors import DataError


@dataclass(frozen=True)
class ExaminedExample:
    """One example of a split."""

    example_id: str
    file_name: str
    labels: Mapping[str, str]
    """Slice feature to its value as text."""

    has_changed_mask: bool
    """Whether its mask is not the canonical one yet."""

    examination: Examination
    """Without the canonical mask."""

    def to_bytes(self) -> bytes:
        """Returns it as JSON, about 400 bytes."""
        found = {**vars(self.examination), "digest": self.examination.digest.hex(), "canonical_mask": None}
        return json.dumps({**vars(self), "examination": found}).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> Self:
        """Reads what `to_bytes` returned."""
        found = json.loads(text)
        examination = found.pop("examination")
        examination["findings"] = tuple(Finding(Kind(kind), detail) for kind, detail in examination["findings"])
        examination["digest"] = bytes.fromhex(examination["digest"])
        examination["class_pixels"] = tuple(examination["class_pixels"])
        return cls(**found, examination=Examination(**examination))


class Examiner:
    """Examines serialized examples; travels to Beam's workers."""

    def __init__(self, settings: ValidatorSettings) -> None:
        names, background = settings.class_names, settings.background
        background_id = names.index(background) if background in names else None
        self._meaning = MaskMeaning(settings.mask_values, settings.ignore_values, names, background_id)
        self._limits = Limits(
            nearly_blank_share=settings.nearly_blank_share,
            min_side=settings.min_side,
            max_side=settings.max_side,
            max_aspect_ratio=settings.max_aspect_ratio,
        )
        self._slice_features = settings.slice_features

    def __call__(self, serialized: bytes) -> ExaminedExample:
        """Examines one `tf.train.Example` of the data contract."""
        values = tf.train.Example.FromString(serialized).features.feature
        mask = _bytes(values, features.SEGMENTATION_MASK)
        found = examine(_bytes(values, features.IMAGE), mask, self._meaning, self._limits)
        return ExaminedExample(
            example_id=_bytes(values, features.EXAMPLE_ID).decode(errors="replace"),
            file_name=_bytes(values, features.FILE_NAME).decode(errors="replace"),
            labels={name: _text(values[name]) for name in self._slice_features if name in values},
            has_changed_mask=found.canonical_mask not in (None, mask),
            examination=replace(found, canonical_mask=None),
        )


def checked_example(example: tf.train.Example, meaning: MaskMeaning) -> tf.train.Example:
    """Returns an example with its canonical mask, as SegmentationValidator hands on those that it finds nothing in.

    Raises:
      DataError: Image and mask cannot be used together, or the mask has undeclared values.
    """
    values = example.features.feature
    found = examine(_bytes(values, features.IMAGE), _bytes(values, features.SEGMENTATION_MASK), meaning)
    for finding in found.findings:
        if finding.kind in UNUSABLE:
            example_id, name = (
                _bytes(values, feature).decode(errors="replace")
                for feature in (features.EXAMPLE_ID, features.FILE_NAME)
            )
            raise DataError(f"record {example_id!r} (file {name!r}): {finding.detail}.")
    checked = tf.train.Example()
    checked.CopyFrom(example)
    checked.features.feature[features.SEGMENTATION_MASK].bytes_list.value[0] = found.canonical_mask
    return checked


def read_examined(directory: str) -> Iterator[ExaminedExample]:
    """Yields the examples of a split, as Beam wrote them to the files of a directory, in their order."""
    files = sorted(tf.io.gfile.glob(f"{directory}/*"))
    for record in tf.data.TFRecordDataset(files).as_numpy_iterator():
        yield ExaminedExample.from_bytes(record)


def _bytes(values: Mapping[str, tf.train.Feature], name: str) -> bytes:
    return values[name].bytes_list.value[0]


def _text(feature: tf.train.Feature) -> str:
    [value] = getattr(feature, feature.WhichOneof("kind")).value
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
