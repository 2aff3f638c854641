"""Posts a message to an incoming webhook of Slack, or of what takes the same JSON, as Mattermost does.

`blocks` is how Slack shows it (https://docs.slack.dev/reference/block-kit); `text` is the whole message for receivers
that know no blocks. The URL is a secret: it is in no error and in no log, and no redirect is followed.
"""

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import urllib3
from urllib3.util import Retry, Timeout

from components.http_requests import TEMPORARY, ApiError, ApiServer, NoAnswer, NotJsonError, use_proxy
from pipeline.notifications.message import Fact, Message
from pipeline.terminal.streams import printable

TIMEOUT_SECONDS: Final = 10
ATTEMPTS: Final = 3
LONGEST_PAUSE_SECONDS: Final = 10
"""Longest that a server's Retry-After is obeyed."""

_MOST_HEADER: Final = 150
_MOST_SECTION: Final = 3000
_MOST_LINE: Final = 1000
_MOST_FIELD: Final = 500
_MOST_FIELDS: Final = 10
_MOST_TEXT: Final = 4000
_MOST_FACTS: Final = 30
"""With that many, each on a line of its own, there are far less than the 50 blocks that Slack takes."""

_MOST_ANSWER: Final = 4096
_SIGNS: Final = {"good": ":white_check_mark:", "bad": ":x:", "neutral": ":information_source:"}
_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "petseg"}
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


_LOGS_OF_URLS: Final = tuple(
    logging.getLogger(f"urllib3.{name}") for name in ("connection", "connectionpool", "poolmanager", "util.retry")
)


class WebhookError(ApiError):
    """A webhook did not take a message."""


class _RefusedError(Exception):
    """The server answered with something else than success."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


@dataclass(frozen=True)
class _Receiver(ApiServer):
    """The server of a webhook; what is told of it is its host alone, and the variable that has the URL."""

    error: ClassVar[type[ApiError]] = WebhookError
    refusal: ClassVar[type[Exception]] = _RefusedError

    host: str
    variable: str

    def reason(self, error: Any, said: str) -> str | None:
        told = f": {said}" if said else ""
        where = f"{self.host} answered {error.status}{told}"
        if error.status in (401, 403, 404, 410):
            return f"{where}; it knows no such webhook, or no longer: put the URL of a new one into {self.variable}"
        if 300 <= error.status < 400:
            return f"{where}, a redirect, which is not followed; put the URL that it leads to into {self.variable}"
        return None

    @property
    def not_json_advice(self) -> str:
        return f"check the URL in {self.variable}"

    def no_answer_advice(self, why: NoAnswer, *, is_open: bool) -> str:
        if why is NoAnswer.UNTRUSTED:
            return "; SSL_CERT_FILE names the authorities that are trusted"
        if why in (NoAnswer.UNKNOWN_NAME, NoAnswer.UNREACHABLE):
            return f"; check the URL in {self.variable}, and whether a proxy is needed (HTTPS_PROXY)"
        return "; it may have taken the message all the same" if is_open else ""


def post(url: str, variable: str, message: Message) -> None:
    """Posts a message, a few times where the server is busy or cannot be reached.

    A request that was sent and not answered is not sent again: it may have been taken.

    Args:
      url: Of the webhook; a secret.
      variable: Where the URL came from, for errors.
      message: What to tell.

    Raises:
      WebhookError: The server did not take it, or could not be reached.
      ConfigError: The environment names a proxy that cannot be used.
    """
    parts = urlsplit(url)
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    body = json.dumps(payload(message)).encode()
    with _Receiver(host, variable).translated_errors("post to the webhook"), _unlogged(), _connections(host) as pool:
        answer = pool.request("POST", url, body=body, headers=_HEADERS, redirect=False, preload_content=False)
        said = answer.read(_MOST_ANSWER).decode("utf-8", errors="replace")
        if not 200 <= answer.status < 300:
            raise _RefusedError(answer.status, said)
        if said.lstrip().startswith("<"):  # Slack calls its `ok` text/html, so the content type tells nothing
            raise NotJsonError("a page")


def _connections(host: str) -> urllib3.PoolManager:
    """Returns what connects to a host, by the proxy that the environment names for it."""
    environment = SimpleNamespace(host=host, proxy=None, proxy_headers=None)
    use_proxy(environment)
    options: dict[str, Any] = {
        "timeout": Timeout(total=TIMEOUT_SECONDS),
        "retries": Retry(
            total=ATTEMPTS - 1,
            read=False,
            other=0,
            status_forcelist=TEMPORARY,
            allowed_methods={"POST"},
            backoff_factor=0.5,
            retry_after_max=LONGEST_PAUSE_SECONDS,
            raise_on_status=False,
        ),
    }
    if environment.proxy is None:
        return urllib3.PoolManager(**options)
    return urllib3.ProxyManager(environment.proxy, proxy_headers=environment.proxy_headers, **options)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keeps urllib3 from logging, for this thread: what it says of requests and retries has the URL in it."""
    thread = threading.get_ident()

    def is_of_another(record: logging.LogRecord) -> bool:
        return record.thread != thread

    for log in _LOGS_OF_URLS:
        log.addFilter(is_of_another)
    try:
        yield
    finally:
        for log in _LOGS_OF_URLS:
            log.removeFilter(is_of_another)


