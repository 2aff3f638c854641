"""The self-test of the image: what each check finds, and how it ends."""

import os
import platform
import sys
import types
from importlib import metadata

import pytest
from click.testing import CliRunner

from pipeline.kubeflow import self_test
from pipeline.kubeflow.self_test import Check, CheckError


def fail():
    raise CheckError("expected this, found that")


def break_down():
    raise ZeroDivisionError("by nothing")


def test_every_check_has_a_line_and_those_that_failed_are_named(capsys):
    checks = [
        Check("good", lambda: "found"),
        Check("bad", fail),
        Check("broken", break_down),
        Check("last", lambda: ""),
    ]
    assert self_test.run_checks(checks) == ["bad", "broken"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", "good"], ["FAIL", "bad"], ["FAIL", "broken"], ["ok", "last"]]
    assert "expected this, found that" in lines[1]
    assert "ZeroDivisionError: by nothing" in lines[2]


@pytest.mark.parametrize(
    ("checks", "code"), [((Check("good", str),), 0), ((Check("good", str), Check("bad", fail)), 1)]
)
def test_the_exit_code_tells_whether_all_is_well(monkeypatch, checks, code):
    monkeypatch.setattr(self_test, "CHECKS", checks)
    result = CliRunner().invoke(self_test.command)
    assert result.exit_code == code
    assert ("the self-test failed: bad" in result.output) == bool(code)


def test_gpus_are_checked_only_when_asked_for(monkeypatch):
    monkeypatch.setattr(self_test, "CHECKS", ())
    monkeypatch.setattr(self_test, "GPU_CHECK", Check("GPU", fail))
    assert CliRunner().invoke(self_test.command).exit_code == 0
    assert CliRunner().invoke(self_test.command, ["--gpu"]).exit_code == 1


def test_a_machine_without_a_gpu_is_told_what_to_look_at():
    with pytest.raises(CheckError, match=r"sees no GPU.*nvidia-smi"):
        self_test.check_gpu()


def test_python_must_be_what_the_package_asks_for(monkeypatch):
    assert self_test.check_python() == platform.python_version()
    monkeypatch.setattr(platform, "python_version", lambda: "3.14.1")
    with pytest.raises(CheckError, match=r"needs Python <3\.14,>=3\.11, this is 3\.14\.1"):
        self_test.check_python()


@pytest.mark.parametrize("found", [("glibc", "2.36"), ("musl", "1.2.5"), ("", "")])
def test_an_older_or_another_c_library_will_not_do(monkeypatch, found):
    monkeypatch.setattr(platform, "libc_ver", lambda: found)
    with pytest.raises(CheckError, match=rf"expected glibc 2\.39 or newer, found {found[0]} {found[1]}"):
        self_test.check_c_library()


def test_a_newer_c_library_will_do(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.100"))
    assert self_test.check_c_library() == "glibc 2.100"


def test_what_is_installed_is_what_the_package_wants():
    assert "dependencies as petseg" in self_test.check_versions()


def test_missing_and_wrong_versions_are_named(monkeypatch):
    wanted = ["click==7.*", "no-such-thing>=1", "rich", "tensorflow[and-cuda]==1.*; extra == 'gpu'"]
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    with pytest.raises(CheckError) as caught:
        self_test.check_versions()
    assert str(caught.value) == (
        f"click==7.* is wanted, {metadata.version('click')} is installed; no-such-thing>=1 is wanted, none is installed"
    )


def test_a_user_without_a_name_is_known_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOGNAME", "petseg")
    assert self_test.check_user().startswith(f"petseg ({os.getuid()}:{os.getgid()}) writes to {tmp_path}")


def test_a_home_that_cannot_be_written_to_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "missing"))
    with pytest.raises(CheckError, match=r"cannot write to .*missing.*: No such file or directory"):
        self_test.check_user()


def test_an_empty_model_analysis_is_noticed(monkeypatch):
    monkeypatch.setattr(self_test, "MODULES", ("json",))
    monkeypatch.setitem(sys.modules, "tensorflow_model_analysis", types.ModuleType("tensorflow_model_analysis"))
    with pytest.raises(CheckError, match="tensorflow_model_analysis is empty"):
        self_test.check_imports()


def test_a_module_that_cannot_be_imported_fails_the_check(monkeypatch, capsys):
    monkeypatch.setattr(self_test, "MODULES", ("no_such_module",))
    assert self_test.run_checks([Check("imports", self_test.check_imports)]) == ["imports"]
    assert "ModuleNotFoundError: No module named 'no_such_module'" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["code", "segmentation", "metadata", "beam"])
def test_the_checks_that_do_something_pass_here(name):
    (check,) = [check for check in self_test.CHECKS if check.name == name]
    assert check.run()


def test_a_mask_that_changes_on_the_way_is_noticed(monkeypatch):
    from PIL import Image

    save = Image.Image.save
    monkeypatch.setattr(Image.Image, "save", lambda self, *args: save(self.point(lambda value: 7), *args))
    with pytest.raises(CheckError, match="a mask that was written as PNG and read again is another one"):
        self_test.check_segmentation()
