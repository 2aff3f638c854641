"""One call of gRPC in the form that passes HTTP/1.1 and its proxies, as browsers send it: gRPC-Web.

A body is a row of frames, each a byte of flags and the length in front. A request has one, the message; an answer has
the message, where the call succeeded, and a frame with what gRPC sends as trailers. A call that failed may have them
among the headers, and then no frame at all (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md).
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote

CONTENT_TYPE: Final = "application/grpc-web+proto"

_HEAD: Final = struct.Struct(">BI")
_MESSAGE: Final = 0x00
_TRAILERS: Final = 0x80
_STATUS: Final = "grpc-status"
_DETAILS: Final = "grpc-message"
_OK: Final = 0


class GrpcStatusError(Exception):
    """The call failed; says why in the server's words."""

    def __init__(self, code: int, details: str) -> None:
        """Constructs the error.

        Args:
          code: Of gRPC (https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
          details: What the server says; may be empty.
        """
        super().__init__(details)
        self.code = code
        self.details = details


class NotGrpcWebError(Exception):
    """An answer is none of gRPC-Web's; says what it is."""


def framed(message: bytes) -> bytes:
    """Returns the body of a request."""
    return _HEAD.pack(_MESSAGE, len(message)) + message


def answered(headers: Mapping[str, str], body: bytes) -> bytes:
    """Returns the message of an answer whose status is that of success.

    Args:
      headers: Whose names are found in capital and in small letters.
      body: What follows them.

    Raises:
      GrpcStatusError: The call failed.
      NotGrpcWebError: It is another kind of answer.
    """
    kind = headers.get("content-type", "no content type")
    if not kind.startswith("application/grpc-web"):
        raise NotGrpcWebError(kind)
    message: bytes | None = None
    told: Mapping[str, str] = headers
    for flags, content in _frames(body):
        if flags == _MESSAGE:
            message = content
        elif flags == _TRAILERS:
            told = _trailers(content)
        else:
            raise NotGrpcWebError(f"a frame with the flags {flags:#04x}")
    status = told.get(_STATUS)
    if status is None or not status.strip().isdigit():
        raise NotGrpcWebError("an answer that breaks off before its trailers")
    if int(status) != _OK:
        raise GrpcStatusError(int(status), unquote(told.get(_DETAILS, "")))
    if message is None:
        raise NotGrpcWebError("an answer without a message")
    return message


def _frames(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        if len(body) - at < _HEAD.size:
            raise NotGrpcWebError("an answer that breaks off")
        flags, length = _HEAD.unpack_from(body, at)
        at += _HEAD.size
        if len(body) - at < length:
            raise NotGrpcWebError("an answer that breaks off")
        yield flags, body[at : at + length]
        at += length


def _trailers(content: bytes) -> dict[str, str]:
    lines = content.decode("utf-8", errors="replace").splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
