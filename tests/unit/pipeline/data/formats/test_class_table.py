"""The tables that labelling tools keep beside masks, and what the user declares."""

from pathlib import Path

import pytest
from picture_files import put

from pipeline.data.formats.class_table import ClassTable, declared_table, read_table
from pipeline.data.formats.options import SourceOptions
from trainer_module.errors import ConfigError, DataError

TABLES = {
    "CVAT": "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad sign:128,64,128::\n",
    "CamVid": "0 0 0\tbackground\n128 64 128\troad sign\n",
    "CamVid, spaces": "0   0   0      background\r\n128 64  128     road sign\r\n",
    "class_dict": "name,r,g,b\nbackground,0,0,0\nroad sign,128,64,128\n",
    "class_dict, spaces": "name, r, g, b\nbackground, 0, 0, 0\nroad sign, 128, 64, 128\n",
    "hexadecimal": "background,#000000\nroad sign,#804080\n",
    "byte order mark": "\ufeffname,color\nbackground,#000000\nroad sign,#804080\n",
}
VALUE_TABLES = {
    "name first": "name,value\nbackground,0\nroad sign,40000\n",
    "value first": "0: background\n40000: road sign\n",
    "spaces": "0 background\n40000 road sign\n",
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_tables_of_colours(tmp_path: Path, text: str) -> None:
    table = read_table(put(tmp_path / "labelmap.txt", text))
    assert list(table.items()) == [("background", (0, 0, 0)), ("road sign", (128, 64, 128))]


@pytest.mark.parametrize("text", VALUE_TABLES.values(), ids=VALUE_TABLES)
def test_tables_of_values(tmp_path: Path, text: str) -> None:
    table = read_table(put(tmp_path / "classes.csv", text))
    assert list(table.items()) == [("background", 0), ("road sign", 40000)]


BROKEN = {
    "road\n": "names no class",
    "sky,1\nroad,two\n": "line 2: 'road,two' is not the name",
    "sky,1,2,300\n": "line 1",
    "sky,70000\n": "line 1",
    "sky,1\nroad,1\n": "line 2: the class 'road' or its 1 is there twice",
    "sky,1,1,1\nsky,2,2,2\n": "line 2.*twice",
    "sky,1,1,1\nroad,2\n": "some classes have a value and some a colour",
}


@pytest.mark.parametrize(("text", "message"), BROKEN.items())
def test_a_broken_table_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=f"classes.csv.*{message}"):
        read_table(put(tmp_path / "classes.csv", text))


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"classes.csv: it is not UTF-8 \(byte 3\)"):
        read_table(put(tmp_path / "classes.csv", "sky\xff,1".encode("latin1")))


def test_what_the_user_says_goes_before_the_file_beside_the_masks(tmp_path: Path) -> None:
    found = put(tmp_path / "labelmap.txt", "sky:1,1,1::\nvoid:2,2,2::\n")
    assert declared_table(SourceOptions(), found) == ClassTable(("sky",), ((1, 1, 1),), ((2, 2, 2),))
    assert declared_table(SourceOptions(ignore=()), found) == ClassTable(("sky", "void"), ((1, 1, 1), (2, 2, 2)))
    assert declared_table(SourceOptions(class_names=("a", "b")), found) == ClassTable(("a", "b"), (0, 1))
    given = put(tmp_path / "other.csv", "sea,7\n")
    assert declared_table(SourceOptions(class_table=given), found) == ClassTable(("sea",), (7,))
    assert declared_table(SourceOptions(), None) is None


def test_what_is_ignored_is_named_by_value_colour_or_class(tmp_path: Path) -> None:
    table = declared_table(SourceOptions(class_names=("sky", "Dust", "sea"), ignore=("dust", "255", "9")), None)
    assert table == ClassTable(("sky", "sea"), (0, 2), (1, 255, 9))
    assert table.codes == {0: 0, 2: 2, 1: 255, 255: 255, 9: 255}
    found = put(tmp_path / "labelmap.txt", "sky:1,1,1::\n")
    assert declared_table(SourceOptions(ignore=("#ffffff",)), found) == ClassTable(
        ("sky",), ((1, 1, 1),), ((255, 255, 255),)
    )
    with pytest.raises(ConfigError, match=r"--ignore dusk: .*no class of that name"):
        declared_table(SourceOptions(class_names=("sky",), ignore=("dusk",)), None)
    with pytest.raises(
        ConfigError, match=r"--ignore 255: .*labelmap.txt and --ignore have to be all values or all col"
    ):
        declared_table(SourceOptions(ignore=("255",)), found)
    with pytest.raises(ConfigError, match="0 classes remain"):
        declared_table(SourceOptions(class_names=("sky",), ignore=("sky",)), None)


def test_options_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    for wrong, message in (
        ({"mask_template": "mask.png"}, r"needs \{stem\} once"),
        ({"class_names": ("a", "b"), "mask_values": (1,)}, "2 names and 1 values"),
        ({"class_names": ("a", "a")}, "same name: a, a"),
        ({"class_names": ("a",), "mask_values": (1,), "class_table": tmp_path}, "give one"),
        ({"class_names": tuple(map(str, range(256)))}, "at most 255"),
    ):
        with pytest.raises(ValueError, match=message):
            SourceOptions.model_validate(wrong)
