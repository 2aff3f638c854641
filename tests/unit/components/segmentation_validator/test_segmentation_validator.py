"""The component on examples with one defect of each kind."""

import csv
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from component_battery import CODE_DIGEST, artifact, check_component, execute, given
from PIL import Image
from tfx.types.standard_artifacts import Examples

from components.data_statistics import DataStatistics
from components.image_digests import read_images
from components.segmentation_validator.artifact import SegmentationFindings
from components.segmentation_validator.component import SegmentationValidator
from components.segmentation_validator.findings import FindingsSummary
from components.segmentation_validator.kinds import Kind
from components.segmentation_validator.settings import Policy, ValidatorSettings
from trainer_module.errors import DataError

SIZE = (40, 60)


def settings(**policies):
    return ValidatorSettings(
        class_names=("ground", "tree"), mask_values=(0, 7), background="ground", slice_features=("site",),
        evaluation_split="test", policies={kind: Policy(policies.get(kind, "warn")) for kind in Kind},
        nearly_blank_share=0.995, min_side=32, max_side=8192, max_aspect_ratio=4.0, near_duplicate_distance=4,
        max_dropped_share=0.5, code_digest=CODE_DIGEST,
    )  # fmt: skip


def component(**policies):
    return SegmentationValidator(examples=given(Examples), settings=settings(**policies))


