"""`petseg data import`: what it asks for, what it prints, and how it ends."""

import json
import subprocess
import sys

import pytest
from drawn_source import draw, numbered

from pipeline.cli import exit_code


@pytest.fixture
def command(tmp_path, capfd):
    """Calls the command in this process; returns exit code, standard output and standard error."""

    def run(*arguments):
        place = ("--data-dir", str(tmp_path / "data"), "--name", "tiles", "--workers", "1")
        code = exit_code(["data", "import", *map(str, arguments), *place])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def source(tmp_path):
    return draw(tmp_path / "field", *numbered(1, 20), values=(0, 4, 255), size=(4, 5))


def test_it_says_what_came_of_it_and_what_to_do_next(command, source, tmp_path):
    (source / "images" / "tile 003.jpg").write_bytes(b"")
    code, out, err = command(source, "--class", "soil=0", "--class", "crop=4", "--ignore", "255", "--stratify")
    assert code == 0, err
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "20 files of images and masks in folders, imported as tiles 1.0.0" in lines
    assert "19 kept (19 read, 0 from the version before), 1 dropped" in out
    assert "crop 4 95 33.33% 19" in lines
    assert "255 95" in lines
    assert any(line.endswith("1 images/tile 003.jpg") for line in lines)
    assert f"next: petseg data describe tiles --data-dir {tmp_path / 'data'} --write-config tiles.toml" in lines
    assert "then: petseg run --config tiles.toml" in lines

    code, out, _ = command(source, "--class", "soil=0", "--class", "crop=4", "--ignore", "255", "--stratify")
    assert code == 0
    assert out.startswith("nothing new: tiles 1.0.0 has all 19 of its pictures")


def test_for_programs_it_prints_the_report(command, source):
    code, out, err = command(source, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert (report["is_new"], report["version"], report["kept"]) == (True, "1.0.0", 20)
    assert [one["name"] for one in report["classes"]] == ["class_0", "class_4"]
    code, out, _ = command(source, "--dry-run", "--json")
    assert (code, json.loads(out)["new"], json.loads(out)["unchanged"]) == (0, 0, 20)


def test_a_dry_run_is_read_by_people(command, source, tmp_path):
    code, out, _ = command(source, "--dry-run")
    assert code == 0
    assert ["new", "20"] in [line.split() for line in out.splitlines()]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "train=half"], "--split 'train=half': a share is a number"),
        (["--split", "train"], "--split 'train': give two things with = between them"),
        (["--split", "train=0.5,eval=0.6"], "sum to 1 (here 1.1)"),
        (["--version", "2"], "--version '2': give three numbers, as in 1.2.0"),
        (["--class", "soil=0", "--class", "crop"], "give a value with each of them, or with none"),
        (["--class", "soil=x"], "a value is a whole number"),
        (["--class", "soil=0", "--class", "soil=1"], "two classes have the same name"),
        (["--mask-template", "mask.png"], "needs {stem} once"),
        (["--group", "("], "--group '(' is no regular expression"),
        (["--date-from", "monday"], "--date-from 'monday'"),
        (["--add", "--replace"], "--add and --replace contradict each other"),
    ],
)
def test_options_that_make_no_sense_are_bad_usage(command, source, arguments, message):
    code, _, err = command(source, *arguments)
    assert (code, message in err) == (2, True), err
    assert len(err.strip().splitlines()) == 1


def test_lists_of_names_part_the_pictures(command, source, tmp_path):
    for split, names in (("train", numbered(1, 15)), ("val", numbered(16, 19))):
        (tmp_path / f"{split}.txt").write_text("\n".join(names))
    lists = [f"--split-list={tmp_path / split}.txt={split}" for split in ("train", "val")]
    code, out, err = command(source, *lists, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["splits"] == {"train": 15, "eval": 4}
    assert report["dropped"] == 1


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from pipeline.cli import exit_code; exit_code(['data', 'import', '--help'])\n"
        "print([name for name in ('tensorflow', 'tfx', 'tensorflow_datasets', 'PIL') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "[]"
