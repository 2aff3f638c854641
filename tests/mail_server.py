"""A real SMTP server: aiosmtpd, with encryption, login and refusals as a test wants them."""

import ssl
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

USER, PASSWORD = "petseg", "hunter2-of-mail"


class MailServer(Controller):
    """The server; it listens on a port of its own choice until it is closed."""

    def __init__(
        self, certificate: tuple[Path, Path] | None = None, *, from_the_start: bool = False, login: bool = False
    ) -> None:
        """Starts the server.

        Args:
          certificate: Files of a certificate and its key; it then asks for encryption.
          from_the_start: Whether the connection is encrypted before a word is said.
          login: Whether it takes mail only after a login as USER with PASSWORD.
        """
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.logins: list[str] = []
        self.connections = 0
        self.answers: list[str] = []
        """To the next mails, instead of taking them."""

        self.refused: dict[str, str] = {}
        """Receivers, and what is said of them."""

        options: dict[str, Any] = {}
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            if not from_the_start:
                options = {"tls_context": context, "require_starttls": True}
        if login:
            options |= {"authenticator": self._log_in, "auth_required": True, "auth_require_tls": not from_the_start}
        super().__init__(
            self, hostname="127.0.0.1", port=0, ssl_context=context if from_the_start else None, ident="mail", **options
        )
        self.start()
        self.connections = 0

    def _trigger_server(self) -> None:
        """Finds out the port, which the system chose, before the server is tried."""
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(no_assert=True)

    def factory(self) -> SMTP:
        self.connections += 1
        return super().factory()

    def _log_in(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        self.logins.append(data.login.decode())
        known = (data.login.decode(), data.password.decode()) == (USER, PASSWORD)
        return AuthResult(success=known, handled=False, auth_data=data if known else None)

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        self.envelopes.append(envelope)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"
