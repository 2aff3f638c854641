"""Examines the examples on Beam, decides what is done about the findings, and hands on the examples that are left."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import apache_beam as beam
import numpy as np
import tensorflow as tf
from absl import logging
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils

from components.artifact_properties import (
    CLASS_PIXELS,
    DATASET_NAME,
    DATASET_VERSION,
    DATE_RANGES,
    DROPPED_EXAMPLES,
    FINDING_COUNTS,
    NOT_LABELLED_PIXELS,
    REFERENCE_DATASET,
    SHARED_IMAGES,
    SPLIT_COUNTS,
    SPLIT_DIGESTS,
)
from components.data_statistics import DataStatistics
from components.example_counts import check_count, count_records, expected_count
from components.image_digests import IMAGES_FILE, KnownImage, images_csv
from components.refused_data import refused_directory
from components.segmentation_validator.comparison import Defect, Roster, equal_images, near_images
from components.segmentation_validator.examination import DIGEST_BYTES
from components.segmentation_validator.findings import FINDINGS_FILE, written_findings
from components.segmentation_validator.handing_on import SplitChange, hand_on
from components.segmentation_validator.kinds import Kind
from components.segmentation_validator.records import Examiner, read_examined
from components.segmentation_validator.settings import Policy, ValidatorSettings
from components.segmentation_validator.thumbnails import chosen, drawn, examples_at
from components.segmentation_validator.verdict import (
    Verdict,
    absent_classes,
    check,
    shared_images,
    summary_line,
    unlabelled_splits,
)
from components.tfds_example_gen.splits import separate_splits

EXAMPLES_KEY: Final = "examples"
CHECKED_EXAMPLES_KEY: Final = "checked_examples"
FINDINGS_KEY: Final = "findings"
SETTINGS_KEY: Final = "settings"

_HANDED_ON: Final = (DATASET_NAME, DATASET_VERSION, DATE_RANGES, SPLIT_DIGESTS)
_OF_REFERENCE: Final = (REFERENCE_DATASET, SPLIT_DIGESTS)
"""What the findings say, too, where there is a reference set, for whoever sees to it that it stays as it is."""


class Executor(base_beam_executor.BaseBeamExecutor):
    """SegmentationValidator's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the findings and the checked examples.

        Raises:
          DataError: There is a finding that is refused, or too many examples would be dropped; the findings are left
            beside the component's artifacts, where the message says. Or Beam lost examples.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        settings = ValidatorSettings.model_validate_json(exec_properties[SETTINGS_KEY])
        examples = artifact_utils.get_single_instance(input_dict[EXAMPLES_KEY])
        checked = artifact_utils.get_single_instance(output_dict[CHECKED_EXAMPLES_KEY])
        findings = artifact_utils.get_single_instance(output_dict[FINDINGS_KEY])
        splits = artifact_utils.decode_split_names(examples.split_names)
        sources = {split: artifact_utils.get_split_uri([examples], split) for split in splits}

        examined = self._examine(sources, examples, settings)
        verdict = _verdict(examined, settings)
        statistics, changes, images = _summed_up(examined, verdict, settings)
        absent = [] if settings.policies[Kind.ABSENT_CLASS] is Policy.IGNORE else absent_classes(statistics)
        verdict = Verdict([*verdict.defects, *absent], verdict.policies, verdict.examples)

        refusals = [*verdict.refusals(settings.max_dropped_share), *unlabelled_splits(statistics)]
        directory = refused_directory(findings.uri, self._context) if refusals else findings.uri
        _write_findings(directory, verdict, statistics, sources, settings, refusals)
        for defect in verdict.defects:
            logging.warning("%s %s: %s: %s", defect.split, defect.file_name, defect.kind, defect.detail)
        check(refusals, f"{directory}/{FINDINGS_FILE}")
        _write(findings.uri, {IMAGES_FILE: images_csv(images).encode()})

        checked.split_names = examples.split_names
        targets = {split: artifact_utils.get_split_uri([checked], split) for split in splits}
        hand_on(sources, targets, changes, self._make_beam_pipeline)
        counts = {split: verdict.remaining(split) for split in splits}
        for split in (split for split in splits if changes[split].is_any):
            check_count(f"checked examples of the split {split!r}", count_records(targets[split]), counts[split])
        _describe(checked, examples, counts, statistics, verdict)
        findings.set_string_custom_property(FINDING_COUNTS, json.dumps(verdict.counts))
        findings.set_int_custom_property(DROPPED_EXAMPLES, verdict.num_dropped)
        if reference := examples.get_string_custom_property(REFERENCE_DATASET):
            checked.set_string_custom_property(REFERENCE_DATASET, reference)
            for name in _OF_REFERENCE:
                findings.set_string_custom_property(name, examples.get_string_custom_property(name))
        logging.info("Findings: %s", summary_line(verdict.counts, verdict.num_dropped))

    def _examine(
        self, sources: Mapping[str, str], examples: types.Artifact, settings: ValidatorSettings
    ) -> dict[str, str]:
        """Examines all examples on Beam; returns split name to the directory of what `read_examined` reads.

        Raises:
          DataError: Beam lost examples.
        """
        targets = {split: f"{self._get_tmp_dir()}/examined/Split-{split}" for split in sources}
        examine = Examiner(settings)
        with self._make_beam_pipeline() as pipeline:
            for split, source in sources.items():
                (
                    pipeline
                    | f"Read[{split}]" >> beam.io.ReadFromTFRecord(f"{source}/*")
                    | f"Examine[{split}]" >> beam.Map(lambda record: examine(record).to_bytes())
                    | f"Write[{split}]" >> beam.io.WriteToTFRecord(f"{targets[split]}/examined")
                )
        for split, target in targets.items():
            if (expected := expected_count(examples, [split])) is not None:
                check_count(f"examined examples of the split {split!r}", count_records(target), expected)
        return targets


