"""ImportSchema writes the schema it was given."""

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import standard_artifacts

from components.import_schema.component import ImportSchema
from components.import_schema.executor import Executor


def test_the_schema_is_written_as_given(tmp_path):
    text = 'feature { name: "image" type: BYTES presence { min_count: 1 } }'
    artifact = standard_artifacts.Schema()
    artifact.uri = str(tmp_path)
    Executor().Do({}, {"schema": [artifact]}, {"schema_text": text})
    written = text_format.Parse((tmp_path / "schema.pbtxt").read_text(), schema_pb2.Schema())
    assert written == text_format.Parse(text, schema_pb2.Schema())


def test_the_text_is_what_the_cache_looks_at():
    assert ImportSchema("feature { name: 'a' }").exec_properties == {"schema_text": "feature { name: 'a' }"}
