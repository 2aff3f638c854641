"""Bytes of an image in, its mask out: as PNG, as an overlay, or as JSON with the shares of the classes."""

import asyncio
import base64
import dataclasses
import io
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from numpy.typing import NDArray
from PIL import Image

from pipeline.mask_images import overlay_image
from pipeline.serving.batching import Answer, Work
from pipeline.serving.loaded_model import LoadedModel
from pipeline.serving.predict_routes import MODEL_URLS
from pipeline.serving.refusal import RefusedError
from pipeline.serving.service import Service
from trainer_module import features
from trainer_module.class_colors import class_colors
from trainer_module.encoded_images import ImageRefusedError, upright_image, without_orientation

Output = Literal["mask", "overlay", "json"]


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
