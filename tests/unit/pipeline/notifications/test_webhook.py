"""Posting to a webhook: what is sent, and what every failure says, never with the URL."""

import dataclasses
import logging
import re
import traceback

import pytest
from fake_proxy import FakeProxy
from webhook_server import PATH, WebhookServer, problems

from pipeline.notifications.message import Fact, Message
from pipeline.notifications.webhook import WebhookError, payload, post
from trainer_module.errors import ConfigError

VARIABLE = "PETSEG_WEBHOOK_URL"


@pytest.fixture(autouse=True)
def _no_log_has_the_url(caplog):
    caplog.set_level(logging.DEBUG)
    yield
    assert "secret" not in "".join(record.getMessage() for record in caplog.get_records("call"))


def failure(url: str, message: Message) -> str:
    """Returns what a post that fails says; neither that nor a traceback of it has the secret part of the URL."""
    with pytest.raises(WebhookError) as caught:
        post(url, VARIABLE, message)
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def test_slack_takes_it(hook, message):
    post(hook.url, VARIABLE, message)
    [sent] = hook.messages
    assert problems(sent) == []
    header, reason, numbers, rest = sent["blocks"]
    assert header["text"]["text"] == ":white_check_mark: petseg-demo: Blessed and pushed"
    assert reason["text"]["text"] == "The model keeps both bounds. It was pushed to /serving/18."
    assert [field["text"].split("\n")[0] for field in numbers["fields"]] == ["*accuracy*", "*mean IoU*"]
    assert "*pushed* /serving/18\n*report* /runs/report.html on " in rest["text"]["text"]
    for part in ("Blessed and pushed", "accuracy: 0.9265", "report: /runs/report.html"):
        assert part in sent["text"]


def test_nothing_is_markup_that_was_not_meant(hook):
    evil = "<!channel> & <https://evil.test|click> " * 500
    facts = [Fact("<b>", evil), *(Fact(f"number {index}", evil, is_number=True) for index in range(12))]
    message = Message("p", "bad", "Failed", evil, facts, report="https://r.test/1/report.html?a=1&b=2", log=evil)
    post(hook.url, VARIABLE, message)
    assert problems(hook.messages[0]) == []
    assert "<https://r.test/1/report.html?a=1&amp;b=2|report.html?a=1&amp;b=2>" in str(hook.messages[0])


def test_it_fits_whatever_there_is_to_tell(message):
    long = dataclasses.replace(message, facts=[Fact(f"fact {index}", "&" * 5000) for index in range(200)])
    sent = payload(long)
    assert problems(sent) == []
    assert len(sent["blocks"]) <= 50


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(hook, message, status):
    hook.fail(status, headers={"Retry-After": "0"}, times=2)
    post(hook.url, VARIABLE, message)
    assert len(hook.requests) == 3


def test_retry_after_is_obeyed(hook, message, monkeypatch):
    pauses = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", pauses.append)
    hook.fail(429, headers={"Retry-After": "3"})
    hook.fail(429, headers={"Retry-After": "86400"})
    post(hook.url, VARIABLE, message)
    assert pauses == [3, 10]


def test_a_server_that_stays_broken_is_given_up(hook, message):
    hook.fail(500, times=9, body="oops")
    assert failure(hook.url, message) == f"cannot post to the webhook: {hook.host} answered 500: oops"
    assert len(hook.requests) == 3


def test_what_may_have_been_taken_is_not_sent_again(hook, message):
    hook.stall()
    assert "did not answer in time; it may have taken the message all the same" in failure(hook.url, message)
    hook.break_off()
    assert "broke off" in failure(hook.url, message)
    assert len(hook.requests) == 2


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (404, {}, f"it knows no such webhook, or no longer: put the URL of a new one into {VARIABLE}"),
        (302, {"Location": f"https://elsewhere.test{PATH}"}, "a redirect, which is not followed"),
        (400, {}, "answered 400: no_team"),
    ],
)
def test_a_refusal_says_what_to_do(hook, message, status, headers, said):
    hook.fail(status, headers=headers, body="no_team")
    assert said in failure(hook.url, message)
    assert len(hook.requests) == 1


def test_a_login_page_is_no_success(hook, message):
    hook.fail(200, body="<html>log in</html>")
    assert f"answered with a page, as a login page does; check the URL in {VARIABLE}" in failure(hook.url, message)


def test_who_cannot_be_reached_is_named_without_the_path(message):
    with WebhookServer() as closed:
        pass
    assert f"{closed.host} cannot be reached; check the URL in {VARIABLE}" in failure(closed.url, message)
    assert re.search(
        r"the name in http://no-such.invalid(:80)? cannot be", failure(f"http://no-such.invalid{PATH}", message)
    )


def test_certificates_are_checked(certificate, message, monkeypatch):
    with WebhookServer(certificate=certificate) as server:
        assert "no trusted TLS connection" in failure(server.url, message)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        post(server.url, VARIABLE, message)
        assert len(server.messages) == 1


def test_the_proxy_of_the_environment_is_used(certificate, message, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with WebhookServer(certificate=certificate) as server, FakeProxy(server.host) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://ada:hunter2@{proxy.address}")
        post(f"https://server.test{PATH}", VARIABLE, message)
        assert (proxy.asked, proxy.users) == (["CONNECT server.test:443"], {"ada:hunter2"})
        monkeypatch.setenv("HTTPS_PROXY", "socks5://ada:hunter2@proxy.test")
        with pytest.raises(ConfigError) as caught:
            post(f"https://server.test{PATH}", VARIABLE, message)
        assert "hunter2" not in str(caught.value)
