"""The catalogue agrees with itself and with what the settings and the code digests take of it."""

import ast
import typing

import pytest

from pipeline import code_digest
from pipeline.nodes import COMPONENTS, TRAINER, TRANSFORM
from trainer_module.encoder_catalogue import ENCODERS, NORMALIZATIONS, EncoderName, Normalization


def test_the_setting_takes_every_encoder_and_no_other():
    assert list(typing.get_args(EncoderName)) == list(ENCODERS)


def test_every_constant_normalization_is_one_that_the_setting_takes():
    assert {*typing.get_args(Normalization)} == {*NORMALIZATIONS, "standardize"}
    assert {entry.normalization for entry in ENCODERS.values()} <= {*NORMALIZATIONS}


def test_each_application_has_five_maps():
    assert all(len({*entry.skips}) == 5 for entry in ENCODERS.values() if entry.constructor)


@pytest.mark.parametrize(
    ("normalization", "of_black", "of_white"),
    [("unit", 0, 1), ("signed", -1, 1), ("centred", -1, 127 / 128), ("imagenet", -0.485 / 0.229, 0.515 / 0.229)],
)
def test_black_and_white_in_each_normalization(normalization, of_black, of_white):
    offset, scale = NORMALIZATIONS[normalization]
    assert [(pixel - offset[0]) * scale[0] for pixel in (0, 255)] == pytest.approx([of_black, of_white])


@pytest.fixture
def read(monkeypatch):
    """Returns the modules that a node's digest is of."""

    def modules_of(node_id):
        found = set()

        def noted(module):
            found.add(module)
            return original(module)

        original = code_digest._source_path
        monkeypatch.setattr(code_digest, "_source_path", noted)
        code_digest.code_digest(*COMPONENTS[node_id].code)
        monkeypatch.setattr(code_digest, "_source_path", original)
        return found

    return modules_of


def test_transform_runs_anew_for_the_catalogue_and_the_trainer_for_encoders_too(read):
    encoders = {"trainer_module.encoders.encoder", "trainer_module.encoders.keras_applications"}
    assert "trainer_module.encoder_catalogue" in read(TRANSFORM)
    assert not any(module.startswith("trainer_module.encoders") for module in read(TRANSFORM))
    assert encoders | {"trainer_module.encoder_catalogue", "trainer_module.encoder_unet"} <= read(TRAINER)


def test_the_catalogue_costs_the_settings_no_import():
    from pathlib import Path

    from trainer_module import encoder_catalogue

    tree = ast.parse(Path(encoder_catalogue.__file__).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"collections.abc", "dataclasses", "pathlib", "typing"}
