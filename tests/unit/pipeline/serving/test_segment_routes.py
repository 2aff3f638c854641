"""Images in, masks out; and the limits of a request's size."""

import base64
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image
from serving_model import picture
from starlette.testclient import TestClient

from pipeline.serving.server import create_application
from trainer_module.model_card import class_colors

SEGMENT = "/v1/models/pets:segment"


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize(
    "url", [SEGMENT, "/v1/models/pets/versions/1:segment", "/v1/models/pets/labels/stable:segment"]
)
def test_the_mask_has_the_class_ids_at_the_size_of_the_image(client, url):
    answer = client.post(url, content=picture("red", "green", "blue", "green", size=(64, 20)))
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["petseg-model-version"] == "1"
    assert "model;dur=" in answer.headers["server-timing"]
    mask = pixels(answer.content)
    assert (mask.dtype, mask.shape) == (np.uint8, (20, 64))
    np.testing.assert_array_equal(mask, np.repeat([[0, 1, 2, 1]], 16, axis=1).repeat(20, axis=0))


def test_the_overlay_tints_all_but_the_background(client):
    overlay = pixels(client.post(f"{SEGMENT}?output=overlay", content=picture("green", "red")).content)
    assert overlay[0, 0].tolist() == [0, 255, 0]
    assert overlay[0, -1].tolist() == np.round(0.45 * np.array([255, 0, 0]) + 0.55 * class_colors(3)[0]).tolist()


def test_json_says_shares_and_colors(client):
    answer = client.post(f"{SEGMENT}?output=json", content=picture("red", "red", "red", "blue")).json()
    assert (answer["model"], answer["version"], answer["width"], answer["height"]) == ("pets", "1", 40, 30)
    colors = class_colors(3).tolist()
    assert answer["classes"] == [
        {"id": 0, "name": "pet", "color": colors[0], "share": pytest.approx(0.75, abs=0.02)},
        {"id": 1, "name": "background", "color": colors[1], "share": 0},
        {"id": 2, "name": "border", "color": colors[2], "share": pytest.approx(0.25, abs=0.02)},
    ]
    assert pixels(base64.b64decode(answer["mask_png_bytes"]["b64"])).shape == (30, 40)
    assert answer["seconds"]["total"] >= answer["seconds"]["model"] > 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("turns_images", [True, False])
def test_a_camera_may_have_been_turned(client, service, monkeypatch, kind, turns_images):
    """Orientation 6: the first column of the stored pixels is the top of the picture."""
    model = service.versions.current
    monkeypatch.setattr(model, "card", model.card.model_copy(update={"turns_images": turns_images}))
    asked = []
    monkeypatch.setattr(model, "run", lambda *work, run=model.run: asked.append(work[1]["image"][0]) or run(*work))
    image = picture("red", "blue", size=(40, 20), kind=kind, orientation=6)
    mask = pixels(client.post(SEGMENT, content=image).content)
    assert mask.shape == (40, 20)
    assert (mask[2:18] == 0).all()
    assert (mask[22:38] == 2).all()
    assert (asked == [image]) == turns_images, "what a model turns is passed on as it came"
    overlay = pixels(client.post(f"{SEGMENT}?output=overlay", content=image).content)
    assert overlay.shape == (40, 20, 3)
    assert (overlay[2:18, :, 0] > 100).all()
    assert (overlay[2:18, :, 0] > overlay[2:18, :, 2]).all()


def test_a_turned_image_that_is_cut_off_is_refused(client):
    image = picture("red", size=(400, 200), kind="JPEG", orientation=6)
    answer = client.post(SEGMENT, content=image[:-200])
    assert (answer.status_code, answer.json()["error"][:37]) == (400, "image 0 of the request is no readable")


def test_a_failure_of_the_model_is_the_servers(client, service, monkeypatch):
    def fail(*_):
        raise RuntimeError("secret path")

    monkeypatch.setattr(service.versions.current, "run", fail)
    answer = client.post(SEGMENT, content=picture("red"))
    assert answer.status_code == 500
    assert answer.json() == {"error": "the server failed: RuntimeError; its log says more."}
    assert client.get("/readyz").status_code == 200


def test_a_model_without_masks_says_so(client, service):
    signatures = service.versions.current.signatures
    signature = signatures["serving_default"]
    outputs = {name: tensor for name, tensor in signature.outputs.items() if name != "mask_png_bytes"}
    signatures["serving_default"] = dataclasses.replace(signature, outputs=outputs)
    answer = client.post(SEGMENT, content=picture("red"))
    assert answer.status_code == 501
    assert "version 1 was exported by an earlier version of petseg" in answer.json()["error"]


def test_what_a_file_is_in_truth_is_said(client):
    answer = client.post(SEGMENT, content=picture("red", kind="GIF"))
    assert answer.status_code == 400
    assert "is no readable JPEG or PNG: it is a GIF image" in answer.json()["error"]
    answer = client.post(SEGMENT, content=picture("red", size=(70_000, 1)))
    assert answer.status_code == 413
    assert "or more than 65535 on a side: it has 70000×1" in answer.json()["error"]


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", picture("red")[:-9]])
def test_what_is_no_image_is_refused(client, content):
    answer = client.post(SEGMENT, content=content)
    assert answer.status_code == 400
    assert "image 0 of the request" in answer.json()["error"]


def test_an_unknown_output_is_refused(client):
    answer = client.post(f"{SEGMENT}?output=gif", content=picture("red"))
    assert answer.status_code == 400
    assert "'mask', 'overlay' or 'json'; 'gif' came" in answer.json()["error"]


def test_the_limit_of_pixels_is_decided_before_decoding(make_service):
    """The image is cut off after its header: decoded, it would be another error."""
    with TestClient(create_application(make_service(max_pixels=1000))) as client:
        header = picture("red", size=(100, 20))[:50]
        answer = client.post(SEGMENT, content=header)
        assert answer.status_code == 413
        assert "100×20 pixels" in answer.json()["error"]
        rows = [{"b64": base64.b64encode(picture("red", size=(20, 30))).decode()}] * 2
        answer = client.post("/v1/models/pets:predict", json={"instances": rows})
        assert answer.status_code == 413
        assert "which makes 1,200 with those before it; a request may have 1,000" in answer.json()["error"]


@pytest.mark.parametrize("declared", [True, False])
def test_the_limit_of_bytes(make_service, declared):
    def chunks():
        yield b"x" * 600
        yield b"x" * 600

    with TestClient(create_application(make_service(max_request_bytes=1000))) as client:
        answer = client.post(SEGMENT, content=b"x" * 1200 if declared else chunks())
        assert answer.status_code == 413
        assert "longer than 1,000 bytes" in answer.json()["error"]
        assert client.post(SEGMENT, content=picture("red")).status_code == 200
