"""Sends a message by mail: plain text, with a page for those who see one, to an SMTP server.

An encrypted connection is never given up for a plain one, and the password is sent over an encrypted one only. Proxies
of the environment are for HTTP and not used.
"""

import html
import smtplib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime, make_msgid
from typing import Final

from pipeline.config.notification import SMTP_PORTS, NotificationConfig, mail_address
from pipeline.notifications.message import Fact, Message
from pipeline.terminal.streams import printable
from trainer_module.errors import PetsegError

TIMEOUT_SECONDS: Final = 10
ATTEMPTS: Final = 3
PAUSE_SECONDS: Final = 2.0
_MOST_SUBJECT: Final = 200
_COLORS: Final = {"good": "#1a7f37", "bad": "#b42318", "neutral": "#57606a"}
_CELL: Final = "padding:2px 12px 2px 0;text-align:left;vertical-align:top"


class MailError(PetsegError):
    """A server did not take a mail."""

    def __init__(self, message: str, *, is_temporary: bool = False) -> None:
        """Constructs the error.

        Args:
          message: What the user sees.
          is_temporary: Whether the same mail may be taken later.
        """
        super().__init__(message)
        self.is_temporary = is_temporary


def send(settings: NotificationConfig, password: str | None, message: Message) -> None:
    """Sends a message, a few times where the server is busy or cannot be reached.

    Args:
      settings: With receivers, sender and server.
      password: Of `smtp_user`; a secret. None: without login.
      message: What to tell.

    Raises:
      MailError: The server did not take it for every receiver, or could not be reached.
    """
    mail = mail_of(settings, message)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _deliver(settings, password, mail)
        except MailError as error:
            if attempt == ATTEMPTS or not error.is_temporary:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return


def mail_of(settings: NotificationConfig, message: Message) -> EmailMessage:
    """Returns the mail of a message."""
    sender = mail_address(settings.mail_from or "")
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = _one_line(message.subject)[:_MOST_SUBJECT]
    mail["From"] = sender
    mail["To"] = _receivers(settings)
    mail["Date"] = localtime()
    mail["Message-ID"] = make_msgid(domain=sender.domain)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no reply that one is on holiday
    mail.set_content(_text(message))
    mail.add_alternative(_page(message), subtype="html")
    return mail


def server_of(settings: NotificationConfig) -> str:
    """Returns host and port of the server."""
    host = settings.smtp_host or ""
    return f"{f'[{host}]' if ':' in host else host}:{_port(settings)}"


def _deliver(settings: NotificationConfig, password: str | None, mail: EmailMessage) -> None:
    """Sends the mail once."""
    where = server_of(settings)
    try:
        with _connected(settings) as server:
            if settings.smtp_user and password is not None:
                server.login(settings.smtp_user, password)
            refused = server.send_message(mail)
    except smtplib.SMTPNotSupportedError as error:
        advice = f"; {_advice(settings)}" if "STARTTLS" in str(error) else ""
        raise MailError(f"{where} does not offer what is needed: {error}{advice}") from None
    except smtplib.SMTPAuthenticationError as error:
        raise MailError(
            f"{where} refused the login of {settings.smtp_user!r} ({_said(error.smtp_code, error.smtp_error)}); is the "
            f"password in {settings.smtp_password_variable} right?",
            is_temporary=_is_temporary(error.smtp_code),
        ) from None
    except smtplib.SMTPRecipientsRefused as error:
        raise MailError(_refusals(where, error.recipients), is_temporary=_all_temporary(error.recipients)) from None
    except smtplib.SMTPResponseException as error:
        said = _said(error.smtp_code, error.smtp_error)
        raise MailError(f"{where} answered {said}", is_temporary=_is_temporary(error.smtp_code)) from None
    except ssl.SSLError as error:
        raise MailError(
            f"no trusted TLS connection to {where}: {error.reason or error}; notification.smtp_security is "
            f"{settings.smtp_security!r}, and SSL_CERT_FILE names the authorities that are trusted"
        ) from None
    except UnicodeEncodeError:
        raise MailError(
            f"notification.smtp_user or the password in {settings.smtp_password_variable} has characters that a login "
            "cannot send; both must be ASCII"
        ) from None
    except OSError as error:  # smtplib's own errors are of this kind, too
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            raise MailError(f"{where} did not answer in time; {_advice(settings)}") from None
        raise MailError(f"{where} cannot be reached: {error.strerror or error}", is_temporary=True) from None
    if refused:
        raise MailError(f"the others have the mail; {_refusals(where, refused)}")


@contextmanager
def _connected(settings: NotificationConfig) -> Iterator[smtplib.SMTP]:
    """Yields a connection, encrypted where that is wanted; a mail that was taken is taken, however it is closed."""
    host, port = settings.smtp_host or "", _port(settings)
    server = (
        smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
        if settings.smtp_security == "tls"
        else smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    )
    try:
        if settings.smtp_security == "starttls":
            server.starttls(context=ssl.create_default_context())
        yield server
        with suppress(OSError):
            server.quit()
    finally:
        server.close()


def _port(settings: NotificationConfig) -> int:
    return settings.smtp_port or SMTP_PORTS[settings.smtp_security]


def _receivers(settings: NotificationConfig) -> list[Address]:
    return [mail_address(address) for address in settings.mail_to]


def _advice(settings: NotificationConfig) -> str:
    other = {"starttls": "'tls' is for TLS from the start", "tls": "'starttls' is for TLS on request"}
    more = other.get(settings.smtp_security, "'starttls' and 'tls' encrypt")
    return f"check notification.smtp_port; notification.smtp_security is {settings.smtp_security!r}, and {more}"


def _refusals(where: str, recipients: dict[str, tuple[int, bytes]]) -> str:
    each = [f"{address} ({_said(code, said)})" for address, (code, said) in recipients.items()]
    return f"{where} refused {', '.join(each)}"


def _all_temporary(recipients: dict[str, tuple[int, bytes]]) -> bool:
    return all(_is_temporary(code) for code, _ in recipients.values())


def _is_temporary(code: int) -> bool:
    return 400 <= code < 500 or code == -1  # -1: the connection broke off


def _said(code: int, answer: bytes | str) -> str:
    text = answer.decode("utf-8", errors="replace") if isinstance(answer, bytes) else answer
    return _one_line(f"{code} {text}")


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def _text(message: Message) -> str:
    facts = [*message.facts, *message.places]
    width = max((len(fact.name) for fact in facts), default=0)
    lines = [f"{fact.name + ':':{width + 1}} {_one_line(fact.text)}" for fact in facts]
    return "\n\n".join(filter(None, [message.subject, printable(message.reason, keep_lines=True), "\n".join(lines)]))


def _page(message: Message) -> str:
    rows = "".join(
        f'<tr><th style="{_CELL};font-weight:normal;color:#57606a">{html.escape(fact.name)}</th>'
        f'<td style="{_CELL}">{_linked(fact)}</td></tr>'
        for fact in (*message.facts, *message.places)
    )
    reason = html.escape(printable(message.reason, keep_lines=True)).replace("\n", "<br>")
    return (
        '<html><body style="font-family:sans-serif">'
        f'<h3 style="color:{_COLORS[message.tone]}">{html.escape(printable(message.subject))}</h3>'
        f"<p>{reason}</p><table>{rows}</table></body></html>"
    )


def _linked(fact: Fact) -> str:
    text = html.escape(_one_line(fact.text))
    return f'<a href="{text}">{text}</a>' if fact.text.startswith(("http://", "https://")) else text
