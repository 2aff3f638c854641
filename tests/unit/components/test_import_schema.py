"""ImportSchema writes the schema it was given, and declares what the configuration adds to the examples."""

from importlib import resources

import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx import types
from tfx.types import standard_artifacts

from components.import_schema import Executor, ImportSchema

FEATURES = {
    "image": b"1",
    "segmentation_mask": b"2",
    "example_id": b"a-train.tfrecord-00000-of-00001__0",
    "file_name": b"image.jpg",
    "site": b"north",
    "year": 2024,
    "height": 2.5,
    "secret": b"x",
}


@pytest.fixture
def imported(tmp_path):
    """Returns a function from a schema's text and slice features to the schema that is written."""
    examples, schema = standard_artifacts.Examples(), standard_artifacts.Schema()
    examples.uri, examples.split_names = str(tmp_path / "examples"), '["train", "test"]'
    schema.uri = str(tmp_path / "schema")
    (tmp_path / "examples" / "Split-train").mkdir(parents=True)
    kinds = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
    feature = {name: {kinds[type(value)]: {"value": [value]}} for name, value in FEATURES.items()}
    with tf.io.TFRecordWriter(str(tmp_path / "examples" / "Split-train" / "part.gz"), "GZIP") as writer:
        writer.write(tf.train.Example(features={"feature": feature}).SerializeToString())

    def do(text, *slice_features):
        component = ImportSchema(text, types.Channel(type=standard_artifacts.Examples), slice_features)
        Executor().Do({"examples": [examples]}, {"schema": [schema]}, component.exec_properties)
        return text_format.Parse((tmp_path / "schema" / "schema.pbtxt").read_text(), schema_pb2.Schema())

    return do


def curated(name):
    return (resources.files("pipeline") / "schemas" / f"{name}.pbtxt").read_text()


def anomalies(schema):
    """What ExampleValidator says of examples that have all of FEATURES."""
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = statistics.datasets.add(num_examples=10)
    numbers = {int: statistics_pb2.FeatureNameStatistics.INT, float: statistics_pb2.FeatureNameStatistics.FLOAT}
    for name, value in FEATURES.items():
        feature = dataset.features.add(type=numbers.get(type(value), statistics_pb2.FeatureNameStatistics.STRING))
        if name in ("image", "segmentation_mask"):
            feature.type = statistics_pb2.FeatureNameStatistics.BYTES
        feature.path.step.append(name)
        stats = {
            str: feature.string_stats,
            int: feature.num_stats,
            float: feature.num_stats,
            bytes: feature.string_stats,
        }
        common = stats[type(value)].common_stats
        common.num_non_missing = common.tot_num_values = 10
        common.min_num_values = common.max_num_values = 1
    return {
        name: info.short_description for name, info in tfdv.validate_statistics(statistics, schema).anomaly_info.items()
    }


def test_slice_features_belong_to_the_schema_and_others_do_not(imported):
    schema = imported(curated("segmentation"), "site", "year", "height")
    assert anomalies(schema) == {"secret": "New column"}
    types_of = {feature.name: schema_pb2.FeatureType.Name(feature.type) for feature in schema.feature}
    assert (types_of["site"], types_of["year"], types_of["height"]) == ("BYTES", "INT", "FLOAT")
    assert {*anomalies(imported(curated("segmentation"), "site"))} == {"year", "height", "secret"}


def test_what_the_schema_says_of_a_slice_feature_stays(imported):
    text = curated("segmentation") + 'feature { name: "site" type: BYTES string_domain { value: "south" } }'
    schema = imported(text, "site")
    assert [feature for feature in schema.feature if feature.name == "site"] == [
        text_format.Parse('name: "site" type: BYTES string_domain { value: "south" }', schema_pb2.Feature())
    ]


def test_a_schema_of_ones_own_that_knows_no_ids_gets_them(imported):
    schema = imported('feature { name: "image" type: BYTES }')
    assert [feature.name for feature in schema.feature] == ["image", "example_id"]


@pytest.mark.parametrize("name", ["segmentation", "oxford_iiit_pet"])
def test_curated_schemas_are_written_as_they_are(imported, name):
    assert imported(curated(name)) == text_format.Parse(curated(name), schema_pb2.Schema())


def test_text_and_slice_features_are_what_the_cache_looks_at():
    component = ImportSchema("feature { name: 'a' }", types.Channel(type=standard_artifacts.Examples), ["site"], "d1")
    assert component.exec_properties == {
        "schema_text": "feature { name: 'a' }", "slice_features": '["site"]', "code_digest": "d1"
    }  # fmt: skip
