"""What TfdsExampleGen finds, refuses and converts."""

import json
import shutil
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from component_battery import CODE_DIGEST, check_component, execute
from tfx.types.standard_artifacts import Examples

from components.tfds_example_gen import component, executor
from components.tfds_example_gen.component import TfdsDriver, TfdsExampleGen, fingerprint
from components.tfds_example_gen.conversion import ExampleConverter, encoded_reading
from components.tfds_example_gen.shards import check_shards, identity
from components.tfds_example_gen.source import TfdsSource, open_dataset
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
            "image_feature": "photo", "mask_feature": "mask", "slice_features": ("kind",),
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
    assert sorted(values) == ["example_id", "file_name", "image", "kind", "segmentation_mask"]
    assert values["image"].bytes_list.value[0] == records[1]["photo"]
    assert values["segmentation_mask"].bytes_list.value[0] == records[1]["mask"]
    assert values["kind"].bytes_list.value[0] in (b"round", b"square")
    assert values["example_id"].bytes_list.value[0] == b"shapes-train.tfrecord-00000-of-00001__1"
    assert values["file_name"] == values["example_id"], "this data set has no file names"


SPLITS = {"train": "train[:3]", "eval": "train[3:]", "test": "test"}


def test_it_is_a_component_as_all_are(source):
    check_component(
        TfdsExampleGen(source(code_digest=CODE_DIGEST), SPLITS),
        module="components.tfds_example_gen.executor",
        outputs={"examples": Examples},
        driver=TfdsDriver,
    )


def test_a_run_opens_the_data_set_once_to_identify_and_once_to_read_it(source, tmp_path, monkeypatch):
    opened = []
    for module in (component, executor):
        monkeypatch.setattr(module, "open_dataset", lambda *given: opened.append(given) or open_dataset(*given))
    given = source(evaluation_split="test")
    example_gen = TfdsExampleGen(given, SPLITS)
    found = fingerprint(example_gen.exec_properties)
    assert opened == [(given, SPLITS)]
    examples = execute(example_gen, tmp_path, {}, **found)["examples"]
    assert opened == [(given, SPLITS)] * 2

    facts = {name: examples.get_string_custom_property(name) for name in ("dataset_name", "dataset_version")}
    assert facts == {"dataset_name": "shapes", "dataset_version": "1.2.0"}
    assert json.loads(examples.get_string_custom_property("split_counts")) == {"train": 3, "eval": 2, "test": 3}
    builder, splits = open_dataset(given, SPLITS), ("train", "eval", "test")
    digests = json.loads(examples.get_string_custom_property("split_digests"))
    assert digests == {split: identity(builder, [SPLITS[split]]) for split in splits}
    files = [str(file) for file in (tmp_path / "examples" / "Split-eval").iterdir()]
    written = [
        tf.train.Example.FromString(record).features.feature["example_id"].bytes_list.value[0].decode()
        for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()
    ]
    assert written == [f"shapes-train.tfrecord-00000-of-00001__{place}" for place in (3, 4)]


def test_a_split_that_was_not_written_as_a_whole_is_refused(source, tmp_path, monkeypatch):
    read_from_tfds = tfds.beam.ReadFromTFDS
    monkeypatch.setattr(
        tfds.beam,
        "ReadFromTFDS",
        lambda builder, split, **more: read_from_tfds(builder, "test[1:]" if split == "test" else split, **more),
    )
    example_gen = TfdsExampleGen(source(), SPLITS)
    with pytest.raises(DataError, match="records written of the split 'test': 2 examples, of 3 that are in the data"):
        execute(example_gen, tmp_path, {}, **fingerprint(example_gen.exec_properties))


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
    with pytest.raises(DataError, match=r"'train\[:0%\]'.*no example; the data set has .*TFDS rounds percentages"):
        open_dataset(source(), {"train": "train[:0%]"})
    with pytest.raises(
        DataError, match=r"splits.eval: 'train\[5:\]' of shapes/1.2.0 holds no example; .*'test': 3}\.$"
    ):
        open_dataset(source(), {"eval": "train[5:]"})


def test_absent_data_is_not_prepared_without_leave(source, tmp_path):
    with pytest.raises(DataError, match=r"not prepared in .* and data.download is false"):
        open_dataset(source(data_dir=str(tmp_path)), {"train": "train"})


