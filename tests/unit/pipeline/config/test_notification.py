"""The settings of notifications: what is refused, and that a secret written there is not repeated."""

import pytest

from pipeline.config.loading import config_toml, load_config
from pipeline.config.notification import mail_address
from trainer_module.errors import ConfigError

SECRET = "https://hooks.test/services/T0/B0/hunter2"
MAIL = ["notification.mail_to=['a@b.test']", "notification.mail_from=c@d.test", "notification.smtp_host=smtp.test"]


def refused(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=overrides)
    return str(caught.value)


def test_nobody_is_told_unless_set():
    settings = load_config().notification
    assert (settings.has_channel, settings.when, settings.secret_variables) == (False, "scheduled", {})


def test_mail_needs_a_server_and_a_sender():
    assert "mail_to is set, and smtp_host and mail_from not" in refused(MAIL[0])
    assert "mail_to is set, and mail_from not" in refused(MAIL[0], MAIL[2])
    settings = load_config(overrides=MAIL).notification
    assert (settings.has_channel, settings.secret_variables) == (True, {})


def test_the_variables_of_the_secrets_that_are_needed_are_known():
    more = ["notification.smtp_user=petseg", "notification.smtp_password_variable=MAIL_PW", "notification.webhook=true"]
    assert load_config(overrides=[*MAIL, *more]).notification.secret_variables == {
        "notification.webhook": "PETSEG_WEBHOOK_URL",
        "notification.smtp_user": "MAIL_PW",
    }


def test_a_password_is_not_sent_readable():
    said = refused(*MAIL, "notification.smtp_user=petseg", "notification.smtp_security=none")
    assert "would send the password so that others can read it" in said


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (f"webhook={SECRET}", "put it into the environment variable that notification.webhook_variable names"),
        (f"webhook_variable={SECRET}", "expected the name of an environment variable"),
        ("smtp_password_variable=hunter2!", "expected the name of an environment variable"),
        ("smtp_host=smtp://ada:hunter2@h", "without scheme, user or port"),
        ("report_url=https://ada:hunter2@r.test/{run_id}", "without user or password"),
    ],
)
def test_a_secret_in_the_settings_is_refused_and_not_repeated(setting, said):
    found = refused(f"notification.{setting}")
    assert said in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://r.test/report.html", "is the same for every run"),
        ("/runs/{run_id}", "expected a URL with {run_id} in it"),
        ("https://r.test/{run_id}/{day}", "expected a URL with {run_id} in it"),
        ("https://r.test/{run_id.__class__}", "expected a URL with {run_id} in it"),
        ("https://r.test/{run_id", "expected a URL with {run_id} in it"),
        ("https://r.test/{run_id}|<x>", "expected a URL with {run_id} in it"),
        ("https:///{run_id}", "expected a URL with"),
    ],
)
def test_a_url_of_reports_names_the_run(url, said):
    assert said in refused(f"notification.report_url={url}")


@pytest.mark.parametrize(
    "address",
    ["", "ada", "ada@", "a@b.test, c@d.test", "a@b.test\r\nBcc: eve@e.test", "Ada <ada@b.test> x", "a b@c.test"],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match="is no address of mail"):
        mail_address(address)


def test_names_and_domains_may_have_every_letter():
    address = mail_address('"Lövelace, Ada" <ada@möwe.test>')
    assert (address.display_name, address.addr_spec) == ("Lövelace, Ada", "ada@xn--mwe-sna.test")


def test_what_is_printed_is_read_back(tmp_path):
    config = load_config(overrides=[*MAIL, "notification.outcomes=['failed', 'skipped']"])
    (tmp_path / "c.toml").write_text(config_toml(config))
    assert load_config(file=tmp_path / "c.toml") == config
