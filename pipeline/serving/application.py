"""The ASGI application: the routes, errors in TensorFlow Serving's form, and the counting of requests."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.serving.batching import Measurements
from pipeline.serving.limits import RefusedError
from pipeline.serving.routes import operation_router, page_router, predict_router, segment_router
from pipeline.serving.service import Service

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
