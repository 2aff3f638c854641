"""A real HTTP server that takes what an incoming webhook of Slack takes, and says what Slack would not take.

Limits and answers are those of Slack's documentation (docs.slack.dev: Block Kit, incoming webhooks), for Slack itself
cannot be asked here.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from fake_http_api import Answer, FakeApi, Request

PATH: Final = "/services/T0AAAA/B0BBBB/cccc-secret-dddd"
_LINK: Final = re.compile(r"<https?://[^<>|\s]+\|[^<>|]+>")
_MOST_BLOCKS: Final = 50
_MOST: Final = {"header": 150, "section": 3000, "field": 2000, "fields": 10, "text": 40_000}


class WebhookServer(FakeApi):
    """The server of one webhook."""

    @property
    def url(self) -> str:
        return self.host + PATH

    @property
    def messages(self) -> list[Any]:
        return [request.json for request in self.requests]

    def answer(self, request: Request) -> Answer:
        if request.path != PATH:
            return Answer("no_service", 404, "text/html")
        if request.method != "POST" or request.headers.get("content-type") != "application/json":
            return Answer("invalid_payload", 400, "text/html")
        return Answer("invalid_blocks", 400, "text/html") if problems(request.json) else Answer("ok", 200, "text/html")


def problems(payload: Any) -> list[str]:
    """Returns what Slack would not take, or would show as markup that nobody meant."""
    found = [] if set(payload) == {"text", "blocks"} else [f"keys {sorted(payload)}"]
    found += list(_text_problems(payload["text"], _MOST["text"]))
    if len(payload["blocks"]) > _MOST_BLOCKS:
        found.append(f"{len(payload['blocks'])} blocks")
    for block in payload["blocks"]:
        found += list(_block_problems(block))
    return found


def _block_problems(block: dict[str, Any]) -> Iterator[str]:
    if block["type"] == "header":
        if block["text"]["type"] != "plain_text":
            yield "a header that is no plain text"
        yield from _text_problems(block["text"]["text"], _MOST["header"])
    elif block["type"] == "section":
        fields = block.get("fields", [])
        if len(fields) > _MOST["fields"] or not ("text" in block or fields):
            yield f"a section of {len(fields)} fields"
        for text, most in [(block.get("text"), "section"), *((field, "field") for field in fields)]:
            if text is not None:
                if text["type"] != "mrkdwn" or set(text) - {"type", "text", "verbatim"}:
                    yield f"a text object {text}"
                yield from _text_problems(text["text"], _MOST[most])
    else:
        yield f"a block {block['type']}"


def _text_problems(text: str, most: int) -> Iterator[str]:
    if not 0 < len(text) <= most:
        yield f"{len(text)} characters"
    rest = _LINK.sub(lambda link: link[0].strip("<>"), text)
    if "<" in rest or ">" in rest or re.search(r"&(?!amp;|lt;|gt;)", rest):
        yield f"not escaped: {rest}"
