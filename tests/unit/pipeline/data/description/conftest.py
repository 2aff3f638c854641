"""Drawn tiles, prepared once, and what is seen in them."""

import pytest


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """Holds `survey_tiles`, which say what they hold, and `flawed_tiles`, which do not."""
    import survey_tiles

    directory = str(tmp_path_factory.mktemp("tfds"))
    for builder in (survey_tiles.SurveyTiles, survey_tiles.FlawedTiles):
        builder(data_dir=directory).download_and_prepare(file_format="tfrecord")
    return directory


@pytest.fixture(scope="session")
def opened(data_dir):
    """Opens one of the data sets."""
    from pipeline.config.loading import resolve_layers
    from pipeline.data.description.opening import open_to_look

    def open_(name, *overrides, splits=()):
        own = [f"data.dataset={name}", f"data.data_dir={data_dir}", "data.download=false"]
        return open_to_look(resolve_layers(overrides=[*own, *overrides]), splits)

    return open_


@pytest.fixture(scope="session")
def surveys(opened):
    """What is seen in both, by name; the flawed ones with classes of which one value is left out, too."""
    from pipeline.data.description.survey import survey

    said = ('data.class_names=["water", "field", "road"]', "data.mask_values=[1, 3, 9]", "data.ignore_values=[255]")
    found = {name: survey(opened(name), lambda _: None) for name in ("survey_tiles", "flawed_tiles")}
    return found | {"partly_declared": survey(opened("flawed_tiles", *said), lambda _: None)}