def _verdict(examined: Mapping[str, str], settings: ValidatorSettings) -> Verdict:
    """Returns the findings of the examples, split by split in their order, then those between them."""
    rosters, defects = {}, []
    for split, directory in examined.items():
        ids, names, digests, hashes, contrasts = [], [], [], [], []
        for example in read_examined(directory):
            found = example.examination
            ids.append(example.example_id)
            names.append(example.file_name)
            digests.append(int.from_bytes(found.digest, "little"))
            hashes.append(found.perceptual_hash)
            contrasts.append(found.contrast)
            defects += [
                Defect(finding.kind, split, example.example_id, example.file_name, finding.detail)
                for finding in found.findings
            ]
        arrays = np.array(digests, f"u{DIGEST_BYTES}"), np.array(hashes, np.uint64), np.array(contrasts, np.float32)
        rosters[split] = Roster(split, ids, names, *arrays)
    separate = separate_splits(settings.evaluation_split)
    defects += equal_images(rosters, separate)
    if any(settings.policies[kind] is not Policy.IGNORE for kind in (Kind.NEAR_DUPLICATE, Kind.NEAR_SHARED_IMAGE)):
        defects += near_images(rosters, separate, settings.near_duplicate_distance)
    counted = [defect for defect in defects if settings.policies[defect.kind] is not Policy.IGNORE]
    return Verdict(counted, settings.policies, {split: len(roster.digests) for split, roster in rosters.items()})


def _summed_up(
    examined: Mapping[str, str], verdict: Verdict, settings: ValidatorSettings
) -> tuple[DataStatistics, dict[str, SplitChange], dict[str, list[KnownImage]]]:
    """Returns of the examples that are left the statistics, what changes in each split, and the images."""
    statistics, changes = DataStatistics(settings.class_names), {}
    images: dict[str, list[KnownImage]] = {split: [] for split in examined}
    for split, directory in examined.items():
        dropped, changes_masks = verdict.dropped[split], False
        for example in read_examined(directory):
            if example.example_id in dropped:
                continue
            images[split].append(KnownImage(example.examination.digest.hex(), example.file_name))
            if example.examination.class_pixels:
                statistics.add(split, example.examination, example.labels)
                changes_masks |= example.has_changed_mask
        changes[split] = SplitChange(frozenset(dropped), changes_masks)
    return statistics, changes, images


def _write_findings(
    directory: str,
    verdict: Verdict,
    statistics: DataStatistics,
    sources: Mapping[str, str],
    settings: ValidatorSettings,
    refusals: list[str],
) -> None:
    pictured = chosen(verdict.defects)
    examples = examples_at(sources, _places(pictured))
    shown, pictures = drawn(pictured, examples, settings.mask_values)
    texts = written_findings(verdict, statistics.to_json(), shown, refusals)
    _write(directory, {**pictures, **{name: text.encode() for name, text in texts.items()}})


def _write(directory: str, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = f"{directory}/{name}"
        tf.io.gfile.makedirs(path.rpartition("/")[0])
        with tf.io.gfile.GFile(path, "wb") as file:
            file.write(content)


def _places(defects: list[Defect]) -> Iterator[Any]:
    for defect in defects:
        yield defect.place
        if defect.partner:
            yield defect.partner


def _describe(
    checked: types.Artifact,
    examples: types.Artifact,
    counts: Mapping[str, int],
    statistics: DataStatistics,
    verdict: Verdict,
) -> None:
    """Writes the properties of the checked examples."""
    for name in _HANDED_ON:
        checked.set_string_custom_property(name, examples.get_string_custom_property(name))
    facts = {
        SPLIT_COUNTS: counts,
        CLASS_PIXELS: {split: summary.class_pixels.tolist() for split, summary in statistics.splits.items()},
        NOT_LABELLED_PIXELS: {split: summary.ignored_pixels for split, summary in statistics.splits.items()},
        SHARED_IMAGES: shared_images(verdict.defects),
    }
    for name, fact in facts.items():
        checked.set_string_custom_property(name, json.dumps(fact))
