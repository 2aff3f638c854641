"""Which failures are worth another try."""

import errno
import http.client
import io
import os
import socket
import ssl
import subprocess
import sys
import urllib.error

import pytest
import requests
import tensorflow as tf
import urllib3
from ml_metadata.errors import AbortedError
from tensorflow_datasets.core.download.util import DownloadError

from components.http_requests import ApiError
from pipeline.runs.temporary_failures import is_temporary
from trainer_module.errors import ConfigError, DataError

CERTIFICATE = ssl.SSLCertVerificationError(1, "self-signed certificate")


def raised(outer: BaseException, inner: BaseException, *, on_purpose: bool = True) -> BaseException:
    """Returns an exception that was raised over another one, `from` it or by accident."""
    try:
        try:
            raise inner
        except BaseException as error:
            if on_purpose:
                raise outer from error
            raise outer  # noqa: B904
    except BaseException as error:  # noqa: BLE001
        return error


def from_none(outer: BaseException, inner: BaseException) -> BaseException:
    error = raised(outer, inner, on_purpose=False)
    error.__suppress_context__ = True
    return error


def beam(*lines: str) -> RuntimeError:
    trace = 'Traceback (most recent call last):\n  File "x.py", line 1, in process\n'
    return RuntimeError("\n\nDuring handling of the above exception, another exception occurred:\n\n".join(
        f"{trace}{line} [while running 'Read']" for line in lines
    ))  # fmt: skip


def answer(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(response=response)


def tensorflow_error(name: str) -> tf.errors.OpError:
    return getattr(tf.errors, name)(None, None, "the store says so")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        TimeoutError("timed out"),
        socket.gaierror(socket.EAI_AGAIN, "no name"),
        OSError(errno.ESTALE, "Stale file handle", "/cache/x"),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ENETUNREACH, "no network"),
        http.client.IncompleteRead(b""),
        http.client.RemoteDisconnected(),
        urllib.error.URLError(socket.gaierror(socket.EAI_NONAME, "no name")),
        urllib.error.HTTPError("http://x", 503, "busy", http.client.HTTPMessage(), io.BytesIO()),
        urllib3.exceptions.ProtocolError("broken off"),
        urllib3.exceptions.ReadTimeoutError(None, "/", "slow"),
        urllib3.exceptions.MaxRetryError(None, "/", urllib3.exceptions.ResponseError("too many 503 error responses")),
        requests.ConnectTimeout(),
        requests.exceptions.ProxyError(),
        requests.exceptions.ChunkedEncodingError(),
        answer(429),
        DownloadError("Failed to get url http://x. HTTP code: 503."),
        ApiError("busy", 503, is_temporary=True),
        *map(tensorflow_error, ("UnavailableError", "AbortedError", "DeadlineExceededError")),
        raised(DataError("could not be downloaded"), requests.ConnectionError("x")),
        raised(OSError("the store says so"), tensorflow_error("UnavailableError")),
        raised(RuntimeError("Execution 3 failed"), raised(DataError("x"), ConnectionResetError())),
        raised(RuntimeError("while handling it"), TimeoutError(), on_purpose=False),
        beam("ConnectionResetError: [Errno 104] Connection reset by peer"),
        beam("OSError: [Errno 5] Input/output error: '/cache/data'"),
        beam("tensorflow.python.framework.errors_impl.UnavailableError: gone", "RuntimeError: it failed"),
        beam("requests.exceptions.ConnectionError: gone", "trainer_module.errors.DataError: not downloaded"),
    ],
    ids=repr,
)
def test_what_may_pass_is_worth_another_try(error):
    assert is_temporary(error)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("image"),
        DataError("the split is empty"),
        ConfigError("no such version"),
        MemoryError(),
        KeyboardInterrupt(),
        FileNotFoundError(errno.ENOENT, "No such file", "x"),
        PermissionError(errno.EACCES, "Permission denied", "/cache/x"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("an error of nobody"),
        CERTIFICATE,
        urllib.error.URLError(CERTIFICATE),
        urllib.error.HTTPError("http://x", 404, "gone", http.client.HTTPMessage(), io.BytesIO()),
        urllib3.exceptions.MaxRetryError(None, "/", urllib3.exceptions.SSLError("untrusted")),
        urllib3.exceptions.LocationParseError("x"),
        requests.exceptions.SSLError(),
        answer(403),
        DownloadError("Failed to get url http://x. HTTP code: 404."),
        ApiError("refused", 403),
        *map(tensorflow_error, ("NotFoundError", "PermissionDeniedError", "ResourceExhaustedError")),
        AbortedError("locked"),
        raised(ConfigError("no such version"), ConnectionResetError()),
        raised(ApiError("refused", 403), ConnectionResetError()),
        raised(DataError("bad image"), ConnectionResetError(), on_purpose=False),
        from_none(RuntimeError("final"), ConnectionResetError()),
        raised(MemoryError(), ConnectionResetError()),
        beam("KeyError: 'image'"),
        beam("OSError: [Errno 28] No space left on device: '/cache/data'"),
        beam("ConnectionResetError: gone", "trainer_module.errors.ConfigError: no such version"),
        RuntimeError("ConnectionResetError: only talked of"),
    ],
    ids=repr,
)
def test_what_stays_as_it_is_is_not(error):
    assert not is_temporary(error)


def test_an_error_that_caused_itself_ends():
    error = RuntimeError("x")
    error.__context__ = error
    assert not is_temporary(error)


def test_nothing_is_imported_only_to_look():
    code = (
        "import sys; from pipeline.runs.temporary_failures import is_temporary\n"
        "assert is_temporary(ConnectionError()) and not is_temporary(KeyError())\n"
        "print({'tensorflow', 'requests', 'tfx'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
