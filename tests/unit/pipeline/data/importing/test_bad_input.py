"""What people's disks hold: each gets one clear message, or a named drop that is counted; nothing is lost silently."""

import csv
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from drawn_source import bring_in, draw, examples, numbered
from PIL import Image

from pipeline.data.importing import stamps
from trainer_module.errors import PetsegError

GOOD = numbered(1, 8)


@pytest.fixture
def source(tmp_path):
    return draw(tmp_path / "field", *GOOD)


def _image(source: Path, content: bytes, name="bad.jpg") -> None:
    (source / "images" / name).write_bytes(content)
    draw(source / "unused", "bad")
    (source / "unused" / "masks" / "bad.png").rename((source / "masks" / name).with_suffix(".png"))
    for file in sorted((source / "unused").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    (source / "unused").rmdir()


def _encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _noise(mode="RGB", size=(16, 12)) -> Image.Image:
    rng = np.random.default_rng(1)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).convert(mode)


def _bomb() -> bytes:
    """Returns the start of a PNG that says it has 60,000 × 60,000 pixels."""
    chunks = {b"IHDR": struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0), b"IDAT": zlib.compress(bytes(1000))}
    parts = [
        struct.pack(">I", len(of)) + kind + of + struct.pack(">I", zlib.crc32(kind + of)) for kind, of in chunks.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


DROPPED = {
    "truncated": lambda: (_encoded(_noise(), "JPEG")[:300], "cut off or damaged"),
    "zero bytes": lambda: (b"", "it is empty"),
    "a web page": lambda: (b"<!DOCTYPE html><title>404</title>", "HTML"),
    "animated": lambda: (_encoded(_noise(), "PNG", save_all=True, append_images=[_noise("L")]), "2 frames"),
    "a bomb": lambda: (_bomb(), "60000×60000|more than 33554432 pixels"),
    "a GIF": lambda: (_encoded(_noise("P"), "GIF"), "GIF"),
    "dark 16 bits": lambda: (_encoded(Image.fromarray(np.full((12, 16), 900, np.uint16)), "PNG"), "16 bits"),
}


@pytest.mark.parametrize("case", DROPPED)
def test_an_image_of_no_use_is_dropped_by_name_and_reason(source, tmp_path, case):
    content, reason = DROPPED[case]()
    _image(source, content)
    report = bring_in(source, tmp_path / "data").report
    assert (report.found, report.kept, report.dropped) == (9, 8, 1)
    (found,) = report.reasons
    assert found.names == ("images/bad.jpg",)
    assert any(part in found.text for part in reason.split("|")), found.text


KEPT = {
    "a PNG called .jpg": lambda: (_encoded(_noise(), "PNG"), "name of another format"),
    "CMYK": lambda: (_encoded(_noise("CMYK"), "JPEG"), "CMYK"),
    "a BMP": lambda: (_encoded(_noise(), "BMP"), "re-encoded losslessly"),
    "a WebP": lambda: (_encoded(_noise(), "WEBP", lossless=True), "re-encoded losslessly"),
    "a TIFF": lambda: (_encoded(_noise(), "TIFF"), "re-encoded losslessly"),
}


@pytest.mark.parametrize("case", KEPT)
def test_an_image_that_is_of_use_is_kept_and_told_of(source, tmp_path, case):
    content, note = KEPT[case]()
    _image(source, content)
    report = bring_in(source, tmp_path / "data").report
    assert (report.kept, report.dropped) == (9, 0)
    told = {reason.text: reason.names for reason in report.done}
    assert [names for text, names in told.items() if note in text] == [("images/bad.jpg",)]
    stored = examples(tmp_path / "data", "1.0.0")["images/bad.jpg"]["image"]
    if "re-encoded" in note:
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(stored))), np.asarray(_noise()))
    else:
        assert stored == content


def test_pairing(source, tmp_path):
    (source / "masks" / "tile 001.png").unlink()
    (source / "images" / "tile 002.jpg").unlink()
    (source / "images" / "tile 003.png").write_bytes(_encoded(_noise(), "PNG"))
    Image.fromarray(np.zeros((12, 17), np.uint8)).save(source / "masks" / "tile 004.png")
    (source / "Thumbs.db").write_bytes(b"x")
    (source / "images" / ".hidden.jpg").write_bytes(b"x")
    report = bring_in(source, tmp_path / "data").report
    with (Path(report.directory) / "import_files.csv").open(encoding="utf-8", newline="") as file:
        reasons = {row["name"]: row["reason"] for row in csv.DictReader(file)}
    dropped = {name for name, reason in reasons.items() if reason}
    assert "images/tile 001.jpg" in dropped
    assert "masks/tile 002.png" in dropped
    assert {"images/tile 003.jpg", "images/tile 003.png"} & dropped
    assert "12×16" in reasons["images/tile 004.jpg"]
    assert "12×17" in reasons["images/tile 004.jpg"]
    assert report.found == report.kept + report.dropped == len(reasons)
    assert report.kept == sum(not reason for reason in reasons.values())


