"""Mail against a real SMTP server: what arrives, how it is encrypted, and what every failure says."""

import dataclasses
import re
import socket
from email.message import EmailMessage

import pytest
from mail_server import PASSWORD, USER, MailServer

from pipeline.config.notification import NotificationConfig
from pipeline.notifications.mail import MailError, mail_of, send
from pipeline.notifications.message import Fact


@pytest.fixture
def server():
    with MailServer() as server:
        yield server


def settings(server: MailServer, **changes: object) -> NotificationConfig:
    values = {
        "mail_to": ("Ada Lövelace <ada@example.com>", "bob@example.com"),
        "mail_from": "petseg <petseg@example.com>",
        "smtp_host": "127.0.0.1",
        "smtp_port": server.port,
        "smtp_security": "none",
    }
    return NotificationConfig.model_validate(values | changes)


def part(mail: EmailMessage, kind: str) -> str:
    return mail.get_body((kind,)).get_content()


def failure(server: MailServer, message, password: str | None = None, **changes: object) -> str:
    with pytest.raises(MailError) as caught:
        send(settings(server, **changes), password, message)
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


def test_what_arrives(server, message):
    message = dataclasses.replace(message, about="Möwen", report="https://r.test/1?a=1&b=2")
    send(settings(server), None, message)
    [mail], [envelope] = server.mails, server.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("petseg@example.com", ["ada@example.com", "bob@example.com"])
    assert mail["Subject"] == "Möwen: Blessed and pushed"
    assert mail["To"] == "Ada Lövelace <ada@example.com>, bob@example.com"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@example.com>")
    assert mail["Date"].datetime.tzinfo is not None
    assert mail.get_content_type() == "multipart/alternative"
    text, page = part(mail, "plain"), part(mail, "html")
    for said in (text, page):
        assert "The model keeps both bounds. It was pushed to /serving/18." in said
        assert "0.9265 (95 % interval 0.9240 to 0.9290)" in said
    assert re.search(r"^report: +https://r\.test/1\?a=1&b=2\r?$", text, re.MULTILINE)
    assert '<a href="https://r.test/1?a=1&amp;b=2">' in page


def test_nothing_that_is_told_becomes_a_header_or_markup(message):
    evil = "x\r\nBcc: eve@example.com\r\n\r\n<script>"
    message = dataclasses.replace(message, headline=evil, about=evil, reason=evil, facts=[Fact(evil, evil)])
    mail = mail_of(NotificationConfig(mail_to=("a@b.test",), mail_from="c@d.test", smtp_host="h"), message)
    assert "Bcc" not in mail
    assert mail["Subject"].startswith("x Bcc: eve@example.com <script>")
    assert "<script>" not in part(mail, "html")
    headers = mail.as_bytes().partition(b"\r\n\r\n")[0]
    assert not re.search(rb"^Bcc", headers, re.MULTILINE)


def test_encrypted_on_request_and_with_a_login(trusted, message):
    with MailServer(trusted, login=True) as server:
        login = {"smtp_security": "starttls", "smtp_user": USER}
        send(settings(server, **login), PASSWORD, message)
        assert (len(server.mails), server.logins) == (1, [USER])
        said = failure(server, message, "wrong", **login)
        assert "refused the login of 'petseg' (535 5.7.8 Authentication credentials invalid)" in said
        assert said.endswith("is the password in PETSEG_SMTP_PASSWORD right?")
        assert "must be ASCII" in failure(server, message, "pässword", **login)
        assert "530" in failure(server, message)
        assert len(server.mails) == 1


def test_encrypted_from_the_start(trusted, message):
    with MailServer(trusted, from_the_start=True) as server:
        send(settings(server, smtp_security="tls"), None, message)
        assert len(server.mails) == 1
        assert "did not answer in time; check notification.smtp_port" in failure(
            server, message, smtp_security="starttls"
        )


def test_an_unknown_certificate_is_not_trusted(certificate, message):
    with MailServer(certificate) as server:
        said = failure(server, message, smtp_security="starttls")
        assert "no trusted TLS connection" in said
        assert "SSL_CERT_FILE" in said
        assert (server.mails, server.connections) == ([], 1)


def test_encryption_is_never_given_up(server, message):
    said = failure(server, message, "x", smtp_security="starttls", smtp_user=USER)
    assert "STARTTLS extension not supported by server" in said
    assert (server.mails, server.logins) == ([], [])
    assert "WRONG_VERSION_NUMBER" in failure(server, message, smtp_security="tls").replace(" ", "_").upper()


def test_a_busy_server_is_asked_again(server, message):
    server.answers = ["451 try later", "421 too many"]
    send(settings(server), None, message)
    assert (len(server.mails), server.connections) == (1, 3)


def test_a_server_that_stays_busy_is_given_up(server, message):
    server.answers = ["451 try later"] * 9
    assert failure(server, message).endswith("answered 451 try later")
    assert server.connections == 3


def test_a_refusal_is_final(server, message):
    server.answers = ["554 spam"]
    assert failure(server, message) == f"127.0.0.1:{server.port} answered 554 spam"
    assert server.connections == 1


def test_a_receiver_who_is_unknown_keeps_the_mail_from_nobody_else(server, message):
    server.refused = {"bob@example.com": "550 no bob"}
    assert failure(server, message).endswith("refused bob@example.com (550 no bob)")
    assert server.envelopes[0].rcpt_tos == ["ada@example.com"]
    assert (len(server.mails), server.connections) == (1, 1)
    server.refused["ada@example.com"] = "550 no ada"
    assert "no ada" in failure(server, message)


def test_who_does_not_answer_is_not_asked_again(message):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        changes = {"smtp_port": silent.getsockname()[1]}
        with pytest.raises(MailError, match="did not answer in time"):
            send(NotificationConfig(mail_to=("a@b.test",), mail_from="c@d.test", smtp_host="127.0.0.1",
                                    smtp_security="none", **changes), None, message)  # fmt: skip
    with pytest.raises(MailError, match="cannot be reached: Connection refused"):
        send(NotificationConfig(mail_to=("a@b.test",), mail_from="c@d.test", smtp_host="127.0.0.1",
                                smtp_security="none", **changes), None, message)  # fmt: skip
