"""A Kubeflow Pipelines server for contract tests: the routes of its API over a store in memory, and faults on order.

with FakeKubeflowApi() as api:
    api.fail(429, on="GET /apis/v2beta1/runs", headers={"Retry-After": "1"})
    client = connect(KubeflowConfig(host=api.host))

It answers as release 2.17.0 was seen to: `test_recorded_conversation.py` plays what was recorded. Not recorded, but
read from the definition of the API, are tokens, paths outside of it, the upload of a pipeline that is taken, how a
single pipeline, version or experiment is read, and a log that is there. `fake_kubeflow_store` says what else.
"""

import base64
import json
import re
from collections.abc import Callable
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fake_http_api import Answer, FakeApi, Request
from fake_kubeflow_messages import (
    PLAIN,
    HttpRefusalError,
    RefusalError,
    error_text,
    read_json,
    read_model,
    to_json,
)
from fake_kubeflow_store import Store
from fake_metadata import SERVICE, InMemory
from kfp_server_api import models

V2 = "/apis/v2beta1"
LOG_ARTIFACT = "main-logs"


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

        self.metadata: InMemory | None = None
        """What the pages' host passes on to; None: the server is the bare API, which knows no way to it."""

        super().__init__(token=token, certificate=certificate)

    def answer(self, request: Request) -> Answer:
        try:
            return self._answer(request)
        except RefusalError as refusal:
            return refusal.answer

    def _answer(self, request: Request) -> Answer:
        """Returns the answer to a request that is not refused.

        Raises:
          RefusalError: The server refuses the request.
        """
        if not self.is_authenticated(request):
            raise RefusalError(401, 16, "Request header error: there is no user identity header")
        is_known = False
        with self._lock:
            if self.metadata is not None and (call := re.fullmatch(rf"/{SERVICE.full_name}/(\w+)", request.path)):
                return self.metadata.over_the_web(call[1], request.body)
            for method, pattern, handler in _ROUTES:
                match = re.fullmatch(pattern, request.path)
                if match and method == request.method:
                    return handler(self, request, *map(unquote, match.groups()))
                is_known = is_known or match is not None
        if not request.path.startswith("/apis/"):
            return Answer("404 page not found\n", 404, PLAIN)
        raise RefusalError(501, 12, "Method Not Allowed") if is_known else RefusalError(404, 5, "Not Found")


_Route = Callable[..., Answer]


def _json(answer: Any) -> Answer:
    return Answer(json.dumps(to_json(answer)))


def _healthz(api: FakeKubeflowApi, request: Request) -> Answer:
    build = {"commit_sha": "unknown", "tag_name": "unknown"}
    return _json(build | {"multi_user": api.store.multi_user, "pipeline_store": "database"})


def _creating(create: str, model: str) -> _Route:
    def handle(api: FakeKubeflowApi, request: Request) -> Answer:
        return _json(getattr(api.store, create)(read_model(read_json(request.body), model)))

    return handle


def _calling(method: str, *more: str) -> _Route:
    return lambda api, request, *ids: _json(getattr(api.store, method)(*ids, *more))


def _listing(kind: str, response: str, listed: str) -> _Route:
    def handle(api: FakeKubeflowApi, request: Request) -> Answer:
        page, token, total = api.store.select(getattr(api.store, kind).values(), request.query, listed)
        return _json(getattr(models, response)(**{kind: page, "next_page_token": token, "total_size": total}))

    return handle


def _list_versions(api: FakeKubeflowApi, request: Request, pipeline_id: str) -> Answer:
    """Lists versions without their packages."""
    api.store.find_pipeline(pipeline_id)
    versions = [version for version in api.store.versions.values() if version.pipeline_id == pipeline_id]
    page, token, total = api.store.select(versions, request.query, "PipelineVersion")
    brief = [read_model(to_json(version) | {"pipeline_spec": None}, "V2beta1PipelineVersion") for version in page]
    return _json(
        models.V2beta1ListPipelineVersionsResponse(pipeline_versions=brief, next_page_token=token, total_size=total)
    )


def _pipeline_named(api: FakeKubeflowApi, request: Request, name: str) -> Answer:
    return _json(api.store.find_pipeline_named(name, request.query.get("namespace", "")))


def _upload_pipeline(api: FakeKubeflowApi, request: Request) -> Answer:
    return _json(api.store.upload_pipeline(request.query["name"], _uploaded(request)))


def _upload_version(api: FakeKubeflowApi, request: Request) -> Answer:
    content = _uploaded(request)
    return _json(api.store.upload_version(request.query["pipelineid"], request.query["name"], content))


