"""Models that average over image and mirror image: exported so, or made so by `petseg export` and `petseg evaluate`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.model_probe.checks import SessionModel
from pipeline.cli import exit_code
from pipeline.models.loading import Original, ServedModel
from trainer_module.errors import ModelError
from trainer_module.flip_averaging import average_over_flip

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).normal(size=(40, 16, 16, 3)).astype(np.float32)
"""More than pass the network in one piece."""


@pytest.fixture(scope="module", params=["exported so", "made so"])
def averaging(request, exported, network, transformed, tmp_path_factory) -> str:
    """A model that averages, and is else that of `exported`."""
    from trainer_module.signatures import export_model

    directory = tmp_path_factory.mktemp("averaging") / "7"
    if request.param == "exported so":
        export_model(network, transformed.transform_output, transformed.data, str(directory), flip_averaging=True)
    else:
        shutil.copytree(exported, directory)
        saved = directory / "saved_model.pb"
        saved.write_bytes(average_over_flip(saved.read_bytes()))
    return str(directory)


@pytest.fixture(scope="module")
def both(exported, averaging):
    return SessionModel.load(exported), SessionModel.load(averaging)


def test_all_signatures_answer_with_the_mean_of_the_logits(exported, both, raw_examples):
    """Through the loader of TensorFlow Serving, with the plain network of TensorFlow 2 as the measure."""
    original = Original.load(exported)

    def expected(images):
        mirrored = original.network(tf.constant(images[:, :, ::-1])).numpy()[:, :, ::-1]
        return tf.nn.softmax((original.network(tf.constant(images)) + mirrored) / 2).numpy()

    plain, averaged = (model.call("tensor", IMAGES)["probabilities"] for model in both)
    np.testing.assert_allclose(averaged, expected(IMAGES), atol=1e-5)
    assert np.abs(averaged - plain).max() > 0.1
    encoded = [raw.encoded_image for raw in raw_examples]
    prepared = expected(original.prepare_images(encoded))
    np.testing.assert_allclose(both[1].call("serving_default", encoded)["probabilities"], prepared, atol=1e-5)
    counts = both[1].call("evaluation", [raw.serialized() for raw in raw_examples])["confusion_matrix"]
    predicted = counts.reshape(-1, 3, 3).sum(axis=(0, 1))
    assert np.abs(predicted - np.bincount(prepared.argmax(-1).reshape(-1), minlength=3)).sum() <= 4


def test_the_mirror_image_is_answered_with_the_mirrored_answer(both):
    plain, averaged = (
        [model.call("tensor", images)["probabilities"] for images in (IMAGES, IMAGES[:, :, ::-1])] for model in both
    )
    np.testing.assert_allclose(averaged[1], averaged[0][:, :, ::-1], atol=1e-6)
    assert np.abs(plain[1] - plain[0][:, :, ::-1]).max() > 0.1


def test_a_model_that_does_not_average_mirrors_nothing(exported):
    assert b"ReverseV2" not in Path(exported, "saved_model.pb").read_bytes()
    assert json.loads(Path(exported, "assets.extra", "petseg_model.json").read_text())["flip_averaging"] is False


def test_forms_of_a_model_can_average(exported, data_dir, tmp_path, capfd):
    arguments = ["export", "--model", exported, "--output", str(tmp_path), "--optimize", "frozen", "--optimize", "int8"]
    data = ["--dataset", "synthetic_pets/tiny", "--data-dir", data_dir, "--split", "test"]
    assert exit_code([*arguments, *data, "--flip-averaging", "--json"]) == 0
    result = json.loads(capfd.readouterr().out)
    assert result["measured"]["forms"]["frozen"]["changed_pixels"] > 0.01, "measured against the model as it was"
    original, frozen = (SessionModel.load(path) for path in (exported, result["written"]["frozen"]))
    plain, averaged = (model.call("tensor", IMAGES)["probabilities"] for model in (original, frozen))
    assert np.abs(averaged - plain).max() > 0.1
    mirrored = frozen.call("tensor", IMAGES[:, :, ::-1])["probabilities"]
    np.testing.assert_allclose(mirrored[:, :, ::-1], averaged, atol=1e-5)
    assert ServedModel.load(result["written"]["frozen"]).card.flip_averaging
    card = json.loads(Path(result["written"]["int8"], "model.json").read_text())
    assert (card["flip_averaging"], card["source"]["version"]) == (True, "7")

    evaluate = ["evaluate", "--model", exported, *data, "--flip-averaging", "--json"]
    assert exit_code(evaluate) == 0
    evaluated = json.loads(capfd.readouterr().out)
    assert evaluated["flip_averaging"] is True
    assert evaluated["metrics"]["accuracy"] == pytest.approx(
        result["measured"]["forms"]["frozen"]["metrics"]["accuracy"], abs=1e-3
    )
    with pytest.raises(ModelError, match=r"averages over the mirror image already; leave out --flip-averaging"):
        ServedModel.load(result["written"]["frozen"], flip_averaging=True)
