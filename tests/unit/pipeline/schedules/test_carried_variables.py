"""What a schedule carries along of the environment, and what it never does."""

import pytest

from pipeline.schedules.firing_check import carried_variables, holds_secret
from trainer_module.errors import ConfigError


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
