"""A real MLflow server, and a proxy before it that fails on order."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import requests
from fake_http_api import Answer, FakeApi, Request

_SECONDS_TO_START = 300
_SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def mlflow_server(directory: Path) -> Iterator[str]:
    """Runs `mlflow server` with SQLite, and artifacts through it; yields its URL."""
    port = free_port()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{directory}/mlflow.db",
        "--artifacts-destination", str(directory / "artifacts"),
    ]  # fmt: skip
    log = directory / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            cwd=directory,
            env={**os.environ, **_SETTINGS},
            start_new_session=True,
        )
    try:
        _wait(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it takes seconds to end by itself
        process.wait()


def _wait(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{url}/health", timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise AssertionError(f"mlflow server did not start:\n{log.read_text()}")


class MlflowProxy(FakeApi):
    """Leads to a server; it wants a token where it is given one, and takes bodies of a length at most."""

    def __init__(self, upstream: str, *, token: str | None = None, max_bytes: int | None = None) -> None:
        super().__init__(token=token)
        self._upstream = urlsplit(upstream)
        self.max_bytes = max_bytes

    def answer(self, request: Request) -> Answer:
        if not self.is_authenticated(request):
            return Answer("You are not authenticated.", 401, "text/html")
        if self.max_bytes is not None and len(request.body) > self.max_bytes:
            return Answer("<h1>413 Request Entity Too Large</h1>", 413, "text/html")
        target = requests.Request(request.method, f"http://x{request.path}", params=request.query).prepare().path_url
        headers = {name: value for name, value in request.headers.items() if name != "accept-encoding"}
        with closing(HTTPConnection(self._upstream.hostname, self._upstream.port)) as upstream:
            upstream.request(request.method, target, request.body, headers)
            answer = upstream.getresponse()
            return Answer(answer.read().decode(), answer.status, answer.headers["Content-Type"])