def _uploaded(request: Request) -> bytes:
    """Returns the content of the one file of a request."""
    unknown = set(request.query) - {"name", "display_name", "pipelineid", "description", "tags"}
    if unknown:
        raise HttpRefusalError(400, f"unknown parameters {unknown}")
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parts = list(BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts())
    if len(parts) != 1 or parts[0].get_param("name", header="content-disposition") != "uploadfile":
        raise HttpRefusalError(400, "Failed to read pipeline from file")
    file_name = parts[0].get_filename() or ""
    if not file_name.endswith((".yaml", ".yml", ".zip", ".tar.gz")):
        raise HttpRefusalError(400, f"unexpected pipeline file format: {file_name}")
    return bytes(parts[0].get_payload(decode=True))


def _get_run(api: FakeKubeflowApi, request: Request, run_id: str) -> Answer:
    run = api.store.find_run(run_id)
    api.on_run_read(run)
    return _json(run)


def _read_log(api: FakeKubeflowApi, request: Request, run_id: str, node_id: str) -> Answer:
    """Returns a log; that there is none is told with the status of success."""
    log = api.store.logs.get(node_id)
    if log is not None:
        return Answer(log, content_type=PLAIN)
    failed = f"BadRequestError: Failed to read logs for run {run_id}: InternalServerError: Failed to read logs from"
    why = "due to error fetching the log file: InternalServerError: Failed to get file reader"
    return Answer(error_text(f"{failed} archive {node_id} {why}"), content_type=PLAIN)


def _read_artifact(api: FakeKubeflowApi, request: Request, run_id: str, node_id: str, artifact: str) -> Answer:
    log = api.store.archived_logs.get(node_id) if artifact == LOG_ARTIFACT and run_id in api.store.runs else None
    if log is None:
        raise HttpRefusalError(404, "artifact not found: <nil>", PLAIN)
    return _json({"data": base64.b64encode(log.encode()).decode()})


_ID = r"([^/:]+)"
_ROUTES: list[tuple[str, str, _Route]] = [
    ("GET", f"{V2}/healthz", _healthz),
    ("GET", f"{V2}/pipelines", _listing("pipelines", "V2beta1ListPipelinesResponse", "Pipeline")),
    ("POST", f"{V2}/pipelines", _creating("create_pipeline", "V2beta1Pipeline")),
    ("POST", f"{V2}/pipelines/upload", _upload_pipeline),
    ("POST", f"{V2}/pipelines/upload_version", _upload_version),
    ("GET", f"{V2}/pipelines/names/{_ID}", _pipeline_named),
    ("GET", f"{V2}/pipelines/{_ID}", _calling("find_pipeline")),
    ("DELETE", f"{V2}/pipelines/{_ID}", _calling("delete_pipeline")),
    ("GET", f"{V2}/pipelines/{_ID}/versions", _list_versions),
    ("GET", f"{V2}/pipelines/{_ID}/versions/{_ID}", _calling("find_version")),
    ("GET", f"{V2}/experiments", _listing("experiments", "V2beta1ListExperimentsResponse", "Experiment")),
    ("POST", f"{V2}/experiments", _creating("create_experiment", "V2beta1Experiment")),
    ("GET", f"{V2}/experiments/{_ID}", _calling("find_experiment")),
    ("GET", f"{V2}/runs", _listing("runs", "V2beta1ListRunsResponse", "Run")),
    ("POST", f"{V2}/runs", _creating("create_run", "V2beta1Run")),
    ("GET", f"{V2}/runs/{_ID}", _get_run),
    ("DELETE", f"{V2}/runs/{_ID}", _calling("delete_run")),
    ("POST", f"{V2}/runs/{_ID}:terminate", _calling("terminate_run")),
    ("POST", f"{V2}/runs/{_ID}:archive", _calling("archive_run")),
    ("GET", f"{V2}/runs/{_ID}/nodes/{_ID}/artifacts/{_ID}:read", _read_artifact),
    ("GET", f"{V2}/recurringruns", _listing("recurring_runs", "V2beta1ListRecurringRunsResponse", "Job")),
    ("POST", f"{V2}/recurringruns", _creating("create_recurring_run", "V2beta1RecurringRun")),
    ("GET", f"{V2}/recurringruns/{_ID}", _calling("find_recurring_run")),
    ("DELETE", f"{V2}/recurringruns/{_ID}", _calling("delete_recurring_run")),
    ("POST", f"{V2}/recurringruns/{_ID}:enable", _calling("switch_recurring_run", "ENABLE")),
    ("POST", f"{V2}/recurringruns/{_ID}:disable", _calling("switch_recurring_run", "DISABLE")),
    ("GET", f"/apis/v1alpha1/runs/{_ID}/nodes/{_ID}/log", _read_log),
]
