"""The HTTP server: the application, with errors in TensorFlow Serving's form, its socket, its signals and its stop."""

import asyncio
import contextlib
import signal
import socket
import time
from asyncio import AbstractEventLoop, TimerHandle, Transport
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.serving.batching import Measurements
from pipeline.serving.limits import Limits, RefusedError
from pipeline.serving.routes import operation_router, page_router, predict_router, segment_router
from pipeline.serving.service import Service
from trainer_module.errors import ConfigError

_CLIENT_GONE: Final = 499  # what nginx and TensorFlow Serving log for it; nobody receives it
_NO_ROUTE: Final = "none"


def create_application(service: Service) -> FastAPI:
    """Returns the application that serves a model."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    application = FastAPI(title="petseg", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    for router in (predict_router, segment_router, operation_router, page_router):
        application.include_router(router(service))
    application.add_exception_handler(RefusedError, _refused)
    application.add_exception_handler(RequestValidationError, _invalid)
    application.add_exception_handler(HTTPException, _no_such_route)
    application.add_exception_handler(ClientDisconnect, _client_gone)
    application.add_exception_handler(Exception, _unforeseen)
    application.add_middleware(_CountRequests, measurements=service.measurements)
    return application


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RefusedError):
        raise error
    return JSONResponse({"error": error.message}, error.status, error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    place = first["loc"][-1]
    return await _refused(request, RefusedError(400, f"{place} of the URL: {first['msg']}; {first['input']!r} came."))


async def _no_such_route(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    message = f"{request.method} {request.url.path}: {error.detail.lower()}; `/` says how to ask."
    return await _refused(request, RefusedError(error.status_code, message, dict(error.headers or {})))


async def _client_gone(_request: Request, _error: Exception) -> JSONResponse:
    return JSONResponse({"error": "the client is gone."}, _CLIENT_GONE)


async def _unforeseen(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": f"the server failed: {type(error).__name__}; its log says more."}, 500)


class _CountRequests:
    """Counts and times requests by the pattern of their URL; measures to the last byte handed over."""

    def __init__(self, app: ASGIApp, measurements: Measurements) -> None:
        self._app = app
        self._measurements = measurements

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", _NO_ROUTE)
            self._measurements.requests.labels(route, status).inc()
            self._measurements.request_seconds.labels(route).observe(time.perf_counter() - started)


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


def timed_protocol(limits: Limits) -> type[H11Protocol]:
    """Returns the protocol of uvicorn with the limits' times for a client to send headers and to take its answer."""
    return type("TimedProtocol", (_TimedProtocol,), {"limits": limits})


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


class _TimedProtocol(H11Protocol):
    """An HTTP connection that ends when its client stalls; uvicorn only limits the time between two requests."""

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
