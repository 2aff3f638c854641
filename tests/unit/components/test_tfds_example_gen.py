"""What TfdsExampleGen finds, refuses and converts."""

import io
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image
from tfx.types import standard_artifacts

from components.tfds_example_gen.conversion import ExampleConverter, encoded_reading
from components.tfds_example_gen.duplicates import shared_images
from components.tfds_example_gen.executor import check_duplicates
from components.tfds_example_gen.source import TfdsSource, check_shards, identity, open_dataset
from trainer_module.errors import ConfigError, DataError


class Shapes(tfds.core.GeneratorBasedBuilder):
    """A data set of one's own: other feature names, a PNG mask of its own values, no file names."""

    VERSION = tfds.core.Version("1.2.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "photo": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                    "mask": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
                    "rgb_mask": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
                    "float_mask": tfds.features.Image(shape=(None, None, 1), dtype=np.float32, encoding_format="png"),
                    "kind": tfds.features.ClassLabel(names=["round", "square"]),
                }
            )
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(5), "test": self._generate_examples(3)}

    def _generate_examples(self, count):
        rng = np.random.default_rng(count)
        for index in range(count):
            image = rng.integers(0, 255, (8, 10, 3), dtype=np.uint8)
            mask = rng.choice([0, 7], (8, 10, 1)).astype(np.uint8)
            masks = {"mask": mask, "rgb_mask": image, "float_mask": mask.astype(np.float32)}
            yield index, {"photo": image, **masks, "kind": index % 2}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tfds")
    tfds.builder("shapes", data_dir=directory).download_and_prepare()
    return directory


@pytest.fixture
def source(data_dir):
    def make(**fields):
        defaults = {
            "dataset": "shapes:1.*.*", "data_dir": str(data_dir), "download": False, "builder_modules": (),
            "image_feature": "photo", "mask_feature": "mask", "slice_features": ("kind",), "mask_values": (0, 7),
        }  # fmt: skip
        return TfdsSource(**defaults | fields)

    return make


def _records(source, split="train"):
    builder = open_dataset(source, {"train": split})
    return builder, list(tfds.as_numpy(builder.as_dataset(split=split, **encoded_reading(source))))


def test_a_record_becomes_an_example_with_its_bytes_untouched(source):
    builder, records = _records(source())
    example = ExampleConverter(source(), builder.info.features)(records[1])
    values = example.features.feature
    assert sorted(values) == ["file_name", "image", "kind", "segmentation_mask"]
    assert values["image"].bytes_list.value[0] == records[1]["photo"]
    assert values["segmentation_mask"].bytes_list.value[0] == records[1]["mask"]
    assert values["kind"].bytes_list.value[0] in (b"round", b"square")
    assert values["file_name"].bytes_list.value[0].startswith(b"shapes-train")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dataset": "shapez"}, "knows no data set 'shapez'"),
        ({"dataset": "oxford_iit_pet"}, "Did you mean 'oxford_iiit_pet'"),
        ({"dataset": "shapes:9.0.0"}, "shapes:9.0.0"),
        ({"builder_modules": ("no.such.module",)}, "cannot import 'no.such.module'"),
        ({"mask_feature": "segmentation_mask"}, "'segmentation_mask' .*does not exist.*photo"),
        ({"mask_feature": "kind"}, "'kind' .*is a ClassLabel"),
        ({"mask_feature": "rgb_mask"}, "one channel, whose values are the classes. Where colours stand for classes"),
        ({"mask_feature": "float_mask"}, "'float_mask' .* is of float32, which TFDS stores as the colours of a PNG"),
        ({"image_feature": "float_mask"}, "'float_mask' .* is of float32"),
        ({"slice_features": ("breed",)}, "'breed' is no scalar feature"),
    ],
)
def test_settings_that_do_not_fit_the_data_set_are_refused(source, fields, message):
    with pytest.raises(ConfigError, match=message):
        open_dataset(source(**fields), {"train": "train"})


def test_splits_that_are_missing_or_empty_are_refused(source):
    with pytest.raises(ConfigError, match=r"no split 'validation'.*'train': 5"):
        open_dataset(source(), {"eval": "validation"})
    with pytest.raises(DataError, match=r"'train\[:0%\]'.*no example"):
        open_dataset(source(), {"train": "train[:0%]"})


