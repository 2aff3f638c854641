"""An HTTP proxy: it leads every name to one server of this machine, and notes what it was asked for."""

import base64
import threading
from contextlib import closing, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, create_connection, socket
from typing import Self
from urllib.parse import urlsplit


class FakeProxy(ThreadingHTTPServer):
    """The proxy; it listens on a port of its own choice until it is closed."""

    daemon_threads = True

    def __init__(self, upstream: str | None) -> None:
        """Starts the proxy.

        Args:
          upstream: URL of the server that it leads to. None: it refuses everything.
        """
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = (urlsplit(upstream).hostname, urlsplit(upstream).port) if upstream else None
        self.asked: list[str] = []
        """Methods and targets."""

        self.users: set[str] = set()
        """Who asked, as `user:password`."""

        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def address(self) -> str:
        return "{}:{}".format(*self.server_address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeProxy

    def _forward(self) -> None:
        if not self._admit():
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = "/" + self.path.partition("://")[2].partition("/")[2]
        with closing(HTTPConnection(*self.server.upstream)) as upstream:
            upstream.request(self.command, path, body, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _forward  # noqa: N815

    def do_CONNECT(self) -> None:
        self.close_connection = True
        if not self._admit():
            return
        with create_connection(self.server.upstream) as upstream:
            self.send_response(200)
            self.end_headers()
            threading.Thread(target=_copy, args=(self.connection, upstream), daemon=True).start()
            _copy(upstream, self.connection)

    def _admit(self) -> bool:
        self.server.asked.append(f"{self.command} {self.path}")
        kind, _, credentials = self.headers.get("Proxy-Authorization", "").partition(" ")
        if kind == "Basic":
            self.server.users.add(base64.b64decode(credentials).decode())
        if self.server.upstream is None:
            self.send_error(502)
        return self.server.upstream is not None

    def log_message(self, *_: object) -> None:
        """Tests read `asked` instead."""


def _copy(source: socket, target: socket) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            target.sendall(received)
        target.shutdown(SHUT_RDWR)