class Grown(Shapes):
    """Its version is raised between two firings of a schedule."""

    VERSION = tfds.core.Version("1.9.0")


class Kinds(Shapes):
    """Two configurations with versions of their own."""

    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="round", version="1.0.0"),
        tfds.core.BuilderConfig(name="square", version="1.9.0"),
    ]


@pytest.fixture
def raised(source, tmp_path):
    """Returns a function that opens `grown` after 1.9.0 was prepared and the builder's version was raised."""
    kept = vars(Grown).copy()

    def opened(dataset, version="1.10.0", supported=(), **fields):
        Grown.VERSION, Grown.SUPPORTED_VERSIONS = tfds.core.Version("1.9.0"), []
        if not (tmp_path / "grown").exists():
            tfds.builder("grown", data_dir=tmp_path).download_and_prepare()
        Grown.VERSION, Grown.SUPPORTED_VERSIONS = tfds.core.Version(version), [*map(tfds.core.Version, supported)]
        builder = open_dataset(
            source(**{"dataset": dataset, "data_dir": str(tmp_path), "download": True} | fields), {"train": "train"}
        )
        assert builder.info.splits.total_num_examples == 8
        return builder.info.full_name

    yield opened
    Grown.VERSION = kept["VERSION"]
    Grown.SUPPORTED_VERSIONS = []


@pytest.mark.parametrize(
    ("dataset", "builder", "expected"),
    [
        ("grown:1.*.*", {"version": "1.10.0"}, "grown/1.10.0"),
        ("grown:*.*.*", {"version": "2.0.0"}, "grown/2.0.0"),
        ("grown", {"version": "1.10.0"}, "grown/1.10.0"),
        ("grown:1.9.0", {"version": "1.10.0"}, "grown/1.9.0"),
        ("grown:1.9.*", {"version": "1.10.0"}, "grown/1.9.0"),
        ("grown:1.*.*", {"version": "2.0.0"}, "grown/1.9.0"),
        ("grown:1.*.*", {"version": "1.8.0"}, "grown/1.9.0"),
        ("grown:1.*.*", {"version": "1.9.0", "supported": ("1.10.0",)}, "grown/1.10.0"),
        ("grown:1.*.*", {"version": "2.0.0", "supported": ("1.8.0", "1.10.0")}, "grown/1.9.0"),
    ],
)
def test_the_newest_version_that_fits_is_read_prepared_or_not(raised, dataset, builder, expected):
    assert raised(dataset, **builder) == expected
    assert raised(dataset, **builder, download=False) == expected, "now it is prepared"


def test_what_is_prepared_is_read_where_the_code_cannot_be_used(raised, monkeypatch):
    raised("grown:1.*.*", "1.9.0")
    monkeypatch.setattr(Grown, "_info", lambda self: 1 / 0)
    assert raised("grown:1.*.*") == "grown/1.9.0"


def test_a_newer_version_that_may_not_be_prepared_names_both_ways_out(raised):
    with pytest.raises(DataError) as refused:
        raised("grown:1.*.*", download=False)
    assert "grown/1.10.0 is not prepared" in str(refused.value)
    assert "data.download = true to prepare it" in str(refused.value)
    assert 'data.dataset = "grown:1.9.0" to stay' in str(refused.value)


def test_the_fingerprint_of_the_driver_changes_when_the_version_is_raised(raised, source, tmp_path):
    raised("grown:1.*.*", "1.9.0")
    given = source(dataset="grown:1.*.*", data_dir=str(tmp_path), download=True)
    given_properties = TfdsExampleGen(given, {"train": "train"}).exec_properties
    properties = {name: given_properties[name] for name in ("input_config", "custom_config")}
    before = fingerprint(properties)
    assert fingerprint(properties) == before
    Grown.VERSION = tfds.core.Version("1.10.0")
    assert fingerprint(properties) != before
    assert (tmp_path / "grown" / "1.10.0").is_dir()


