"""Telling by all channels: who is told of what, within what time, and without any secret in what went wrong."""

import logging
import queue

import pytest
from mail_server import PASSWORD, USER, MailServer

from pipeline.config.notification import OUTCOMES, NotificationConfig
from pipeline.notifications import delivery
from pipeline.notifications.delivery import deliver, settings_of, tell_of_run
from pipeline.runs.record import RunState


@pytest.fixture
def told(hook, monkeypatch):
    """Settings of a webhook whose URL is in the environment."""
    monkeypatch.setenv("PETSEG_WEBHOOK_URL", hook.url)
    return NotificationConfig(webhook=True)


def mail_settings(port: int, **changes: object) -> NotificationConfig:
    values = {"mail_to": ("a@b.test",), "mail_from": "c@d.test", "smtp_host": "127.0.0.1", "smtp_security": "none"}
    return NotificationConfig.model_validate({"webhook": True, "smtp_port": port} | values | changes)


def test_both_channels_are_used(hook, told, message):
    with MailServer() as server:
        deliveries = deliver(mail_settings(server.port), message)
        assert [each.line for each in deliveries] == ["told by webhook", "told by mail"]
        assert (len(server.mails), len(hook.messages)) == (1, 1)


def test_one_that_fails_does_not_keep_the_other(hook, told, message):
    hook.fail(404, body="no_service")
    with MailServer() as server:
        webhook, mail = deliver(mail_settings(server.port), message)
        assert "404" in webhook.error
        assert (mail.error, len(server.mails)) == ("", 1)


def test_who_hangs_is_given_up(hook, told, message, monkeypatch):
    monkeypatch.setattr("pipeline.notifications.webhook.TIMEOUT_SECONDS", 60)
    hook.stall()
    with MailServer() as server:
        webhook, mail = deliver(mail_settings(server.port), message, deadline_seconds=0.5)
    assert webhook.line == "not told by webhook: given up after 0.5 s"
    assert mail.error == ""


def test_ctrl_c_ends_the_waiting_and_not_the_run(told, message, monkeypatch):
    class Interrupted(queue.Queue):
        def get(self, *_: object, **__: object) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(delivery.queue, "Queue", Interrupted)
    assert [each.error for each in deliver(told, message)] == ["interrupted"]


@pytest.mark.parametrize(
    ("when", "schedule", "is_asked_for", "is_told"),
    [
        ("scheduled", "nightly", False, True),
        ("scheduled", None, False, False),
        ("scheduled", None, True, True),
        ("always", None, False, True),
        ("never", "nightly", False, False),
        ("never", None, True, True),
    ],
)
def test_who_is_told_when(hook, told, record, when, schedule, is_asked_for, is_told):
    settings = told.model_copy(update={"when": when})
    deliveries = tell_of_run(settings, record, None, schedule=schedule, is_asked_for=is_asked_for)
    assert [each.error for each in deliveries] == [""] * is_told
    assert len(hook.messages) == is_told


@pytest.mark.parametrize("outcomes", [("failed",), ("failed", "pushed")])
def test_only_the_outcomes_that_are_wanted_are_told(told, record, outcomes):
    settings = told.model_copy(update={"when": "always", "outcomes": outcomes})
    assert bool(tell_of_run(settings, record, None)) == ("pushed" in outcomes)
    assert tell_of_run(settings, record, None, is_asked_for=True)
    record.state = RunState.FAILED
    assert tell_of_run(settings, record, None)


def test_unless_set_all_is_told_but_skipped_firings_and_that_there_was_nothing_to_do():
    assert set(OUTCOMES) - set(NotificationConfig().outcomes) == {"skipped", "unneeded"}


def test_a_message_that_cannot_be_written_fails_nothing(told, record, monkeypatch):
    monkeypatch.setattr(delivery, "run_message", lambda *_, **__: 1 / 0)
    [failed] = tell_of_run(told, record, None, is_asked_for=True)
    assert "ZeroDivisionError" in failed.error


def test_a_run_says_who_is_told(record):
    record.settings["notification"]["webhook"] = True
    assert settings_of(record).webhook
    record.settings["notification"]["webhook"] = "what a later petseg knows"
    assert not settings_of(record).has_channel


@pytest.mark.parametrize("broken", ["webhook", "mail"])
def test_whatever_goes_wrong_has_no_secret(told, hook, message, monkeypatch, caplog, capfd, broken):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("PETSEG_SMTP_PASSWORD", PASSWORD)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"cannot use {hook.url} or {PASSWORD}")

    monkeypatch.setattr("pipeline.notifications.webhook.payload" if broken == "webhook" else "smtplib.SMTP", fail)
    hook.fail(404, body=f"no {hook.url}")
    with MailServer(login=True) as server:
        settings = mail_settings(server.port, smtp_user=USER, smtp_security="starttls")
        deliveries = deliver(settings, message)
    said = "".join([str(deliveries), caplog.text, *capfd.readouterr()])
    assert all(each.error for each in deliveries)
    for secret in ("cccc-secret-dddd", PASSWORD):
        assert secret not in said
