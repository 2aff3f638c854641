"""HTTP connections that end when their client stalls; uvicorn only limits the time between two requests."""

from asyncio import Transport
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.serving.limits import Limits


def timed_protocol(limits: Limits) -> type[H11Protocol]:
    """Returns the protocol of uvicorn with the limits' times for a client to send headers and to take its answer."""

    class TimedProtocol(H11Protocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._until_headers: Any = None
            self._until_taken: Any = None
            self._untaken_bytes = 0

        def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._expect_headers()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._expect_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._until_headers, self._until_taken):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._expect_taking()

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._until_taken is not None:
                self._until_taken.cancel()
                self._until_taken = None

        def _expect_headers(self) -> None:
            """Sets the timer at the first byte of a request, and not again at each that trickles in."""
            if self.cycle is not None and not self.cycle.response_complete:
                if self._until_headers is not None:
                    self._until_headers.cancel()
                    self._until_headers = None
            elif self._until_headers is None:
                self._until_headers = self.loop.call_later(limits.read_seconds, self._cut_off)

        def _expect_taking(self) -> None:
            self._untaken_bytes = self.transport.get_write_buffer_size()
            self._until_taken = self.loop.call_later(limits.write_seconds, self._check_taking)

        def _check_taking(self) -> None:
            if self.transport.get_write_buffer_size() < self._untaken_bytes:
                self._expect_taking()
            else:
                self._cut_off()

        def _cut_off(self) -> None:
            self.transport.abort()

    return TimedProtocol