def test_absent_data_is_not_prepared_without_leave(source, tmp_path):
    with pytest.raises(DataError, match=r"not prepared in .* and data.download is false"):
        open_dataset(source(data_dir=str(tmp_path)), {"train": "train"})


def test_identity_changes_with_the_slice_and_with_the_bytes(source, data_dir, tmp_path):
    builder = open_dataset(source(), {"train": "train"})
    assert identity(builder, ["train"]) == identity(builder, ["train"])
    assert identity(builder, ["train"]) != identity(builder, ["train[:4]"])

    shutil.copytree(data_dir, tmp_path / "copy")
    copy = open_dataset(source(data_dir=str(tmp_path / "copy")), {"train": "train"})
    assert identity(copy, ["train"]) == identity(builder, ["train"]), "another place is no other data"
    (shard,) = (tmp_path / "copy").rglob("*train.tfrecord*")
    content = bytearray(shard.read_bytes())
    content[-10] ^= 1
    shard.write_bytes(content)
    assert identity(copy, ["train"]) != identity(builder, ["train"])


def test_damaged_file_is_named(source, data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / "copy")
    builder = open_dataset(source(data_dir=str(tmp_path / "copy")), {"train": "train"})
    check_shards(builder, ["train", "test"])
    (shard,) = (tmp_path / "copy").rglob("*test.tfrecord*")
    shard.write_bytes(shard.read_bytes()[:-30])
    check_shards(builder, ["train"])
    with pytest.raises(DataError, match=r"shapes-test\.tfrecord.* is damaged"):
        check_shards(builder, ["train", "test"])


def _encoded(shape, value=0):
    return tf.io.encode_png(np.full(shape, value, np.uint8)).numpy()


def _saved(shape, kind, mode="RGB", orientation=None):
    file, exif = io.BytesIO(), Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new(mode, shape[::-1]).save(file, kind, **({"exif": exif} if orientation else {}))
    return file.getvalue()


def _far(jpeg):
    """Moves what is behind the start of a JPEG as far as a segment can."""
    return jpeg[:2] + b"\xff\xe2\xff\xff" + bytes(65533) + jpeg[2:]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"photo": b"no image"}, "record 'shapes-train.*'photo' .8 bytes. is no readable JPEG or PNG"),
        ({"photo": b""}, "'photo' .0 bytes. is no readable"),
        ({"mask": b"no mask"}, "'mask' .7 bytes. is no readable PNG"),
        ({"mask": _encoded((8, 9, 1))}, "image has 8×10 pixels and its mask 8×9"),
        ({"mask": _encoded((8, 10, 1), 9)}, r"values \[9\].*mask_values = \[0, 7\]"),
        ({"mask": _encoded((8, 10, 3))}, r"has colours \(RGB\): .* Map each colour to a value"),
        ({"mask": _encoded((8, 10, 4))}, r"has colours"),
        ({"mask": _saved((8, 10), "JPEG", "L")}, "is a JPEG: its values are not exact. Save the masks as PNG"),
        (
            {"photo": _saved((8, 10), "BMP")},
            "'photo' .* is no readable JPEG or PNG: it is a BMP image, whatever its name",
        ),
        ({"photo": _saved((8, 10), "GIF")}, "it is a GIF image, whatever its name says. .* convert or remove the file"),
        ({"photo": _saved((8, 10), "WEBP")}, "it is a WEBP image"),
        ({"photo": b"<!DOCTYPE html><title>404</title>"}, "it is a text of HTML or XML"),
        ({"photo": _saved((8, 10), "JPEG")[:-40]}, "is no readable JPEG or PNG: it is cut off or damaged"),
        ({"photo": _saved((6000, 6000), "PNG", "1")}, "has more than 33554432 pixels, .*: it has 6000×6000"),
        ({"photo": _saved((1, 70000), "PNG")}, "or more than 65535 on a side: it has 70000×1"),
        (
            {"photo": _saved((10, 8), "JPEG", orientation=6), "mask": _encoded((10, 8, 1))},
            "8×10 pixels and its mask 10×8.*"
            "The EXIF orientation of the image is 6: .* the mask fits the image as it is stored",
        ),
        (
            {"mask": _encoded((10, 8, 1))},
            "mask 10×8.*swapped: was the mask drawn on a copy of the image that EXIF turned",
        ),
        (
            {"photo": _far(_saved((10, 8), "JPEG", orientation=6))},
            "has the EXIF orientation 6 where models do not look",
        ),
    ],
)
def test_records_that_training_could_not_use_are_refused_by_name(source, changes, message):
    builder, records = _records(source())
    with pytest.raises(DataError, match=message):
        ExampleConverter(source(), builder.info.features)(records[0] | changes)


