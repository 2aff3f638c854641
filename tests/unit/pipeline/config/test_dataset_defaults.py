"""What a data set says of itself is the default of the settings that depend on it."""

import json

import pytest
from survey_tiles import CARD

from components.dataset_card import DatasetCard
from pipeline.config.dataset_defaults import GENERAL_SCHEMA
from pipeline.config.loading import config_toml, load_config, resolve_layers
from trainer_module.errors import ConfigError


@pytest.fixture
def load(tmp_path):
    """Loads a configuration for a data set that is prepared in a directory."""
    directory = tmp_path / "tiles" / "1.0.0"
    directory.mkdir(parents=True)
    (directory / "features.json").write_text("{}")

    def loaded(*overrides, card=CARD, preset="pets", toml=""):
        (directory / "metadata.json").write_text(json.dumps(card.as_metadata()))
        file = tmp_path / "my.toml"
        file.write_text(f'preset = "{preset}"\n{toml}')
        return load_config(file=file, overrides=["data.dataset=tiles", f"data.data_dir={tmp_path}", *overrides])

    return loaded


def test_the_data_set_is_heard_above_the_preset(load):
    data, evaluation = load().data, load().evaluation
    assert (data.class_names, data.mask_values, data.ignore_values) == (CARD.class_names, (1, 2, 3, 9), (255,))
    assert (data.slice_features, data.schema_file, data.splits) == (("site",), GENERAL_SCHEMA, CARD.splits)
    assert (evaluation.slices, evaluation.split) == (("site",), "test")
    assert data.normalization == "lite"


def test_what_is_resolved_needs_the_data_set_no_more(load, tmp_path):
    config = load()
    (tmp_path / "resolved.toml").write_text(config_toml(config))
    (tmp_path / "tiles/1.0.0/metadata.json").unlink()
    assert load_config(file=tmp_path / "resolved.toml") == config


def test_the_user_is_heard_above_the_data_set(load):
    splits = '[data.splits]\ntrain = "a"\neval = "b"\ntest = "c"'
    file = f'[data]\nslice_features = []\nschema_file = "oxford_iiit_pet"\n{splits}'
    config = load("data.splits.eval=d", toml=file)
    assert config.data.splits == {"train": "a", "eval": "d", "test": "c"}
    assert (config.data.slice_features, config.data.schema_file) == ((), "oxford_iiit_pet")
    assert config.evaluation.slices == ()
    assert load("data.splits.train=x").data.splits == CARD.splits | {"train": "x"}
    both = load('data.class_names=["a", "b"]', "data.mask_values=[255, 7]").data
    assert (both.class_names, both.mask_values, both.ignore_values) == (("a", "b"), (255, 7), ())


def test_bounds_may_name_the_classes_of_the_data_set(load):
    assert load("evaluation.thresholds.iou_road.min=0.4").evaluation.thresholds["iou_road"].min == 0.4
    with pytest.raises(ConfigError, match="no metric 'iou_pet'"):
        load("evaluation.thresholds.iou_pet.min=0.4")


def test_values_and_names_are_found_by_each_other(load):
    reordered = load('data.class_names=["road", "water", "field", "forest"]').data
    assert reordered.mask_values == (9, 1, 3, 2)
    by_value = load("data.mask_values=[9, 1]", "data.ignore_values=[2, 3, 255]").data
    assert (by_value.class_names, by_value.ignore_values) == (("road", "water"), (2, 3, 255))


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ('data.class_names=["water", "road"]', "data.class_names leaves out .* forest .2., field .3.. Add them, or"),
        ("data.mask_values=[1, 9]", "data.mask_values leaves out .* forest .2., field .3."),
        (
            'data.class_names=["sea", "road"]',
            r"data.class_names has \['sea'\], .* \['water', .*Set data.mask_values too",
        ),
        ("data.mask_values=[1, 4]", r"data.mask_values has \[4\], .* \[1, 2, 3, 9\].*Set data.class_names too"),
        ("data.class_names=road", r"data.class_names = 'road' \(--set"),
    ],
)
def test_a_part_of_the_classes_is_refused_with_the_way_out(load, override, reason):
    with pytest.raises(ConfigError, match=reason):
        load(override)


def test_a_value_of_the_data_set_that_cannot_be_used_is_laid_to_it(load, tmp_path):
    one = DatasetCard(class_names=("ground",), mask_values=(0,))
    with pytest.raises(ConfigError, match=r"what the data set says of itself, in .*tiles.*at least 2"):
        load(card=one)


def test_without_a_split_of_its_own_the_gate_judges_on_eval(load):
    card = CARD.model_copy(update={"splits": {"train": "train[:80%]", "eval": "train[80%:]"}})
    assert load(card=card).evaluation.split == "eval"
    with pytest.raises(ConfigError, match=r"evaluation.split is 'test'"):
        load("evaluation.split=test", card=card)


def test_a_data_set_that_says_nothing_has_to_be_looked_at(load, tmp_path):
    layers = {"overrides": ["data.dataset=tiles", f"data.data_dir={tmp_path}"]}
    with pytest.raises(ConfigError, match=f"`petseg data describe tiles --data-dir {tmp_path}` lists the values"):
        load(card=DatasetCard())
    assert resolve_layers(**layers).unknown_classes
    named = load('data.class_names=["a", "b"]', "data.mask_values=[0, 1]", card=DatasetCard()).data
    assert (named.class_names, named.schema_file) == (("a", "b"), "oxford_iiit_pet")


@pytest.mark.parametrize("preset", ["demo", "pets"])
def test_the_pets_stay_what_they_are(preset, tmp_path):
    before = load_config(preset=preset, overrides=[f"data.data_dir={tmp_path}"])
    directory = tmp_path / before.data.dataset.partition(":")[0] / "4.0.0"
    directory.mkdir(parents=True)
    (directory / "features.json").write_text("{}")
    (directory / "metadata.json").write_text(json.dumps(CARD.as_metadata()))
    assert load_config(preset=preset, overrides=[f"data.data_dir={tmp_path}"]) == before
    assert before.data.class_names == ("pet", "background", "border")


def test_a_builder_is_asked_before_it_has_prepared_anything(tmp_path):
    overrides = ["data.dataset=survey_tiles", f"data.data_dir={tmp_path}", "data.builder_modules=['survey_tiles']"]
    config = load_config(preset="demo", overrides=overrides)
    assert (config.data.class_names, config.data.ignore_values) == (CARD.class_names, (255,))
    assert not [*tmp_path.iterdir()]


def test_a_data_set_that_cannot_be_asked_is_named_with_the_way_out(tmp_path):
    with pytest.raises(ConfigError, match=r"knows no data set 'synthetic_pet'.* name them in data.class_names"):
        load_config(preset="demo", overrides=["data.dataset=synthetic_pet", f"data.data_dir={tmp_path}"])
