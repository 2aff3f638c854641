"""Splits that a hash makes: where images belong, that they stay there, and what cannot be parted."""

import itertools
import json
import random

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from component_battery import execute
from growing_tiles import COUNTS, prepared
from tfx.components.example_gen import base_example_gen_executor
from tfx.proto import example_gen_pb2

from components.tfds_example_gen.component import TfdsExampleGen, fingerprint
from components.tfds_example_gen.conversion import encoded_reading
from components.tfds_example_gen.hash_split import HashSplit
from components.tfds_example_gen.parting import Parting, digest_of, positions_of
from components.tfds_example_gen.reading import SplitReader
from components.tfds_example_gen.source import TfdsSource, open_dataset
from trainer_module.errors import ConfigError, DataError

SHARES = {"train": 6, "eval": 2, "test": 2}
SPLITS = dict.fromkeys(SHARES, "train+test")
VERSIONS = tuple(COUNTS)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("growing"), *VERSIONS)


@pytest.fixture
def source(data_dir):
    def make(version=VERSIONS[0], *, by="image", of="train+test", shares=SHARES, **fields):
        defaults = {
            "dataset": f"growing_tiles:{version}", "data_dir": data_dir, "download": False, "builder_modules": (),
            "image_feature": "image", "mask_feature": "segmentation_mask", "slice_features": ("site",),
            "evaluation_split": "test", "window_splits": ("train", "eval"),
        }  # fmt: skip
        return TfdsSource(**defaults | fields, hash_split=HashSplit(of=of, shares=shares, by=by))

    return make


def names(read):
    """Returns split to the file names in it."""
    return {
        split: [example.features.feature["file_name"].bytes_list.value[0].decode() for example in read.examples(split)]
        for split in read.counts()
    }


def written(directory):
    """Returns split to the file names in the records that the component wrote."""
    found = {}
    for split in directory.glob("Split-*"):
        records = tf.data.TFRecordDataset([str(file) for file in split.iterdir()], "GZIP").as_numpy_iterator()
        features = [tf.train.Example.FromString(record).features.feature for record in records]
        found[split.name.removeprefix("Split-")] = sorted(
            feature["file_name"].bytes_list.value[0].decode() for feature in features
        )
    return found


@pytest.mark.parametrize("by", ["image", "file_name", "site", "patient"])
def test_an_image_stays_in_its_split_however_the_data_grows(source, by):
    shares = {"train": 2, "eval": 1} if by == "site" else SHARES  # three sites
    before = {}
    for version in VERSIONS:
        read = SplitReader.open(
            source(version, by=by, shares=shares, evaluation_split="eval"), dict.fromkeys(shares, "train+test")
        )
        now = {name: split for split, of_split in names(read).items() for name in of_split}
        assert len(now) == COUNTS[version] == sum(read.counts().values())
        assert {name: now[name] for name in before} == before
        before = now


def test_the_digest_of_a_split_changes_with_its_own_examples_alone(source):
    shares = {"train": 70, "eval": 15, "test": 15}
    reads = [SplitReader.open(source(version, shares=shares), SPLITS) for version in VERSIONS]
    contents, digests = [names(read) for read in reads], [read.digests() for read in reads]
    for split in shares:
        for one, other in itertools.combinations(range(len(reads)), 2):
            is_same = sorted(contents[one][split]) == sorted(contents[other][split])
            assert (digests[one][split] == digests[other][split]) == is_same, split
    assert digests[0]["test"] == digests[1]["test"], "which got no tile, and other places in other files"
    examples = reads[0].parted.contents["train"]
    assert digest_of(examples[::-1]) == digests[0]["train"] != digest_of(examples[1:]), "order means nothing"


