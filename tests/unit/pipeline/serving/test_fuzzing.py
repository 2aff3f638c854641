"""Whatever is sent, the answer is one of the foreseen, and the server goes on."""

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving_model import SIZE, picture
from starlette.testclient import TestClient

from pipeline.serving.server import create_application

PREDICT, SEGMENT = "/v1/models/pets:predict", "/v1/models/pets:segment"
RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

IMAGES = [
    picture("red", "blue", size=(9, 5)),
    picture("green", size=(8, 8), kind="JPEG"),
    picture("red", size=(9, 4), kind="JPEG", orientation=6),
]


@st.composite
def damaged_images(draw) -> bytes:
    """An image, cut off or with bytes changed; the end stays often, which the tiny model looks at first."""
    data = bytearray(draw(st.sampled_from(IMAGES)))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.sampled_from([len(data), len(data), len(data) // 2, 20]))])


encoded = damaged_images().map(lambda data: {"b64": base64.b64encode(data).decode()})
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
leaves = st.none() | numbers | st.text(max_size=9) | encoded
pixels = st.just([[[0.5] * 3] * SIZE] * SIZE)
values = st.recursive(
    leaves | pixels,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["image", "b64", "x"]), inner),
    max_leaves=8,
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "signature_name": st.sampled_from(["tensor", "serving_default"]) | leaves,
        "instances": values | st.lists(encoded | pixels, min_size=1, max_size=3),
        "inputs": values | st.lists(encoded | pixels, min_size=1, max_size=3),
    },
)


@pytest.fixture
def alive(make_service):
    """A client of a server that is asked at the end whether it still answers rightly."""
    with TestClient(create_application(make_service(max_pixels=10_000)), raise_server_exceptions=False) as client:
        yield client
        assert client.post(SEGMENT, content=IMAGES[0]).status_code == 200
        assert "petseg_queue_length 0.0" in client.get("/metrics").text


def check(answer) -> None:
    assert answer.status_code in (200, 400, 413), answer.text
    if answer.status_code != 200:
        assert answer.json().keys() == {"error"}
        assert "Traceback" not in answer.text


def test_predict_takes_any_json(alive):
    @RELAXED
    @given(requests)
    def fuzz(request):
        answer = alive.post(PREDICT, content=json.dumps(request))
        check(answer)
        if answer.status_code == 200:
            assert answer.json().keys() == ({"predictions"} if "instances" in request else {"outputs"})

    fuzz()


def test_predict_takes_any_bytes(alive):
    @RELAXED
    @given(st.binary(max_size=60) | st.sampled_from([b"[" * 100_000, b'{"instances":' * 2000, b"\xef\xbb\xbf{}"]))
    def fuzz(body):
        check(alive.post(PREDICT, content=body))

    fuzz()


def test_segment_takes_any_bytes(alive):
    @RELAXED
    @given(st.binary(max_size=60) | damaged_images(), st.sampled_from(["mask", "overlay", "json"]))
    def fuzz(body, output):
        check(alive.post(f"{SEGMENT}?output={output}", content=body))

    fuzz()
