"""The page where anyone can try the model, and the pictures drawn for it."""

import asyncio
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from pipeline.serving.page import page_html
from pipeline.serving.refusal import RefusedError
from pipeline.serving.sample_pictures import SAMPLES, sample_picture
from pipeline.serving.service import Service

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src 'self' blob: data:; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page_router(service: Service) -> APIRouter:
    """Returns `/` and `/samples/<number>.png`."""
    router = APIRouter()

    @router.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(page_html(service.name, service.versions.current, service.limits), headers=_HEADERS)

    @router.get("/samples/{index}.png")
    async def sample(index: int) -> Response:
        if not 0 <= index < SAMPLES:
            raise RefusedError(404, f"there is no sample {index}; they go from 0 to {SAMPLES - 1}.")
        picture = await asyncio.to_thread(sample_picture, index)
        return Response(picture, media_type="image/png", headers={"Cache-Control": "max-age=86400"})

    return router