def test_what_belongs_together_is_in_one_split(source):
    read = SplitReader.open(source(by="patient"), SPLITS)
    patients = [{int(name[5:8]) // 4 for name in of_split} for of_split in names(read).values()]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 10


def test_shares_are_what_becomes_of_many(data_dir):
    builder = tfds.builder("growing_tiles", data_dir=data_dir)
    part = Parting(HashSplit(of="train", shares=SHARES, by="patient"), "image", builder.info.features)
    split_of = [part.of_value(number) for number in range(5000)]
    assert {split: round(split_of.count(split) / 500) for split in SHARES} == SHARES
    reordered = HashSplit(of="train", shares=dict(reversed(SHARES.items())), by="patient")
    part_too = Parting(reordered, "image", builder.info.features)
    assert [part_too.of_value(number) for number in range(5000)] == split_of, "the order of the shares means nothing"


def test_the_rule_is_that_of_tfx(data_dir):
    builder, generator = tfds.builder("growing_tiles", data_dir=data_dir), random.Random(0)
    split = HashSplit(of="train", shares=SHARES, by="file_name")
    part = Parting(split, "image", builder.info.features)
    ends, config = [2, 4, 10], example_gen_pb2.SplitConfig(partition_feature_name="key")
    assert split.buckets == {"eval": 2, "test": 2, "train": 6}
    for value in [generator.randbytes(generator.randrange(30)) for _ in range(300)] + [*range(-300, 300)]:
        kind = {"bytes_list": {"value": [value]}} if isinstance(value, bytes) else {"int64_list": {"value": [value]}}
        example = tf.train.Example(features={"feature": {"key": tf.train.Feature(**kind)}})
        expected = base_example_gen_executor._PartitionFn(example, 3, ends, config)
        assert part.of_value(value) == [*split.buckets][expected]


def test_the_component_writes_what_the_reader_reads(source, tmp_path):
    given = source(by="file_name", window="30d")
    example_gen = TfdsExampleGen(given, SPLITS)
    assert fingerprint(example_gen.exec_properties) == fingerprint(TfdsExampleGen(given, SPLITS).exec_properties)
    examples = execute(example_gen, tmp_path, {}, **fingerprint(example_gen.exec_properties))["examples"]
    read = SplitReader.open(given, SPLITS)
    expected = names(read)
    assert written(tmp_path / "examples") == {split: sorted(of_split) for split, of_split in expected.items()}
    assert all(int(name[5:8]) >= 10 for split in ("train", "eval") for name in expected[split]), "the window"
    assert any(int(name[5:8]) < 10 for name in expected["test"]), "which is not for this split"
    facts = {
        name: json.loads(examples.get_string_custom_property(name))
        for name in ("split_counts", "split_digests", "date_ranges")
    }
    assert facts["split_counts"] == read.counts() == {split: len(of_split) for split, of_split in expected.items()}
    assert [*facts["split_counts"]] == [*SHARES], "in the order in which they are set"
    assert facts["split_digests"] == read.digests()
    assert facts["date_ranges"] == {split: [*days] for split, days in read.dates.ranges().items()}
    assert json.loads(examples.split_names) == sorted(SHARES)


def test_other_shares_or_features_are_another_reading(source):
    found = [
        TfdsExampleGen(source(**fields), SPLITS).exec_properties
        for fields in ({}, {"by": "patient"}, {"shares": SHARES | {"train": 7}}, {"of": "train"})
    ]
    told = [(properties["output_config"], properties["custom_config"]) for properties in found]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"by": "camera"}, ConfigError, r"by: feature 'camera' .* does not exist.*date, file_name, patient, site\."),
        ({"by": "sharpness"}, ConfigError, "'sharpness' .* is a Scalar; what is hashed is 'image'"),
        ({"by": "segmentation_mask"}, ConfigError, "'segmentation_mask' .* is a Image"),
        ({"of": "train+validation"}, ConfigError, r"data.hash_split.of: .* has no split 'train\+validation'"),
        ({"of": "train[:0]"}, DataError, "data.hash_split.of: .* holds no example"),
        (
            {"by": "site", "shares": {"train": 1000, "eval": 1, "test": 1}},
            DataError,
            "of the 40 examples of 'train.test' .* none falls to 'eval', 'test' by the hash of 'site'",
        ),
    ],
)
def test_what_cannot_be_parted_is_said(source, fields, error, message):
    given = source(**fields)
    with pytest.raises(error, match=message):
        SplitReader.open(given, dict.fromkeys(given.hash_split.shares, given.hash_split.of))


def test_slices_are_not_compared_where_a_hash_parts_one(source):
    open_dataset(source(), SPLITS)


@pytest.mark.parametrize("by", ["image", "site"])
def test_positions_are_those_of_the_examples_in_their_order(source, by):
    given = source(by=by, shares={"train": 2, "eval": 1}, evaluation_split="eval")
    read = SplitReader.open(given, dict.fromkeys(given.hash_split.shares, "train+test"))
    every = read.builder.as_dataset(split="train+test", **encoded_reading(given))
    names_in_order = [record["file_name"].decode() for record in tfds.as_numpy(every)]
    for split, of_split in names(read).items():
        found = positions_of(read.builder, given, given.hash_split, "train+test", split)
        assert [name for place, name in enumerate(names_in_order) if place in found] == of_split
    with pytest.raises(DataError, match=r"no example of 'train\[:1\]' .* belongs to the split 'test'"):
        positions_of(read.builder, given, given.hash_split, "train[:1]", "test")