def photo(seed, quality=90):
    """Returns a smooth picture, that of another seed looks different."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize(SIZE[::-1], Image.Resampling.BICUBIC).save(file, "JPEG", quality=quality)
    return file.getvalue()


def mask(*values, dtype=np.uint8):
    file = io.BytesIO()
    Image.fromarray(np.resize(np.array(values, dtype), SIZE)).save(file, "PNG")
    return file.getvalue()


GOOD = mask(0, 7)
TRAIN = {
    "good.jpg": (photo(1), GOOD),
    "blank.jpg": (photo(2), mask(0)),
    "deep.jpg": (photo(3), mask(0, 7, dtype=np.uint16)),
    "again.jpg": (photo(1), GOOD),
    "resaved.jpg": (photo(1, quality=60), GOOD),
    "=cut off.jpg": (photo(4)[:-300], GOOD),
}
TEST = {"held_out.jpg": (photo(5), mask(7)), "leaked.jpg": (photo(3), GOOD)}


@pytest.fixture
def examples(tmp_path):
    def write(**splits):
        for split, images in splits.items():
            directory = tmp_path / "examples" / f"Split-{split}"
            directory.mkdir(parents=True)
            with tf.io.TFRecordWriter(f"{directory}/data_tfrecord-00000-of-00001.gz", "GZIP") as writer:
                for name, (image, encoded_mask) in images.items():
                    values = {
                        "image": image, "segmentation_mask": encoded_mask, "example_id": f"id of {name}".encode(),
                        "file_name": name.encode(), "site": b"north",
                    }  # fmt: skip
                    feature = {key: tf.train.Feature(bytes_list={"value": [value]}) for key, value in values.items()}
                    writer.write(tf.train.Example(features={"feature": feature}).SerializeToString())
        made = artifact(
            Examples, tmp_path / "examples", dataset_name="trees", dataset_version="1.0.0", split_digests="{}",
            split_counts=json.dumps({split: len(images) for split, images in splits.items()}),
        )  # fmt: skip
        made.split_names = json.dumps([*splits])
        return {"examples": made}

    return write


def written(directory, split):
    """Returns file name to image and mask, of the checked examples."""
    files = [str(file) for file in sorted((directory / "checked_examples" / f"Split-{split}").iterdir())]
    found = {}
    for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        name, *values = (
            tf.train.Example.FromString(record).features.feature[key].bytes_list.value[0]
            for key in ("file_name", "image", "segmentation_mask")
        )
        found[name.decode()] = tuple(values)
    return found


def listed(file):
    return [(row["split"], row["file_name"], row["kind"], row["action"]) for row in csv.DictReader(file.open())]


def test_it_is_a_component_as_all_are():
    check_component(
        component(),
        module="components.segmentation_validator.executor",
        outputs={"checked_examples": Examples, "findings": SegmentationFindings},
    )


def test_its_artifact_is_found_by_the_name_that_kubeflow_gives_it():
    import components

    assert components.SegmentationFindings is SegmentationFindings
    assert SegmentationFindings.TYPE_NAME == "components.SegmentationFindings"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        components.Nothing  # noqa: B018


def test_the_images_that_are_left_are_listed_by_their_bytes(examples, tmp_path):
    outputs = execute(component(unreadable_image="drop", duplicate="drop"), tmp_path, examples(train=TRAIN, test=TEST))
    listed = read_images((tmp_path / "findings" / "images.csv").read_bytes())
    names = {split: [image.file_name for image in images] for split, images in listed.items()}
    assert names == {"train": ["good.jpg", "blank.jpg", "deep.jpg", "resaved.jpg"], "test": [*TEST]}
    digests = {image.file_name: image.digest for images in listed.values() for image in images}
    assert len({*digests.values()}) == len(digests) - 1
    assert digests["deep.jpg"] == digests["leaked.jpg"]
    assert outputs["findings"].get_string_custom_property("reference_dataset") == ""


def test_a_reference_set_shares_no_image_with_what_is_learnt_from_and_its_name_goes_on(examples, tmp_path):
    splits = {"train": {"a.jpg": (photo(1), GOOD)}, "eval": {"b.jpg": (photo(2), GOOD)}, "test": TEST}
    inputs = examples(**splits, reference={"b too.jpg": (photo(2), GOOD), **TEST})
    made = inputs["examples"]
    made.set_string_custom_property("reference_dataset", "tiles/1.0.0 test")
    made.set_string_custom_property("split_digests", '{"reference": "d"}')
    with pytest.raises(DataError, match=r"1 image in two splits: 'b.jpg' of eval: .* as 'b too.jpg' of .* 'reference'"):
        execute(component(shared_image="fail"), tmp_path / "refused", inputs)
    outputs = execute(component(), tmp_path / "told", inputs)
    for name in ("reference_dataset", "split_digests"):
        told = {outputs[key].get_string_custom_property(name) for key in ("findings", "checked_examples")}
        assert told == {made.get_string_custom_property(name)}


def test_every_finding_is_listed_and_bad_examples_are_dropped(examples, tmp_path):
    inputs = examples(train=TRAIN, test=TEST)
    outputs = execute(component(unreadable_image="drop", duplicate="drop"), tmp_path, inputs)
    findings = tmp_path / "findings"
    assert sorted(listed(findings / "findings.csv")) == [
        ("test", "held_out.jpg", "one_class_mask", "warn"),
        ("train", "'=cut off.jpg", "unreadable_image", "drop"),
        ("train", "again.jpg", "duplicate", "drop"),
        ("train", "blank.jpg", "blank_mask", "warn"),
        ("train", "deep.jpg", "shared_image", "warn"),
        ("train", "resaved.jpg", "near_duplicate", "warn"),
    ]

    left = written(tmp_path, "train")
    assert [*left] == ["good.jpg", "blank.jpg", "deep.jpg", "resaved.jpg"], "in their order"
    assert left["good.jpg"] == TRAIN["good.jpg"]
    image, canonical = left["deep.jpg"]
    assert (image, canonical[24:26]) == (TRAIN["deep.jpg"][0], bytes([8, 0])), "8 bits of gray"
    np.testing.assert_array_equal(tf.io.decode_png(canonical), tf.io.decode_png(GOOD))
    assert written(tmp_path, "test") == TEST

    checked, properties = outputs["checked_examples"], outputs["findings"]
    told = {
        name: json.loads(checked.get_string_custom_property(name))
        for name in ("split_counts", "class_pixels", "not_labelled_pixels", "shared_images")
    }
    half = SIZE[0] * SIZE[1] // 2
    assert told == {
        "split_counts": {"train": 4, "test": 2},
        "class_pixels": {"train": [5 * half, 3 * half], "test": [half, 3 * half]},
        "not_labelled_pixels": {"train": 0, "test": 0},
        "shared_images": [["train", "test", 1]],
    }
    assert checked.get_string_custom_property("dataset_name") == "trees"
    assert properties.get_int_custom_property("dropped") == 2
    assert json.loads(properties.get_string_custom_property("finding_counts"))["blank_mask"] == 1

    statistics = DataStatistics.from_json((findings / "statistics.json").read_bytes(), "here")
    assert statistics.splits["train"].values == {"site": {"north": 4}}
    summary = FindingsSummary.read(findings)
    assert (summary.examples, summary.dropped) == ({"train": 6, "test": 2}, {"train": 2, "test": 0})
    pictures = {shown.name: [*shown.pictures] for shown in summary.shown}
    assert pictures == {
        "=cut off.jpg": [], "blank.jpg": ["image", "mask over image"], "held_out.jpg": ["image", "mask over image"],
        "deep.jpg": ["image", "other image"], "again.jpg": ["image", "other image"],
        "resaved.jpg": ["image", "other image"],
    }  # fmt: skip
    for shown in summary.shown:
        for file in shown.pictures.values():
            assert max(Image.open(findings / file).size) == max(SIZE)


def test_what_nobody_wants_to_know_is_not_told_and_examples_without_changes_are_the_same_files(examples, tmp_path):
    train = {name: TRAIN[name] for name in ("good.jpg", "blank.jpg", "again.jpg", "resaved.jpg")}
    execute(component(**dict.fromkeys(Kind, "ignore")), tmp_path, examples(train=train, test=TEST))
    assert listed(tmp_path / "findings" / "findings.csv") == []
    for split in ("train", "test"):
        [before], [after] = (
            (tmp_path / name / f"Split-{split}").iterdir() for name in ("examples", "checked_examples")
        )
        assert after.read_bytes() == before.read_bytes()
        assert after.samefile(before), "a link takes no space"


def test_refused_data_leaves_all_findings(examples, tmp_path):
    directory = tmp_path / "SegmentationValidator"
    with pytest.raises(DataError, match=r"1 blank mask: 'blank\.jpg' of train: all labelled .* \"drop\"\. ") as refused:
        execute(component(blank_mask="fail", unreadable_image="drop"), directory, examples(train=TRAIN, test=TEST))
    [file] = tmp_path.rglob("findings.csv")
    assert str(refused.value).endswith(f"All findings: {file}")
    assert directory not in file.parents, "what is an artifact is removed"
    assert len(listed(file)) == 6
    assert FindingsSummary.read(file.parent).refusals == (str(refused.value).partition(". All findings")[0],)
    assert not any(path.is_file() for path in (directory / "checked_examples").rglob("*"))


def test_examples_that_beam_lost_are_missed(examples, tmp_path):
    inputs = examples(train=TRAIN, test=TEST)
    inputs["examples"].set_string_custom_property("split_counts", '{"train": 7, "test": 2}')
    with pytest.raises(DataError, match="examined examples of the split 'train': 6 examples, of 7"):
        execute(component(unreadable_image="drop"), tmp_path, inputs)