def payload(message: Message) -> dict[str, Any]:
    """Returns the JSON of a message."""
    facts = message.facts[:_MOST_FACTS]
    headline = {"type": "plain_text", "text": f"{_SIGNS[message.tone]} {message.subject}"[:_MOST_HEADER], "emoji": True}
    blocks: list[dict[str, Any]] = [{"type": "header", "text": headline}]
    if message.reason:
        blocks.append({"type": "section", "text": _mrkdwn(_escaped(message.reason, _MOST_SECTION))})
    if fields := [_mrkdwn(_line(fact, "\n", _MOST_FIELD)) for fact in facts if fact.is_number]:
        blocks.append({"type": "section", "fields": fields[:_MOST_FIELDS]})
    lines = [*(_line(fact, " ") for fact in facts if not fact.is_number), *map(_place, message.places)]
    blocks += [{"type": "section", "text": _mrkdwn(text)} for text in _packed(lines)]
    return {"text": _text(message), "blocks": blocks}


def _text(message: Message) -> str:
    """Returns the whole message without blocks; lines are paragraphs, which every receiver keeps apart."""
    facts = [f"{fact.name}: {fact.text}" for fact in (*message.facts, *message.places)]
    return _escaped("\n\n".join(filter(None, [message.subject, message.reason, *facts])), _MOST_TEXT)


def _packed(lines: Sequence[str]) -> list[str]:
    """Returns the lines in as few texts as sections have room for."""
    texts: list[str] = []
    for line in lines:
        if texts and len(texts[-1]) + len(line) < _MOST_SECTION:
            texts[-1] += f"\n{line}"
        else:
            texts.append(line)
    return texts


def _line(fact: Fact, separator: str, most: int = _MOST_LINE) -> str:
    return f"*{_escaped(fact.name, most)}*{separator}{_escaped(fact.text, most)}"


def _place(fact: Fact) -> str:
    """Returns where something is, as a link where others can follow it."""
    if fact.text.startswith(("http://", "https://")) and len(fact.text) < _MOST_LINE:
        url, name = (_escaped(text, _MOST_LINE) for text in (fact.text, fact.text.rpartition("/")[2] or fact.name))
        return f"*{fact.name}* <{url}|{name}>"
    return _line(fact, " ")


def _mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _escaped(text: str, most: int) -> str:
    """Returns a text in which nothing is Slack's markup for links and mentions, cut where it is too long."""
    room, parts = most - 1, list[str]()
    for character in printable(text, keep_lines=True):
        part = _ESCAPES.get(character, character)
        room -= len(part)
        if room < 0:
            return "".join([*parts, "…"])
        parts.append(part)
    return "".join(parts)
