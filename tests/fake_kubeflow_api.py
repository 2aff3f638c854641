"""A Kubeflow Pipelines server for contract tests: the routes of its API over a store in memory, and faults on order.

with FakeKubeflowApi() as api:
    api.fail(429, on="GET /apis/v2beta1/runs", headers={"Retry-After": "1"})
    client = connect(KubeflowConfig(host=api.host))
"""

import json
import re
from collections.abc import Callable
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fake_http_api import JSON, Answer, FakeApi, Request
from fake_kubeflow_store import RefusalError, Store, invalid, read_model, to_json
from kfp_server_api import models

V2 = "/apis/v2beta1"


class FakeKubeflowApi(FakeApi):
    """The server."""

    def __init__(
        self, *, multi_user: bool = False, token: str | None = None, certificate: tuple[Path, Path] | None = None
    ) -> None:
        """Starts the server.

        Args:
          multi_user: Whether requests have to name a namespace.
          token: Bearer token that every request needs.
          certificate: Files of a certificate and its key, to speak TLS.
        """
        self.store = Store(multi_user=multi_user)
        self.on_run_read: Callable[[Any], None] = lambda run: None
        """Called with a run each time before it is read, to move it on."""

        super().__init__(token=token, certificate=certificate)

    def answer(self, request: Request) -> Answer:
        try:
            content_type, content = self._content(request)
        except RefusalError as refusal:
            answer = {"code": refusal.code, "message": refusal.message, "details": []}
            if "/upload" in request.path or "/log" in request.path:
                answer = {"error_message": refusal.message, "error_details": refusal.message}
            return Answer(json.dumps(answer), refusal.status)
        return Answer(content, content_type=content_type)

    def _content(self, request: Request) -> tuple[str, str]:
        """Returns content type and content of the answer.

        Raises:
          RefusalError: The server refuses the request.
        """
        if not self.is_authenticated(request):
            raise RefusalError(401, 16, "Request header error: there is no user identity header")
        with self._lock:
            for method, pattern, handler in _ROUTES:
                match = re.fullmatch(pattern, request.path)
                if match and method == request.method:
                    return handler(self, request, *map(unquote, match.groups()))
        raise RefusalError(404, 5, "Not Found")


_Route = Callable[..., tuple[str, str]]


def _json(model: Any) -> tuple[str, str]:
    return JSON, json.dumps(to_json(model))


def _creating(create: str, model: str) -> _Route:
    def handle(api: FakeKubeflowApi, request: Request) -> tuple[str, str]:
        if request.headers.get("content-type") != "application/json":
            raise invalid(f"content type is {request.headers.get('content-type')}")
        return _json(getattr(api.store, create)(read_model(request.json, model)))

    return handle


def _calling(method: str, *more: str) -> _Route:
    return lambda api, request, *ids: _json(getattr(api.store, method)(*ids, *more))


def _listing(kind: str, response: str) -> _Route:
    def handle(api: FakeKubeflowApi, request: Request) -> tuple[str, str]:
        page, token, total = api.store.select(getattr(api.store, kind).values(), request.query)
        return _json(getattr(models, response)(**{kind: page, "next_page_token": token, "total_size": total}))

    return handle


def _list_versions(api: FakeKubeflowApi, request: Request, pipeline_id: str) -> tuple[str, str]:
    api.store.find_pipeline(pipeline_id)
    versions = [version for version in api.store.versions.values() if version.pipeline_id == pipeline_id]
    page, token, total = api.store.select(versions, request.query)
    answer = models.V2beta1ListPipelineVersionsResponse(pipeline_versions=page, next_page_token=token, total_size=total)
    return _json(answer)


def _upload_version(api: FakeKubeflowApi, request: Request) -> tuple[str, str]:
    unknown = set(request.query) - {"name", "display_name", "pipelineid", "description", "tags"}
    if unknown:
        raise invalid(f"unknown parameters {unknown}")
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parts = list(BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts())
    if len(parts) != 1 or parts[0].get_param("name", header="content-disposition") != "uploadfile":
        raise invalid("Failed to read pipeline from file")
    name, content = parts[0].get_filename() or "", parts[0].get_payload(decode=True)
    return _json(api.store.upload_version(request.query["pipelineid"], request.query["name"], name, content))


def _get_run(api: FakeKubeflowApi, request: Request, run_id: str) -> tuple[str, str]:
    run = api.store.find_run(run_id)
    api.on_run_read(run)
    return _json(run)


def _list_runs(api: FakeKubeflowApi, request: Request) -> tuple[str, str]:
    page, token, total = api.store.select(api.store.runs.values(), request.query)
    without_details = [read_model({**to_json(run), "run_details": None}, "V2beta1Run") for run in page]
    return _json(models.V2beta1ListRunsResponse(runs=without_details, next_page_token=token, total_size=total))


def _read_log(api: FakeKubeflowApi, request: Request, run_id: str, pod: str) -> tuple[str, str]:
    api.store.find_run(run_id)
    if pod not in api.store.logs:
        raise RefusalError(500, 13, f"Failed to read logs from pod {pod} due to error opening log stream")
    return "text/plain", api.store.logs[pod]


_ID = r"([^/:]+)"
_ROUTES: list[tuple[str, str, _Route]] = [
    ("GET", f"{V2}/healthz", _calling("healthz")),
    ("GET", f"{V2}/pipelines", _listing("pipelines", "V2beta1ListPipelinesResponse")),
    ("POST", f"{V2}/pipelines", _creating("create_pipeline", "V2beta1Pipeline")),
    ("POST", f"{V2}/pipelines/upload_version", _upload_version),
    ("GET", f"{V2}/pipelines/{_ID}", _calling("find_pipeline")),
    ("DELETE", f"{V2}/pipelines/{_ID}", _calling("delete_pipeline")),
    ("GET", f"{V2}/pipelines/{_ID}/versions", _list_versions),
    ("GET", f"{V2}/pipelines/{_ID}/versions/{_ID}", _calling("find_version")),
    ("GET", f"{V2}/experiments", _listing("experiments", "V2beta1ListExperimentsResponse")),
    ("POST", f"{V2}/experiments", _creating("create_experiment", "V2beta1Experiment")),
    ("GET", f"{V2}/experiments/{_ID}", _calling("find_experiment")),
    ("GET", f"{V2}/runs", _list_runs),
    ("POST", f"{V2}/runs", _creating("create_run", "V2beta1Run")),
    ("GET", f"{V2}/runs/{_ID}", _get_run),
    ("POST", f"{V2}/runs/{_ID}:terminate", _calling("terminate_run")),
    ("GET", f"{V2}/recurringruns", _listing("recurring_runs", "V2beta1ListRecurringRunsResponse")),
    ("POST", f"{V2}/recurringruns", _creating("create_recurring_run", "V2beta1RecurringRun")),
    ("GET", f"{V2}/recurringruns/{_ID}", _calling("find_recurring_run")),
    ("DELETE", f"{V2}/recurringruns/{_ID}", _calling("delete_recurring_run")),
    ("POST", f"{V2}/recurringruns/{_ID}:enable", _calling("switch_recurring_run", "ENABLE")),
    ("POST", f"{V2}/recurringruns/{_ID}:disable", _calling("switch_recurring_run", "DISABLE")),
    ("GET", f"/apis/v1beta1/runs/{_ID}/nodes/{_ID}/log", _read_log),
]
