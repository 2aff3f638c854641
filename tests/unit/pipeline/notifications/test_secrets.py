"""Where secrets come from, and that none is repeated."""

import pytest

from pipeline.config.notification import NotificationConfig
from pipeline.notifications.secrets import missing_secrets, secret, webhook_url, without_secrets
from trainer_module.errors import ConfigError

URL = "https://hooks.test/services/T0/B0/hunter2"
SETTINGS = NotificationConfig(
    webhook=True, mail_to=("a@b.test",), mail_from="c@d.test", smtp_host="h", smtp_user="petseg"
)


def test_a_secret_is_in_the_variable_or_in_the_file_that_it_names(tmp_path):
    file = tmp_path / "secret"
    file.write_text(f"{URL}\n")
    assert secret("A", {"A": f" {URL} "}) == URL
    assert webhook_url(SETTINGS, {"PETSEG_WEBHOOK_URL_FILE": str(file)}) == URL
    assert secret("A", {"A": "x", "A_FILE": str(file)}) == "x"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "the environment variable A is not set, nor A_FILE"),
        ({"A": " "}, "A is not set"),
        ({"A_FILE": "/no/such"}, "A_FILE names '/no/such', which cannot be read: No such file"),
        ({"A_FILE": "/dev/null"}, "which is empty"),
    ],
)
def test_a_secret_that_is_not_there_is_said(environment, said):
    with pytest.raises(ConfigError, match=said):
        secret("A", environment)


@pytest.mark.parametrize("url", ["hunter2", "ftp://hunter2", "https://", "https://h:x/hunter2", "https://h/a hunter2"])
def test_what_is_no_url_is_not_repeated(url):
    with pytest.raises(ConfigError, match="PETSEG_WEBHOOK_URL holds is no URL") as caught:
        webhook_url(SETTINGS, {"PETSEG_WEBHOOK_URL": url})
    assert "hunter2" not in str(caught.value)


def test_all_that_is_missing_is_named():
    said = missing_secrets(SETTINGS, {})
    assert [line.split(" ")[0] for line in said] == ["notification.webhook", "notification.smtp_user"]
    assert "PETSEG_SMTP_PASSWORD is not set" in said[1]
    assert missing_secrets(SETTINGS, {"PETSEG_WEBHOOK_URL": URL, "PETSEG_SMTP_PASSWORD": "x"}) == []


@pytest.mark.parametrize(
    "text",
    [URL, "url: /services/T0/B0/hunter2", "GET /x/hunter2", "https%3A%2F%2Fhooks.test%2Fservices%2FT0%2FB0%2Fhunter2"],
)
def test_no_part_of_a_secret_is_left(text):
    assert "hunter2" not in without_secrets(text, [URL])
    assert "hunter2" not in without_secrets(text, ["hunter2"])
