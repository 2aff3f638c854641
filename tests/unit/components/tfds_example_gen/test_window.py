"""A rolling window over a data set that grows."""

import json
import shutil
from itertools import count

import numpy as np
import pytest
import tensorflow as tf
from component_battery import CODE_DIGEST, execute
from drawn_source import bring_in, draw

from components.days import day_number, day_text
from components.tfds_example_gen.component import TfdsExampleGen, fingerprint
from components.tfds_example_gen.reading import SplitReader
from components.tfds_example_gen.source import TfdsSource, open_dataset
from components.tfds_example_gen.window import read_dates
from pipeline.data.importing.dates import DateSource
from trainer_module.config import DataConfig
from trainer_module.errors import ConfigError, DataError

NEWEST = 20786
DAYS = [NEWEST - back for back in (0, 1, 6, 7, 8, 100)]
SPLITS = {"train": "train", "eval": "eval", "test": "test"}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A data set with two pictures of each of `DAYS` in every split."""
    directory = tmp_path_factory.mktemp("window")
    number = count()
    for split in ("train", "val", "test"):
        for day in DAYS:
            draw(directory / "field", *(f"{split}/{day_text(day)} {next(number)}" for _ in range(2)), size=(4, 4))
    bring_in(directory / "field", directory / "data", dates=DateSource("%Y-%m-%d"))
    return directory / "data"


@pytest.fixture
def source(data_dir):
    def make(**fields):
        defaults = {
            "dataset": "tiles", "data_dir": str(data_dir), "download": False, "builder_modules": (),
            "image_feature": "image", "mask_feature": "segmentation_mask", "slice_features": (),
            "code_digest": CODE_DIGEST, "window_splits": ("train", "eval"),
        }  # fmt: skip
        return TfdsSource(**defaults | fields)

    return make


def _dates(source, splits=SPLITS):
    return read_dates(open_dataset(source, splits), source, splits)


@pytest.mark.parametrize(("window", "days"), [("1d", 1), ("7d", 3), ("1w", 3), ("8d", 4), ("2w", 5), ("101d", 6)])
def test_it_is_counted_back_from_the_newest_example(source, window, days):
    found = _dates(source(window=window))
    whole = dict.fromkeys(SPLITS, 12)
    assert found.counts(whole) == {"train": 2 * days, "eval": 2 * days, "test": 12}
    assert found.ranges() == {
        "train": (DAYS[days - 1], NEWEST),
        "eval": (DAYS[days - 1], NEWEST),
        "test": (DAYS[-1], NEWEST),
    }


def test_it_can_be_for_other_splits(source):
    found = _dates(source(window="7d", window_splits=("train", "test")))
    assert found.counts(dict.fromkeys(SPLITS, 12)) == {"train": 6, "eval": 12, "test": 6}


def test_a_run_reads_its_examples_alone_and_says_so(source, tmp_path):
    example_gen = TfdsExampleGen(source(window="7d"), SPLITS)
    examples = execute(example_gen, tmp_path, {}, **fingerprint(example_gen.exec_properties))["examples"]
    facts = {
        name: json.loads(examples.get_string_custom_property(name))
        for name in ("split_counts", "date_ranges", "split_digests")
    }
    assert facts["split_counts"] == {"train": 6, "eval": 6, "test": 12}
    assert facts["date_ranges"]["train"] == [NEWEST - 6, NEWEST]
    files = tf.io.gfile.glob(f"{examples.uri}/Split-train/*")
    names = [
        tf.train.Example.FromString(record.numpy()).features.feature["file_name"].bytes_list.value[0].decode()
        for record in tf.data.TFRecordDataset(files, compression_type="GZIP")
    ]
    assert len(names) == 6
    assert {name.split("/")[-1].split(" ")[0] for name in names} == {day_text(day) for day in DAYS[:3]}
    whole = TfdsExampleGen(source(), SPLITS)
    of_all = execute(whole, tmp_path / "whole", {}, **fingerprint(whole.exec_properties))["examples"]
    digests = json.loads(of_all.get_string_custom_property("split_digests"))
    assert digests["test"] == facts["split_digests"]["test"]
    assert digests["train"] != facts["split_digests"]["train"], "it is not the same data"
    assert json.loads(of_all.get_string_custom_property("split_counts")) == dict.fromkeys(SPLITS, 12)


def test_a_split_without_an_example_in_it_is_refused(source):
    splits = {"train": "train", "eval": "eval[:1]"}
    given = source(window="1d")
    newest = read_dates(open_dataset(given, splits), source(), splits).ranges()["eval"][1]
    if newest == NEWEST:
        splits["eval"] = "eval[-1:]"
        newest = read_dates(open_dataset(given, splits), source(), splits).ranges()["eval"][1]
    assert newest < NEWEST, "the drawing changed: choose another example"
    with pytest.raises(
        DataError, match=rf"of the 1 examples of the split 'eval' none.*newest is of {day_text(newest)}"
    ):
        _dates(given, splits)


@pytest.mark.parametrize(
    ("kept", "said"),
    [(-7, r"/tiles-train\S+' of tiles/1.0.0 is damaged: truncated"), (0, "tiles/1.0.0 cannot be read: Input")],
)
def test_a_damaged_file_is_told_by_whoever_reads_the_days(source, data_dir, tmp_path, kept, said):
    shutil.copytree(data_dir, tmp_path / "copy")
    shard = next((tmp_path / "copy").rglob("*-train.tfrecord-*"))
    content = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(content[:kept])
    with pytest.raises(DataError, match=rf"{said}.* Copy it again"):
        SplitReader.open(source(data_dir=str(tmp_path / "copy")), SPLITS)


def test_data_without_days_has_no_window(tmp_path):
    import tensorflow_datasets as tfds

    class Undated(tfds.core.GeneratorBasedBuilder):
        """A data set as people write them."""

        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            image = tfds.features.Image(shape=(None, None, 3))
            mask = tfds.features.Image(shape=(None, None, 1))
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict({"image": image, "segmentation_mask": mask})
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(), "eval": self._generate_examples()}

        def _generate_examples(self):
            yield 0, {"image": np.zeros((2, 2, 3), np.uint8), "segmentation_mask": np.zeros((2, 2, 1), np.uint8)}

    Undated(data_dir=tmp_path).download_and_prepare()
    fields = {
        "dataset": "undated", "data_dir": str(tmp_path), "download": False, "builder_modules": (), "slice_features": (),
        "image_feature": "image", "mask_feature": "segmentation_mask",
    }  # fmt: skip
    splits = {"train": "train", "eval": "eval"}
    with pytest.raises(ConfigError, match=r"data\.window is '9d'.*feature 'date'"):
        open_dataset(TfdsSource(window="9d", **fields), splits)
    plain = TfdsSource(**fields)
    assert read_dates(open_dataset(plain, splits), plain, splits).ranges() == {}


def test_the_configuration_is_checked():
    assert DataConfig(window="90d").window == "90d"
    for fields, message in [
        ({"window": "90"}, "window"),
        ({"window": "0d"}, "window"),
        ({"window": "3m"}, "window"),
        ({"window": "90d", "window_splits": ("recent",)}, r"window_splits has 'recent'"),
        ({"window": "90d", "splits": {"train": "train", "eval": "test", "test": "test"}}, r"splits\.test is 'test'"),
    ]:
        with pytest.raises(ValueError, match=message):
            DataConfig(**fields)


def test_days_are_numbers():
    from datetime import date

    assert day_number(date(1970, 1, 2)) == 1
    assert day_text(NEWEST) == "2026-11-29"
