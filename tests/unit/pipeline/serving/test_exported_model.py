"""The server on a model as the Trainer exports it."""

import base64
import io
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

pytestmark = pytest.mark.slow

PREDICT, SEGMENT = "/v1/models/pets:predict", "/v1/models/pets:segment"


@pytest.fixture
def pets(identity_export, tmp_path):
    shutil.copytree(identity_export, tmp_path / "pets" / "1")
    return tmp_path / "pets"


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def test_it_answers_what_the_signature_answers(client, identity_export, raw_examples):
    images = [raw.encoded_image for raw in raw_examples]
    expected = tf.saved_model.load(identity_export).signatures["serving_default"](image=tf.constant(images))
    answer = client.post(PREDICT, json={"instances": [b64(image) for image in images]})
    assert answer.status_code == 200, answer.text
    for row, predicted in enumerate(answer.json()["predictions"]):
        np.testing.assert_array_equal(predicted["mask"], expected["mask"][row])
        probabilities = np.array(predicted["probabilities"], np.float32)
        np.testing.assert_array_equal(probabilities, expected["probabilities"][row])
        assert base64.b64decode(predicted["mask_png_bytes"]["b64"]) == expected["mask_png_bytes"][row].numpy()


def test_prepared_images(client, transformed):
    size = transformed.data.image_size
    pixels = np.random.default_rng(0).random((2, size, size, 3), np.float32)
    answer = client.post(PREDICT, json={"signature_name": "tensor", "inputs": pixels.tolist()}).json()["outputs"]
    np.testing.assert_array_equal(answer["mask"], pixels.argmax(-1))


def test_masks_have_the_size_of_each_image(client, raw_examples):
    for raw in raw_examples:
        mask = client.post(SEGMENT, content=raw.encoded_image).content
        assert np.asarray(Image.open(io.BytesIO(mask))).shape == raw.image.shape[:2]


def test_an_image_that_is_cut_off_is_named(client, raw_examples):
    images = [raw.encoded_image for raw in raw_examples]
    for index in (1, 4):
        sent = [*images]
        sent[index] = sent[index][: len(sent[index]) // 2]
        answer = client.post(PREDICT, json={"instances": [b64(image) for image in sent]})
        assert answer.status_code == 400
        assert answer.json() == {"error": f"image {index} of the request is no readable JPEG or PNG"}
