"""The day of an example."""

import pytest
from drawn_source import bring_in, draw, examples, numbered
from PIL import Image

from components.days import day_text
from pipeline.data.importing import importer
from pipeline.data.importing.dates import DateSource
from trainer_module.errors import ConfigError


@pytest.mark.parametrize(
    ("form", "path", "day"),
    [
        ("%Y-%m-%d", "2026-11-29/a.jpg", "2026-11-29"),
        ("%Y%m%d", "IMG_20261129_101500.jpg", "2026-11-29"),
        ("%Y/%m/%d", "2026/11/29/a.jpg", "2026-11-29"),
        ("%Y%j", "S2A_2026333_T32.png", "2026-11-29"),
        ("%d.%m.%y", "Feld 29.11.26.png", "2026-11-29"),
        ("%Y-%m-%d", "2026-13-45/2026-11-29.jpg", "2026-11-29"),
        ("%Y%m%d", "120261129.jpg", None),
        ("%Y-%m-%d", "a.jpg", None),
    ],
)
def test_a_path_names_a_day(form, path, day):
    found = DateSource(form).of_path(path)
    assert (None if found is None else day_text(found)) == day


@pytest.mark.parametrize("text", ["%Y-%m", "yesterday", "%H", "%Y-%m-%d-%j"])
def test_what_names_no_day_is_refused(text):
    with pytest.raises(ConfigError, match="--date-from"):
        DateSource(text)


def test_dated_folders(tmp_path):
    source = tmp_path / "field"
    for day in ("2026-11-28", "2026-11-29"):
        draw(source, *(f"{day}/{name}" for name in numbered(1, 4)))
    draw(source, "undated")
    report = bring_in(source, tmp_path / "data", dates=DateSource("%Y-%m-%d")).report
    assert (day_text(report.first_date), day_text(report.last_date)) == ("2026-11-28", "2026-11-29")
    assert report.reasons[0].names == ("images/undated.jpg",)
    for name, example in examples(tmp_path / "data", "1.0.0").items():
        assert day_text(int(example["date"])) in name


def test_exif_and_the_day_of_the_import(tmp_path, monkeypatch):
    monkeypatch.setattr(importer, "today", lambda: 20000)
    source = draw(tmp_path / "field", *numbered(1, 6))
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2025:03:04 10:00:00"
    with Image.open(source / "images" / "tile 001.jpg") as image:
        image.load()
    image.save(source / "images" / "tile 001.jpg", exif=exif)
    bring_in(source, tmp_path / "data", dates=DateSource("exif"))
    days = {name: day_text(int(example["date"])) for name, example in examples(tmp_path / "data", "1.0.0").items()}
    assert days.pop("images/tile 001.jpg") == "2025-03-04"
    assert set(days.values()) == {"2024-10-04"}


def test_old_examples_keep_the_day_they_were_imported_on(tmp_path, monkeypatch):
    source = draw(tmp_path / "field", *numbered(1, 6))
    monkeypatch.setattr(importer, "today", lambda: 20000)
    bring_in(source, tmp_path / "data")
    draw(source, "tile 007")
    monkeypatch.setattr(importer, "today", lambda: 20100)
    report = bring_in(source, tmp_path / "data").report
    assert (report.first_date, report.last_date) == (20000, 20100)