def test_what_can_be_served_is_read(source):
    """The kinds of images that the models' own tests send them."""
    builder, records = _records(source())
    convert = ExampleConverter(source(), builder.info.features)
    kinds = [
        ("JPEG", "CMYK"),
        ("JPEG", "L"),
        ("PNG", "LA"),
        ("PNG", "RGBA"),
        ("PNG", "P"),
        ("PNG", "I;16"),
        ("PNG", "1"),
    ]
    for kind, mode in kinds:
        photo = _saved((8, 10), kind, mode)
        example = convert(records[0] | {"photo": photo})
        assert example.features.feature["image"].bytes_list.value[0] == photo


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_fits_the_image_that_a_viewer_shows(source, orientation):
    builder, records = _records(source())
    stored = (8, 10) if orientation <= 4 else (10, 8)
    record = records[0] | {"photo": _saved(stored, "JPEG", orientation=orientation), "mask": _encoded((8, 10, 1), 7)}
    example = ExampleConverter(source(), builder.info.features)(record)
    assert example.features.feature["segmentation_mask"].bytes_list.value[0] == record["mask"]


def test_masks_of_other_kinds_become_what_the_contract_says(source):
    builder, records = _records(source())
    values = np.random.default_rng(0).choice([0, 7], (8, 10)).astype(np.uint16)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    example = ExampleConverter(source(), builder.info.features)(records[0] | {"mask": file.getvalue()})
    written = example.features.feature["segmentation_mask"].bytes_list.value[0]
    assert written[24:26] == bytes([8, 0]), "8 bits of gray"
    np.testing.assert_array_equal(tf.io.decode_png(written)[..., 0], values)


def test_values_that_decoders_stretch_are_explained(source):
    builder, records = _records(source())
    file = io.BytesIO()
    Image.new("1", (10, 8), 1).save(file, "PNG")
    with pytest.raises(
        DataError, match=r"values \[255\].*1 bit a pixel, which every decoder stretches.*\[1\] are \[255\]"
    ):
        ExampleConverter(source(), builder.info.features)(records[0] | {"mask": file.getvalue()})


def _write_split(directory, images):
    directory.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(directory / "part.gz"), "GZIP") as writer:
        for name, image in images.items():
            values = {"image": image, "file_name": name.encode()}
            feature = {key: tf.train.Feature(bytes_list={"value": [value]}) for key, value in values.items()}
            writer.write(tf.train.Example(features={"feature": feature}).SerializeToString())


@pytest.fixture
def examples(tmp_path):
    """Examples whose test split shares two images with the training split, under other names."""
    artifact = standard_artifacts.Examples()
    artifact.uri, artifact.split_names = str(tmp_path), '["train", "test", "other"]'
    _write_split(tmp_path / "Split-train", {"a": b"1", "b": b"2", "c": b"3"})
    _write_split(tmp_path / "Split-test", {"d": b"3", "e": b"4", "f": b"1"})
    _write_split(tmp_path / "Split-other", {"g": b"", "h": b"33"})
    return artifact


def test_images_that_two_splits_share_are_found_by_their_bytes(examples, tmp_path):
    assert shared_images(f"{tmp_path}/Split-train", f"{tmp_path}/Split-test") == ["d", "f"]
    assert shared_images(f"{tmp_path}/Split-train", f"{tmp_path}/Split-other") == []


def test_a_split_that_has_images_of_the_training_split_is_refused_or_counted(examples, source):
    with pytest.raises(DataError, match=r"2 images of the split 'test' .*: 'd', 'f'\. .*data.duplicates = \"warn\""):
        check_duplicates(examples, source(evaluation_split="test"))
    assert check_duplicates(examples, source(evaluation_split="test", duplicates="warn")) == 2
    assert check_duplicates(examples, source(evaluation_split="other")) == 0
    assert check_duplicates(examples, source(evaluation_split="")) == 0
