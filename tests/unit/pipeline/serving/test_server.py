"""The server on a real socket: slow clients, full queues, clients that go away, and its stop."""

import contextlib
import http.client
import signal
import socket
import threading
import time
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import uvicorn
from serving_model import picture
from uvicorn.server import ServerState

from pipeline.serving import server
from pipeline.serving.limits import Limits
from pipeline.serving.server import timed_protocol
from trainer_module.errors import ConfigError

PNG = picture("red")


class Running:
    """A server in a thread; `send` opens a connection and sends bytes."""

    def __init__(self, service, made: list) -> None:
        self.service = service
        self.port = None
        self._made = made
        self.ready = threading.Event()
        self.own = server.bound_socket("127.0.0.1", 0)
        self.port = self.own.getsockname()[1]
        self.thread = threading.Thread(target=server.serve, args=(service, self.own, self.ready.set))

    def signal(self) -> None:
        self._made[0].handle_exit(signal.SIGTERM, None)

    def send(self, data: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(data)
        return connection

    def get(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET" if body is None else "POST", path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()


@pytest.fixture
def start(make_service, monkeypatch):
    """Starts a server with other limits; all are stopped at the end."""
    started = []
    monkeypatch.setattr(server, "_SIGNALS", ())  # only the main thread can take signals

    def begin(**limits):
        made = []

        class Kept(server._Server):
            def __init__(self, *args):
                super().__init__(*args)
                made.append(self)

        monkeypatch.setattr(server, "_Server", Kept)
        running = Running(make_service(**{"drain_seconds": 0.0} | limits), made)
        running.thread.start()
        started.append(running)
        assert running.ready.wait(20)
        return running

    yield begin
    for running in started:
        running.signal()
        running.thread.join(20)
        assert not running.thread.is_alive()
        running.own.close()


def post(length: int, path: str = "/v1/models/pets:segment") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def until_closed(connection: socket.socket) -> bytes:
    received = b""
    with connection:
        while chunk := connection.recv(65536):
            received += chunk
    return received


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: "])
def test_a_client_that_does_not_send_its_headers_is_cut_off(start, sent):
    running = start(read_seconds=0.3)
    connection = running.send(sent)
    with contextlib.suppress(ConnectionResetError):
        assert until_closed(connection) == b""
    assert running.get("/healthz")[0] == 200


def test_headers_that_trickle_in_are_no_sign_of_life(start):
    running = start(read_seconds=0.4)
    connection = running.send(b"GET /healthz HTTP/1.1\r\n")

    def is_open() -> bool:
        try:
            connection.sendall(b"X: y\r\n")
        except OSError:  # reset, or a broken pipe
            return False
        return True

    with connection:
        wait_until(lambda: not is_open())


def test_a_body_that_does_not_come_is_told_so(start):
    running = start(read_seconds=0.3)
    received = until_closed(running.send(post(100) + b"abc"))
    assert received.startswith(b"HTTP/1.1 408")
    assert b"did not arrive within 0.3 s; 3 bytes came" in received


def test_a_request_in_pieces_is_answered(start):
    running = start()
    request = post(len(PNG)) + PNG
    connection = running.send(request[:20])
    for piece in (request[20:90], request[90:]):
        time.sleep(0.05)
        connection.sendall(piece)
    with connection:
        assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_a_full_server_says_when_to_come_again(start):
    running = start(max_queue=1, read_seconds=5)
    with running.send(post(len(PNG)) + PNG[:10]) as holding:
        wait_until(lambda: running.service._admitted == 1)
        received = until_closed(running.send(post(len(PNG)).replace(b"Host", b"Connection: close\r\nHost") + PNG))
        assert received.startswith(b"HTTP/1.1 429")
        assert b"retry-after: 1" in received.lower()
        assert running.get("/readyz")[0] == 200
        holding.sendall(PNG[10:])
        assert holding.recv(15) == b"HTTP/1.1 200 OK"
    assert running.get("/v1/models/pets:segment", PNG)[0] == 200


def test_a_large_body_that_is_refused_is_read_so_that_the_answer_arrives(start):
    running = start(max_request_bytes=1000)
    status, content = running.get("/v1/models/pets:segment", b"x" * 30_000_000)
    assert status == 413
    assert b"longer than 1,000 bytes" in content


@pytest.mark.parametrize("sent", [post(100) + b"abc", post(len(PNG)) + PNG])
def test_clients_may_go_away(start, sent):
    running = start()
    for _ in range(20):
        running.send(sent).close()
    wait_until(lambda: running.service._admitted == 0)
    assert running.get("/v1/models/pets:segment", PNG)[0] == 200
    assert b'status="500"' not in running.get("/metrics")[1]


def test_what_waits_is_dropped_when_its_client_goes(start, monkeypatch):
    running = start()
    model = running.service.versions.current
    right, go, calls = model.run, threading.Event(), []

    def held(signature, inputs):
        calls.append(len(inputs["image"]))
        assert go.wait(20)
        return right(signature, inputs)

    monkeypatch.setattr(model, "run", held)
    first = running.send(post(len(PNG)) + PNG)
    wait_until(lambda: calls == [1])
    second = running.send(post(len(PNG)) + PNG)
    wait_until(lambda: running.service._admitted == 2)
    second.close()
    wait_until(lambda: running.service._admitted == 1)
    go.set()
    with first:
        assert first.recv(15) == b"HTTP/1.1 200 OK"
    assert calls == [1]
    metrics = running.get("/metrics")[1]
    assert b'status="499"' in metrics
    assert b'status="500"' not in metrics


def test_no_http_is_refused(start):
    running = start()
    assert until_closed(running.send(b"\x16\x03\x01 hello\r\n\r\n")).startswith(b"HTTP/1.1 400")
    assert running.get("/healthz")[0] == 200


def test_a_stopping_server_is_not_ready_first_and_ends_what_runs(start, monkeypatch):
    running = start(drain_seconds=0.5)
    model = running.service.versions.current
    right, called, go = model.run, threading.Event(), threading.Event()

    def held(signature, inputs):
        called.set()
        assert go.wait(20)
        return right(signature, inputs)

    monkeypatch.setattr(model, "run", held)
    request = running.send(post(len(PNG)) + PNG)
    assert called.wait(20)
    running.signal()
    assert running.get("/readyz")[0] == 503
    assert running.get("/healthz")[0] == 200
    wait_until(lambda: not can_connect(running.port))
    assert running.thread.is_alive()
    go.set()
    with request:
        assert request.recv(15) == b"HTTP/1.1 200 OK"
    running.thread.join(20)
    assert not running.thread.is_alive()


def test_an_address_in_use_is_told():
    with server.bound_socket("127.0.0.1", 0) as one:
        one.listen()
        with pytest.raises(ConfigError, match="--port 0 takes a free one"):
            server.bound_socket("127.0.0.1", one.getsockname()[1])
    with pytest.raises(ConfigError, match="cannot listen on no-such-host"):
        server.bound_socket("no-such-host.invalid", 0)


@pytest.mark.parametrize(
    ("sizes", "is_cut_off"), [((900, 900), True), ((900, 500, 400, 400), True), ((900, 500), False)]
)
def test_a_client_that_takes_nothing_of_its_answer_is_cut_off(sizes, is_cut_off, monkeypatch):
    """At each look the transport holds so many bytes that the client did not take."""
    left, timers, aborted = list(sizes), [], []
    loop = SimpleNamespace(call_later=lambda _, callback: timers.append(callback) or Mock())
    protocol = timed_protocol(Limits())(uvicorn.Config(Mock()), ServerState(), {}, loop)
    protocol.flow = Mock()
    protocol.transport = SimpleNamespace(get_write_buffer_size=lambda: left[0], abort=lambda: aborted.append(1))
    protocol.pause_writing()
    while len(left) > 1:
        left.pop(0)
        timers.pop()()
    assert bool(aborted) == is_cut_off


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def can_connect(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
