"""The contract of SegmentationValidator."""

from typing import Any, ClassVar

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.segmentation_validator.artifact import SegmentationFindings
from components.segmentation_validator.executor import (
    CHECKED_EXAMPLES_KEY,
    EXAMPLES_KEY,
    FINDINGS_KEY,
    SETTINGS_KEY,
    Executor,
)
from components.segmentation_validator.settings import ValidatorSettings


class SegmentationValidatorSpec(component_spec.ComponentSpec):
    """SegmentationValidator's inputs, outputs and parameters."""

    PARAMETERS: ClassVar[dict[str, Any]] = {SETTINGS_KEY: component_spec.ExecutionParameter(type=str)}
    INPUTS: ClassVar[dict[str, Any]] = {
        EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS: ClassVar[dict[str, Any]] = {
        CHECKED_EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        FINDINGS_KEY: component_spec.ChannelParameter(type=SegmentationFindings),
    }


class SegmentationValidator(base_beam_component.BaseBeamComponent):
    """Examines every image and mask once; what cannot be used, or is odd, is dropped, told or refused by policy.

    Outputs:
      checked_examples: `Examples` of the same splits, images as they came, masks as PNGs of 8-bit gray. Custom
        properties: those of TfdsExampleGen's, and `class_pixels` (JSON: split name to the pixels of each class) and
        `shared_images` (JSON: lists of two splits that must not share images, and how many they do); `split_counts`
        is of what is left.
      findings: `SegmentationFindings` with `findings.csv`, `summary.json`, `statistics.json`, `images.csv`
        (`components.image_digests`) and thumbnails. Custom properties: `finding_counts` (JSON: kind to number) and
        `dropped` (number of examples left out); with a reference set `reference_dataset` and `split_digests`, too.
    """

    SPEC_CLASS = SegmentationValidatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, *, examples: types.BaseChannel, settings: ValidatorSettings) -> None:
        """Constructs the component.

        Args:
          examples: What TfdsExampleGen wrote.
          settings: What masks mean, and what to do about what is found.
        """
        outputs = {
            CHECKED_EXAMPLES_KEY: types.Channel(type=standard_artifacts.Examples),
            FINDINGS_KEY: types.Channel(type=SegmentationFindings),
        }
        super().__init__(
            spec=SegmentationValidatorSpec(
                **{EXAMPLES_KEY: examples, SETTINGS_KEY: settings.model_dump_json()}, **outputs
            )
        )
