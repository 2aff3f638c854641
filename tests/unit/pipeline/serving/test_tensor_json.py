"""Base64 as TensorFlow Serving takes it, which decodes by `absl::Base64Unescape`."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.serving.tensor_json import decoded

WRITTEN = {
    "standard": base64.b64encode,
    "lines of 76": base64.encodebytes,
    "CRLF": lambda data: base64.encodebytes(data).replace(b"\n", b"\r\n"),
    "no padding": lambda data: base64.b64encode(data).rstrip(b"="),
    "lines, no padding": lambda data: base64.encodebytes(data).rstrip(b"=\n"),
    "dots": lambda data: base64.b64encode(data).replace(b"=", b"."),
    "spaced": lambda data: base64.b64encode(data).replace(b"A", b" \tA\v\f"),
}


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
@given(data=st.binary(max_size=130))
def test_every_way_to_write_it_is_read(write, data):
    assert decoded(write(data).decode()) == data


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("A", id="six bits left over"),
        pytest.param("AAAAA", id="six bits left over after three bytes"),
        pytest.param("AA=", id="half of the padding"),
        pytest.param("AAA==", id="too much padding"),
        pytest.param("AAAA=", id="padding of nothing"),
        pytest.param("AA==AAAA", id="padding in the middle"),
        pytest.param("/9j_4AA-", id="the alphabet of URLs"),
        pytest.param("AA%3D%3D", id="percent-encoded"),
        pytest.param("AAAA\N{NO-BREAK SPACE}", id="white space that is none in ASCII"),
        pytest.param("AAAA\0", id="a null"),
        pytest.param("data:image/png;base64,AAAA", id="a data URI"),
    ],
)
def test_what_tensorflow_serving_refuses_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        decoded(text)
