"""The configuration that is proposed loads, fits the data, and says why."""

import importlib.metadata
import math
import tomllib

import pytest
from survey_tiles import CARD

from pipeline.config.loading import load_config
from pipeline.data.description.config_text import Proposed, config_text, toml_value
from pipeline.data.description.looking import stored_examples
from pipeline.data.description.machine import Machine, this_machine
from pipeline.data.description.proposal import proposed_config
from trainer_module.errors import DataError

LAPTOP = Machine(16 * 10**9, None)
GPU = Machine(256 * 10**9, 141 * 10**9)


@pytest.fixture
def proposed(surveys, opened, tmp_path):
    """Writes what is proposed for a survey, and returns what it loads to, with its text."""

    def propose(name, machine=LAPTOP):
        dataset = "survey_tiles" if name == "survey_tiles" else "flawed_tiles"
        text = proposed_config(surveys[name], opened(dataset), machine)
        (tmp_path / "proposed.toml").write_text(text)
        return load_config(file=tmp_path / "proposed.toml"), text

    return propose


def test_a_data_set_that_says_what_it_holds_is_believed(proposed):
    config, text = proposed("survey_tiles")
    assert (config.data.class_names, config.data.mask_values, config.data.ignore_values) == (
        CARD.class_names, CARD.mask_values, (255,),
    )  # fmt: skip
    assert config.data.splits == CARD.splits
    assert (config.data.slice_features, config.evaluation.slices) == (("site",), ("site",))
    assert config.pipeline.name == "survey-tiles"
    assert config.data.image_size == 64  # the greater side of most images is 64
    assert "rarest class, road, has 1.8" in text


