"""What Beam lost, or did twice, ends each component that runs on it."""

from pathlib import Path

import pytest
import tensorflow as tf
from component_battery import artifact
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.components.statistics_gen import executor as statistics_gen_executor
from tfx.components.transform import executor as transform_executor
from tfx.types.standard_artifacts import Examples, ExampleStatistics

from components import statistics_gen, transform
from components.example_counts import check_count, count_records, expected_count
from trainer_module.errors import DataError

SPLITS = '["train", "eval"]'


def write_records(directory, counts):
    """Writes files with that many records each; every second one is gzipped."""
    directory.mkdir(parents=True)
    for number, count in enumerate(counts):
        compression, ending = ("GZIP", ".gz") if number % 2 else (None, "")
        with tf.io.TFRecordWriter(f"{directory}/part-{number:05d}{ending}", compression) as writer:
            for _ in range(count):
                writer.write(b"record")


def test_what_was_lost_or_came_twice_is_told_apart():
    check_count("records", 3, 3)
    with pytest.raises(DataError, match=r"records: 2 examples, of 3 that are in the data\. Beam's workers lost some"):
        check_count("records", 2, 3)
    with pytest.raises(DataError, match=r"records: 4 examples, of 3 .* worked on some more than once"):
        check_count("records", 4, 3)


def test_examples_say_how_many_they_are_or_nothing():
    examples = artifact(Examples, split_counts='{"train": 7, "eval": 2}')
    assert [expected_count(examples, splits) for splits in (["train"], ["train", "eval"], ["test"])] == [7, 9, None]
    assert expected_count(artifact(Examples), ["train"]) is None


def test_records_are_counted_in_all_files(tmp_path):
    write_records(tmp_path / "split", [3, 4, 0])
    assert count_records(str(tmp_path / "split")) == 7
    assert count_records(str(tmp_path / "none")) == 0


@pytest.fixture
def examples():
    return artifact(Examples, "/nowhere", split_counts='{"train": 7, "eval": 2}')


@pytest.mark.parametrize(("counted", "refused"), [((7, 2), None), ((7, 1), "eval"), ((8, 2), "train")])
def test_statistics_are_of_all_examples_or_none(tmp_path, monkeypatch, examples, counted, refused):
    def count(self, input_dict, output_dict, exec_properties):
        for split, number in zip(("train", "eval"), counted, strict=True):
            directory = tmp_path / f"Split-{split}"
            directory.mkdir()
            message = statistics_pb2.DatasetFeatureStatisticsList()
            message.datasets.add(num_examples=number)
            (directory / "FeatureStats.pb").write_bytes(message.SerializeToString())
        output_dict["statistics"][0].split_names = SPLITS

    monkeypatch.setattr(statistics_gen_executor.Executor, "Do", count)
    check_executor(
        statistics_gen.Executor(), examples, {"statistics": [artifact(ExampleStatistics, tmp_path)]}, refused
    )


@pytest.mark.parametrize(
    ("written", "refused"), [(([4, 3], [2]), None), (([4, 2], [2]), "train"), (([7], [3]), "eval")]
)
def test_all_examples_are_transformed_or_none(tmp_path, monkeypatch, examples, written, refused):
    def write(self, input_dict, output_dict, exec_properties):
        for split, counts in zip(("train", "eval"), written, strict=True):
            write_records(Path(tmp_path) / f"Split-{split}", counts)
        output_dict["transformed_examples"][0].split_names = SPLITS

    monkeypatch.setattr(transform_executor.Executor, "Do", write)
    check_executor(transform.Executor(), examples, {"transformed_examples": [artifact(Examples, tmp_path)]}, refused)


def check_executor(executor, examples, outputs, refused):
    if refused is None:
        executor.Do({"examples": [examples]}, outputs, {})
        return
    with pytest.raises(DataError, match=f"of the split '{refused}': . examples, of . that are in the data"):
        executor.Do({"examples": [examples]}, outputs, {})
