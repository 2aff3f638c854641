"""A prepared data set is found as TFDS finds it, and says what it holds."""

import json

import pytest
from survey_tiles import CARD

from components.prepared_dataset import prepared_card, prepared_directory
from trainer_module.errors import DataError


@pytest.fixture
def data_dir(tmp_path):
    """Three versions of tiles, and a data set with two configurations."""
    for place in ("tiles/1.0.0", "tiles/1.10.0", "tiles/1.9.0", "maps/large/2.0.0", "maps/small/1.0.0"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "features.json").write_text("{}")
    (tmp_path / "tiles/2.0.0.incomplete").mkdir()
    (tmp_path / "maps/large/3.0.0").mkdir()
    (tmp_path / "maps/.config").mkdir()
    (tmp_path / "maps/.config/metadata.json").write_text('{"default_config_name": "small"}')
    return tmp_path


@pytest.mark.parametrize(
    ("dataset", "place"),
    [
        ("tiles", "tiles/1.10.0"),
        ("tiles:1.*.*", "tiles/1.10.0"),
        ("tiles:1.9.*", "tiles/1.9.0"),
        ("tiles:1.0.0", "tiles/1.0.0"),
        ("tiles:3.0.0", None),
        ("maps/large", None),
        ("tiles/large", None),
        ("maps", "maps/small/1.0.0"),
        ("maps/large:2.*.*", "maps/large/2.0.0"),
        ("nothing", None),
    ],
)
def test_the_newest_version_that_fits_is_found_where_tfds_finds_it(data_dir, dataset, place):
    from tensorflow_datasets.core import read_only_builder
    from tensorflow_datasets.core.utils import error_utils

    assert prepared_directory(dataset, str(data_dir)) == (data_dir / place if place else None)
    with error_utils.record_error_context():
        found = read_only_builder._find_builder_dir(dataset, data_dir=str(data_dir))
    assert (found and str(found)) == (str(data_dir / place) if place else None)


def test_the_card_is_what_the_metadata_say(data_dir):
    directory = prepared_directory("tiles", str(data_dir))
    assert not prepared_card(directory).class_names
    (directory / "metadata.json").write_text(json.dumps({"other": 1, **CARD.as_metadata()}))
    assert prepared_card(directory) == CARD


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Prepare or import the data set again"),
        ('{"segmentation": {"class_names": ["a"]}}', "each class needs one"),
    ],
)
def test_metadata_that_cannot_be_used_are_named(data_dir, text, reason):
    (data_dir / "tiles/1.0.0/metadata.json").write_text(text)
    with pytest.raises(DataError, match=reason) as refused:
        prepared_card(data_dir / "tiles/1.0.0")
    assert str(data_dir / "tiles/1.0.0/metadata.json") in str(refused.value)
