"""What the server answers, by URL: TensorFlow Serving's REST API, images in and masks out, the page, and its health.

The page is one HTML file in the report's style that loads nothing but the server's own answers.
"""

import asyncio
import base64
import dataclasses
import io
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal

import jinja2
import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from numpy.typing import NDArray
from PIL import Image
from prometheus_client import CONTENT_TYPE_LATEST

from pipeline.models.loading import OVERLAY_OPACITY, UNTINTED_CLASS, overlay_image
from pipeline.serving.batching import Answer, Work
from pipeline.serving.limits import Limits, RefusedError
from pipeline.serving.model import SAMPLES, LoadedModel, sample_picture
from pipeline.serving.service import Service
from pipeline.serving.tensor_json import PredictRequest, response
from trainer_module import features
from trainer_module.encoded_images import ImageRefusedError, upright_image, without_orientation
from trainer_module.model_card import class_colors

MODEL_URLS: Final = ("/v1/models/{name}", "/v1/models/{name}/versions/{version}", "/v1/models/{name}/labels/{label}")

Output = Literal["mask", "overlay", "json"]

_TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.ChoiceLoader([jinja2.PackageLoader("pipeline.serving"), jinja2.PackageLoader("pipeline.report")]),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src 'self' blob: data:; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def predict_router(service: Service) -> APIRouter:
    """Returns the routes of TensorFlow Serving's REST API."""
    router = APIRouter()

    async def predict(request: Request, name: str, version: int | None = None, label: str | None = None) -> Response:
        with service.admitted():
            model = service.model(name, version, label)
            asked, work = await asyncio.to_thread(_work, service, model, await service.body(request))
            answer = await service.answer(request, work)
            body = await asyncio.to_thread(response, answer.outputs, asked.by_rows)
        return Response(body, media_type="application/json")

    async def status(name: str, version: int | None = None, label: str | None = None) -> dict[str, Any]:
        service.check_name(name)
        if label is not None:
            version = service.model(name, label=label).version
        statuses = service.versions.statuses()
        if version is not None:
            statuses = [one for one in statuses if one["version"] == str(version)]
        if not statuses:
            raise RefusedError(404, f"nothing is known of version {version} of {name!r}.")
        return {"model_version_status": statuses}

    async def metadata(name: str, version: int | None = None, label: str | None = None) -> dict[str, Any]:
        model = service.model(name, version, label)
        return {
            "model_spec": {"name": name, "signature_name": "", "version": str(model.version)},
            "metadata": {"signature_def": {"signature_def": model.signature_definitions}},
        }

    for url in MODEL_URLS:
        router.add_api_route(f"{url}:predict", predict, methods=["POST"])
        router.add_api_route(f"{url}/metadata", metadata)
        router.add_api_route(url, status)
    return router


def segment_router(service: Service) -> APIRouter:
    """Returns the route `:segment`."""
    router = APIRouter()
    # One picture at a time: each takes many times its file's size while it is decoded.
    pictures = ThreadPoolExecutor(1, thread_name_prefix="pictures")

    async def segment(
        request: Request, name: str, version: int | None = None, label: str | None = None, output: Output = "mask"
    ) -> Response:
        started = time.perf_counter()
        run = asyncio.get_running_loop().run_in_executor
        with service.admitted():
            model = service.model(name, version, label)
            _check_answers_masks(model)
            encoded = np.array([await service.body(request)], object)
            work = await asyncio.to_thread(service.work, model, features.SERVING_SIGNATURE, {features.IMAGE: encoded})
            if not model.card.turns_images:
                work = await run(pictures, _upright, work)
            answer = await service.answer(request, work)
            mask = bytes(answer.outputs[features.MASK_PNG][0])
            headers = _headers(model, answer)
            if output == "mask":
                return Response(mask, media_type="image/png", headers=headers)
            if output == "overlay":
                overlay = await run(pictures, _overlay_png, work, mask)
                return Response(overlay, media_type="image/png", headers=headers)
            content = await run(pictures, _described, model, mask)
        total = {"total": time.perf_counter() - started}
        return JSONResponse({"model": name, **content, "seconds": _seconds(answer) | total}, headers=headers)

    for url in MODEL_URLS:
        router.add_api_route(f"{url}:segment", segment, methods=["POST"])
    return router


