"""The frozen reference set: one more split, of another data set, and what is refused for one."""

import json

import pytest
import tensorflow as tf
from component_battery import execute
from growing_tiles import FrozenTiles, OtherTiles, prepared

from components.tfds_example_gen.component import TfdsExampleGen, fingerprint
from components.tfds_example_gen.reading import SplitReader
from components.tfds_example_gen.source import TfdsSource
from trainer_module.errors import ConfigError, DataError

SPLITS = {"train": "train[:-5]", "eval": "train[-5:]", "test": "test"}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("reference")
    prepared(directory, "1.0.0", "1.1.0")
    prepared(directory, "1.0.0", builder=FrozenTiles)
    return prepared(directory, "1.0.0", builder=OtherTiles)


@pytest.fixture
def source(data_dir):
    def make(reference="frozen_tiles:1.0.0", slice_="test", **fields):
        defaults = {
            "dataset": "growing_tiles:1.*.*", "data_dir": data_dir, "download": False, "builder_modules": (),
            "image_feature": "image", "mask_feature": "segmentation_mask", "slice_features": ("site",),
            "evaluation_split": "test", "reference": reference, "reference_slice": slice_,
        }  # fmt: skip
        return TfdsSource(**defaults | fields)

    return make


def test_its_examples_are_one_more_split_whose_ids_are_no_other_example_s(source, tmp_path):
    given = source(window="40d", window_splits=("train", "eval"))
    example_gen = TfdsExampleGen(given, SPLITS)
    examples = execute(example_gen, tmp_path, {}, **fingerprint(example_gen.exec_properties))["examples"]
    assert json.loads(examples.split_names) == ["train", "eval", "test", "reference"]
    read = SplitReader.open(given, SPLITS)
    counts, digests = (
        json.loads(examples.get_string_custom_property(name)) for name in ("split_counts", "split_digests")
    )
    assert counts["reference"] == 7, "it is read whole, whatever the window"
    assert (counts, digests) == (read.counts(), read.digests())
    assert examples.get_string_custom_property("reference_dataset") == "frozen_tiles/1.0.0 test"
    files = [str(file) for file in (tmp_path / "examples" / "Split-reference").iterdir()]
    records = [*tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()]
    values = [tf.train.Example.FromString(record).features.feature for record in records]
    assert [each["example_id"].bytes_list.value[0].decode() for each in values] == [
        f"reference/frozen_tiles-test.tfrecord-00000-of-00001__{place}" for place in range(7)
    ]
    assert [example.features.feature["site"] for example in read.examples("reference")] == [
        each["site"] for each in values
    ]


def test_the_fingerprint_goes_by_it(source):
    found = [fingerprint(TfdsExampleGen(given, SPLITS).exec_properties) for given in (source(), source(slice_="train"))]
    none = source().model_copy(update={"reference": None})
    found.append(fingerprint(TfdsExampleGen(none, SPLITS).exec_properties))
    assert len({str(one) for one in found}) == len(found)


def test_its_digest_is_of_its_examples_and_not_of_new_data(source):
    digest, of_other = (SplitReader.open(source(slice_=slice_), SPLITS).digests() for slice_ in ("test", "train"))
    older = SplitReader.open(source(dataset="growing_tiles:1.0.0"), SPLITS).digests()
    assert digest["reference"] == older["reference"] != of_other["reference"]
    assert digest["train"] != older["train"]


@pytest.mark.parametrize(
    ("reference", "slice_", "error", "message"),
    [
        (
            "other_tiles:1.0.0",
            "test",
            ConfigError,
            "of other classes: the value 0 is 'thing' there and 'ground' in grow",
        ),
        ("frozen_tiles:1.0.0", "validation", ConfigError, r"reference_split: .* has no split 'validation'"),
        ("frozen_tiles:1.0.0", "test[:0]", DataError, "evaluation.reference_split: .* holds no example"),
        ("lost_tiles:1.0.0", "test", ConfigError, "evaluation.reference = 'lost_tiles:1.0.0': .*lost_tiles"),
        ("frozen_tiles:7.0.0", "test", ConfigError, "evaluation.reference = 'frozen_tiles:7.0.0': "),
    ],
)
def test_what_is_no_reference_set_of_this_data_is_refused(source, reference, slice_, error, message):
    with pytest.raises(error, match=message):
        SplitReader.open(source(reference, slice_), SPLITS)
