"""The HTTP server under the application: its socket, its signals, its stop."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

import uvicorn

from pipeline.serving.application import create_application
from pipeline.serving.connection import timed_protocol
from pipeline.serving.service import Service
from trainer_module.errors import ConfigError

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def bound_socket(host: str, port: int) -> socket.socket:
    """Returns a socket at an address, before anything that takes long; nobody can connect yet.

    Raises:
      ConfigError: The address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        own = socket.socket(family, kind, protocol)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind(address)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror or error}. Name another --host or --port; "
            "--port 0 takes a free one."
        ) from error
    return own


def serve(service: Service, own: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serves until SIGINT or SIGTERM; then ends the requests that run. A second signal ends it at once.

    Args:
      service: What is served.
      own: Where.
      on_ready: Called when requests are taken.
    """
    config = uvicorn.Config(
        create_application(service),
        http=timed_protocol(service.limits),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(service.limits.stop_seconds),
    )
    asyncio.run(_Server(config, service, on_ready).serve(sockets=[own]))


class _Server(uvicorn.Server):
    """uvicorn's server, but at a signal it says first that it is not ready, and a signal it obeyed is no error."""

    def __init__(self, config: uvicorn.Config, service: Service, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._on_ready = on_ready
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        previous = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._service.is_draining or self._loop is None:
            self.should_exit = self.force_exit = True
            return
        self._service.is_draining = True
        self._loop.call_soon_threadsafe(self._loop.call_later, self._service.limits.drain_seconds, self._stop)

    def _stop(self) -> None:
        self.should_exit = True