def page_router(service: Service) -> APIRouter:
    """Returns `/` and `/samples/<number>.png`."""
    router = APIRouter()

    @router.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(page_html(service.name, service.versions.current, service.limits), headers=_PAGE_HEADERS)

    @router.get("/samples/{index}.png")
    async def sample(index: int) -> Response:
        if not 0 <= index < SAMPLES:
            raise RefusedError(404, f"there is no sample {index}; they go from 0 to {SAMPLES - 1}.")
        picture = await asyncio.to_thread(sample_picture, index)
        return Response(picture, media_type="image/png", headers={"Cache-Control": "max-age=86400"})

    return router


def page_html(name: str, model: LoadedModel, limits: Limits) -> str:
    """Returns the page.

    Args:
      name: The model's, in the URLs.
      model: The version that is served now.
      limits: What the page makes a picture smaller for.
    """
    return _TEMPLATES.get_template("try.html").render(
        name=name,
        version=model.version,
        samples=SAMPLES,
        settings={
            "name": name,
            "untinted": UNTINTED_CLASS,
            "maxPixels": limits.max_pixels,
            "maxBytes": limits.max_request_bytes,
        },
        opacity=round(100 * OVERLAY_OPACITY),
    )


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


def _work(service: Service, model: LoadedModel, body: bytes) -> tuple[PredictRequest, Work]:
    asked = PredictRequest.parse(body)
    return asked, service.work(model, asked.signature, asked.arrays(service.signature(model, asked.signature)))


def _check_answers_masks(model: LoadedModel) -> None:
    """Refuses requests of a model that was exported before it could give masks at the size of the image."""
    if features.MASK_PNG not in model.signatures[features.SERVING_SIGNATURE].outputs:
        raise RefusedError(
            501,
            f"version {model.version} was exported by an earlier version of petseg, and has no {features.MASK_PNG}: "
            "export it again. It answers :predict.",
        )


def _upright(work: Work) -> Work:
    """Turns the image by its EXIF orientation, for a model that does not.

    Raises:
      RefusedError: It cannot be decoded.
    """
    encoded = work.inputs[features.IMAGE][0]
    try:
        upright = without_orientation(encoded)
    except ImageRefusedError as error:
        raise RefusedError(400, f"image 0 of the request {error}.") from error
    return (
        work if upright is encoded else dataclasses.replace(work, inputs={features.IMAGE: np.array([upright], object)})
    )


def _overlay_png(work: Work, mask: bytes) -> bytes:
    file = io.BytesIO()
    photo = upright_image(work.inputs[features.IMAGE][0])
    overlay = overlay_image(photo, _class_ids(mask), work.model.card.class_names)
    overlay.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _described(model: LoadedModel, mask: bytes) -> dict[str, Any]:
    """Returns size, mask and classes with their colours and shares, ready for JSON."""
    class_ids = _class_ids(mask)
    names = model.card.class_names
    counts = np.bincount(class_ids.reshape(-1), minlength=len(names))
    classes = zip(names, class_colors(len(names)).tolist(), (counts / class_ids.size).tolist(), strict=False)
    return {
        "version": str(model.version),
        "height": class_ids.shape[0],
        "width": class_ids.shape[1],
        "classes": [
            {"id": class_id, "name": name, "color": color, "share": share}
            for class_id, (name, color, share) in enumerate(classes)
        ],
        features.MASK_PNG: {"b64": base64.b64encode(mask).decode()},
    }


def _class_ids(mask: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(mask)) as image:
        return np.asarray(image)


def _seconds(answer: Answer) -> dict[str, float]:
    return {"waited": answer.waited_seconds, "model": answer.model_seconds}


def _headers(model: LoadedModel, answer: Answer) -> dict[str, str]:
    timing = ", ".join(f"{name};dur={1000 * seconds:.1f}" for name, seconds in _seconds(answer).items())
    return {"Petseg-Model-Version": str(model.version), "Server-Timing": timing}
