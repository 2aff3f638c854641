"""What is found in Oxford-IIIT Pet, whose blank masks are known by name."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from components.segmentation_validator.comparison import Roster, near_images
from components.segmentation_validator.examination import MaskMeaning, examine
from components.segmentation_validator.kinds import Kind
from components.tfds_example_gen.splits import separate_splits

PETS128 = Path(__file__).parents[5] / "shared" / "data" / "pets128"
MEANING = MaskMeaning((1, 2, 3), (), ("pet", "background", "border"), background=1)
BLANK = {
    "train": {
        "Egyptian_Mau_162", "Egyptian_Mau_165", "Egyptian_Mau_196", "saint_bernard_15", "saint_bernard_108",
        "leonberger_18", "miniature_pinscher_14",
    },
    "test": {"Egyptian_Mau_20", "saint_bernard_60", "keeshond_7", "japanese_chin_199", "Persian_259"},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not PETS128.is_dir(), reason="needs the real data in ../shared/data/pets128")
def test_the_blank_masks_are_found_and_the_pictures_that_train_and_test_share():
    builder = tfds.builder("oxford_iiit_pet", data_dir=PETS128)
    encoded = {name: tfds.decode.SkipDecoding() for name in ("image", "segmentation_mask")}
    found: dict[str, dict[Kind, set[str]]] = {}
    rosters = {}
    for split in BLANK:
        names, digests, hashes, contrasts = [], [], [], []
        for record in tfds.as_numpy(builder.as_dataset(split=split, decoders=encoded)):
            examination = examine(record["image"], record["segmentation_mask"], MEANING)
            names.append(record["file_name"].decode().removesuffix(".jpg"))
            digests.append(int.from_bytes(examination.digest, "little"))
            hashes.append(examination.perceptual_hash)
            contrasts.append(examination.contrast)
            for finding in examination.findings:
                found.setdefault(split, {}).setdefault(finding.kind, set()).add(names[-1])
        arrays = np.array(digests, np.uint64), np.array(hashes, np.uint64), np.array(contrasts, np.float32)
        rosters[split] = Roster(split, names, names, *arrays)
    assert found == {split: {Kind.BLANK_MASK: names} for split, names in BLANK.items()}, "these and nothing else"

    near = [*near_images(rosters, separate_splits("test"), 4)]
    shared = {(each.file_name, each.partner.example_id) for each in near if each.kind is Kind.NEAR_SHARED_IMAGE}
    assert len(shared) == 16
    assert {("keeshond_152", "keeshond_99"), ("japanese_chin_188", "japanese_chin_78")} <= shared
    assert sum(each.kind is Kind.NEAR_DUPLICATE for each in near) == 14
