"""HTTP connections that end when their client stalls; uvicorn only limits the time between two requests."""

from asyncio import AbstractEventLoop, TimerHandle, Transport
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.serving.limits import Limits


def timed_protocol(limits: Limits) -> type[H11Protocol]:
    """Returns the protocol of uvicorn with the limits' times for a client to send headers and to take its answer."""
    return type("TimedProtocol", (_TimedProtocol,), {"limits": limits})


class _TimedProtocol(H11Protocol):
    limits: Limits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._until_headers = _Deadline(self.loop)
        self._until_taken = _Deadline(self.loop)
        self._untaken_bytes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._until_headers.cancel()
        self._until_taken.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_taking()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._until_taken.cancel()

    def _expect_headers(self) -> None:
        """Sets the timer at the first byte of a request, and not again at each that trickles in."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._until_headers.cancel()
        elif not self._until_headers.is_set:
            self._until_headers.set(self.limits.read_seconds, self.transport.abort)

    def _expect_taking(self) -> None:
        self._untaken_bytes = self.transport.get_write_buffer_size()
        self._until_taken.set(self.limits.write_seconds, self._check_taking)

    def _check_taking(self) -> None:
        if self.transport.get_write_buffer_size() < self._untaken_bytes:
            self._expect_taking()
        else:
            self.transport.abort()


class _Deadline:
    """A time by which something has to happen, or none."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        return self._timer is not None

    def set(self, seconds: float, when_over: Callable[[], None]) -> None:
        self.cancel()
        self._timer = self._loop.call_later(seconds, when_over)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
