"""ImportSchema writes the schema it was given, and declares what the configuration adds to the examples."""

import json
from importlib import resources
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from component_battery import CODE_DIGEST, artifact, check_component, execute, given
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx.types.standard_artifacts import Examples, Schema

from components.import_schema import ImportSchema

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


def component(text, *slice_features):
    features = json.dumps(slice_features)
    return ImportSchema(schema_text=text, examples=given(Examples), slice_features=features, code_digest=CODE_DIGEST)


@pytest.fixture
def imported(tmp_path):
    """Returns a function from a schema's text and slice features to the schema that is written."""
    (tmp_path / "examples" / "Split-train").mkdir(parents=True)
    kinds = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
    feature = {name: {kinds[type(value)]: {"value": [value]}} for name, value in FEATURES.items()}
    with tf.io.TFRecordWriter(str(tmp_path / "examples" / "Split-train" / "part.gz"), "GZIP") as writer:
        writer.write(tf.train.Example(features={"feature": feature}).SerializeToString())
    examples = artifact(Examples, tmp_path / "examples")
    examples.split_names = '["train", "test"]'

    def do(text, *slice_features):
        written = execute(component(text, *slice_features), tmp_path, {"examples": examples})["schema"]
        return text_format.Parse((Path(written.uri) / "schema.pbtxt").read_text(), schema_pb2.Schema())

    return do


def test_it_is_a_component_as_all_are():
    check_component(component("", "site"), module="components.import_schema", outputs={"schema": Schema})


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
    assert component("feature { name: 'a' }", "site").exec_properties == {
        "schema_text": "feature { name: 'a' }", "slice_features": '["site"]', "code_digest": CODE_DIGEST
    }  # fmt: skip
