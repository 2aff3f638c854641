"""Settings of the notifications that tell people how a run ended: by a webhook, by mail, or by both.

Secrets are no settings: the URL of a webhook and the password of a mail account stand in environment variables, of
which only the names are here. A secret that was written here by mistake is refused without being repeated.
"""

import re
from email.headerregistry import Address
from email.utils import getaddresses
from string import Formatter
from typing import Annotated, Final, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from trainer_module.section import Section

Outcome = Literal["failed", "interrupted", "refused", "pushed", "done", "unneeded", "skipped"]
"""How a run ended: it failed or could not start; it was stopped; its model was not blessed or cannot be served; its
model was pushed; it is done and had nothing to push; it found no reason to train; or a firing found another run going
on."""

OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
SMTP_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]+")
_URL: Final = re.compile(r"https?://[^\s<>|\"\\]+")
_ADDRESS: Final = re.compile(r"(?P<user>[^\s@<>()\[\],;:\\\"]+)@(?P<domain>\w[\w.-]*\w)")
_FIELDS: Final = ("run_id", "pipeline")


def _switch(value: object) -> object:
    if isinstance(value, str) and value.lower() not in ("true", "false"):
        raise ValueError(
            "takes true or false, and got a text, which is not repeated here; a webhook's URL is a secret: put it into "
            "the environment variable that notification.webhook_variable names"
        )
    return value


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(
            "expected the name of an environment variable, such as PETSEG_WEBHOOK_URL; what came is not repeated here, "
            "since it may be a secret"
        )
    return name


def _host(name: str) -> str:
    if not _HOST.fullmatch(name):
        raise ValueError(
            "expected the name or address of a mail server, such as smtp.example.com, without scheme, user or port"
        )
    return name


def _url_template(template: str) -> str:
    try:
        named = {field for _, field, spec, conversion in Formatter().parse(template) if field is not None}
        filled = template.format(run_id="1", pipeline="p")
    except (ValueError, IndexError, KeyError, AttributeError):
        named, filled = set(), ""
    if not _URL.fullmatch(filled) or not named <= set(_FIELDS):
        raise ValueError(
            "expected a URL with {run_id} in it, and {pipeline} where that is wanted, such as "
            "https://reports.example.com/{run_id}/report.html"
        )
    try:
        parts = urlsplit(filled)
        has_user = "@" in parts.netloc
    except ValueError:
        has_user, parts = False, urlsplit("")
    if has_user or not parts.hostname:
        raise ValueError("expected a URL with a host and without user or password, since everybody who is told sees it")
    if "run_id" not in named:
        raise ValueError(f"{template!r} is the same for every run; name the run's part with {{run_id}}")
    return template


def mail_address(text: str) -> Address:
    """Reads one address of mail, with or without a name: `Ada <ada@example.com>`.

    Raises:
      ValueError: It is none, or more than one.

    Example:
      >>> mail_address("Ada Lovelace <ada@example.com>").addr_spec
      'ada@example.com'
    """
    pairs = getaddresses([text]) if text.isprintable() else []
    name, address = pairs[0] if len(pairs) == 1 else ("", "")
    parts = _ADDRESS.fullmatch(address)
    if parts is None or (name and not text.rstrip().endswith(">")):
        raise ValueError(f"{text!r} is no address of mail, such as ada@example.com or Ada <ada@example.com>")
    return Address(name, parts["user"], _ascii_domain(parts["domain"]))


def _ascii_domain(domain: str) -> str:
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(f"{domain!r} is no domain of mail") from None


def _mail_address(text: str) -> str:
    mail_address(text)
    return text


VariableName = Annotated[str, AfterValidator(_variable)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]


class NotificationConfig(Section):
    """Who is told of a run's end, how, and of which."""

    when: Literal["scheduled", "always", "never"] = "scheduled"
    """`scheduled`: after runs that a schedule started; `always`: after every run. `petseg run --notify` and
    `petseg notify` tell of a run whatever stands here."""

    outcomes: tuple[Outcome, ...] = tuple(outcome for outcome in OUTCOMES if outcome not in ("unneeded", "skipped"))
    """The ends that are told: all but that there was no reason to train, and skipped firings, unless set."""

    report_url: Annotated[str, AfterValidator(_url_template)] | None = None
    """Where others find a run's report: `https://reports.example.com/{run_id}/report.html`. None: they are told the
    place that the run knows, a path of its machine or a URI of the object store."""

    webhook: Annotated[bool, BeforeValidator(_switch)] = False
    """Whether to post to an incoming webhook of Slack, or of whatever takes the same JSON."""

    webhook_variable: VariableName = "PETSEG_WEBHOOK_URL"
    """Environment variable with the webhook's URL, which is a secret. With `_FILE` behind its name: with the path of a
    file that holds it."""

    mail_to: tuple[MailAddress, ...] = ()
    """Who gets mail. Empty: nobody."""

    mail_from: MailAddress | None = None
    smtp_host: Annotated[str, AfterValidator(_host)] | None = None
    """The server that takes the mail."""

    smtp_port: int | None = Field(None, ge=1, le=65535)
    """None: 587 with `starttls`, 465 with `tls`, 25 with `none`."""

    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted: on request, from the start, or not at all."""

    smtp_user: str | None = Field(None, min_length=1)
    """Whom to log in as. None: without login."""

    smtp_password_variable: VariableName = "PETSEG_SMTP_PASSWORD"
    """Environment variable with the password; with `_FILE` behind its name, as that of the webhook."""

    @property
    def has_channel(self) -> bool:
        """Whether anybody could be told."""
        return self.webhook or bool(self.mail_to)

    @property
    def secret_variables(self) -> dict[str, str]:
        """The environment variables that have to be set, by what each is for."""
        wanted = {"notification.webhook": self.webhook_variable} if self.webhook else {}
        if self.mail_to and self.smtp_user:
            wanted["notification.smtp_user"] = self.smtp_password_variable
        return wanted

    @model_validator(mode="after")
    def _can_send_mail(self) -> Self:
        if self.mail_to:
            needed = {"smtp_host": self.smtp_host, "mail_from": self.mail_from}
            missing = [name for name, value in needed.items() if value is None]
            if missing:
                raise ValueError(f"mail_to is set, and {' and '.join(missing)} not: mail needs both")
        if self.smtp_user and self.smtp_security == "none":
            raise ValueError(
                "smtp_user with smtp_security 'none' would send the password so that others "
                "can read it; use 'starttls' or 'tls', or no login"
            )
        return self