def test_a_network_that_has_seen_images_is_proposed_where_its_weights_are(proposed, monkeypatch):
    config, text = proposed("survey_tiles")
    assert (config.trainer.model, config.data.normalization) == ("unet_lite0", "lite")
    assert "normalization" not in text
    assert "has seen ImageNet" in text

    def not_installed(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", not_installed)
    config, _ = proposed("survey_tiles")
    assert (config.trainer.model, config.data.normalization) == ("unet", "standardize")


def _leaves(table):
    for value in table.values():
        yield from _leaves(value) if isinstance(value, dict) and "train" not in value else [value]


def test_every_value_has_a_reason(proposed):
    _, text = proposed("survey_tiles")
    lines = text.splitlines()
    settings = [index for index, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(settings) == sum(1 for _ in _leaves(tomllib.loads(text)))
    for index in settings:
        assert "  # " in lines[index] or lines[index - 1].startswith("# "), lines[index]
    assert max(map(len, lines)) <= 120


def test_weights_make_up_for_few_pixels_and_leave_the_mean_at_one(proposed, surveys):
    config, _ = proposed("survey_tiles")
    shares = surveys["survey_tiles"].whole.class_pixels / surveys["survey_tiles"].whole.labelled_pixels
    norm = sum(math.sqrt(share) for share in shares)
    assert config.trainer.class_weights == tuple(round(1 / math.sqrt(share) / norm, 2) for share in shares)
    assert sum(share * weight for share, weight in zip(shares, config.trainer.class_weights, strict=True)) == (
        pytest.approx(1, abs=0.01)
    )


def test_data_that_nobody_described_can_be_trained_on_all_the_same(proposed):
    config, text = proposed("flawed_tiles")
    assert config.data.class_names == ("class_1", "class_2", "class_3", "class_9")
    assert (config.data.mask_values, config.data.ignore_values) == ((1, 2, 3, 9), (255,))
    assert config.data.splits == {"train": "train[:10]", "eval": "train[10:]", "test": "test"}
    assert (config.data.duplicates, config.data.validation.unreadable_image) == ("drop", "drop")
    assert "2 images in two splits: refused where they are in two of the splits" in text
    assert "nobody says what they are: rename them" in text


def test_what_is_dropped_is_counted_by_the_slices_of_the_run(proposed, surveys, opened):
    config, text = proposed("flawed_tiles")
    names = [
        each.file_name
        for each in stored_examples(opened("flawed_tiles").builder, opened("flawed_tiles").source, "train")
    ]
    bad = {"tile_02.jpg", "tile_03.jpg", "tile_10.jpg", "tile_11.jpg"}
    shares = [sum(name in bad for name in part) / len(part) for part in (names[:10], names[10:])]
    assert config.data.validation.max_dropped_share == math.ceil(100 * max(shares)) / 100
    assert f"{max(shares):.1%} of " in text


def test_values_that_no_class_declares_are_ignored_with_the_reason(proposed):
    config, text = proposed("partly_declared")
    assert config.data.ignore_values == (255, 2)
    assert "2 is no class, and is met in 15 images" in text


def test_the_gate_asks_no_more_than_there_is_room_for(proposed, surveys):
    whole = surveys["survey_tiles"].statistics.splits["test"]
    majority = whole.class_pixels.max() / whole.labelled_pixels
    config, text = proposed("survey_tiles")
    assert config.evaluation.min_accuracy_gain == 0.05
    assert config.evaluation.min_mean_iou == round(1.5 * majority / 4, 2)
    assert f"answering field everywhere, which is right on {majority:.2%}" in text


def test_where_one_class_is_almost_everything_a_small_lead_is_asked_for(surveys, opened):
    from dataclasses import replace

    from pipeline.data.description.gate_rules import gate_settings

    found = replace(surveys["survey_tiles"])
    names = {2: "field"}
    settings = {each.key: each.value for each in gate_settings(found, names, {"test": "test"})}
    assert settings["evaluation.min_accuracy_gain"] == 0
    assert settings["evaluation.min_mean_iou"] == 0.8


def test_memory_decides_over_the_batch_and_the_text_is_the_same_for_the_same(proposed):
    small, text = proposed("survey_tiles", Machine(10**9, None))
    assert text == proposed("survey_tiles", Machine(10**9, None))[1]
    assert small.trainer.batch_size == 2
    from pipeline.data.description.training_rules import _batch_size

    assert [_batch_size(128, 4000, machine).value for machine in (LAPTOP, GPU)] == [16, 32]
    assert _batch_size(512, 4000, LAPTOP).value == 2
    assert _batch_size(512, 4000, GPU).value == 32
    assert "a GPU with 141 GB" in _batch_size(512, 4000, GPU).reason


def test_this_machine_has_memory():
    assert this_machine().memory_bytes > 10**9


def test_one_value_is_no_segmentation(opened):
    from pipeline.data.description.survey import survey

    found = survey(opened("flawed_tiles", splits=["train[:1]"]), lambda _: None)
    for value in range(256):
        if value != 3:
            found.value_pixels[value] = 0
    with pytest.raises(DataError, match=r"no configuration can be proposed for flawed_tiles:2.1.0"):
        proposed_config(found, opened("flawed_tiles"), LAPTOP)


@pytest.mark.parametrize(
    ("counts", "splits"),
    [
        ({"train": 300, "val": 50, "test": 50}, {"train": "train", "eval": "val", "test": "test"}),
        ({"train": 300, "test": 50}, {"train": "train[:90%]", "eval": "train[90%:]", "test": "test"}),
        ({"train": 50, "validation": 9}, {"train": "train[:45]", "eval": "train[45:]", "test": "validation"}),
        ({"all": 1000}, {"train": "all[:80%]", "eval": "all[80%:90%]", "test": "all[90%:]"}),
        ({"all": 8}, {"train": "all[:6]", "eval": "all[6:7]", "test": "all[7:]"}),
        ({"spring": 40, "autumn": 60, "test": 0}, {"train": "autumn[:54]", "eval": "autumn[54:]", "test": "spring"}),
    ],
)
def test_splits_are_made_of_those_that_there_are(counts, splits):
    from types import SimpleNamespace

    from components.dataset_card import DatasetCard
    from pipeline.data.description.split_rules import proposed_splits

    info = SimpleNamespace(splits={name: SimpleNamespace(num_examples=count) for name, count in counts.items()})
    opened = SimpleNamespace(builder=SimpleNamespace(info=info), card=DatasetCard())
    assert proposed_splits(opened).value == splits


def test_any_text_is_written_as_toml_reads_it():
    value = {"names": ['a "quoted" one', "back\\slash", "línea\n"], "size": (0.5, 3), "flip": False}
    assert tomllib.loads(f"value = {toml_value(value)}")["value"] == value | {"size": [0.5, 3]}
    long, names = "a reason " * 30, [f"class of kind {number}" for number in range(50)]
    text = config_text([], [Proposed("a.x", names, long), Proposed("b.y", 2, "why"), Proposed("a.z", 3, "for")])
    assert tomllib.loads(text) == {"a": {"x": names, "z": 3}, "b": {"y": 2}}
    assert max(map(len, text.splitlines())) <= 120
