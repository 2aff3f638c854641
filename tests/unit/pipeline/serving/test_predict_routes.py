"""TensorFlow Serving's REST protocol: forms of requests and answers, status, metadata, errors."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from serving_model import SIZE, picture

PREDICT = "/v1/models/pets:predict"


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def class_ids(encoded: dict[str, str]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded["b64"]))))


@pytest.mark.parametrize(
    "row",
    [
        lambda image: b64(image),
        lambda image: {"image": b64(image)},
        lambda image: {"b64": base64.encodebytes(image).decode().rstrip("=\n")},
    ],
)
def test_rows(client, row):
    images = [picture("red", "blue"), picture("green", size=(7, 9), kind="JPEG")]
    answer = client.post(PREDICT, json={"instances": [row(image) for image in images]})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    first, second = answer.json()["predictions"]
    assert first.keys() == {"probabilities", "mask", "mask_png_bytes"}
    assert np.shape(first["probabilities"]) == (SIZE, SIZE, 3)
    assert np.array_equal(first["mask"], np.repeat([[0] * 8 + [2] * 8], SIZE, axis=0))
    assert (class_ids(first["mask_png_bytes"])[:, [0, 39]] == [0, 2]).all()
    assert class_ids(second["mask_png_bytes"]).shape == (9, 7)
    assert (np.array(second["mask"]) == 1).all()


@pytest.mark.parametrize("inputs", [lambda images: images, lambda images: {"image": images}])
def test_columns(client, inputs):
    images = [b64(picture("red")), b64(picture("green"))]
    outputs = client.post(PREDICT, json={"inputs": inputs(images)}).json()["outputs"]
    assert np.shape(outputs["probabilities"]) == (2, SIZE, SIZE, 3)
    assert [np.unique(mask).tolist() for mask in outputs["mask"]] == [[0], [1]]
    assert [class_ids(mask).shape for mask in outputs["mask_png_bytes"]] == [(30, 40)] * 2


def test_prepared_images_by_rows_and_columns_answer_the_same(client):
    pixels = np.random.default_rng(0).random((2, SIZE, SIZE, 3))
    by_rows, by_columns = (
        client.post(PREDICT, json={"signature_name": "tensor", key: pixels.tolist()}).json()
        for key in ("instances", "inputs")
    )
    rows = by_rows["predictions"]
    assert [row["mask"] for row in rows] == by_columns["outputs"]["mask"] == pixels.argmax(-1).tolist()
    logits = 10 * pixels.astype(np.float32)
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose([row["probabilities"] for row in rows], expected, rtol=1e-5)


@pytest.mark.parametrize("place", ["/versions/1", "/labels/stable", ""])
def test_the_version_may_be_named(client, place):
    url = f"/v1/models/pets{place}"
    assert client.post(f"{url}:predict", json={"instances": [b64(picture("red"))]}).status_code == 200
    assert client.get(url).json() == {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    assert client.get(f"{url}/metadata").json()["model_spec"] == {
        "name": "pets",
        "signature_name": "",
        "version": "1",
    }


def test_metadata_is_that_of_tensorflow_serving(client):
    metadata = client.get("/v1/models/pets/metadata").json()["metadata"]
    definition = metadata["signature_def"]["signature_def"]["tensor"]
    assert definition["method_name"] == "tensorflow/serving/predict"
    shape = {"dim": [{"size": str(size), "name": ""} for size in (-1, SIZE, SIZE, 3)], "unknown_rank": False}
    image = definition["inputs"]["image"]
    assert (image["dtype"], image["tensor_shape"]) == ("DT_FLOAT", shape)
    assert set(definition["outputs"]) == {"probabilities", "mask"}


IMAGE = b64(picture("red"))


@pytest.mark.parametrize(
    ("url", "body", "status", "message"),
    [
        ("/v1/models/cats:predict", {}, 404, "there is no model 'cats' here; the served one is 'pets'"),
        ("/v1/models/pets/versions/7:predict", {}, 404, "version 7 of 'pets' is not served; 1 is"),
        ("/v1/models/pets/versions/x:predict", {}, 400, "version of the URL"),
        ("/v1/models/pets/labels/canary:predict", {}, 400, "no version label 'canary'; known are ['stable']"),
        ("/v1/models/pets:regress", {}, 405, "method not allowed"),
        (PREDICT, "{", 400, "the request is no JSON"),
        (PREDICT, "", 400, "the request is no JSON"),
        (PREDICT, [], 400, "has to be a JSON object"),
        (PREDICT, {}, 400, "exactly one of 'instances' (rows) and 'inputs' (columns)"),
        (PREDICT, {"instances": [IMAGE], "inputs": [IMAGE]}, 400, "exactly one of"),
        (PREDICT, {"signature_name": 3, "instances": [IMAGE]}, 400, "signature_name has to be a string, not a number"),
        (PREDICT, {"signature_name": "tenser", "instances": [1]}, 400, "did you mean 'tensor'?"),
        (PREDICT, {"instances": []}, 400, "a list of at least one row"),
        (PREDICT, {"instances": {"image": [IMAGE]}}, 400, "a list of at least one row, not an object"),
        (PREDICT, {"inputs": []}, 400, "the request has no rows"),
        (PREDICT, {"inputs": IMAGE}, 400, "input 'image' has to have the shape [any]; it has []"),
        (PREDICT, {"inputs": {"picture": [IMAGE]}}, 400, "no input 'image'; it has ['picture']"),
        (PREDICT, {"instances": [{"picture": IMAGE}]}, 400, "row 0 of 'instances' has the inputs ['picture']"),
        (PREDICT, {"instances": [IMAGE, {"image": IMAGE}]}, 400, "mixes rows"),
        (PREDICT, {"instances": [[IMAGE], [IMAGE]]}, 400, "the shape [any]; it has [2, 1]"),
        (PREDICT, {"instances": [[IMAGE], IMAGE]}, 400, "equally long, and equally deep"),
        (PREDICT, {"instances": [3]}, 400, 'bytes as {"b64": "…"}, not a number'),
        (PREDICT, {"instances": [{"b64": "?"}]}, 400, "no base64"),
        (PREDICT, {"instances": ["an image"]}, 400, "image 0 of the request (8 bytes) is no readable JPEG or PNG"),
        (PREDICT, {"instances": [IMAGE, b64(b"")]}, 400, "image 1 of the request is empty"),
        (PREDICT, {"instances": [IMAGE, b64(picture("red")[:-9])]}, 400, "image 1 of the request is no readable"),
        (PREDICT, {"signature_name": "tensor", "instances": [[[1, 2, 3]]]}, 400, f"[any, {SIZE}, {SIZE}, 3]; it has"),
        (PREDICT, {"signature_name": "tensor", "instances": [[1, 2], [3]]}, 400, "equally long"),
        (PREDICT, {"signature_name": "tensor", "instances": ["1"]}, 400, "takes numbers of the type float32; strings"),
        (PREDICT, {"signature_name": "tensor", "instances": [None]}, 400, "takes numbers of the type float32"),
        (PREDICT, {"signature_name": "tensor", "instances": [1e300]}, 400, "does not fit into float32"),
    ],
)
def test_bad_requests_are_told_what_is_wrong(client, url, body, status, message):
    answer = client.post(url, content=body if isinstance(body, str) else json.dumps(body))
    assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text
    assert client.post(PREDICT, json={"instances": [IMAGE]}).status_code == 200


@pytest.mark.parametrize("name", ["cats", "pets/versions/7", "pets/labels/canary"])
def test_the_status_of_what_is_not_served(client, name):
    for url in (f"/v1/models/{name}", f"/v1/models/{name}/metadata"):
        answer = client.get(url)
        assert answer.status_code in (400, 404)
        assert "error" in answer.json()


def test_very_deep_lists_are_refused(client):
    for depth in (100, 900, 5000):
        body = '{"instances": ' + "[" * depth + "]" * depth + "}"
        for signature in ("", '"signature_name": "tensor", '):
            answer = client.post(PREDICT, content="{" + signature + body[1:])
            assert answer.status_code == 400, answer.text


def test_more_rows_than_allowed_are_refused(make_service):
    from starlette.testclient import TestClient

    from pipeline.serving.server import create_application

    with TestClient(create_application(make_service(max_rows=2))) as client:
        assert client.post(PREDICT, json={"instances": [IMAGE] * 2}).status_code == 200
        answer = client.post(PREDICT, json={"instances": [IMAGE] * 3})
        assert (answer.status_code, answer.json()) == (413, {"error": "the request has 3 rows; 2 are the most."})
