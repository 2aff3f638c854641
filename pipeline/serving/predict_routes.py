"""TensorFlow Serving's REST API: predict, status and metadata."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from pipeline.serving.batching import Work
from pipeline.serving.loaded_model import LoadedModel
from pipeline.serving.refusal import RefusedError
from pipeline.serving.service import Service
from pipeline.serving.tensor_json import PredictRequest, response

MODEL_URLS: Final = ("/v1/models/{name}", "/v1/models/{name}/versions/{version}", "/v1/models/{name}/labels/{label}")


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


def _work(service: Service, model: LoadedModel, body: bytes) -> tuple[PredictRequest, Work]:
    asked = PredictRequest.parse(body)
    return asked, service.work(model, asked.signature, asked.arrays(service.signature(model, asked.signature)))
