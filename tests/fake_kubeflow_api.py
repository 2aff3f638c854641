"""A Kubeflow Pipelines server for contract tests: the routes of its API over a store in memory, and faults on order.

with FakeKubeflowApi() as api:
    api.fail(429, on="GET /apis/v2beta1/runs", headers={"Retry-After": "1"})
    client = connect(KubeflowConfig(host=api.host))
"""

import json
import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from fake_kubeflow_store import RefusalError, Store, invalid, read_model, to_json
from kfp_server_api import models

V2 = "/apis/v2beta1"


@dataclass
class Request:
    """One request, as the server saw it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Fault:
    """What happens to the next requests whose `METHOD path` matches, instead of an answer."""

    times: int
    on: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    wait: threading.Event | None = None


class FakeKubeflowApi:
    """The server; it listens on a port of its own choice until it is closed."""

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
        self.token = token
        self.requests: list[Request] = []
        self.connections = 0
        self.on_run_read: Callable[[Any], None] = lambda run: None
        """Called with a run each time before it is read, to move it on."""

        self._faults: list[Fault] = []
        self._stalled = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        self._scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name="fake Kubeflow API", daemon=True
        )
        self._thread.start()

    @property
    def host(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FakeKubeflowApi":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops to listen; whoever waits for an answer gets none."""
        self._stalled.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fail(
        self, status: int, *, on: str = "", times: int = 1, headers: dict[str, str] | None = None, body: str = ""
    ) -> None:
        """Answers the next requests with a status; `on` is the beginning of `METHOD path`."""
        answer = body or json.dumps({"code": 13, "message": f"fault {status}", "details": []})
        self._faults.append(Fault(times, on, status, headers or {}, answer))

    def stall(self, *, on: str = "", times: int = 1) -> None:
        """Leaves the next requests without an answer until the server is closed."""
        self._faults.append(Fault(times, on, wait=self._stalled))

    def break_off(self, *, on: str = "", times: int = 1) -> None:
        """Closes the connection of the next requests without an answer."""
        self._faults.append(Fault(times, on))

    def count(self, beginning: str) -> int:
        """Returns how many requests began with that method and path."""
        return sum(str(request).startswith(beginning) for request in self.requests)

    def fault_for(self, request: Request) -> Fault | None:
        """Returns the fault that this request meets, and uses it up."""
        with self._lock:
            self.requests.append(request)
            for fault in self._faults:
                if str(request).startswith(fault.on):
                    fault.times -= 1
                    self._faults = [other for other in self._faults if other.times > 0]
                    return fault
        return None

    def answer(self, request: Request) -> tuple[str, Any]:
        """Returns content type and content of the answer.

        Raises:
          RefusalError: The server refuses the request.
        """
        if self.token is not None and request.headers.get("authorization") != f"Bearer {self.token}":
            raise RefusalError(401, 16, "Request header error: there is no user identity header")
        with self._lock:
            for method, pattern, handler in _ROUTES:
                match = re.fullmatch(pattern, request.path)
                if match and method == request.method:
                    return handler(self, request, *map(unquote, match.groups()))
        raise RefusalError(404, 5, "Not Found")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    api: FakeKubeflowApi

    def get_request(self) -> tuple[Any, Any]:
        self.api.connections += 1
        return super().get_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust the certificate, or does not wait, is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(parts.query))
        request = Request(self.command, parts.path, query, {k.lower(): v for k, v in self.headers.items()}, body)
        fault = self.server.api.fault_for(request)
        if fault is not None and fault.status is None:
            if fault.wait is not None:
                fault.wait.wait()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if fault is not None and fault.status is not None:
            self._send(fault.status, "application/json", fault.body, fault.headers)
            return
        try:
            content_type, content = self.server.api.answer(request)
        except RefusalError as refusal:
            answer = {"code": refusal.code, "message": refusal.message, "details": []}
            if "/upload" in request.path or "/log" in request.path:
                answer = {"error_message": refusal.message, "error_details": refusal.message}
            self._send(refusal.status, "application/json", json.dumps(answer), {})
            return
        self._send(200, content_type, content, {})

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815

    def _send(self, status: int, content_type: str, content: str, headers: dict[str, str]) -> None:
        data = content.encode(errors="surrogatepass")
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Tests read `requests` instead."""


_Route = Callable[..., tuple[str, str]]


def _json(model: Any) -> tuple[str, str]:
    return "application/json", json.dumps(to_json(model))


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