@pytest.mark.parametrize(
    "name", ["поле 7", "水田", "حقل", "a b  c", "quote'\"", "new\nline", "50% [1] {x}", "-rf", "e\u0301t\u00e9"]
)
def test_names_in_any_script_come_through(tmp_path, name):
    source = draw(tmp_path / "field", *GOOD, name)
    report = bring_in(source, tmp_path / "data").report
    assert (report.kept, report.dropped) == (9, 0)
    assert f"images/{name}.jpg" in examples(tmp_path / "data", "1.0.0")
    assert not bring_in(source, tmp_path / "data").is_new, "the list of files gives the names back"


def test_a_name_that_is_no_utf_8_is_dropped(source, tmp_path):
    latin = os.fsencode(source / "images") + b"/caf\xe9.jpg"
    Path(os.fsdecode(latin)).write_bytes(b"x")
    report = bring_in(source, tmp_path / "data").report
    assert (report.kept, report.dropped) == (8, 1)
    assert "not UTF-8" in report.reasons[0].text


def test_loops_of_links_and_links_to_nowhere(source, tmp_path):
    (source / "images" / "again").symlink_to(source)
    (source / "images" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    draw(source / "unused", "gone")
    (source / "unused" / "masks" / "gone.png").rename(source / "masks" / "gone.png")
    (source / "unused" / "images" / "gone.jpg").unlink()
    for folder in ("images", "masks", ""):
        (source / "unused" / folder).rmdir()
    report = bring_in(source, tmp_path / "data").report
    assert (report.kept, report.dropped) == (8, 1)
    assert report.reasons[0].names == ("images/gone.jpg",)


def test_a_file_that_cannot_be_read_is_dropped_until_it_can(source, tmp_path, monkeypatch):
    from pipeline.data.formats import images

    read_bytes = Path.read_bytes

    def refuse(path):
        if path.name == "tile 003.jpg":
            raise PermissionError(13, "Permission denied", str(path))
        return read_bytes(path)

    monkeypatch.setattr(images.Path, "read_bytes", refuse)
    report = bring_in(source, tmp_path / "data").report
    assert (report.kept, report.dropped) == (7, 1)
    assert "Permission denied" in report.reasons[0].text
    monkeypatch.undo()
    report = bring_in(source, tmp_path / "data").report
    assert (report.version, report.kept, report.dropped) == ("1.1.0", 8, 0)


def test_a_folder_that_cannot_be_read_is_named(source, tmp_path):
    """As somebody who is not root, in another process."""
    if os.getuid():
        pytest.skip("needs root to become somebody else")
    (source / "images" / "locked").mkdir(mode=0o700)
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == 0 and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o055)
    code = (
        "import os, sys, pathlib\n"
        "from pipeline.data.formats.reading import read_annotations\n"
        "from pipeline.data.formats.options import SourceOptions\n"
        "os.setuid(65534)\n"
        "read_annotations(pathlib.Path(sys.argv[1]), SourceOptions())\n"
    )
    result = subprocess.run([sys.executable, "-c", code, str(source)], check=False, capture_output=True, text=True)
    assert "DataError" in result.stderr
    assert "locked" in result.stderr
    assert "Permission denied" in result.stderr


@pytest.mark.parametrize("content", [None, "a file", "an empty folder"])
def test_a_source_that_is_none(tmp_path, content):
    place = tmp_path / "field"
    if content == "a file":
        place.write_text("hello")
    elif content:
        place.mkdir()
    with pytest.raises(PetsegError, match="field"):
        bring_in(place, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_nothing_left_to_import_is_refused_with_the_reasons(tmp_path):
    source = draw(tmp_path / "field", *GOOD)
    for file in (source / "images").iterdir():
        file.write_bytes(b"")
    with pytest.raises(PetsegError, match=r"images/tile 00\d\.jpg: .*empty"):
        bring_in(source, tmp_path / "data")
    assert not (tmp_path / "data" / "tiles" / "1.0.0").exists()


def test_files_that_vanish_have_no_stamp(source):
    from pipeline.data.formats.options import SourceOptions
    from pipeline.data.formats.reading import read_annotations

    picture = read_annotations(source, SourceOptions()).pictures[0]
    assert stamps.stamp(picture) == stamps.stamp(picture) != ""
    assert stamps.content_digest(picture) != ""
    picture.image.unlink()
    assert stamps.stamp(picture) == stamps.content_digest(picture) == ""
