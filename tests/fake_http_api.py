"""A server in memory for contract tests: it notes every request, answers as a subclass says, and fails on order."""

import json
import socket
import ssl
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

JSON = "application/json"


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


class Answer(NamedTuple):
    """What the server sends."""

    content: str | bytes
    status: int = 200
    content_type: str = JSON
    headers: dict[str, str] = {}  # noqa: RUF012 (a tuple's default, which nobody changes)


class FakeApi(ABC):
    """The server; it listens on a port of its own choice until it is closed."""

    def __init__(self, *, token: str | None = None, certificate: tuple[Path, Path] | None = None) -> None:
        """Starts the server.

        Args:
          token: Bearer token that every request needs.
          certificate: Files of a certificate and its key, to speak TLS.
        """
        self.token = token
        self.requests: list[Request] = []
        self.connections = 0
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
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name=type(self).__name__, daemon=True
        )
        self._thread.start()

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """Returns the answer to a request that meets no fault."""

    def is_authenticated(self, request: Request) -> bool:
        return self.token is None or request.headers.get("authorization") == f"Bearer {self.token}"

    @property
    def host(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    api: FakeApi

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
            self._send(fault.status, JSON, fault.body, fault.headers)
            return
        answer = self.server.api.answer(request)
        self._send(answer.status, answer.content_type, answer.content, answer.headers)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

    def _send(self, status: int, content_type: str, content: str | bytes, headers: dict[str, str]) -> None:
        data = content if isinstance(content, bytes) else content.encode(errors="surrogatepass")
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Tests read `requests` instead."""
