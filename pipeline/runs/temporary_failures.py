"""Which failures are worth another try: those of the network and of storage that may be there again in a minute.

Types are told by their names, so that no library is imported only to ask whether one of its errors was raised. Beam
turns what its workers raise to the text of a traceback; the exceptions in it are told in the same way.
"""

import builtins
import errno
import re
import sys
from typing import Any, Final

from components.http_requests import TEMPORARY, ApiError
from trainer_module.errors import ConfigError, PetsegError

_ERRNOS: Final = frozenset(
    {
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EIO,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.EPIPE,
        errno.EREMOTEIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
"""Of a network, and of a volume that is reached by one."""

_IS_TEMPORARY_BY_TYPE: Final = {
    "builtins.ConnectionError": True,
    "builtins.KeyboardInterrupt": False,
    "builtins.MemoryError": False,
    "builtins.TimeoutError": True,
    "http.client.HTTPException": True,
    "http.client.InvalidURL": False,
    "requests.exceptions.ChunkedEncodingError": True,
    "requests.exceptions.ConnectionError": True,
    "requests.exceptions.RetryError": True,
    "requests.exceptions.SSLError": False,
    "requests.exceptions.Timeout": True,
    "socket.gaierror": True,
    "ssl.SSLCertVerificationError": False,
    "tensorflow.python.framework.errors_impl.AbortedError": True,
    "tensorflow.python.framework.errors_impl.DeadlineExceededError": True,
    "tensorflow.python.framework.errors_impl.UnavailableError": True,
    "urllib3.exceptions.IncompleteRead": True,
    "urllib3.exceptions.MaxRetryError": True,
    "urllib3.exceptions.ProtocolError": True,
    "urllib3.exceptions.ProxyError": True,
    "urllib3.exceptions.SSLError": False,
    "urllib3.exceptions.TimeoutError": True,
}
"""By the full name of a type; it holds for the types derived from it that are not named themselves."""

_IN_TRACEBACK: Final = re.compile(r"^([A-Za-z_][\w.]*)(?:: (?:\[Errno (\d+)\])?|$)", re.MULTILINE)
"""The line of a traceback that names an exception: its type, and its errno where it has one."""

_TRACEBACK: Final = "Traceback (most recent call last)"
_HTTP_STATUS: Final = re.compile(r"HTTP code: (\d{3})\b")
"""In the message of TFDS's DownloadError."""


def is_temporary(error: BaseException) -> bool:
    """Returns whether the same work may succeed later.

    The outermost exception of which it is known decides, else what it came from. What petseg raises on purpose is
    final, such as the refusal of bad data, but for an error that says of itself that it is temporary, or one raised
    from such.

    >>> is_temporary(ConnectionResetError()), is_temporary(KeyError("image"))
    (True, False)
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        known = _known(link)
        if known is not None:
            return known
        link = link.__cause__ or (None if _hides_context(link) else link.__context__)
    return False


def _hides_context(error: BaseException) -> bool:
    """Returns whether an exception has taken the place of the one that was being handled, unless it names a cause."""
    return isinstance(error, PetsegError) or error.__suppress_context__


def _known(error: BaseException) -> bool | None:
    """Returns whether one exception by itself is temporary; None where what it came from has to tell."""
    if isinstance(error, ApiError):
        return error.is_temporary
    if isinstance(error, ConfigError):
        return False
    reason = getattr(error, "reason", None)  # urllib's and urllib3's errors keep what happened there
    if isinstance(reason, BaseException) and (known := _known(reason)) is not None:
        return known
    status = _http_status(error)
    if status is not None:
        return status in TEMPORARY
    by_type = _by_type(type(error))
    if by_type is not None:
        return by_type
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _ERRNOS
    return _of_traceback(str(error)) if _TRACEBACK in str(error) else None


def _http_status(error: BaseException) -> int | None:
    """Returns the status of the answer that an error of urllib, requests or TFDS is about."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None) or getattr(error, "code", None)
    if isinstance(status, int):
        return status
    found = _HTTP_STATUS.search(str(error)) if type(error).__name__ == "DownloadError" else None
    return int(found[1]) if found else None


def _by_type(error_type: type[Any]) -> bool | None:
    names = (f"{base.__module__}.{base.__qualname__}" for base in error_type.__mro__)
    return next((_IS_TEMPORARY_BY_TYPE[name] for name in names if name in _IS_TEMPORARY_BY_TYPE), None)


def _of_traceback(text: str) -> bool | None:
    """Returns what the exceptions in a traceback tell, the last one first, which is the outermost."""
    for match in reversed(list(_IN_TRACEBACK.finditer(text))):
        error_type = _named_type(match[1])
        if error_type is None:
            continue
        if issubclass(error_type, ConfigError):
            return False
        known = _by_type(error_type)
        if known is not None:
            return known
        if match[2]:
            return int(match[2]) in _ERRNOS
    return None


def _named_type(name: str) -> type[BaseException] | None:
    """Returns the exception of that name, when it is built in or its module is loaded."""
    module, _, qualified = name.rpartition(".")
    found = getattr(sys.modules.get(module) if module else builtins, qualified, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None
