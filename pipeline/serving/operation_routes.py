"""What a supervisor asks: whether the server lives, is ready, and what it measures."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from pipeline.serving.service import Service


def operation_router(service: Service) -> APIRouter:
    """Returns `/healthz`, `/readyz` and `/metrics`."""
    router = APIRouter()

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        if service.is_draining:
            return JSONResponse({"error": "the server is stopping."}, 503)
        return JSONResponse({"status": "ready", "version": str(service.versions.current.version)})

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(service.measurements.text(), media_type=CONTENT_TYPE_LATEST)

    return router
