"""`petseg data describe` and `petseg data show`, as a user calls them."""

import json

import pytest

from pipeline.cli import exit_code
from pipeline.config.loading import load_config


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    import survey_tiles

    directory = tmp_path_factory.mktemp("tfds")
    for builder in (survey_tiles.SurveyTiles, survey_tiles.FlawedTiles):
        builder(data_dir=str(directory)).download_and_prepare(file_format="tfrecord")
    return directory


def test_what_is_printed_names_every_class_and_split(data_dir, capfd):
    assert exit_code(["data", "describe", "survey_tiles", "--data-dir", str(data_dir)]) == 0
    printed = capfd.readouterr().out
    assert "22 images in 3 splits, 4 classes" in printed
    for line in ("water", "road", "not labelled", "validation", "site"):
        assert any(row.startswith(line) for row in printed.splitlines()), line


def test_json_is_all_that_is_on_standard_output(data_dir, tmp_path, capfd):
    arguments = ["data", "describe", "flawed_tiles", "--data-dir", str(data_dir), "--split", "test", "--json"]
    assert exit_code([*arguments, "--html", str(tmp_path / "page.html")]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["classes_are_known"], found["splits"]["test"]["examples"]) == (False, 6)
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_the_configuration_that_is_written_loads_and_is_not_lost(data_dir, tmp_path, capfd):
    file = tmp_path / "tiles.toml"
    arguments = ["data", "describe", "flawed_tiles", "--data-dir", str(data_dir), "--write-config", str(file)]
    assert exit_code(arguments) == 0
    assert load_config(file=file).data.mask_values == (1, 2, 3, 9)
    file.write_text("mine")
    assert exit_code(arguments) == 2
    assert "exists; name another file, or overwrite it with --force" in capfd.readouterr().err
    assert file.read_text() == "mine"
    assert exit_code([*arguments, "--force"]) == 0
    assert file.read_text() != "mine"
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["describe", "survey_tiles", "--write-config", "nowhere/a.toml"], 2, "there is no directory 'nowhere'"),
        (["describe", "survey_tiles", "--split", "dev"], 2, "has no split 'dev'"),
        (["describe", "survey_tile"], 2, "knows no data set 'survey_tile'"),
        (["show", "survey_tiles", "--only", "sea", "--out", "x"], 2, "--only sea: there is no such class"),
    ],
)
def test_what_cannot_be_done_is_said(data_dir, tmp_path, monkeypatch, capfd, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    command, *others = arguments
    assert exit_code(["data", command, *others, "--data-dir", str(data_dir)]) == code
    assert message in capfd.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_pages_are_drawn_where_they_are_wanted(data_dir, tmp_path, capfd):
    arguments = ["data", "show", "survey_tiles", "--data-dir", str(data_dir), "--split", "test"]
    assert exit_code([*arguments, "--out", str(tmp_path / "pages"), "--pages", "1"]) == 0
    [file] = (tmp_path / "pages").iterdir()
    assert capfd.readouterr().out.split() == [str(file)]