def test_configurations_have_versions_of_their_own(source, tmp_path):
    def opened(dataset):
        made = source(dataset=dataset, data_dir=str(tmp_path), download=True)
        return open_dataset(made, {"train": "train"}).info.full_name

    assert opened("kinds/round:1.*.*") == "kinds/round/1.0.0"
    assert opened("kinds/square:1.*.*") == "kinds/square/1.9.0"
    assert opened("kinds:1.*.*") == opened("kinds") == "kinds/round/1.0.0"
    with pytest.raises(ConfigError, match="kinds/oval"):
        opened("kinds/oval:1.*.*")


def test_data_that_exists_on_disk_alone_is_read_at_its_newest_version(source, data_dir, tmp_path):
    (prepared,) = (data_dir / "shapes").iterdir()
    for version in ("1.9.0", "1.10.0"):
        target = tmp_path / "no_such_code" / version
        shutil.copytree(prepared, target)
        for file in target.iterdir():
            file.rename(file.with_name(file.name.replace("shapes", "no_such_code")))
        info = target / "dataset_info.json"
        info.write_text(info.read_text().replace('"shapes"', '"no_such_code"').replace('"1.2.0"', f'"{version}"'))

    def opened(dataset):
        made = source(dataset=dataset, data_dir=str(tmp_path))
        return open_dataset(made, {"train": "train"}).info.full_name

    assert opened("no_such_code:1.*.*") == opened("no_such_code") == "no_such_code/1.10.0"
    assert opened("no_such_code:1.9.0") == "no_such_code/1.9.0"
    with pytest.raises(ConfigError, match="no_such_code:2"):
        opened("no_such_code:2.*.*")


def test_a_data_dir_that_cannot_be_made_is_told(source, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"Not a directory: '.*/file/data'\. Make data.data_dir a directory"):
        open_dataset(source(data_dir=str(tmp_path / "file" / "data"), download=True), {"train": "train"})


@pytest.mark.parametrize(
    ("place", "hint"), [("data/shapes/incomplete", "Make data.data_dir"), ("tiles/a.png", "The builder uses it")]
)
def test_a_file_that_the_preparation_cannot_use_is_named(source, tmp_path, monkeypatch, place, hint):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied", str(tmp_path / place))

    monkeypatch.setattr(Shapes, "_download_and_prepare", denied)
    with pytest.raises(DataError, match=rf"Permission denied: '.*/{place}'\. {hint}"):
        open_dataset(source(data_dir=str(tmp_path / "data"), download=True), {"train": "train"})


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


def test_bytes_go_through_whatever_they_are(source):
    """SegmentationValidator looks at them."""
    builder, records = _records(source())
    example = ExampleConverter(source(), builder.info.features)(records[0] | {"photo": b"no image", "mask": b""})
    values = example.features.feature
    assert [values[name].bytes_list.value[0] for name in ("image", "segmentation_mask")] == [b"no image", b""]


@pytest.mark.parametrize(
    ("splits", "evaluation_split", "message"),
    [
        ({"train": "train[:3]", "eval": "train[2:]", "test": "test"}, "test", r"splits.train .* share 1 of .*selected"),
        ({"train": "train[:80%]", "eval": "train[3:]"}, "eval", r"share 1 of the examples of shapes/1.2.0.*judged"),
        (
            {"train": "train[:2]", "eval": "train[2:4]", "test": "train[50%:]+test"},
            "test",
            r"splits.eval .* share 2 of",
        ),
        ({"train": "train[:2]", "eval": "train[2:4]", "test": "train[-1:]+train[:1]"}, "test", r"share 1 of .*judged"),
    ],
)
def test_slices_that_share_examples_are_refused_before_anything_is_read(source, splits, evaluation_split, message):
    with pytest.raises(ConfigError, match=message):
        open_dataset(source(evaluation_split=evaluation_split), splits)


def test_slices_that_share_examples_are_accepted_on_demand_but_for_the_judged_one(source):
    lenient = source(evaluation_split="test", duplicates="warn")
    open_dataset(lenient, {"train": "train[:3]", "eval": "train[2:]", "test": "test"})
    open_dataset(lenient, {"train": "train", "eval": "test[:1]", "test": "test"})
    with pytest.raises(ConfigError, match=r"share 2 of .*Choose slices without common examples\.$"):
        open_dataset(lenient, {"train": "train[:3]", "eval": "test", "test": "train[1:]"})
    open_dataset(source(evaluation_split="test"), {"train": "train[:3]", "eval": "train[3:]", "test": "test"})
