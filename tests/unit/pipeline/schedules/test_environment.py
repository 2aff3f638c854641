"""What a schedule carries along of the environment, what it never does, and the trial before it is installed."""

import sys
from pathlib import Path

import pytest

from pipeline.runs.session import CHECKPOINT_DIR_VARIABLE
from pipeline.schedules import environment
from pipeline.schedules.environment import PATHS, carried_variables, holds_secret, try_firing
from pipeline.schedules.local_entry import LocalEntry
from trainer_module.errors import ConfigError

OWN_BUILDER = """
import os
PLACE = os.environ.get("OWN_TILES")
os.getenv("OWN_TOKEN")
assert "STRAY" not in list(os.environ)
print(PLACE)
"""


def test_the_place_of_the_checkpoints_is_one_of_the_paths():
    assert CHECKPOINT_DIR_VARIABLE in PATHS


def test_paths_are_carried_absolute_and_addresses_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = {
        "PYTHONPATH": "modules::/opt/x",
        "TFDS_DATA_DIR": "gs://bucket/data",
        "GOOGLE_APPLICATION_CREDENTIALS": "key.json",
        "HTTPS_PROXY": "http://proxy:3128",
        "NO_PROXY": "localhost",
        "KUBECONFIG": "",
        "EDITOR": "vi",
    }
    assert carried_variables((), here) == {
        "GOOGLE_APPLICATION_CREDENTIALS": f"{tmp_path}/key.json",
        "HTTPS_PROXY": "http://proxy:3128",
        "NO_PROXY": "localhost",
        "PYTHONPATH": f"{tmp_path}/modules:{tmp_path}:/opt/x",
        "TFDS_DATA_DIR": "gs://bucket/data",
    }
    assert carried_variables(("EDITOR",), here)["EDITOR"] == "vi"


def test_a_password_in_a_proxy_is_not_carried():
    here = {"HTTPS_PROXY": "http://me:mine@proxy:3128", "HTTP_PROXY": "http://me@proxy:3128"}
    assert list(carried_variables((), here)) == ["HTTP_PROXY"]


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("AWS_SECRET_ACCESS_KEY", "x", True),
        ("HF_TOKEN", "x", True),
        ("db_password", "x", True),
        ("STORE", "s3://me:mine@host/", True),
        ("AWS_ACCESS_KEY_ID", "x", True),
        ("KEYBOARD", "de", False),
        ("FIELD_TILES", "/data/tiles", False),
        ("BROKEN", "http://[", False),
    ],
)
def test_secrets_are_told_by_their_names_and_values(name, value, secret):
    assert holds_secret(name, value) is secret
    if secret:
        with pytest.raises(ConfigError, match=f"names {name!r}, which looks like a secret"):
            carried_variables((name,), {name: value})


def test_the_path_of_a_file_with_a_secret_is_none(tmp_path):
    file = tmp_path / "token"
    file.touch()
    assert carried_variables(("TOKEN_FILE",), {"TOKEN_FILE": str(file)}) == {"TOKEN_FILE": str(file)}


def test_a_chosen_one_that_is_not_set_is_named():
    with pytest.raises(ConfigError, match="names 'FIELD_TILES', which is not set here"):
        carried_variables(("FIELD_TILES",), {})


def entry_of(root: Path, *arguments: str, **environment: str) -> LocalEntry:
    return LocalEntry(
        name="nightly", cron="0 3 * * *", time_zone="UTC", catch_up=False, directory=str(root.parent), root=str(root),
        run_arguments=("--preset=demo", f"--pipeline-root={root}", *arguments), python=sys.executable,
        environment=environment,
    )  # fmt: skip


def test_a_process_in_the_schedulers_environment_tries_it(tmp_path, monkeypatch):
    (tmp_path / "own_builder.py").write_text(OWN_BUILDER)
    for name in ("OWN_TILES", "OWN_TOKEN", "STRAY"):
        monkeypatch.setenv(name, "here")
    given = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    modules = "--set=data.builder_modules=['own_builder', 'components.datasets.synthetic_pets']"
    entry = entry_of(tmp_path / "root", modules, PYTHONPATH=str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        try_firing(entry, given, "crontab")
    assert "the builder asks for OWN_TILES, OWN_TOKEN, set in this shell" in str(caught.value)
    assert 'schedule.environment = ["OWN_TILES"]. OWN_TOKEN: secrets are not carried along' in str(caught.value)
    assert "the crontab gives, with HOME, PATH, PYTHONPATH" in str(caught.value)
    assert "would fail" not in str(caught.value)


def test_what_cannot_be_started_or_says_nothing_is_refused(tmp_path, monkeypatch):
    entry = entry_of(tmp_path / "root").model_copy(update={"python": str(tmp_path / "python")})
    with pytest.raises(ConfigError, match=r"would fail: cannot start '.*/python'"):
        try_firing(entry, {"HOME": str(tmp_path)}, "crontab")
    (tmp_path / "python").write_text("#!/bin/sh\necho broken >&2\nexit 7\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(ConfigError, match="ended with exit code 7: broken"):
        try_firing(entry, {"HOME": str(tmp_path)}, "crontab")
    (tmp_path / "python").write_text("#!/bin/sh\nexec sleep 600\n")
    monkeypatch.setattr(environment, "_SECONDS", 0)
    with pytest.raises(ConfigError, match="not there after 0 s"):
        try_firing(entry, {"HOME": str(tmp_path)}, "crontab")
